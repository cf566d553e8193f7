"""How a row of the training table was laid out: degrees, batches, formats, network."""

from __future__ import annotations

import re
from typing import Any, cast

import numpy as np

from eke.calibrate.rows import Row
from eke.calibrate.shapes import NotStated
from eke.catalog.fleets import pool
from eke.physics.layers import count_parameters
from eke.types.chip import Chip
from eke.types.fleet import Pool
from eke.types.model import Experts, Model
from eke.types.plan import Plan, Recompute, Width
from eke.types.record import Record, replace

WIDE_GRADIENTS = ("megatron-lm",)  # engines that reduce gradients in 32 bits
CHECKPOINTED = ("trainer", "pax")  # engines whose recipes keep only the inputs of layers
INTERLEAVED = ("megatron",)  # engines whose recipes interleave the stages of a pipeline
ROOM = 0.55  # share of the memory that weights, gradients and state may take in a usual layout
GBIT = 1e9 / 8  # [B/s]


class Layout(Record):
    """A plan, the length of its sequences [tokens], and what had to be assumed."""

    plan: Plan
    sequence: int
    notes: tuple[str, ...]


def row_layout(row: Row, model: Model, chip: Chip, engine: str, frozen: bool) -> Layout:
    """The layout of a row; what is not stated is derived or assumed. Raises NotStated.

    frozen: only adapters learn, so weights alone have to fit.
    """
    notes: list[str] = []
    chips = row.whole("n_chips") or _product(row)
    if chips is None:
        raise NotStated("the number of chips is not stated")
    shard = shard_stage(row, frozen)
    sequence = sequence_length(row, model, notes)
    degrees = _degrees(row, model, chip, chips, shard, frozen, notes)
    micro, batch = _batches(row, degrees["data"], sequence, degrees["pipeline"], notes)
    experts = _expert_degree(row, model, chips // degrees["pipeline"])
    plan = Plan(
        chip=chip.id,
        **cast(dict[str, Any], degrees),
        expert=experts,
        virtual=_virtual(row, model, degrees["pipeline"], engine, notes),
        shard=cast(Any, shard),
        shard_ranks=_shard_ranks(row, chip, degrees) if shard == 3 else 0,
        micro_batch=micro,
        batch=batch,
        recompute=recompute(row, engine, notes),
        compute=compute_width(row, chip, notes),
        gradients="fp32" if engine in WIDE_GRADIENTS else "bf16",
        engine=engine,
    )
    return Layout(plan=plan, sequence=sequence, notes=tuple(notes))


def _said(row: Row, column: str, *words: str) -> int | None:
    """A column, or a number behind one of the words in the notes ("TP=8", "TP8", "MBS 2")."""
    value = row.whole(column)
    if value is not None:
        return value
    for word in words:
        found = re.search(rf"(?<![A-Za-z\-]){word}\s*[= ]?\s*(\d+)", row.notes)
        if found and int(found[1]) > 0:
            return int(found[1])
    return None


def _degrees(
    row: Row, model: Model, chip: Chip, chips: int, shard: int, frozen: bool, notes: list[str]
) -> dict[str, int]:
    """Tensor, pipeline, context and data degrees that multiply to the chips."""
    tensor = _said(row, "tp", "TP", "tensor_parallel_degree")
    pipeline = _said(row, "pp", "PP", "pipeline_parallel_degree")
    context = _said(row, "cp", "CP") or 1
    copies = row.whole("dp") or _accumulated(row)
    if tensor is None and pipeline is None and copies and chips % copies == 0:
        tensor, pipeline, context = _cut(chips // copies, context, chip, frozen)
    if tensor is None:
        notes.append("usual tensor and pipeline degrees")
        batch = _said(row, "global_batch_sequences", "GBS", "global batch")
        tensor, pipeline = _usual(model, chip, chips // context, shard, frozen, pipeline, batch)
    pipeline = pipeline or max(chips // (tensor * context * copies), 1) if copies else pipeline or 1
    tensor = _whole_chips(tensor, pipeline * context * (row.whole("dp") or 1), chips)
    used = tensor * pipeline * context
    if used > chips:
        raise NotStated(f"tensor × pipeline × context is {used}, more than the {chips} chips")
    data = chips // used if chips % used == 0 else row.whole("dp") or max(chips // used, 1)
    return {"tensor": tensor, "pipeline": pipeline, "context": context, "data": data}


def _product(row: Row) -> int | None:
    """Chips as the product of the degrees, where data parallelism is among them."""
    if row.whole("dp") is None:
        return None
    return int(np.prod([row.whole(name) or 1 for name in ("tp", "pp", "cp", "dp")]))


def _whole_chips(tensor: int, others: int, chips: int) -> int:
    """The tensor degree in chips, where the degrees count the cores of chips that have several."""
    cores, rest = divmod(tensor * others, chips)
    return tensor // cores if rest == 0 and cores > 1 and tensor % cores == 0 else tensor


def _virtual(row: Row, model: Model, pipeline: int, engine: str, notes: list[str]) -> int:
    """Stages per pipeline rank: stated, or two layers (else one) each where that is usual."""
    stated = _said(row, "vpp", "VP", "VPP")
    if pipeline == 1 or stated is not None or engine not in INTERLEAVED:
        return stated or 1 if pipeline > 1 else 1
    layers = model.layers
    notes.append("interleaved stages assumed")
    each = layers / pipeline
    return max(round(each / 2) if each % 2 == 0 else round(each), 1)


def _accumulated(row: Row) -> int | None:
    """Data-parallel ways out of the batch and the micro-batches that a rank accumulates."""
    batch = row.whole("global_batch_sequences")
    steps = re.search(r"gradient_accumulation_steps=(\d+)", row.notes)
    if batch is None or steps is None or int(steps[1]) == 0:
        return None
    return max(batch // (int(steps[1]) * (row.whole("micro_batch") or 1)), 1)


def _cut(ways: int, context: int, chip: Chip, frozen: bool) -> tuple[int, int, int]:
    """Ways that share one copy of a model: tensor ranks inside a node, the rest stages, or where
    weights are frozen and so fit, context ranks."""
    tensor = int(np.gcd(ways // context, min(chip.domain, 4 if frozen else 8)))
    rest = max(ways // tensor, 1)
    return (tensor, 1, rest) if frozen else (tensor, max(rest // context, 1), context)


def _usual(
    model: Model,
    chip: Chip,
    chips: int,
    shard: int,
    frozen: bool,
    pipeline: int | None,
    batch: int | None,
) -> tuple[int, int]:
    """The smallest tensor, then pipeline degree with which the state of the model fits and no
    rank is without a sequence."""
    if (shard == 3 or chip.kind == "tpu") and (batch or chips) >= chips:
        return 1, pipeline or 1
    numbers = count_parameters(model).total
    room = ROOM * (chip.memory_size or 80e9)
    state = 0.0 if frozen else 12.0 * numbers / chips if shard else 12.0 * numbers
    each = 2.0 if frozen else 6.0
    inside, tensor, stages = min(chip.domain, 8, chips), 1, pipeline or 1

    def small() -> bool:
        idle = batch is not None and chips // (tensor * stages) > batch
        return idle or each * numbers / (tensor * stages) + state > room

    while tensor < inside and small():
        tensor *= 2
    while tensor * stages < chips and small():
        stages *= 2
    return tensor, stages


def _batches(
    row: Row, data: int, sequence: int, pipeline: int, notes: list[str]
) -> tuple[int, int]:
    """Sequences of a micro-batch, and of a step."""
    batch = _said(row, "global_batch_sequences", "GBS", "global batch")
    micro = _said(row, "micro_batch", "MBS", "LBS", "local_batchsize", "per_device_bs")
    if micro is None:
        steps = re.search(r"gradient_accumulation_steps=(\d+)", row.notes)
        if batch and steps:
            micro = max(batch // (data * int(steps[1])), 1)
    if micro is None:
        notes.append("micro-batch assumed")
        micro = max(4096 // sequence, 1)
        micro = min(micro, max((batch or micro * data) // data, 1))
    if batch is None:
        notes.append("global batch assumed")
        batch = micro * data * (4 * pipeline if pipeline > 1 else 1)
    return micro, batch


def _expert_degree(row: Row, model: Model, ranks: int) -> int:
    """Stated, or as many experts as ranks divide evenly."""
    counts = [s.block.feed.count for s in model.stacks if isinstance(s.block.feed, Experts)]
    if not counts:
        return 1
    stated = _said(row, "ep", "EP")
    return stated or int(np.gcd(min(counts), ranks))


def sequence_length(row: Row, model: Model, notes: list[str]) -> int:
    """Tokens of one sequence; of padded ones of varying length, a third of the longest."""
    stated = row.whole("seq_len")
    if stated is None:
        found = re.search(
            r"(?:seq(?:uence)?[ _]?(?:len(?:gth)?)?|mpe=)\s*=?\s*(\d{3,7})", row.notes
        )
        stated = int(found[1]) if found else None
    if "variable length" in row.notes and stated is not None:
        notes.append("sequences a third as long as the longest")
        return max(stated // 3, 1)
    if stated is None:
        notes.append("sequence length assumed")
        stated = min(model.context or 2048, 4096)
    return stated


def shard_stage(row: Row, frozen: bool) -> int:
    """ZeRO stage. Distributed optimizers are stage 1, FSDP stage 3; JAX shards everything."""
    text = row["zero_stage_or_fsdp"].lower()
    words = f"{text} {row.notes.lower() if not text else ''}"
    stage = re.search(r"(?:zero-?|stage)\s?([0-3])", words)
    if stage:
        return int(stage[1])
    if re.search(r"grad_op", text):
        return 2
    if re.search(r"none|no_shard", text) or (frozen and not text):
        return 0
    if re.search(r"(?<!\()fsdp(?!=0)|full_shard|hsdp", text):
        return 3
    framework = row["framework"].lower()
    if re.search(r"maxtext|jax|pax|fsdp|torchtitan|composer|foundry", framework):
        return 3
    return 1


def _shard_ranks(row: Row, chip: Chip, degrees: dict[str, int]) -> int:
    """Ranks that share one copy under FSDP: "FSDP size 128", "fsdp=256", "FSDP(64)", "8 in node",
    "within slice"; 0 where all do."""
    text, data = row["zero_stage_or_fsdp"].lower(), degrees["data"]
    slices = re.search(r"across (\d+) slice", text)
    if slices:
        return max(data // int(slices[1]), 1)
    size = re.search(r"fsdp\s?(?:size |=|\(|ici=)?(\d+)", text)
    if size or "hsdp" in text or "mics" in text:
        return min(int(size[1]) if size else min(chip.domain, 8), data)
    return 0


def recompute(row: Row, engine: str, notes: list[str]) -> Recompute:
    """Which activations are computed again in the backward pass; where nothing is said, those
    inside the attention core, and all of them where that is what the engine's recipes do."""
    text = row["recompute"].lower()
    if not text:
        again = r"recompute=(?:full|true)|with (?:full )?recompute|incl\w*\.? (?:full )?"
        again += r"(?:activation )?recompute|full (?:activation )?recomput|gradient checkpointing"
        usual = "full" if engine in CHECKPOINTED else "selective"
        stated = re.search(again, row.notes.lower())
        text = "full" if stated else usual
        if text == "full" and not stated:
            notes.append("whole layers computed again, as usual with this framework")
    if text.startswith(("full", "custom", "true", "yes")):
        return "full"
    return "none" if text.startswith(("none", "no", "false")) else "selective"


def compute_width(row: Row, chip: Chip, notes: list[str]) -> Width:
    """The format of the matrix multiplications, where the chip has it."""
    text = row["precision"].lower()
    training = re.search(r"training (\w+)", text)
    words = training[1] if training else text
    if not words and "may be fp8" in row.notes:
        words = "fp8"
        notes.append("precision assumed fp8")
    for width, spelt in (("fp4", "fp4"), ("fp8", "fp8"), ("int8", "int8")):
        if spelt in words and (width in chip.peak or (width == "fp8" and "int8" in chip.peak)):
            return cast(Width, width) if chip.kind != "gpu" or width in chip.peak else "bf16"
    if "fp4" in words and "fp8" in chip.peak:
        return "fp8"
    return "fp32" if words == "fp32" else "bf16"


def row_pool(row: Row, chip: Chip, chips: int) -> Pool:
    """The chips with the network and the nodes that the notes name, else the chip's own."""
    usual = pool(chip, max(chips, chip.domain))
    per_node = min(usual.domain, 8) if chip.kind == "gpu" else usual.domain
    nodes = re.search(r"(\d+) GPUs?/node", row.notes)
    return replace(
        usual,
        chips=chips,
        domain=min(usual.domain, int(nodes[1])) if nodes else usual.domain,
        link_speed=chip.link_speed or chip.network_speed or 100 * GBIT,
        network_speed=_network(row.notes, per_node) or chip.network_speed or 100 * GBIT,
    )


_LINKS = r"(?:(\d)\s*x?\s*[A-Za-z]*\s*)?\b(\d{2,4})\s*Gb(?:ps|/s|)?\b"


def _network(notes: str, per_node: int) -> float | None:
    """One direction, per chip [B/s]: "1600 Gbps node-node", "4 OmniPath 100Gb links/node",
    "200 Gb/s HDR per GPU"."""
    each = re.search(_LINKS + r"[^;,.]{0,12}per (?:GPU|chip|accelerator)", notes)
    if each:
        return int(each[2]) * GBIT
    node = re.search(_LINKS + r"[^;,.]{0,12}(?:node-node|links/node|per node|/node)", notes)
    node = node or re.search(r"inter-node ()(\d{2,4})\s*Gb", notes)
    return int(node[1] or 1) * int(node[2]) * GBIT / per_node if node else None
