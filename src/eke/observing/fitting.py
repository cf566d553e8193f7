"""How long engine steps took, fitted to the requests of a run.

The model is that of `eke.simulation.engine`: steps follow one another, each gives every sequence in
flight its next token, and some take prompts in besides. A step takes

    g(n) + c K + Σ (a + p x + q x (y + x / 2))

with n sequences in flight, K tokens in the cache of those that answer, and x tokens of each prompt
taken in after y that were cached: g is monotone, in straight lines between a few numbers of
sequences. What lies between two moments of a request is a sum of steps, so that times of requests
are linear in what is unknown; it is found by least squares of relative errors, without negative
values (lawson1974), those far off counted less (huber1964). Between hand-over and first token there
is also a delay that keeps the request waiting but not the engine.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from eke.errors import BadInput
from eke.observing.loads import Course, Taken, course, events
from eke.types.record import Record, fields

SAMPLE = 20_000  # requests whose times are fitted
LEAST = 20  # of them, or there is nothing to fit
KNOTS = 9  # numbers of sequences between which g is a straight line, about
ROUNDS, SETTLED = 8, 3
FAR = 1.5  # typical errors from which on a request counts less
LEAST_SCALE = 0.2  # of a time, by which its error is divided where less was found
HELD = 1e-3  # wait for a place, beside what a gateway takes itself [s]
HELD_UP = 1.5  # times as long as found that an answer counts, at most
SWEEPS = 2000


class Fit(Record):
    """Times of steps. steps: with 0, 1, 2, … sequences in flight [s].  context: per token in the
    cache of those that answer [s].  prompt, token, pair: a, p and q [s].  delay: of an answer on
    its way, which engines do not notice [s].  first, whole: median error of the fit, of times to
    first tokens (None where nobody saw them) and of whole answers, over what was observed.
    apart: how many times as long the slowest engine takes as the fastest.
    """

    steps: Any
    context: float
    prompt: float
    token: float
    pair: float
    delay: float
    first: float | None
    whole: float
    apart: float


class _Rows(Record):
    """Equations, a row each: a begin, an end, and steps between them. rest: what is known of each
    beside steps: cache, prompts, tokens, pairs, delay, as columns.  took: time [s]."""

    start: Any
    end: Any
    steps: Any
    rest: Any
    took: Any


class _Found(Record):
    """What solves the equations. pace: g at 0, 1, 2, … sequences [s].  rest: c, a, p, q and the
    delay.  took: times of the rows by it [s]."""

    pace: Any
    rest: Any
    took: Any


def fit(taken: Taken, most: int, aligned: bool, seen: bool = True) -> Fit:
    """Times of steps with up to `most` sequences.

    aligned: requests are taken when a step begins, not somewhere in one.  seen: first tokens were,
    and are no guess. Raises BadInput where too few requests were answered.
    """
    sample = _sample(taken)
    level = course(taken.taken, taken.ended)
    first = _first_rows(taken, level, sample, aligned)
    rows = _both(first, _whole_rows(taken, first, sample))
    believed = np.concatenate((np.full(len(sample), float(seen)), np.ones(len(sample))))
    found = _solved(level, rows, most, believed)
    off = np.median(np.abs(found.took / rows.took - 1).reshape(2, -1), axis=1).tolist()
    one, other = (times.reshape(2, -1)[1] for times in (found.took, rows.took))
    more = _more(one, other)
    context, prompt, token, pair, delay = (found.rest * more).tolist()
    return Fit(
        steps=found.pace * more,
        context=context,
        prompt=prompt,
        token=token,
        pair=pair,
        delay=delay,
        first=off[0] if seen else None,
        whole=off[1],
        apart=_apart(other / one, taken.replica[sample]),
    )


def _both(first: _Rows, whole: _Rows) -> _Rows:
    """Rows of one kind, then as many of the other."""
    pairs = zip(fields(first).items(), fields(whole).values(), strict=True)
    return _Rows(**{name: np.concatenate((one, other)) for (name, one), other in pairs})


def _solved(level: Course, rows: _Rows, most: int, believed: Any) -> _Found:
    """The values with the least squares of relative errors. believed: how much rows count."""
    knots = _knots(level, rows)
    pace, weight, scale = np.ones(most + 1), believed, rows.took
    for turn in range(ROUNDS):
        if turn < SETTLED:  # by then the paces by which steps are spread hardly change
            known = np.concatenate((_level_columns(level, rows, knots, pace), rows.rest), axis=1)
        values = nonnegative(known * (weight / scale)[:, None], rows.took * weight / scale)
        took = known @ values
        scale = np.maximum(took, LEAST_SCALE * rows.took)
        weight = believed * _weights((took - rows.took) / scale)
        pace = np.maximum(_ramps(np.arange(most + 1.0), knots) @ values[: len(knots)], 1e-9)
    return _Found(pace=pace, rest=values[len(knots) :], took=took)


def _sample(taken: Taken) -> Any:
    """Places of the requests whose times are fitted, evenly through the run."""
    good = taken.whole & (taken.tokens >= 2)
    good &= (taken.first > taken.taken) & (taken.ended > taken.first)
    places = np.flatnonzero(good)
    if len(places) < LEAST:
        raise BadInput(
            f"only {len(places):,} requests of the run have answers of two tokens or more; to fit "
            f"engines takes {LEAST}. Say what runs where: --plan FILE, or serve MODEL --on CHIPS."
        )
    return places[:: -(-len(places) // SAMPLE)]


def _amounts(taken: Taken) -> tuple[Any, ...]:
    """What taking in a prompt counts as: a prompt, its tokens, and their pairs."""
    return np.ones(len(taken.fresh)), taken.fresh, taken.fresh * (taken.cached + taken.fresh / 2)


def _first_rows(taken: Taken, level: Course, sample: Any, aligned: bool) -> _Rows:
    """From hand-over to first token: a step, and what is left of the one under way, on average half
    of it. Who waited for a place gets it as a step ends, when the next one is begun already."""
    start, end = taken.taken[sample], taken.first[sample]
    steps = np.ones(len(sample))
    if not aligned:
        left = np.where(start - taken.came[sample] > HELD, 1.0, 0.5)
        steps += left * (level.just_after(start) > 1)
    return _rows(taken, start, end, steps, np.ones(len(sample)))


def _whole_rows(taken: Taken, first: _Rows, sample: Any) -> _Rows:
    """From hand-over to the last token: a step for each token, the first as above."""
    steps = first.steps + taken.tokens[sample] - 1
    return _rows(taken, first.start, taken.ended[sample], steps, np.ones(len(sample)))


def _rows(taken: Taken, start: Any, end: Any, steps: Any, delays: Any) -> _Rows:
    answering = np.isfinite(taken.first)
    held = (taken.prompt + taken.tokens / 2)[answering]
    cache = course(taken.first[answering], taken.ended[answering], held)
    prompts = events(taken.first[answering], *(each[answering] for each in _amounts(taken)))
    mean = cache.between(start, end) / (end - start)
    others = prompts.between(start, end)
    rest = np.stack((steps * mean, *others, delays), axis=1)
    return _Rows(start=start, end=end, steps=steps, rest=rest, took=end - start)


def _knots(level: Course, rows: _Rows) -> Any:
    """Numbers of sequences that requests met, from few to many."""
    mean = level.between(rows.start, rows.end) / rows.took
    return np.unique(np.rint(np.quantile(mean, np.linspace(0, 1, KNOTS))))


def _ramps(level: Any, knots: Any) -> Any:
    """A column of ones, and for each stretch between two knots how much of it lies below."""
    rising = [np.clip((level - low) / (high - low), 0.0, 1.0) for low, high in pairwise(knots)]
    return np.stack((np.ones_like(level, dtype=np.float64), *rising), axis=-1)


def _level_columns(level: Course, rows: _Rows, knots: Any, pace: Any) -> Any:
    """What each row knows of g: its steps, as they are spread over numbers of sequences. Steps are
    rarer in time where they are longer."""
    often = 1.0 / pace[np.clip(np.rint(level.value), 0, len(pace) - 1).astype(np.int64)]
    ramps = _ramps(level.value, knots)
    all_of_it = level.between(rows.start, rows.end, often)
    shares = [
        level.between(rows.start, rows.end, often * ramps[:, k]) / all_of_it
        for k in range(1, len(knots))
    ]
    return rows.steps[:, None] * np.stack((np.ones(len(rows.took)), *shares), axis=1)


def _weights(errors: Any) -> Any:
    """Square roots of how much each row counts."""
    typical = max(float(np.median(np.abs(errors))), 1e-6)
    return np.sqrt(1.0 / np.maximum(np.abs(errors) / (FAR * typical), 1.0))


def _more(found: Any, took: Any) -> float:
    """By how much all answers together took longer than found: what now and then held engines up
    counts less in the fit, but keeps those waiting who come after."""
    return float(np.sum(np.minimum(took, HELD_UP * found)) / np.sum(found))


def _apart(longer: Any, replica: Any) -> float:
    """The slowest engine over the fastest. longer: than found, each request's time."""
    engines, counts = np.unique(replica, return_counts=True)
    each = [float(np.median(longer[replica == engine])) for engine in engines[counts >= LEAST]]
    return max(each) / min(each) if each else 1.0


def nonnegative(known: Any, wanted: Any) -> Any:
    """The values of zero or more with the least squares of `known` @ values - `wanted`, one after
    the other in turns until nothing moves."""
    size = np.sqrt(np.sum(np.square(known), axis=0))
    size = np.where(size > 0, size, 1.0)
    known = known / size
    gram, target = known.T @ known, known.T @ wanted
    values = np.zeros(len(target))
    for _ in range(SWEEPS):
        before = values.copy()
        for i in range(len(values)):
            if gram[i, i] > 0:
                values[i] = max(values[i] + (target[i] - gram[i] @ values) / gram[i, i], 0.0)
        if np.max(np.abs(values - before)) <= 1e-9 * np.max(np.abs(values), initial=1e-300):
            break
    return values / size
