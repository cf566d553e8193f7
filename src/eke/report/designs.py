"""Designs in words: what none beats, how each spends its area, and what binds it."""

from __future__ import annotations

from collections.abc import Sequence

from eke.report.inputs import input_words
from eke.report.text import entry, table, wrap
from eke.report.words import counted, plan_words, shown
from eke.types.need import Ground, Span
from eke.types.record import Record
from eke.types.silicon import Design, Designs
from eke.units import show

SHAPES = ("gpu", "systolic", "wafer")


class Told(Record):
    """A design with its name, short as on a chart and whole. best: whether none beats it."""

    short: str
    name: str
    design: Design
    best: bool = False

    @property
    def exists(self) -> bool:
        """A chip of the catalogue, not one that eke drew."""
        return self.short == self.name


def told(found: Designs) -> list[Told]:
    """All of them: those that none beats, the best of other shapes, both numbered, then chips that
    exist."""
    made = [
        Told(
            short=f"{number}",
            name=f"{number} {_words(each)}",
            design=each,
            best=number <= len(found.points),
        )
        for number, each in enumerate((*found.points, *found.others), 1)
    ]
    known = [Told(short=each.name, name=each.name, design=each) for each in found.references]
    return [*made, *known]


def _words(design: Design) -> str:
    clock = f", clock {design.clock:.0%}" if design.clock < 1 else ""
    return f"{design.shape} {(design.chip.die_area or 0.0) * 1e6:,.0f} mm2{clock}"


def designs_words(found: Designs, command: str, saved: str) -> str:
    """The whole answer as text. command: what asked.  saved: the best design's file, if any."""
    every = told(found)
    blocks = [
        wrap(headline(found), indent="  "),
        entry("for", f"{found.job}; {looked_words(found)}"),
        table([(*given(each), *_built(each)) for each in every], head=(*GIVEN, *BUILT)),
        _binds(every),
        *(entry("area", _area(alike)) for alike in dies(every)),
        _grounds(found.grounds),
        *(entry("note", remark) for remark in found.remarks),
        entry("next", _next(command, saved)),
    ]
    return "\n".join(block for block in blocks if block) + "\n"


def headline(found: Designs) -> str:
    """Line one: the design that gives most for a dollar, and the best chip that exists."""
    best = found.points[0]
    likely, low, high = shown(dollar_span(best), "1")
    given = f"{likely} useful tokens ({low} – {high}), and {best.per_joule:.3g} per joule"
    rival = max(found.references, key=lambda each: each.per_dollar, default=None)
    if rival is None:
        return f"{best.chip.name} gives most for a dollar: {given}"
    theirs = f"{rival.name}, priced alike, {show(rival.per_dollar, digits=3)}"
    if rival.per_dollar > best.per_dollar:
        words = f"of these designs {best.chip.name} gives most for a dollar: {given}; but {theirs}"
    else:
        words = f"{best.chip.name} gives most for a dollar: {given}; {theirs}"
    return f"{words} and {rival.per_joule:.3g}"


def dollar_span(design: Design) -> Span:
    """Tokens per dollar, as far as the speed is known."""
    speed, each = design.speed, design.per_dollar
    low, high = (float(f"{each * end / speed.likely:.3g}") for end in (speed.low, speed.high))
    return Span(low=low, likely=float(f"{each:.3g}"), high=high)


def looked_words(found: Designs) -> str:
    """Within what, and how many were looked at."""
    return (
        f"process {found.node}, at most {found.budget * 1e6:,.0f} mm2 of dies; "
        f"{found.priced:,} of {found.considered:,} designs priced"
    )


GIVEN = ("", "", "tokens/USD", "per J", "tokens/s")


def given(each: Told) -> tuple[str, ...]:
    """What one gives."""
    design = each.design
    likely, low, high = (f"{x:,.0f}" for x in _ends(design.speed))
    mark = "best" if each.best else "exists" if each.exists else ""
    dollar = show(float(f"{design.per_dollar:.3g}"))
    return each.name, mark, dollar, f"{design.per_joule:.3g}", f"{likely} ({low} – {high})"


def _ends(span: Span) -> tuple[float, float, float]:
    return span.likely, span.low, span.high


BUILT = ("TFLOP/s", "memory", "reads", "on die", "links", "power", "to make")


def _built(each: Told) -> tuple[str, ...]:
    return built(each.design)


def built(design: Design) -> tuple[str, ...]:
    """What one is."""
    chip = design.chip
    peak = chip.peak.get("bf16") or chip.peak.get("fp16") or 0.0
    return (
        f"{peak / 1e12:,.0f}",
        show(chip.memory_size or 0.0, "B"),
        show(chip.memory_speed or 0.0, "B/s"),
        show(chip.sram_size or 0.0, "B"),
        show(chip.link_speed or 0.0, "B/s"),
        show(chip.power or 0.0, "W"),
        f"{sum(design.unit.values()):,.0f} USD",
    )


def _binds(every: Sequence[Told]) -> str:
    """What makes each faster, and what holds it back."""
    names = list(dict.fromkeys(name for each in every for name in each.design.binds))
    rows = [
        (
            each.name,
            *(f"{each.design.binds[n]:.2f} %" if n in each.design.binds else "" for n in names),
            ", ".join(each.design.bound),
        )
        for each in every
    ]
    return table(rows, head=("1 % more makes it faster by", *names, "held back by"))


def more_words(design: Design) -> str:
    """By how much one percent more of what makes it faster."""
    return ", ".join(f"{name} {value:.2f} %" for name, value in design.binds.items()) or "nothing"


def dies(every: Sequence[Told]) -> list[list[Told]]:
    """Those that eke drew, each die once, whatever its clock."""
    found: dict[str, list[Told]] = {}
    for each in every:
        if not each.exists:
            found.setdefault(repr(each.design.areas), []).append(each)
    return list(found.values())


def _area(alike: Sequence[Told]) -> str:
    """How designs of one die spend its area, and the layout of the first."""
    design, total = alike[0].design, sum(alike[0].design.areas.values())
    ranked = sorted(design.areas.items(), key=lambda row: -row[1])
    parts = ", ".join(f"{name} {area * 1e6:,.0f} mm2 ({area / total:.0%})" for name, area in ranked)
    others = ", ".join(each.short for each in alike[1:])
    name = f"{alike[0].name} (and {others})" if others else alike[0].name
    return f"{name}: {parts}; layout: {layout_words(design)}"


def layout_words(design: Design) -> str:
    """How its chips are put together."""
    return plan_words(design.plans[0]).partition(": ")[2] or "a chip for each copy"


def _grounds(grounds: Sequence[Ground]) -> str:
    words = f"{counted(grounds)}; --json lists each with its source and its ends"
    assumed = [input_words(ground.name) for ground in grounds if ground.kind == "assumed"]
    return "\n".join([entry("grounds", words), entry("assumed", ", ".join(assumed))])


def _next(command: str, saved: str) -> str:
    if saved:
        return f"eke allocate chip --build {saved} --against buy:h100-sxm,rent:h200 --model MODEL"
    return f"{command} --save my-design.toml, for `eke allocate chip --build`"
