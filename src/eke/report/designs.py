"""Designs in words: what none beats, how each spends its area, and what binds it."""

from __future__ import annotations

from eke.report.inputs import input_words
from eke.report.text import entry, table, wrap
from eke.report.words import counted, plan_words
from eke.types.need import Ground
from eke.types.silicon import Design, Designs
from eke.units import show


def designs_words(found: Designs, command: str, saved: str) -> str:
    """The whole answer as text."""
    blocks = [
        wrap(_headline(found), indent="  "),
        entry("for", _for(found)),
        _table(found),
        *(_limits(each) for each in (*found.points, *found.others, *found.references)),
        *_areas((*found.points, *found.others)),
        _grounds(found.grounds),
        *(entry("note", remark) for remark in found.remarks),
        entry("next", _next(command, saved)),
    ]
    return "\n".join(block for block in blocks if block) + "\n"


def _headline(found: Designs) -> str:
    best = found.points[0]
    words = (
        f"{best.chip.name} gives most for a dollar: {_millions(best.per_dollar)} useful tokens, "
        f"and {best.per_joule:.3g} per joule"
    )
    rivals = [each for each in found.references if each.per_dollar > 0]
    if rivals:
        rival = max(rivals, key=lambda each: each.per_dollar)
        words += f"; {rival.name} at cost {_millions(rival.per_dollar)}, {rival.per_joule:.3g}"
    return words


def _millions(value: float) -> str:
    return f"{value / 1e6:.3g} million"


def _for(found: Designs) -> str:
    return (
        f"{found.job}; process {found.node}, at most {found.budget * 1e6:,.0f} mm2 of dies; "
        f"{found.priced:,} of {found.considered:,} designs priced"
    )


def _table(found: Designs) -> str:
    rows = [_row(each, "*") for each in found.points]
    rows += [_row(each, "") for each in found.others]
    rows += [_row(each, "exists") for each in found.references]
    head = (
        *("design", "", "tokens/USD", "per J", "tokens/s", "TFLOP/s", "memory", "reads", "on die"),
        *("links", "power", "to make"),
    )
    return table(rows, head=head)


def _row(each: Design, mark: str) -> tuple[str, ...]:
    chip = each.chip
    peak = chip.peak.get("bf16") or chip.peak.get("fp16") or 0.0
    return (
        _name(each),
        mark,
        f"{each.per_dollar / 1e6:.3g}M",
        f"{each.per_joule:.3g}",
        f"{each.speed.likely:,.0f}",
        f"{peak / 1e12:,.0f}",
        show(chip.memory_size or 0.0, "B"),
        show(chip.memory_speed or 0.0, "B/s"),
        show(chip.sram_size or 0.0, "B"),
        show(chip.link_speed or 0.0, "B/s"),
        show(chip.power or 0.0, "W"),
        f"{sum(each.unit.values()):,.0f} USD",
    )


def _limits(each: Design) -> str:
    """What makes it faster, and what holds it back."""
    more = ", ".join(f"{name} {value:.2f} %" for name, value in each.binds.items())
    low, high = each.speed.low, each.speed.high
    words = (
        f"{_name(each)}: {low:,.0f} to {high:,.0f} tokens/s; 1 % more of it makes it faster by: "
    )
    words += more or "nothing"
    if each.bound:
        words += f"; held back by {', '.join(each.bound)}"
    return entry("binds", words)


def _name(each: Design) -> str:
    area = (each.chip.die_area or 0.0) * 1e6
    clock = f", clock {each.clock:.0%}" if each.clock < 1 else ""
    known = each.shape in ("gpu", "systolic", "wafer") and each.name.startswith(each.shape)
    return f"{each.shape} {area:,.0f} mm2{clock}" if known else each.name


def _areas(every: tuple[Design, ...]) -> list[str]:
    """Of each die once, whatever its clock."""
    found: dict[str, str] = {}
    for each in every:
        found.setdefault(repr(each.areas), _area(each))
    return list(found.values())


def _area(each: Design) -> str:
    """How a design spends its area, and its layout."""
    total = sum(each.areas.values())
    parts = ", ".join(
        f"{name} {area * 1e6:,.0f} mm2 ({area / total:.0%})"
        for name, area in sorted(each.areas.items(), key=lambda row: -row[1])
    )
    layout = plan_words(each.plans[0]).partition(": ")[2] or "a chip for each copy"
    return entry("area", f"{_name(each)}: {parts}; laid out {layout}")


def _grounds(grounds: tuple[Ground, ...]) -> str:
    words = f"{counted(grounds)}; --json lists each with its source and its ends"
    assumed = [input_words(ground.name) for ground in grounds if ground.kind == "assumed"]
    return "\n".join([entry("grounds", words), entry("assumed", ", ".join(assumed))])


def _next(command: str, saved: str) -> str:
    if saved:
        return f"eke allocate chip --build {saved} --against buy:h100-sxm,rent:h200 --model MODEL"
    return f"{command} --save my-design.toml, for `eke allocate chip --build`"
