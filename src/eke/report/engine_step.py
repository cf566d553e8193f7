"""An engine's step as a picture: where the time of a token goes, as SVG."""

from __future__ import annotations

from eke.errors import BadInput
from eke.report.drawing import box, canvas, line, mixed, percent, round_step, text
from eke.report.text import wrapped
from eke.report.words import chips_words, spread
from eke.types.need import Need, Part
from eke.units import show

WIDE, LEFT, ROOM, BAR = 900, 16, 868, 46
EXCHANGE, OTHER = "#d55e00", "#999999"
PALETTE = {  # Okabe and Ito's colours, told apart whatever the colour vision
    "reading weights": "#0072b2",
    "arithmetic": "#e69f00",
    "attention and cache": "#56b4e9",
    "norms and activations": "#009e73",
    "kernel launches": "#f0e442",
    "tensor exchange": EXCHANGE,
    "expert exchange": mixed(EXCHANGE, 0.35),
    "stage exchange": mixed(EXCHANGE, 0.6),
    "engine": "#555555",
}
DARK = ("reading weights", "engine", "norms and activations", "tensor exchange")
NOTE = "parts that overlap share the step by the time each takes alone; spans cover 80 %"


def step_picture(need: Need) -> str:
    """The mean engine step of a serving plan, part by part. Raises BadInput for other plans."""
    parts = [part for part in need.parts if part.of == "tpot"]
    if not parts:
        raise BadInput(f"only serving has an engine step to draw, and this job is {need.job!r}.")
    total = sum(part.span.likely for part in parts)
    rows = [_row(part, total, 160 + 22 * i) for i, part in enumerate(parts)]
    under = 160 + 22 * len(parts)
    notes = [words for note in _notes(need) for words in wrapped(note, 130)]
    return canvas(
        WIDE,
        under + 38 + 17 * len(notes),
        *_heading(need),
        *_bar(parts, total),
        *_axis(total, 62 + BAR),
        *(piece for row in rows for piece in row),
        *_sum(need, under),
        *(text(LEFT, under + 40 + 17 * i, words, GREY) for i, words in enumerate(notes)),
    )


GREY = 'fill="#444" font-size="11.5"'
STRONG = 'font-weight="600"'
COLUMNS = (260, 340, 360)  # right end of the time and of the share, left end of the span


def _heading(need: Need) -> list[str]:
    title = f"Where a token's time goes: {need.model} on {chips_words(need)}"
    figure = need.figures["tpot"]
    what = "one engine step" if not need.plan.drafts else "one engine step over the tokens it keeps"
    return [
        text(LEFT, 26, title, 'font-weight="600" font-size="15"'),
        text(LEFT, 46, f"{spread(figure.span, 's')} per token: {what}", GREY),
    ]


def _notes(need: Need) -> list[str]:
    half = need.plan.prefill
    return [NOTE, *(["of the half that decodes; prompts are taken in elsewhere"] if half else [])]


def _bar(parts: list[Part], total: float) -> list[str]:
    """The parts one after the other, with their share where there is room."""
    found, x = [], float(LEFT)
    for part in parts:
        share = part.span.likely / total
        wide = ROOM * share
        found.append(box(x, 62, wide, BAR, _colour(part), 'stroke="white" stroke-width="0.6"'))
        if wide > 40:
            how = ' fill="white"' if part.name in DARK else ""
            words = f"{100 * share:.0f} %"
            found.append(text(x + wide / 2, 62 + BAR / 2 + 4, words, f'text-anchor="middle"{how}'))
        x += wide
    return found


def _colour(part: Part) -> str:
    return PALETTE.get(part.name, OTHER)


def _axis(total: float, y: float) -> list[str]:
    """Milliseconds at round numbers."""
    step = round_step(80 / ROOM * total * 1e3)
    found = [line(LEFT, LEFT + ROOM, y + 4, y + 4)]
    for tick in range(int(total * 1e3 / step) + 1):
        x = LEFT + ROOM * tick * step / total / 1e3
        where = "start" if tick == 0 else "middle" if x < LEFT + ROOM - 12 else "end"
        words = "0 ms" if tick == 0 else f"{tick * step:g}"
        found += [line(x, x, y + 4, y + 9), text(x, y + 22, words, f'text-anchor="{where}"')]
    return found


def _row(part: Part, total: float, y: float) -> list[str]:
    """A line of the table: colour, name, time, share, span."""
    time, share, span = COLUMNS
    low, high = show(part.span.low, "s"), show(part.span.high, "s")
    right = 'text-anchor="end"'
    return [
        box(LEFT, y - 10, 12, 12, _colour(part), 'stroke="#999" stroke-width="0.5"'),
        text(LEFT + 20, y, part.name),
        text(time, y, show(part.span.likely, "s"), right),
        text(share, y, percent(part.span.likely / total), right),
        text(span, y, f"{low} – {high}", 'fill="#444"'),
    ]


def _sum(need: Need, y: float) -> list[str]:
    """What the parts add up to."""
    figure, (time, _, span) = need.figures["tpot"].span, COLUMNS
    words = f"{show(figure.low, 's')} – {show(figure.high, 's')}"
    return [
        line(LEFT, 520, y - 14, y - 14, 'stroke-width="0.7"'),
        text(LEFT + 20, y + 3, "time per token", STRONG),
        text(time, y + 3, show(figure.likely, "s"), f'text-anchor="end" {STRONG}'),
        text(span, y + 3, words, 'fill="#444"'),
    ]
