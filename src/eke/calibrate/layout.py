"""How a measurement was laid out, from its columns and notes."""

from __future__ import annotations

import re

from eke.calibrate.rows import Row
from eke.catalog.engines import Engine
from eke.types.chip import Chip
from eke.types.record import Record


class Degrees(Record):
    """Parallel degrees of one replica, and how many replicas there are."""

    tensor: int = 1
    pipeline: int = 1
    data: int = 1
    expert: int = 1
    replicas: int = 1
    assumed: str = ""

    @property
    def chips(self) -> int:
        """Of all replicas."""
        return self.tensor * self.pipeline * self.data * self.replicas


_N = r"([1-9]\d{0,8})"  # a degree
_ATTENTION_DATA = re.compile(f"attention_dp={_N}")
_EXPERTS = re.compile(f"moe_ep={_N}")
_DATA_EXPERT = re.compile(rf"\bDEP{_N}")
_BOTH = re.compile(rf"Tensor \({_N}\).*?Pipeline \({_N}\)|TP = {_N} and PP = {_N}")
_HALF = re.compile(rf"(prefill|decode) {_N}x\(tp{_N} pp{_N} adp{_N} moe_tp{_N} ep{_N}")


def degrees(row: Row, chip: Chip, engine: Engine | None) -> Degrees | None:
    """The layout of a row; None when it does not say on how many chips it ran."""
    chips = row.whole("n_chips")
    tensor, pipeline = row.whole("tp"), row.whole("pp") or 1
    cores = _cores(row, chip)
    if tensor is not None and cores > 1:
        tensor = max(tensor // cores, 1)
    if chips is None:
        chips = (tensor or 0) * pipeline
    if not chips:
        return None
    data = _first(_ATTENTION_DATA, row.notes) or 1
    expert = _first(_EXPERTS, row.notes) or row.whole("ep") or 1
    assumed = ""
    both = _BOTH.search(row.notes)
    if both is not None:
        tensor, pipeline = (int(each) for each in both.groups() if each is not None)
    elif tensor is None:
        tensor, pipeline, data, assumed = _untold(row, chips, pipeline, data, expert, engine)
    if data > 1 and tensor * pipeline * data > chips:
        tensor = max(chips // (pipeline * data), 1)  # tables that count attention ranks in tp
    group = tensor * pipeline * data
    if group > chips:
        chips = group
    return Degrees(
        tensor=tensor,
        pipeline=pipeline,
        data=data,
        expert=_dividing(expert, tensor * data),
        replicas=max(chips // group, 1),
        assumed=assumed,
    )


def _untold(
    row: Row, chips: int, pipeline: int, data: int, expert: int, engine: Engine | None
) -> tuple[int, int, int, str]:
    """Tensor, pipeline and data degrees of a row without a tensor degree."""
    together = _first(_DATA_EXPERT, row.notes)
    if together is not None:
        return 1, pipeline, min(together, chips), ""
    if data > 1:
        return max(chips // (pipeline * data), 1), pipeline, data, ""
    if (engine is not None and engine.id == "llama-cpp") or "layer split" in row.notes:
        return 1, chips, 1, "layers split over the chips"
    note = "" if chips == 1 else f"tensor parallel over all {chips}: not stated"
    return max(chips // pipeline, 1), pipeline, 1, note


def halves(row: Row) -> tuple[Degrees, Degrees] | None:
    """Prefill and decode half of a disaggregated row; None when it is none."""
    found = {}
    for name, count, tensor, pipeline, data, _, expert in _HALF.findall(row.notes):
        t, p, d, e = int(tensor), int(pipeline), int(data), int(expert)
        if d > 1 and t > 1:  # attention ranks counted in both
            t = max(t // d, 1) if t >= d else 1
        found[name] = Degrees(
            tensor=t, pipeline=p, data=d, expert=_dividing(e, t * d), replicas=int(count)
        )
    return (found["prefill"], found["decode"]) if len(found) == 2 else None


def _cores(row: Row, chip: Chip) -> int:
    """Ranks per chip where the table counts cores."""
    if "counts NeuronCores" in row.notes or "TP = NeuronCores" in row.notes:
        return 2
    if "NeuronCores" in row.notes or chip.id.startswith(("inferentia", "trainium")):
        return 2
    return 2 if "dies" in row.notes and "cards" in row.notes else 1


def _dividing(expert: int, ranks: int) -> int:
    """The largest degree up to `expert` that divides the ranks."""
    return max(e for e in range(1, min(expert, ranks) + 1) if ranks % e == 0)


def _first(pattern: re.Pattern[str], text: str) -> int | None:
    found = pattern.search(text)
    return int(found[1]) if found else None
