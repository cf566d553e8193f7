"""Rows of the serving table: quantities, layouts, formats, engines, reasons to skip."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.tables import serving

from eke.calibrate.cases import Case, understand
from eke.calibrate.inference import QUANTITIES, Found, inference_blocks
from eke.calibrate.layout import Degrees
from eke.catalog.efficiencies import efficiencies
from eke.catalog.models import model
from eke.physics.scenarios import likely, scenarios
from eke.types.job import Serve

ONLINE = {"scenario": "online", "batch": ""}
USERS = ONLINE | {"concurrency_or_qps": "concurrency=16"}
OFFLINE = {"scenario": "offline_max_throughput", "batch": ""}
DISAGGREGATED = (
    "mode=disagg; prefill 1x(tp1 pp1 adp4 moe_tp1 ep4 bs1) + "
    "decode 4x(tp8 pp1 adp1 moe_tp1 ep8 bs1); chips computed from these"
)


def case(**columns: object) -> Case:
    found = understand(serving(**columns))
    assert isinstance(found, Case), found
    return found


def reason(**columns: object) -> str:
    """Why a row is skipped."""
    blocks, skipped = inference_blocks([serving(**columns)])
    assert not blocks and len(skipped) == 1
    return skipped[0].reason


def predicted(**columns: object) -> float:
    """The likeliest value of a row's metric."""
    (block,), skipped = inference_blocks([serving(**columns)])
    assert not skipped
    return float(np.ravel(block.predict(likely(efficiencies(*block.tables))))[0])


# quantities


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        ("ttft_ms", 250.0),
        ("tpot_ms", 20.0),
        ("itl_ms", 20.0),
        ("e2e_latency_s", 2.5),
        ("requests_per_sec", 3.0),
        ("output_tokens_per_sec_total", 3.0 * 100),
        ("total_tokens_per_sec", 3.0 * 1100),
        ("tokens_per_sec_per_chip", 3.0 * 100 / 4),
        ("decode_tokens_per_sec", 8 / 0.02),
        ("prefill_tokens_per_sec", 8 * 1000 / 0.25),
        ("output_tokens_per_sec_per_user", 100 / 2.5),
    ],
)
def test_each_metric_is_its_quantity_in_its_unit(metric: str, expected: float) -> None:
    seen = Found(ttft=0.25, tpot=0.02, time=2.5, rate=3.0, at_once=8.0)
    job = Serve(model=model("llama-3.1-8b"), prompt=1000.0, answer=100.0)
    assert QUANTITIES[metric](seen, job, 4.0) == pytest.approx(expected)


def test_every_metric_is_tried_above() -> None:
    assert len(QUANTITIES) == 11


def test_metrics_of_one_static_batch_agree() -> None:
    ttft, tpot = predicted(metric="ttft_ms") / 1e3, predicted(metric="tpot_ms") / 1e3
    time = predicted(metric="e2e_latency_s")
    assert time == pytest.approx(ttft + 127 * tpot)
    assert predicted(metric="itl_ms") == pytest.approx(1e3 * tpot)
    assert predicted(metric="requests_per_sec") == pytest.approx(8 / time)
    assert predicted(metric="output_tokens_per_sec_total") == pytest.approx(8 * 128 / time)
    assert predicted(metric="total_tokens_per_sec") == pytest.approx(8 * (1024 + 128) / time)
    assert predicted(metric="decode_tokens_per_sec") == pytest.approx(8 / tpot)
    assert predicted(metric="prefill_tokens_per_sec") == pytest.approx(8 * 1024 / ttft)


@pytest.mark.parametrize("how", [USERS, OFFLINE, ONLINE | {"concurrency_or_qps": "qps=3"}])
def test_output_and_total_tokens_are_of_the_same_requests(how: dict[str, str]) -> None:
    rate = predicted(**how, metric="requests_per_sec")
    output = predicted(**how, metric="output_tokens_per_sec_total")
    assert output == pytest.approx(128 * rate)
    assert predicted(**how, metric="total_tokens_per_sec") == pytest.approx(1152 * rate)


def test_a_figure_per_chip_is_of_the_billed_chips() -> None:
    each = predicted(metric="tokens_per_sec_per_chip", n_chips=4, tp=4)
    assert each == pytest.approx(
        predicted(metric="output_tokens_per_sec_total", n_chips=4, tp=4) / 4
    )


def test_one_block_holds_metrics_side_by_side() -> None:
    rows = [serving(metric=name, id=name) for name in ("e2e_latency_s", "ttft_ms", "tpot_ms")]
    (block,), _ = inference_blocks(rows)
    found = block.predict(scenarios(efficiencies(*block.tables)))
    assert found.shape[0] == 3 and [row.id for row in block.rows] == [row.id for row in rows]
    for row, values in zip(rows, found, strict=True):
        assert values[0] == pytest.approx(predicted(metric=row.metric))


def test_a_rate_that_can_be_served_is_served() -> None:
    slow = ONLINE | {"concurrency_or_qps": "qps=0.5", "metric": "requests_per_sec"}
    assert predicted(**slow) == pytest.approx(0.5)
    fast = ONLINE | {"concurrency_or_qps": "qps=100000", "metric": "requests_per_sec"}
    assert 0.5 < predicted(**fast) < 1000


# what was asked


@pytest.mark.parametrize(
    ("columns", "how", "asked", "scenario"),
    [
        ({}, "static", 8, "static"),
        ({"scenario": "single_stream", "batch": ""}, "static", 1, "static"),
        (USERS | {"metric": "tpot_ms"}, "loop", 16, "online"),
        (USERS | {"metric": "ttft_ms"}, "loop", 16, "queued"),
        (ONLINE | {"concurrency_or_qps": "qps=2.5", "metric": "itl_ms"}, "rate", 2.5, "online"),
        (ONLINE | {"concurrency_or_qps": "qps=2/4", "metric": "ttft_ms"}, "rate", 3, "queued"),
        (ONLINE | {"concurrency_or_qps": "target_qps=7"}, "rate", 7, "online"),
        (ONLINE | {"concurrency_or_qps": "rate=inf"}, "backlog", 1000, "saturated"),
        (
            ONLINE | {"concurrency_or_qps": "rate=inf", "notes": "1,500 random prompts"},
            *("backlog", 1500, "saturated"),
        ),
        (
            OFFLINE | {"notes": "100-10000 requests", "metric": "tpot_ms"},
            *("backlog", 1000, "queued"),
        ),
        (
            {"scenario": "mlperf_server", "concurrency_or_qps": "target_qps=7"},
            *("rate", 7, "mlperf at a given rate"),
        ),
    ],
)
def test_how_requests_came(columns: dict[str, str], how: str, asked: float, scenario: str) -> None:
    found = case(**columns)
    assert (found.how, found.asked, found.regime.scenario) == (how, asked, scenario)


def test_the_batch_column_limits_what_is_in_flight_but_of_users() -> None:
    assert case(**OFFLINE | {"batch": "64"}).most == 64
    assert case(**USERS | {"batch": "64"}).most == case(**USERS).most == 1024
    assert case(engine="NeuronX", chip="Trainium1", tp=2, batch=4).most == 4


def test_llama_bench_measures_one_half_without_the_other() -> None:
    assert case(metric="decode_tokens_per_sec", isl="").prompt == 1
    assert case(metric="decode_tokens_per_sec", osl="").answer == 128
    assert case(metric="prefill_tokens_per_sec", osl="").answer == 1
    assert case(metric="ttft_ms", osl="0").answer == 1


# layouts


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"n_chips": 8, "tp": 8}, Degrees(tensor=8)),
        ({"n_chips": 8, "tp": 2}, Degrees(tensor=2, replicas=4)),
        ({"n_chips": 8, "tp": 2, "pp": 2}, Degrees(tensor=2, pipeline=2, replicas=2)),
        ({"n_chips": "", "tp": 4, "pp": 2}, Degrees(tensor=4, pipeline=2)),
        (
            {"n_chips": 8, "tp": ""},
            Degrees(tensor=8, assumed="tensor parallel over all 8: not stated"),
        ),
        ({"n_chips": 1, "tp": ""}, Degrees()),
        ({"n_chips": 16, "tp": "", "notes": "DEP8"}, Degrees(data=8, replicas=2)),
        (
            {"n_chips": 8, "tp": "", "notes": "attention_dp=4 moe_ep=8"},
            Degrees(tensor=2, data=4, expert=8),
        ),
        (
            {"n_chips": 8, "tp": 8, "ep": 8, "notes": "attention_dp=8; attention ranks in tp"},
            Degrees(data=8, expert=8),
        ),
        (
            {"n_chips": 8, "tp": "", "notes": "hybrid: Tensor (4) x Pipeline (2)"},
            Degrees(tensor=4, pipeline=2),
        ),
        ({"n_chips": 8, "tp": "", "notes": "TP = 2 and PP = 4"}, Degrees(tensor=2, pipeline=4)),
        (
            {"n_chips": 2, "tp": "", "notes": "layer split"},
            Degrees(pipeline=2, assumed="layers split over the chips"),
        ),
        (
            {"n_chips": 3, "tp": "", "engine": "llama.cpp", "chip": "RTX 4090"},
            Degrees(pipeline=3, assumed="layers split over the chips"),
        ),
        ({"n_chips": 6, "tp": 12, "chip": "Inferentia2", "engine": "NeuronX"}, Degrees(tensor=6)),
        (
            {"n_chips": 1, "tp": 2, "notes": "TP = NeuronCores", "chip": "Trainium1"},
            Degrees(),
        ),
        ({"n_chips": 2, "tp": 8}, Degrees(tensor=8)),
        ({"n_chips": 6, "tp": 6, "ep": 4}, Degrees(tensor=6, expert=3)),
    ],
)
def test_layouts(columns: dict[str, object], expected: Degrees) -> None:
    found = case(**columns).layout
    assert found == expected


def test_disaggregated_halves() -> None:
    found = case(**USERS, model="DeepSeek-R1", chip="GB200", n_chips=36, tp="", notes=DISAGGREGATED)
    assert found.prefill == Degrees(data=4, expert=4)
    assert found.layout == Degrees(tensor=8, expert=8, replicas=4)
    assert found.layout.chips + found.prefill.chips == 36


def test_attention_ranks_counted_in_both_halves() -> None:
    notes = DISAGGREGATED.replace("tp1 pp1 adp4", "tp4 pp1 adp4").replace("tp8 pp1", "tp2 pp2")
    found = case(**USERS, model="DeepSeek-R1", chip="GB200", n_chips=36, tp="", notes=notes)
    assert found.prefill == Degrees(data=4, expert=4)
    assert found.layout == Degrees(tensor=2, pipeline=2, expert=2, replicas=4)


def test_more_prefill_replicas_make_first_tokens_no_later() -> None:
    given: dict[str, Any] = {**USERS, "model": "DeepSeek-R1", "chip": "GB200", "tp": ""}
    given |= {"metric": "ttft_ms", "precision": "fp4", "engine": "TensorRT-LLM"}
    few = predicted(**given, n_chips=36, notes=DISAGGREGATED)
    wide = predicted(**given, n_chips=44, notes=DISAGGREGATED.replace("adp4", "adp8"))
    assert 0 < wide <= few


# formats


@pytest.mark.parametrize(
    ("words", "chip", "weights", "compute"),
    [
        ("", "H100-SXM-80GB", "bf16", "bf16"),
        ("fp16", "H100-SXM-80GB", "bf16", "bf16"),
        ("mixed", "H100-SXM-80GB", "bf16", "bf16"),
        ("fp32", "H100-SXM-80GB", "fp32", "fp32"),
        ("FP8", "H100-SXM-80GB", "fp8", "fp8"),
        ("FP8 (W8A8)", "H100-SXM-80GB", "fp8", "fp8"),
        ("fp8", "A100-SXM-80GB", "fp8", "bf16"),
        ("fp8 weight-only", "H100-SXM-80GB", "fp8", "bf16"),
        ("w8a8", "H100-SXM-80GB", "int8", "int8"),
        ("w8a8", "A100-SXM-80GB", "int8", "int8"),
        ("w8a8-fp8", "H100-SXM-80GB", "fp8", "fp8"),
        ("w8a16", "H100-SXM-80GB", "int8", "bf16"),
        ("int8 weight-only", "H100-SXM-80GB", "int8", "bf16"),
        ("awq-int4", "H100-SXM-80GB", "int4", "bf16"),
        ("w4a16", "H100-SXM-80GB", "int4", "bf16"),
        ("gptq", "H100-SXM-80GB", "int4", "bf16"),
        ("gptq-int8", "H100-SXM-80GB", "int8", "bf16"),
        ("nf4 (bitsandbytes)", "H100-SXM-80GB", "int4", "bf16"),
        ("q4_K_M", "RTX 4090", "q4_k", "int8"),
        ("Q4_0", "RTX 4090", "q4_0", "int8"),
        ("Q8_0", "RTX 4090", "q8_0", "int8"),
        ("q6_K", "RTX 4090", "q6_k", "int8"),
        ("iq4_xs", "RTX 4090", "q4_k", "int8"),
        ("nvfp4", "B200", "fp4", "fp4"),
        ("nvfp4", "H100-SXM-80GB", "fp4", "fp8"),
        ("mxfp4", "H100-SXM-80GB", "fp4", "bf16"),
    ],
)
def test_formats(words: str, chip: str, weights: str, compute: str) -> None:
    found = case(precision=words, chip=chip).formats
    assert (found.weights, found.compute, found.cache) == (weights, compute, "bf16")
    assert bool(found.assumed) == (not words)


def test_the_cache_has_its_own_format() -> None:
    assert case(precision="fp8", kv_precision="fp8").formats.cache == "fp8"
    assert case(precision="fp8", kv_precision="auto").formats.cache == "bf16"
    assert case(kv_precision="int8").formats.cache == "int8"


def test_where_nothing_is_said_the_label_then_the_engine_decide() -> None:
    assert case(precision="", model="Llama-3.1-8B-Instruct-FP8").formats.weights == "fp8"
    ollama = case(precision="", engine="Ollama", chip="RTX 4090")
    assert ollama.formats.weights == "q4_k"
    assert "weights in q4_k: not stated" in ollama.note


# engines


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"engine_version": "0.10.1"}, "vllm-1"),
        ({"engine_version": "v0.8.0"}, "vllm-1"),
        ({"engine_version": "0.7.3.post1"}, "vllm-0"),
        ({"engine_version": "0.6.3", "chip": "MI300X"}, "vllm-0-rocm"),
        ({"chip": "MI300X"}, "vllm-1-rocm"),
        ({"engine_version": "", "notes": "measured 2024-03-02"}, "vllm-0"),
        ({"engine_version": "", "notes": "measured 2025-11-02"}, "vllm-1"),
        ({"engine_version": "", "chip": "A100-SXM-80GB", "model": "Llama-2-7B"}, "vllm-0"),
        ({"engine_version": "", "chip": "B200"}, "vllm-1"),
        ({"engine_version": "", "model": "Qwen3-8B"}, "vllm-1"),
        ({"engine": "TensorRT-LLM", "engine_version": "0.6.1"}, "trtllm-0"),
        ({"engine": "TensorRT-LLM", "engine_version": "1.1.0-dev.2"}, "trtllm-1"),
        ({"engine": "TRT-LLM", "engine_version": ""}, "trtllm-1"),
        ({"engine": "SGLang", "engine_version": "0.4.1"}, "sglang"),
        ({"engine": "text-generation-inference"}, "tgi"),
        ({"engine": "HF transformers"}, "eager"),
        ({"engine": "optimum-neuron", "chip": "Inferentia2"}, "neuronx"),
        ({"engine": "vllm-ascend", "chip": "Ascend 910B3"}, "ascend"),
        ({"engine": "llama.cpp", "chip": "RTX 4090", "engine_version": "b4000"}, "llama-cpp"),
        ({"engine": "llama.cpp", "chip": "Apple M2 Ultra"}, "llama-metal"),
        ({"engine": "llama.cpp", "chip": "RX 7900 XTX"}, "llama-hip"),
    ],
)
def test_engines_by_release_date_and_vendor(columns: dict[str, str], expected: str) -> None:
    found = case(**columns).engine
    assert found is not None and found.id == expected


def test_an_engine_nobody_knows_is_predicted_and_said() -> None:
    found = case(engine="home-made")
    assert found.engine is None and "engine 'home-made' unknown" in found.note
    (block,), _ = inference_blocks([serving(engine="home-made")])
    assert block.tables == ("hopper", "")


# chips


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"chip": "A100"}, "a100-sxm-40"),
        ({"chip": "A100", "model": "Llama-3.1-70B", "n_chips": 2, "tp": 2}, "a100-sxm-80"),
        ({"chip": "A100", "model": "Llama-3.1-70B", "n_chips": 8, "tp": 8}, "a100-sxm-40"),
        ({"chip": "A100-80GB"}, "a100-sxm-80"),
        ({"chip": "A100-PCIe-40GB", "model": "Llama-3.1-70B"}, "a100-pcie-40"),
    ],
)
def test_a_chip_sold_with_two_memories(columns: dict[str, str], expected: str) -> None:
    assert case(**columns).chip.id == expected


def test_a_model_of_a_known_size_has_a_stand_in() -> None:
    assert case(model="In-House-7B", n_params="7e9").model.id != "llama-3.1-8b"


# reasons


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"notes": "p99 of the run"}, "percentile"),
        ({"metric": "power_w"}, "power_w is not predicted"),
        ({"notes": "SUSPECT: beyond the peak"}, "SUSPECT"),
        ({"notes": "SPECULATIVE decoding"}, "SPECULATIVE"),
        ({"notes": "OVERLOADED"}, "OVERLOADED"),
        ({"notes": "PITFALL: cached prompts"}, "PITFALL"),
        ({"measured_value": ""}, "no number above zero"),
        ({"measured_value": "0"}, "no number above zero"),
        ({"measured_value": "nan"}, "no number above zero"),
        ({"measured_value": "inf"}, "no number above zero"),
        ({"chip": "abacus"}, "no chip 'abacus'"),
        ({"chip": ""}, "no chip"),
        ({"model": "Nobody-Knows-12Q"}, "no model"),
        ({"model": ""}, "no model"),
        ({"isl": ""}, "lengths of prompts and answers"),
        ({"osl": "?"}, "lengths of prompts and answers"),
        ({"metric": "ttft_ms", "isl": ""}, "length of prompts"),
        ({"n_chips": "", "tp": ""}, "number of chips"),
        ({"batch": ""}, "batch is not stated"),
        (ONLINE, "how requests came"),
        (ONLINE | {"concurrency_or_qps": "concurrency=many"}, "not understood"),
        (ONLINE | {"concurrency_or_qps": "qps=0"}, "not understood"),
        ({"chip": "gaudi1"}, "no published peak"),
        ({"chip": "sn30"}, "no published memory speed"),
    ],
)
def test_skipped_with_a_reason(columns: dict[str, str], words: str) -> None:
    assert words in reason(**columns)


def test_a_percentile_of_an_offline_benchmark_is_its_rule_not_its_metric() -> None:
    found = case(scenario="mlperf_offline", concurrency_or_qps="rate=inf", notes="p99 rule")
    assert found.how == "backlog"


@pytest.mark.parametrize(
    ("chip", "notes", "most", "budget"),
    [
        ("H100-SXM-80GB", "", 1024, 8192),
        ("A100-SXM-80GB", "", 256, 2048),
        ("L40S", "", 256, 2048),
        ("A100-SXM-80GB", "vllm serve x --max-num-batched-tokens 16384", 256, 16384),
        ("H100-SXM-80GB", "max_num_batched_tokens=4096", 1024, 4096),
    ],
)
def test_limits_of_an_engine_depend_on_the_chip(
    chip: str, notes: str, most: int, budget: int
) -> None:
    row = serving(chip=chip, notes=notes, engine="vLLM", engine_version="0.11.0")
    case = understand(row)
    assert isinstance(case, Case)
    assert (case.most, case.budget) == (most, budget)


def test_requests_through_a_server_take_longer_than_from_within() -> None:
    inside, through = (
        predicted(
            scenario="offline_max_throughput",
            concurrency_or_qps="rate=inf",
            metric="requests_per_sec",
            notes=notes,
        )
        for notes in ("trtllm-bench, 1000 requests", "vllm bench serve, 1000 requests")
    )
    assert through < inside
