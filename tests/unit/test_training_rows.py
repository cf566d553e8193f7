"""Rows of the training table: conventions, derived degrees, reasons to skip."""

from typing import Any

import numpy as np
import pytest

from eke.calibrate.conventions import attention_share, forward_flop
from eke.calibrate.degrees import row_layout, row_pool
from eke.calibrate.rows import Row
from eke.calibrate.shapes import row_model
from eke.calibrate.training import row_task, training_blocks, training_engine
from eke.catalog.chips import chip
from eke.catalog.efficiencies import efficiencies
from eke.physics.scenarios import likely, scenarios

GPT = {
    "model": "GPT-13B",
    "layers": "40",
    "hidden": "5120",
    "heads": "40",
    "kv_heads": "40",
    "ffn": "20480",
    "vocab": "51200",
    "seq_len": "2048",
    "chip": "a100-sxm-80",
    "n_chips": "64",
    "tp": "4",
    "pp": "2",
    "vpp": "1",
    "dp": "8",
    "global_batch_sequences": "512",
    "micro_batch": "2",
    "precision": "bf16",
    "recompute": "none",
    "framework": "Megatron-Core",
    "metric": "iteration_time_s",
    "measured_value": "5.0",
    "notes": "task=pretrain",
}


def row(**columns: str) -> Row:
    """The GPT row with other columns."""
    found = GPT | columns
    return Row(
        id=columns.get("id", "1"),
        table="training",
        source=columns.get("source", "somebody"),
        metric=found["metric"],
        value=float(found["measured_value"]),
        columns=found,
    )


def predicted(*rows: Row) -> Any:
    """The likeliest metric of every row, in the order of the blocks."""
    blocks, skipped = training_blocks(rows)
    assert not skipped, skipped[0].reason
    values = [block.predict(likely(efficiencies(*block.tables))) for block in blocks]
    return np.concatenate(
        [
            np.broadcast_to(each, (len(block.rows), 1))[:, 0]
            for each, block in zip(values, blocks, strict=True)
        ]
    )


def reason(**columns: str) -> str:
    """Why a row is skipped."""
    blocks, skipped = training_blocks([row(**columns)])
    assert not blocks
    return skipped[0].reason


def test_metrics_of_one_step_agree() -> None:
    seconds, speed = predicted(row(), row(metric="tokens_per_sec_per_chip"))
    assert speed == pytest.approx(512 * 2048 / 64 / seconds)
    stated = "task=pretrain; 1000 steps"
    (hours,) = predicted(row(metric="time_to_train_h", notes=stated))
    assert hours == pytest.approx(1000 * seconds / 3600)
    (spent,) = predicted(row(metric="chip_hours", notes=stated))
    assert spent == pytest.approx(64 * hours)
    tokens = "task=pretrain; 300B tokens"
    (longer,) = predicted(row(metric="time_to_train_h", notes=tokens))
    assert longer == pytest.approx(300e9 / (512 * 2048) * seconds / 3600)


def flop(notes: str, **columns: str) -> float:
    """FLOP per token out of a TFLOP/s row and the speed of the same row."""
    said = {"notes": f"task=pretrain; {notes}"} | columns
    tflops, speed = (
        predicted(row(metric=metric, **said))[0]
        for metric in ("tflops_per_chip", "tokens_per_sec_per_chip")
    )
    return float(tflops * 1e12 / speed)


def test_conventions_of_flop() -> None:
    model, _ = row_model(row())
    matrices, attention = forward_flop(model, 2048)
    assert attention == pytest.approx(40 * 4 * 2048 * 5120, rel=1e-3)
    full, half = 3 * (matrices + attention), 3 * (matrices + attention / 2)
    assert flop("model FLOPs, attention not causal-halved") == pytest.approx(full)
    assert flop("MODEL FLOPs, causal attention halved, recompute not counted") == pytest.approx(
        half
    )
    assert flop("6N without attention") == pytest.approx(3 * matrices)
    hardware = "HARDWARE FLOPs (4x fwd incl. full activation recompute), attention not halved"
    assert flop(hardware) == pytest.approx(4 / 3 * full)
    assert flop("model_size*4*2*seq*gbs/(t*gpus)", n_params="13e9") == pytest.approx(8 * 13e9)


def test_lora_counts_four_per_parameter() -> None:
    said = "task=lora; causal attention halved"
    tflops, speed = (
        predicted(row(metric=metric, notes=said))[0]
        for metric in ("tflops_per_chip", "tokens_per_sec_per_chip")
    )
    matrices, attention = forward_flop(row_model(row())[0], 2048)
    assert tflops * 1e12 / speed == pytest.approx(2 * (matrices + attention / 2))


def test_exceptions_in_a_convention_name_the_row() -> None:
    notes = "NOT causal-halved, except Grok v25.05 and Llama4 which halve"
    assert attention_share(notes, "Grok-1-314B", "README (v25.05)") == 0.5
    assert attention_share(notes, "Grok-1-314B", "README (v25.02)") == 1.0
    assert attention_share(notes, "Llama4-Maverick", "README (v25.02)") == 0.5


def test_peak_of_mfu_is_the_one_named() -> None:
    named = "task=pretrain; peak A100 200/400"
    plain = "task=pretrain"
    one, two = (predicted(row(metric="mfu", notes=notes))[0] for notes in (named, plain))
    assert one / two == pytest.approx(312 / 200)


def layout(**columns: str) -> Any:
    """The layout of a row."""
    each = row(**columns)
    return row_layout(each, row_model(each)[0], chip(each["chip"]), training_engine(each), False)


def test_degrees_that_follow_are_derived() -> None:
    assert layout(dp="").plan.data == 8
    assert layout(pp="").plan.pipeline == 2
    assert layout(n_chips="").plan.chips == 64
    assert layout(n_chips="32").plan.tensor == 2  # two cores in a chip
    by_notes = layout(tp="", pp="", dp="", notes="task=pretrain; parallel=PP2DP4TP8").plan
    assert (by_notes.tensor, by_notes.pipeline, by_notes.data) == (8, 2, 4)
    accumulated = "task=pretrain; logged gradient_accumulation_steps=4"
    micro = layout(micro_batch="", notes=accumulated).plan.micro_batch
    assert micro == 512 // (8 * 4)


def test_what_is_assumed_is_said() -> None:
    assert not layout().notes
    assert "micro-batch assumed" in layout(micro_batch="").notes
    assert "sequence length assumed" in layout(seq_len="").notes
    assert any("usual" in note for note in layout(tp="", pp="", dp="").notes)


def test_sharding_formats_and_recomputation() -> None:
    assert layout(zero_stage_or_fsdp="FULL_SHARD").plan.shard == 3
    assert layout(zero_stage_or_fsdp="ZeRO-2").plan.shard == 2
    assert layout(zero_stage_or_fsdp="DDP/distributed-optimizer (FSDP=0)").plan.shard == 1
    part = layout(zero_stage_or_fsdp="FSDP size 4", tp="1", pp="1", dp="64").plan
    assert part.shard_ranks == 4
    assert layout(recompute="", notes="task=pretrain; recompute=full").plan.recompute == "full"
    assert layout(precision="MXFP8", chip="b200-sxm").plan.compute == "fp8"
    assert layout(precision="FP8").plan.compute == "bf16"  # an A100 has none


def test_networks_in_the_notes() -> None:
    def speed(notes: str) -> float:
        return row_pool(row(notes=notes), chip("a100-sxm-80"), 64).network_speed * 8 / 1e9

    assert speed('table "A100 with 1600 Gbps node-node interconnect"') == pytest.approx(200)
    assert speed("4 OmniPath 100Gb links/node") == pytest.approx(50)
    assert speed("NDm A100 v4, 200 Gb/s HDR per GPU") == pytest.approx(200)


def test_tasks() -> None:
    assert row_task(row(notes="task=lora; r=8")) == "lora"
    assert row_task(row(model="Qwen-7B (Q-LoRA)", notes="task=sft")) == "qlora"
    assert row_task(row(notes="task=sft")) == "full"
    assert row_task(row(notes="task=rl:grpo")) == "rl:grpo"


def test_reinforcement_learning_needs_lengths() -> None:
    said = "task=rl:grpo; avg generated seq len 1000; rollout samples/step (G-GBS)=512"
    (together,) = predicted(row(notes=said))
    (apart,) = predicted(row(notes=said.replace("; rollout", "; 1-step Off; rollout")))
    assert together > 0 and apart > 0
    assert "answers" in reason(notes="task=rl:grpo")


def test_reasons_to_skip() -> None:
    assert "PITFALL" in reason(notes="task=pretrain; PITFALL: typo")
    assert "number of chips" in reason(n_chips="", dp="")
    assert "shape" in reason(model="Unheard Of", layers="", hidden="")
    assert "offloaded" in reason(zero_stage_or_fsdp="ZeRO-3 + CPU offload")
    assert "steps" in reason(metric="time_to_train_h")
    assert "no chip" in reason(chip="Abacus 3")


def test_what_was_measured_changes_nothing() -> None:
    rows = [row(id=str(index), micro_batch=str(1 + index)) for index in range(3)]
    other = [
        row(id=str(index), micro_batch=str(1 + index), measured_value=str(1 + index))
        for index in range(3)
    ]
    assert np.array_equal(predicted(*rows), predicted(*other))


def test_rows_of_a_block_equal_each_alone_in_every_case() -> None:
    rows = [
        row(),
        row(tp="8", pp="1"),
        row(seq_len="4096", global_batch_sequences="256"),
        row(metric="mfu"),
    ]
    blocks, _ = training_blocks(rows)
    assert len(blocks) == 1
    values = efficiencies(*blocks[0].tables)
    together = blocks[0].predict(scenarios(values))
    assert together.shape[0] == len(rows)
    for index, each in enumerate(rows):
        (alone,), _ = training_blocks([each])
        assert np.allclose(alone.predict(scenarios(values))[0], together[index])
