"""From timings to the values the physics runs with, by the physics' own curves.

Every fit takes the value at which the mean of |log(predicted / measured)| is least, found on a
grid: no start to choose, and one bad point moves it little. The interval is what single points
imply for the value, each at its fast and its slow repeats: 10th to 90th percentile.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

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
)
from eke.errors import BadInput
from eke.physics.network import hierarchical_all_reduce_time
from eke.physics.roofline import matmul_rate, roofline_time
from eke.types.need import Span
from eke.types.record import Record, replace

WIDE = ("fp32", "tf32", "bf16", "fp16")  # formats whose share is `matmul`


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
    """The timings of a sweep as arrays over points, less the time of a call."""

    points: tuple[Point, ...]
    flop: Any
    moved: Any
    rows: Any
    median: Any
    low: Any
    high: Any


def fit(timings: list[Timing], promised: Promised | None) -> Fitted:
    """The values a machine's timings imply.

    promised: figures of the catalogue; None takes the best of what was measured. Raises BadInput
    when too little could be timed.
    """
    known = {timing.point: timing for timing in timings if not timing.unable}
    call = known[CALL].median if CALL in known else 0.0
    promise = promised or best(timings)
    streams = _gather(known, "memory", 0.0)
    values = {"memory": _memory(streams, promise)}
    speed = values["memory"].likely * promise.memory
    for name, forms in (("matmul", WIDE), ("matmul_low", ("fp8", "int8"))):
        timed = _gather(known, "matmul", call, (*set(forms) & set(promise.peak),))
        if len(timed.points) >= 4:
            half = values["matmul_rows"].likely if "matmul_rows" in values else None
            values[name], rows = _matmul(timed, promise, speed, half)
            values.setdefault("matmul_rows", rows)
    sixteen = peak_of_sixteen(promise.peak)
    for sweep in ("attention", "attention_backward"):
        timed = _gather(known, sweep, call)
        if timed.points and sixteen:
            values[sweep] = _share(timed, sixteen, speed)
    grown = _grown(promise, values)
    if grown is not None:
        return fit(timings, grown)
    if BLOCK in known:
        values["launch"] = _launch(known[BLOCK])
    values |= _link(known, promise)
    return Fitted(
        promised=promise,
        values={name: _below_best(name, span, promise) for name, span in values.items()},
        errors=_errors(known, call, promise, values),
        above=tuple(
            name for name, span in values.items() if name in SHARES and span.likely > 1.005
        ),
        left_out=tuple(f"{t.point.words}: {t.unable}" for t in timings if t.unable),
    )


def _grown(promised: Promised, values: dict[str, Span]) -> Promised | None:
    """Measured peaks raised to where the curve ends, so that no share of them is above 1."""
    wide, low = (
        values[name].likely if name in values else 0.0 for name in ("matmul", "matmul_low")
    )
    if not promised.own or max(wide, low) <= 1:
        return None
    factors = {name: max(wide if name in WIDE else low, 1.0) for name in promised.peak}
    peak = {name: value * factors[name] for name, value in promised.peak.items()}
    return replace(promised, peak=peak)


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


def _gather(
    known: dict[Point, Timing], sweep: Sweep, call: float, forms: tuple[str, ...] = ()
) -> _Timed:
    """A sweep's points, each at least a tenth of what was timed after the call is taken off."""
    found = [
        timing
        for point, timing in known.items()
        if point.sweep == sweep and (not forms or point.form in forms)
    ]
    points = tuple(timing.point for timing in found)

    def less(name: str) -> Any:
        times = np.array([getattr(timing, name) for timing in found], dtype=float)
        return np.maximum(times - call, 0.1 * times)

    return _Timed(
        points=points,
        flop=np.array([flop(point) for point in points]),
        moved=np.array([moved(point) for point in points]),
        rows=np.array([point.shape[0] for point in points], dtype=float),
        median=less("median"),
        low=less("low"),
        high=less("high"),
    )


def _memory(timed: _Timed, promised: Promised) -> Span:
    if not timed.points:
        raise BadInput("no memory stream could be timed; give more --minutes, or another device.")
    shares = timed.moved / timed.median / promised.memory
    ends = np.concatenate(
        [timed.moved / each / promised.memory for each in (timed.low, timed.high)]
    )
    return _span(float(np.median(shares)), ends)


def _matmul(
    timed: _Timed, promised: Promised, speed: float, half: float | None
) -> tuple[Span, Span]:
    """The share of peak with many rows, and the rows at which half of it is reached.

    half: those rows, where wider formats have settled them: the physics has one value for all.
    """
    peaks = np.array([promised.peak[point.form] for point in timed.points])

    def predicted(share: Any, rows: Any) -> Any:
        rate = matmul_rate(peak=share * peaks, rows=timed.rows, half_rows=rows)
        return roofline_time(flop=timed.flop, rate=rate, moved=timed.moved, speed=speed)

    share, rows = _least(predicted, timed.median, (1e-3, 3.0), (half or 0.05, half or 4096.0))
    bound = predicted(share, rows) > 1.001 * timed.moved / speed  # where memory does not hide it
    shares, halves = [], []
    for times in (timed.low, timed.median, timed.high):
        many, few = bound & (timed.rows >= rows), bound & (timed.rows <= 4 * rows)
        implied = timed.flop * (timed.rows + rows) / (timed.rows * peaks * times)
        shares.append(implied[many])
        at_half = timed.rows * (share * peaks * times / timed.flop - 1)
        halves.append(np.maximum(at_half[few], 0.0))
    return _span(share, np.concatenate(shares)), _span(rows, np.concatenate(halves))


def _share(timed: _Timed, peak: float, speed: float) -> Span:
    """The share of a peak that explains attention, where memory does not."""

    def predicted(share: Any, _: Any) -> Any:
        rate = share * peak
        return roofline_time(flop=timed.flop, rate=rate, moved=timed.moved, speed=speed)

    share, _ = _least(predicted, timed.median, (1e-4, 3.0), (1.0, 1.0))
    bound = timed.flop / (share * peak) > 1.001 * timed.moved / speed
    ends = [timed.flop[bound] / (peak * times[bound]) for times in (timed.low, timed.high)]
    return _span(share, np.concatenate(ends))


def _launch(block: Timing) -> Span:
    each = OPERATIONS * block.point.shape[0]
    return Span(low=block.low / each, likely=block.median / each, high=block.high / each)


def _link(known: dict[Point, Timing], promised: Promised) -> dict[str, Span]:
    """Share of the link, and latency per hop."""
    timed = _gather(known, "link", 0.0)
    if len(timed.points) < 2 or not promised.link:
        return {}
    ranks = np.array([point.shape[1] for point in timed.points], dtype=float)

    def predicted(share: Any, latency: Any) -> Any:
        return hierarchical_all_reduce_time(
            size=timed.moved,
            ranks=ranks,
            inner_ranks=ranks,
            inner_bandwidth=share * promised.link,
            inner_latency=latency,
            outer_bandwidth=1.0,
            outer_latency=0.0,
        )

    share, latency = _least(predicted, timed.median, (1e-4, 3.0), (1e-8, 1e-1))
    waits = 2 * np.log2(ranks) * latency
    large = timed.median > 2 * waits
    shares, latencies = [], []
    for times in (timed.low, timed.median, timed.high):
        sent = 2 * (ranks - 1) / ranks * timed.moved / promised.link
        shares.append((sent / np.maximum(times - waits, 0.1 * times))[large])
        latencies.append(np.maximum(times - sent / share, 0)[~large] / (2 * np.log2(ranks))[~large])
    return {
        "link": _span(share, np.concatenate(shares)),
        "link_latency": _span(latency, np.concatenate(latencies)),
    }


STEPS = 81  # of the grid along each axis


def _least(
    predicted: Callable[[Any, Any], Any],
    measured: Any,
    first: tuple[float, float],
    second: tuple[float, float],
) -> tuple[float, float]:
    """The pair that predicts best, on a grid that closes in on it six times."""
    ranges = [(math.log(low), math.log(high)) for low, high in (first, second)]
    for _ in range(6):
        grids = [np.linspace(low, high, STEPS if high > low else 1) for low, high in ranges]
        shares, others = np.exp(grids[0])[:, None, None], np.exp(grids[1])[None, :, None]
        loss = np.mean(np.abs(np.log(predicted(shares, others) / measured)), axis=-1)
        loss = np.broadcast_to(loss, (len(grids[0]), len(grids[1])))
        best_at = np.unravel_index(int(np.argmin(loss)), loss.shape)
        pair = [float(grid[at]) for grid, at in zip(grids, best_at, strict=True)]
        widths = [0.1 * (high - low) for low, high in ranges]
        ranges = [(at - wide, at + wide) for at, wide in zip(pair, widths, strict=True)]
    return math.exp(pair[0]), math.exp(pair[1])


def _span(likely: float, implied: Any) -> Span:
    """The interval of a value from what single points imply."""
    if not len(implied):
        return Span(low=likely, likely=likely, high=likely)
    low, high = (float(end) for end in np.quantile(implied, (0.1, 0.9)))
    return Span(low=min(low, likely), likely=likely, high=max(high, likely))


def _errors(
    known: dict[Point, Timing], call: float, promised: Promised, values: dict[str, Span]
) -> dict[str, float]:
    """Median of |predicted / measured − 1| per sweep and form, by the fitted values."""
    found: dict[str, list[float]] = {}
    for point, timing in known.items():
        predicted = _predicted(point, promised, values)
        if predicted is not None:
            name = f"{point.sweep} {point.form}".replace("_", " ")
            found.setdefault(name, []).append(abs((predicted + call) / timing.median - 1))
    return {name: float(np.median(errors)) for name, errors in found.items()}


def _predicted(point: Point, promised: Promised, values: dict[str, Span]) -> float | None:
    """Seconds of a point by the fitted values, without the call; None where no value says."""
    speed = values["memory"].likely * promised.memory
    if point.sweep == "memory":
        return moved(point) / speed
    rate = None
    if point.sweep == "matmul" and point.form in promised.peak and "matmul_rows" in values:
        name = "matmul" if point.form in WIDE else "matmul_low"
        if name in values:
            peak = values[name].likely * promised.peak[point.form]
            rows = values["matmul_rows"].likely
            rate = matmul_rate(peak=peak, rows=point.shape[0], half_rows=rows)
    elif point.sweep in values and point.sweep.startswith("attention"):
        rate = values[point.sweep].likely * peak_of_sixteen(promised.peak)
    if not rate:
        return None
    return float(roofline_time(flop=flop(point), rate=rate, moved=moved(point), speed=speed))
