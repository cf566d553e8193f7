"""A timeline as a picture: stages × time, as SVG."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from eke.physics.schedule import Slot
from eke.physics.timeline import BUBBLE, Timeline, differs, shortened
from eke.report.drawing import box, canvas, line, mixed, percent, round_step, text
from eke.report.text import wrapped
from eke.types.record import Record
from eke.units import show

DRAWN, FEWER = 64, 32  # micro-batches drawn one and all; of more, how many
WIDE, LEFT, RIGHT = 1240, 84, 30
GAP = 30  # where the middle is cut out
EXPOSED = "exposed exchange"
PALETTE = {  # Okabe and Ito's colours, told apart whatever the colour vision
    "forward": "#0072b2",
    "backward": "#e69f00",
    "recomputation": "#56b4e9",
    "weight gradient": "#009e73",
    EXPOSED: "#d55e00",
    "data exchange": "#cc79a7",
    "optimizer": "#555555",
    BUBBLE: "#e8e8e8",
}


SMALL = 'fill="#444" font-size="11.5"'


class Window(Record):
    """A stretch of time that is drawn. start, end [s].  left: where it begins [pixels]."""

    start: float
    end: float
    left: float
    scale: float  # pixels per second


def schedule_picture(timeline: Timeline) -> str:
    """One step: what each stage does when. Of many micro-batches the first and the last ones."""
    many = timeline.micro_batches > DRAWN
    drawn = shortened(timeline, FEWER) if many else timeline
    windows = _windows(drawn)
    key, bottom = _legend(drawn)
    top, row = bottom + (34 if drawn.cuts else 18), _row(drawn.stages)
    floor = top + row * drawn.stages
    notes = [words for remark in drawn.remarks for words in wrapped(remark, 165)]
    return canvas(
        WIDE,
        floor + 52 + 17 * len(notes),
        *_heading(drawn),
        *key,
        *_background(drawn, windows, top, row),
        *_bars(drawn, windows, top, row),
        *_numbers(drawn, windows, top, row),
        *_stage_names(drawn.stages, top, row),
        *_cut_marks(drawn, windows, top, floor),
        *_axis(drawn, windows, floor),
        *(text(LEFT, floor + 62 + 17 * i, words, SMALL) for i, words in enumerate(notes)),
    )


def _windows(timeline: Timeline) -> list[Window]:
    """What is drawn, at one scale; cuts are as wide as their mark."""
    left_out = sum(cut.length for cut in timeline.cuts)
    room = WIDE - LEFT - RIGHT - GAP * len(timeline.cuts)
    scale = room / (timeline.length - left_out)
    starts = [0.0, *(cut.start + cut.length for cut in timeline.cuts)]
    ends = [*(cut.start for cut in timeline.cuts), timeline.length]
    found, left = [], float(LEFT)
    for start, end in zip(starts, ends, strict=True):
        found.append(Window(start=start, end=end, left=left, scale=scale))
        left += (end - start) * scale + GAP
    return found


def _row(stages: int) -> int:
    """Height of a stage with its gap [pixels]."""
    return max(10, min(44, 440 // stages))


def _group(kind: str) -> str:
    """Exchanges that stages wait for within a pass look alike."""
    return kind if kind in PALETTE else EXPOSED


def _heading(timeline: Timeline) -> list[str]:
    """What it is of, and where the step's time goes."""
    plan, shares = timeline.plan, _grouped(timeline)
    stages = "one stage" if timeline.stages == 1 else f"{timeline.stages} stages"
    chunks = f" of {plan.virtual} chunks" if plan.virtual > 1 else ""
    count = timeline.micro_batches
    batches = "1 micro-batch" if count == 1 else f"{count:,} micro-batches"
    how = f"{timeline.schedule} schedule, " if timeline.stages > 1 else ""
    exchange = shares.get(EXPOSED, 0.0) + shares.get("data exchange", 0.0)
    waits = shares.get(BUBBLE, 0.0)
    closed = f" ({show(timeline.closed, 's', 4)} by the closed form)"
    bubble = f", bubble {percent(waits)}" if timeline.stages > 1 else ""
    summary = (
        f"{show(timeline.length, 's', 4)}{closed if differs(timeline) else ''}: computing "
        f"{percent(1 - exchange - waits)}, exposed communication {percent(exchange)}{bubble}"
        f"; {'each' if timeline.stages > 1 else 'the'} stage has "
        f"{plan.chips // timeline.stages:,} chips"
    )
    title = f"One step of {timeline.model} on {plan.chips:,} {plan.chip}: {how}{stages}{chunks}"
    return [
        text(16, 26, f"{title}, {batches}", 'font-weight="600" font-size="15"'),
        text(16, 46, summary, 'fill="#444"'),
    ]


def _grouped(timeline: Timeline) -> dict[str, float]:
    found: dict[str, float] = {}
    for kind, share in timeline.shares.items():
        found[_group(kind)] = found.get(_group(kind), 0.0) + share
    return found


def _legend(timeline: Timeline) -> tuple[list[str], float]:
    """Every kind with its share, in rows; and where the rows end."""
    shares, found = _grouped(timeline), []
    x, y = 16.0, 60.0
    for kind in (kind for kind in PALETTE if kind in shares):
        words = f"{'waiting' if kind == BUBBLE else kind} {percent(shares[kind])}"
        wide = 28 + 6.8 * len(words)
        if x + wide > WIDE - RIGHT:
            x, y = 16.0, y + 20
        found.append(box(x, y, 12, 12, PALETTE[kind], 'stroke="#999" stroke-width="0.5"'))
        found.append(text(x + 17, y + 10.5, words))
        x += wide
    if timeline.plan.virtual > 1:
        found.append(text(x, y + 10.5, "(later chunks lighter)", 'fill="#444"'))
    return found, y + 14


def _background(timeline: Timeline, windows: list[Window], top: float, row: int) -> list[str]:
    """Where no slot is, a stage waits."""
    high = row - _space(row)
    return [
        box(
            each.left,
            top + row * stage,
            (each.end - each.start) * each.scale,
            high,
            PALETTE[BUBBLE],
        )
        for each in windows
        for stage in range(timeline.stages)
    ]


def _space(row: int) -> int:
    return 3 if row >= 16 else 1


def _seen(slots: Iterable[Slot], windows: list[Window]) -> Iterator[tuple[Slot, float, float]]:
    """Slots with the left end and the width of what is drawn of them [pixels]."""
    for slot in slots:
        for each in windows:
            start, end = max(slot.start, each.start), min(slot.end, each.end)
            if end > start:
                yield (
                    slot,
                    each.left + (start - each.start) * each.scale,
                    (end - start) * each.scale,
                )


def _bars(timeline: Timeline, windows: list[Window], top: float, row: int) -> list[str]:
    """One path per colour."""
    paths: dict[str, list[str]] = {}
    high = row - _space(row)
    for slot, x, wide in _seen(timeline.slots, windows):
        colour = _colour(slot, timeline.plan.virtual)
        edge = min(0.6, wide / 8)  # a little air between neighbours
        box = f"M{x:.2f} {top + row * slot.stage}h{wide - edge:.2f}v{high}h-{wide - edge:.2f}z"
        paths.setdefault(colour, []).append(box)
    return [f'<path fill="{colour}" d="{"".join(boxes)}"/>' for colour, boxes in paths.items()]


def _colour(slot: Slot, chunks: int) -> str:
    """Of its kind, mixed with white for later chunks."""
    colour = PALETTE[_group(slot.kind)]
    white = 0.5 * slot.chunk / (chunks - 1) if chunks > 1 else 0.0
    return mixed(colour, white)


def _numbers(timeline: Timeline, windows: list[Window], top: float, row: int) -> list[str]:
    """Micro-batches by number, where there is room for the longest; cut slots have none."""
    found, digits, chunks = [], len(str(timeline.micro_batches - 1)), timeline.plan.virtual
    kinds = ("forward", "backward", "weight gradient") if row >= 16 else ()
    sizes = {kind: _letters(timeline, kind, windows[0].scale, digits) for kind in kinds}
    for slot, x, wide in _seen(timeline.slots, windows):
        size = sizes.get(slot.kind, 0.0)
        if size and wide > 0.99 * slot.duration * windows[0].scale:
            white = slot.kind != "backward" and slot.chunk <= (chunks - 1) / 2
            fill = ' fill="white"' if white else ""
            y = top + row * slot.stage + (row - _space(row)) / 2 + 0.36 * size
            words = f'font-size="{size}"{fill}>{slot.micro_batch}</text>'
            found.append(f'<text x="{x + wide / 2:.1f}" y="{y:.1f}" {words}')
    return ['<g text-anchor="middle">', *found, "</g>"]


def _letters(timeline: Timeline, kind: str, scale: float, digits: int) -> float:
    """Size of the numbers of a kind, 0 where none fits [pixels]."""
    passes = timeline.passes
    parts = {**passes.forward, **passes.backward, **passes.weight}
    wide = parts.get(kind, 0.0) * scale
    return next((size for size in (10.0, 8.5) if wide > 0.64 * size * digits + 1), 0.0)


def _stage_names(stages: int, top: float, row: int) -> list[str]:
    every = max(1, math.ceil(14 / row))
    return [
        text(LEFT - 8, top + row * stage + row / 2 + 3, f"stage {stage}", 'text-anchor="end"')
        for stage in range(0, stages, every)
    ]


def _cut_marks(timeline: Timeline, windows: list[Window], top: float, floor: float) -> list[str]:
    """Torn edges and what is missing between them."""
    found = []
    for cut, after in zip(timeline.cuts, windows[1:], strict=True):
        count = cut.micro_batches
        words = f"{count:,} micro-batches alike, {show(cut.length, 's')}, not drawn"
        middle = after.left - GAP / 2
        found.append(text(middle, top - 9, words, 'text-anchor="middle" font-style="italic"'))
        for x in (after.left - GAP, after.left):
            found.append(line(x, x, top - 4, floor + 4, 'stroke-dasharray="3 3"'))
    return found


def _axis(timeline: Timeline, windows: list[Window], floor: float) -> list[str]:
    """Ticks at round times, in one unit."""
    units = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"))
    scale, unit = next((each for each in units if timeline.length >= 2 * each[0]), units[-1])
    step = round_step(90 / windows[0].scale / scale)
    found = []
    for each in windows:
        right = each.left + (each.end - each.start) * each.scale
        found.append(line(each.left, right, floor + 4, floor + 4))
        first, last = math.ceil(each.start / scale / step), math.floor(each.end / scale / step)
        for tick in range(first, last + 1):
            x = each.left + (tick * step * scale - each.start) * each.scale
            found.append(line(x, x, floor + 4, floor + 9))
            found.append(text(x, floor + 22, f"{tick * step:,g}", 'text-anchor="middle"'))
    middle = (LEFT + WIDE - RIGHT) / 2
    return [*found, text(middle, floor + 39, f"time [{unit}]", 'text-anchor="middle"')]
