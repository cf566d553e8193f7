"""From timings to the values the physics runs with, by the physics' own curves.

What the points do not tell stays at the value eke has without measuring, and is not reported.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from eke.calibrate.measure.grid import Axis, least, span_of
from eke.calibrate.measure.journal import Timing
from eke.calibrate.measure.points import (
    BLOCK,
    CALL,
    OPERATIONS,
    SIXTEEN,
    Point,
    Sweep,
    flop,
    moved,
    sides,
)
from eke.errors import BadInput
from eke.physics.network import hierarchical_all_reduce_time
from eke.physics.roofline import matmul_rate, narrow_heads, roofline_time
from eke.types.efficiency import Knobs
from eke.types.need import Span
from eke.types.record import Record, replace

WIDE = ("fp32", "tf32", "bf16", "fp16")  # formats whose share is `matmul`
LOW = ("fp8", "int8")
MATRIX = ("matmul_rows", "matmul_columns")
HALVES = {  # of a share: the sides at which half of it is reached
    "matmul": MATRIX,
    "matmul_low": MATRIX,
    "attention": ("attention_tokens",),
    "attention_backward": ("attention_tokens",),
}


class Promised(Record):
    """What a share is a share of: published figures of a chip, or the best of what was measured.

    peak [FLOP/s].  memory, link [B/s]; None where there is none.
    """

    peak: dict[str, float]
    memory: float
    link: float | None = None
    own: bool = False  # the best of what was measured


class Fitted(Record):
    """Values by name, in base units, and how well the curves fit.

    errors: per sweep and form, median of |predicted / measured − 1|.  above: shares above 1.
    left_out: points that were not timed, and why.
    """

    promised: Promised
    values: dict[str, Span]
    errors: dict[str, float]
    above: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


class _Timed(Record):
    """The timings of a sweep as arrays over points, less the time of a call.

    peak: what the share is of.  sides: see `points.sides`.
    """

    flop: Any
    moved: Any
    peak: Any
    sides: tuple[Any, ...]
    median: Any
    low: Any
    high: Any


class _Sweeps(Record):
    """What was timed, what it is compared with, and what eke believes without it."""

    known: dict[Point, Timing]
    promised: Promised
    prior: Knobs
    call: float  # of one operation, within every timing of an operation [s]


def fit(timings: list[Timing], promised: Promised | None, prior: Knobs) -> Fitted:
    """The values a machine's timings imply.

    promised: figures of the catalogue; None takes the best of what was measured.  prior: the values
    without these timings, kept where they cannot tell. Raises BadInput when too little could be
    timed.
    """
    known = {timing.point: timing for timing in timings if not timing.unable}
    call = known[CALL].median if CALL in known else 0.0
    sweeps = _Sweeps(known=known, promised=promised or best(timings), prior=prior, call=call)
    values = {"memory": _memory(_gather(sweeps, "memory"), sweeps.promised)}
    for name in HALVES:
        values |= _shares(name, sweeps, values)
    if BLOCK in known:
        values["launch"] = _launch(known[BLOCK])
    values |= _link(sweeps)
    errors = _errors(sweeps, values)
    promise = sweeps.promised
    if promise.own:
        promise, values = _grown(promise, values)
    return Fitted(
        promised=promise,
        values={name: _below_best(name, span, promise) for name, span in values.items()},
        errors=errors,
        above=tuple(
            name for name, span in values.items() if name in SHARES and span.likely > 1.005
        ),
        left_out=tuple(f"{t.point.words}: {t.unable}" for t in timings if t.unable),
    )


def _grown(promised: Promised, values: dict[str, Span]) -> tuple[Promised, dict[str, Span]]:
    """Best measured figures raised to where the curves end, so that no share of them is above 1."""
    wide, low, link = (
        max(values[name].likely, 1.0) if name in values else 1.0
        for name in ("matmul", "matmul_low", "link")
    )
    factors = {"matmul": wide, "attention": wide, "attention_backward": wide}
    factors |= {"matmul_low": low, "link": link}
    if not set(WIDE) & set(promised.peak):
        factors |= {"attention": 1.0, "attention_backward": 1.0}
    peak = {form: value * (wide if form in WIDE else low) for form, value in promised.peak.items()}
    raised = replace(promised, peak=peak, link=promised.link and promised.link * link)
    return raised, {name: _over(span, factors.get(name, 1.0)) for name, span in values.items()}


def _over(span: Span, factor: float) -> Span:
    return Span(low=span.low / factor, likely=span.likely / factor, high=span.high / factor)


def _below_best(name: str, span: Span, promised: Promised) -> Span:
    """A share of the best that was measured ends at 1; of a published figure it need not."""
    if not promised.own or name not in SHARES:
        return span
    return replace(span, high=max(min(span.high, 1.0), span.likely))


SHARES = ("matmul", "matmul_low", "attention", "attention_backward", "memory", "link")


def peak_of_sixteen(peak: dict[str, float]) -> float:
    """The peak whose share `attention` is, as `eke.physics.machine` picks it; 0 without any."""
    return next((peak[name] for name in (*SIXTEEN, "tf32", "fp32") if name in peak), 0.0)


def best(timings: list[Timing]) -> Promised:
    """The highest rates measured, for a machine whose figures nobody has published."""
    rates: dict[str, float] = {}
    for timing in timings:
        point = timing.point
        amount = {"matmul": flop, "memory": moved}.get(point.sweep)
        if amount is not None and not timing.unable:
            name = point.form if point.sweep == "matmul" else "memory"
            rates[name] = max(rates.get(name, 0.0), amount(point) / timing.low)
    memory = rates.pop("memory", 0.0)
    if not rates or not memory:
        raise BadInput("nothing could be timed: neither matrix multiplications nor memory.")
    links = [
        2 * (t.point.shape[1] - 1) / t.point.shape[1] * t.point.shape[0] / t.low
        for t in timings
        if t.point.sweep == "link" and not t.unable
    ]
    return Promised(peak=rates, memory=memory, link=max(links, default=None), own=True)


def _gather(sweeps: _Sweeps, sweep: Sweep, forms: tuple[str, ...] = ()) -> _Timed:
    """A sweep's points, each at least a tenth of what was timed after the call is taken off."""
    found = [
        timing
        for point, timing in sweeps.known.items()
        if point.sweep == sweep and (not forms or point.form in forms)
    ]
    points = tuple(timing.point for timing in found)
    call = sweeps.call if sweep in HALVES else 0.0
    sixteen = peak_of_sixteen(sweeps.promised.peak)
    peaks = sweeps.promised.peak if sweep == "matmul" else {}

    def less(name: str) -> Any:
        times = np.array([getattr(timing, name) for timing in found], dtype=float)
        return np.maximum(times - call, 0.1 * times)

    return _Timed(
        flop=np.array([flop(point) for point in points]),
        moved=np.array([moved(point) for point in points]),
        peak=np.array([peaks.get(point.form, sixteen) * _heads(point) for point in points]),
        sides=tuple(np.array(side) for side in zip(*map(sides, points), strict=True)),
        median=less("median"),
        low=less("low"),
        high=less("high"),
    )


def _heads(point: Point) -> float:
    """Share of the attention core's speed that heads of a point's size leave."""
    return narrow_heads(size=point.shape[3]) if point.sweep.startswith("attention") else 1.0


def _memory(timed: _Timed, promised: Promised) -> Span:
    if not len(timed.moved):
        raise BadInput("no memory stream could be timed; give more --minutes, or another device.")
    shares = timed.moved / timed.median / promised.memory
    ends = np.concatenate(
        [timed.moved / each / promised.memory for each in (timed.low, timed.high)]
    )
    return span_of(float(np.median(shares)), ends)


def _shares(name: str, sweeps: _Sweeps, values: dict[str, Span]) -> dict[str, Span]:
    """The share of a peak over long sides, and the sides at which half of it is reached.

    The physics has one value of each side for all formats, and for attention forward and backward:
    the first to be fitted settles it.
    """
    prior, promised = sweeps.prior, sweeps.promised
    timed = _timed(name, sweeps)
    if timed is None:
        return {}
    speed = values["memory"].likely * promised.memory
    settled = (name == "matmul_low" and "matmul" in values) or (
        name == "attention_backward" and "attention" in values
    )
    usual = [_value(half, sweeps, values) for half in HALVES[name]]
    overlap = prior.overlap_memory

    longest = [float(side.max()) for side in timed.sides]

    def predicted(reached: Any, *halves: Any) -> Any:
        peak = reached / curve(1.0, longest, halves) * timed.peak
        rate = curve(peak, timed.sides, halves)
        return roofline_time(
            flop=timed.flop, rate=rate, moved=timed.moved, speed=speed, overlap=overlap
        )

    start = 1.0 if promised.own else float(getattr(prior, name))
    # the share reached at the longest sides is told even where the sides that halve it are not
    axes = [Axis(low=1e-4, high=3.0, usual=start * curve(1.0, longest, usual))]
    for value, side in zip(usual, timed.sides, strict=True):
        fixed = settled or side.min() == side.max()  # one length of a side tells nothing of it
        low, high = (value, value) if fixed else (0.05, 16384.0)
        axes.append(Axis(low=low, high=high, usual=value))
    reached, *halves = least(predicted, timed.median, axes)
    share = reached / curve(1.0, longest, halves)
    computing = timed.flop / curve(share * timed.peak, timed.sides, halves)
    reading = timed.moved / speed
    slower = [
        np.maximum(times - (1 - overlap) * reading, 0.1 * times) / computing
        for times in (timed.low, timed.median, timed.high)
    ]  # than the curve, where computing bounds
    bound = computing > reading
    first, middle = timed.sides[0], half_side(timed.sides, halves)
    long, short = bound & (first >= middle), bound & (first <= np.maximum(4 * middle, first.min()))
    found = {name: span_of(share, np.concatenate([share / each[long] for each in slower]))}
    at = [_implied(timed.sides, halves, each * (first + middle) - first) for each in slower]
    for half, value, before, each in zip(
        HALVES[name], halves, usual, zip(*at, strict=True), strict=True
    ):
        if not settled and abs(math.log(value / before)) > SAME:
            implied = np.concatenate([points[short] for points in each])
            found[half] = span_of(value, np.maximum(implied, 0.1 * value))
    return found


SAME = 0.01  # a value nearer than so to the one before says nothing new


def _timed(name: str, sweeps: _Sweeps) -> _Timed | None:
    """The points a share is fitted to; None where they are too few."""
    peak = sweeps.promised.peak
    if name in ("matmul", "matmul_low"):
        forms = set(WIDE if name == "matmul" else LOW) & set(peak)
        timed = _gather(sweeps, "matmul", tuple(forms)) if forms else None
        return timed if timed is not None and len(timed.flop) >= 4 else None
    form = next((form for form in (*SIXTEEN, "tf32", "fp32") if form in peak), "")
    sweep: Sweep = "attention" if name == "attention" else "attention_backward"
    timed = _gather(sweeps, sweep, (form,))
    if not len(timed.flop):  # that format was not timed
        timed = _gather(sweeps, sweep)
    return timed if form and len(timed.flop) else None


def curve(peak: Any, sides: Any, halves: Any) -> Any:
    """Arithmetic speed over a matrix's rows and columns, or over the keys of attention [FLOP/s].

    As `eke.physics.roofline.matmul_rate` and `eke.physics.forward.attention_rate` have it.
    """
    if len(sides) == 1:
        return peak * sides[0] / (sides[0] + halves[0])
    (rows, columns), (half_rows, half_columns) = sides, halves
    return matmul_rate(
        peak=peak, rows=rows, half_rows=half_rows, columns=columns, half_columns=half_columns
    )


def half_side(sides: Any, halves: Any) -> Any:
    """The first side at which each point reaches half of its peak."""
    return halves[0] * (1 + halves[1] / sides[1]) if len(sides) == 2 else halves[0]


def _implied(sides: Any, halves: Any, at: Any) -> tuple[Any, ...]:
    """What each of the halves would be if a point reached half of its peak `at` a first side."""
    if len(sides) == 1:
        return (at,)
    return at / (1 + halves[1] / sides[1]), (at / halves[0] - 1) * sides[1]


def _value(name: str, sweeps: _Sweeps, values: dict[str, Span]) -> float:
    """What was fitted, or else what eke has without measuring."""
    return values[name].likely if name in values else float(getattr(sweeps.prior, name))


def _launch(block: Timing) -> Span:
    each = OPERATIONS * block.point.shape[0]
    return Span(low=block.low / each, likely=block.median / each, high=block.high / each)


def _link(sweeps: _Sweeps) -> dict[str, Span]:
    """Share of the link, and the time until a collective runs.

    One number of ranks cannot tell that time from the latency of hops, which stays as it is.
    """
    promised, timed = sweeps.promised, _gather(sweeps, "link")
    if len(timed.moved) < 2 or not promised.link:
        return {}
    ranks, latency = timed.sides[0], sweeps.prior.link_latency

    def predicted(share: Any, start: Any) -> Any:
        return hierarchical_all_reduce_time(
            size=timed.moved,
            ranks=ranks,
            inner_ranks=ranks,
            inner_bandwidth=share * promised.link,
            inner_latency=latency,
            outer_bandwidth=1.0,
            outer_latency=0.0,
            start=start,
        )

    usual = 1.0 if promised.own else sweeps.prior.link
    axes = [
        Axis(low=1e-4, high=3.0, usual=usual),
        Axis(low=1e-8, high=1e-1, usual=sweeps.prior.collective),
    ]
    share, start = least(predicted, timed.median, axes)
    sent = 2 * (ranks - 1) / ranks * timed.moved / promised.link
    waits = predicted(share, start) - sent / share
    large = timed.median > 2 * waits
    shares, starts = [], []
    for times in (timed.low, timed.median, timed.high):
        shares.append((sent / np.maximum(times - waits, 0.1 * times))[large])
        implied = times - (waits - start) - sent / share
        starts.append(np.maximum(implied, 0.1 * start)[~large])
    return {
        "link": span_of(share, np.concatenate(shares)),
        "collective": span_of(start, np.concatenate(starts)),
    }


def _errors(sweeps: _Sweeps, values: dict[str, Span]) -> dict[str, float]:
    """Median of |predicted / measured − 1| per sweep and form, by the fitted values."""
    found: dict[str, list[float]] = {}
    for point, timing in sweeps.known.items():
        predicted = _predicted(point, sweeps, values)
        if predicted is not None:
            name = f"{point.sweep} {point.form}".replace("_", " ")
            found.setdefault(name, []).append(abs(predicted / timing.median - 1))
    return {name: float(np.median(errors)) for name, errors in found.items()}


def _predicted(point: Point, sweeps: _Sweeps, values: dict[str, Span]) -> float | None:
    """Seconds of a point by the fitted values; None where no value says."""
    promised = sweeps.promised
    speed = values["memory"].likely * promised.memory
    if point.sweep == "memory":
        return moved(point) / speed
    name: str = point.sweep
    peak = peak_of_sixteen(promised.peak) * _heads(point)
    if name == "matmul":
        name = "matmul" if point.form in WIDE else "matmul_low"
        peak = promised.peak.get(point.form, 0.0)
    if name not in HALVES or name not in values or not peak:
        return None
    halves = [_value(half, sweeps, values) for half in HALVES[name]]
    time = roofline_time(
        flop=flop(point),
        rate=curve(values[name].likely * peak, sides(point), halves),
        moved=moved(point),
        speed=speed,
        overlap=sweeps.prior.overlap_memory,
    )
    return float(time) + sweeps.call
