"""How a source counts: what a printed FLOP/s, MFU or training time is of a step time.

Every metric of the training table is a coefficient times the time of a step, or over it. FLOP
conventions differ by up to 1.9 between sources, so they are read from the words of the notes.
"""

from __future__ import annotations

import re

from eke.calibrate.rows import Row
from eke.calibrate.shapes import NotStated
from eke.physics.forward import model_operations
from eke.physics.operations import Batch
from eke.types.chip import Chip
from eke.types.model import Model
from eke.types.plan import Plan
from eke.types.record import Record

HOUR = 3600.0
WORDS = {"T": 1e12, "B": 1e9, "M": 1e6, "trillion": 1e12, "billion": 1e9, "million": 1e6}


class Counted(Record):
    """metric = coefficient × (step time [s]) ^ power, in the unit of the table."""

    coefficient: float
    power: int  # 1 or -1


def counted(row: Row, model: Model, plan: Plan, sequence: int, chip: Chip, frozen: bool) -> Counted:
    """What the row's metric is of the step time. Raises NotStated."""
    tokens = float(plan.batch * sequence)
    match row.metric:
        case "iteration_time_s":
            return Counted(coefficient=1.0, power=1)
        case "tokens_per_sec_per_chip":
            return Counted(coefficient=tokens / plan.chips, power=-1)
        case "tflops_per_chip" | "mfu" | "hfu":
            flop = tokens / plan.chips * flop_per_token(row, model, plan, sequence, frozen)
            unit = 1e12 if row.metric == "tflops_per_chip" else _peak(row, chip, plan)
            return Counted(coefficient=flop / unit, power=-1)
        case "time_to_train_h" | "chip_hours":
            chips = plan.chips if row.metric == "chip_hours" else 1
            return Counted(coefficient=_steps(row, tokens) * chips / HOUR, power=1)
        case _:
            raise NotStated(f"{row.metric} is no figure of a step")


def flop_per_token(row: Row, model: Model, plan: Plan, sequence: int, frozen: bool) -> float:
    """FLOP that the source counts for one token."""
    notes = row.notes
    size = row.number("n_params")
    eight = re.search(r"model_size\s*\*\s*4\s*\*\s*2|\b8N\b", notes)
    if eight and size:
        return 8 * size
    matrices, attention = forward_flop(model, sequence)
    share = attention_share(notes, row["model"], row.source)
    return _passes(row, plan, frozen) * (matrices + share * attention)


def _passes(row: Row, plan: Plan, frozen: bool) -> float:
    """Forward passes' worth of FLOP: 3 of a model, 4 with full recomputation, 2 for LoRA."""
    notes = row.notes.lower()
    if frozen:
        return 2.0
    hardware = "hardware flop" in notes or re.search(r"\b96\s*\*?\s*b", notes) is not None
    again = row.metric == "hfu" and plan.recompute == "full"
    return 4.0 if (hardware and row.metric != "mfu") or again else 3.0


def attention_share(notes: str, model: str, source: str) -> float:
    """Share of the whole query-key square that the source counts: 0, a half (causal), or 1."""
    words = notes.lower()
    task = re.search(r"task=([\w-]+)", words)
    if task and task[1] in ("sft", "full-ft") and re.search(r"sft rows imply 6n", words):
        return 0.0
    if re.search(r"6n\b[^+;.]*(no|without) attention", words) and "+12" not in words:
        return 0.0
    if _excepted(notes, model, source):
        return 0.5
    full = r"(?:not|non|without)[ -](?:\w+[ -])?(?:causal|halv)|full \(?(?:not|non)|full attention"
    if re.search(full, words):
        return 1.0
    if re.search(r"causal|halved|megatron-core", words):
        return 0.5
    return 1.0


def _excepted(notes: str, model: str, source: str) -> bool:
    """Whether "except A and B which halve" names this row's model (and release)."""
    found = re.search(r"except ([\w .,]+?) which halve", notes)
    if not found:
        return False
    about = re.sub(r"[^a-z0-9.]", "", f"{model} {source}".lower())
    names = re.split(r",| and ", found[1].lower())
    return any(all(word in about for word in name.split()) for name in names if name.strip())


def forward_flop(model: Model, sequence: int) -> tuple[float, float]:
    """FLOP per token of one forward pass: matrices, and the attention core over a full square."""
    work = (Batch(sequences=1, new=sequence),)
    found = model_operations(model, work, Plan(chip=""), float(sequence))
    matrices = sum(op.flop * op.times for op in found if op.kind == "matrix")
    attention = sum(op.flop * op.times for op in found if op.kind == "attention")
    return float(matrices) / sequence, 2 * float(attention) / sequence


_SIXTEEN = re.compile(r"(?:vs\.?|relative to|over|against|of) (?:the |a )?bf16", re.IGNORECASE)


def _peak(row: Row, chip: Chip, plan: Plan) -> float:
    """The peak that the source divides by [FLOP/s]: the one it names, else the published one."""
    low = plan.compute in ("fp8", "int8", "fp4") and not _SIXTEEN.search(row.notes)
    for name in _names(row["chip"]):
        found = re.search(
            rf"\b{name}\s+(?:bf16\s+)?(\d{{3,4}}(?:\.\d+)?)"
            rf"(?:(?:/|,\s*fp8\s+)(\d{{3,5}}(?:\.\d+)?))?",
            row.notes,
            re.IGNORECASE,
        )
        if found:
            return float(found[2] if low and found[2] else found[1]) * 1e12
    versus = re.search(
        r"(?:vs\.?|of|peak)\s+(?:the\s+)?(\d{3,4}(?:\.\d+)?)(?:\s*TF|\)|$|\s)", row.notes
    )
    if versus and row.metric in ("mfu", "hfu") and 100 <= float(versus[1]) <= 5000:
        return float(versus[1]) * 1e12
    wanted = plan.compute if low and plan.compute in chip.peak else "bf16"
    peaks = [chip.peak[name] for name in (wanted, "bf16", "fp16") if name in chip.peak]
    if not peaks:
        raise NotStated("the chip has no published peak")
    return peaks[0]


def _names(label: str) -> list[str]:
    """ "H100-SXM-80GB" is "H100"; "TPU v5e" is "v5e"."""
    words = re.split(r"[-\s(]", label)
    return [re.escape(word) for word in words[:2] if re.search(r"\d", word)]


def _steps(row: Row, tokens: float) -> float:
    """Optimizer steps of the whole training. Raises NotStated."""
    stated = re.search(r"\b(\d{2,7}) steps\b", row.notes)
    if stated:
        return float(stated[1])
    learnt = re.search(
        r"(\d+(?:\.\d+)?)\s?(T|B|M|trillion|billion|million)\b\s*(?:tokens|pre-?training)",
        row.notes,
    ) or re.search(r"tokens[^;.]{0,12}[: ](\d+(?:\.\d+)?)(T|B|M)\b", row.notes)
    if not learnt or "target quality" in row.notes:
        raise NotStated("neither the tokens nor the steps of the training are stated")
    return float(learnt[1]) * WORDS[learnt[2]] / tokens
