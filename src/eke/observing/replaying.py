"""A run again: its requests under another policy, on its engines or on those of a plan."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np

from eke.errors import BadInput
from eke.gateway.row import NOT_ADMITTED
from eke.observing.engines import Engines, engines
from eke.observing.fitted import Fitted, fitted
from eke.observing.later import Later
from eke.policy.protocol import Policy
from eke.simulation.deployment import Deployment, Settings
from eke.simulation.simulator import Progress
from eke.simulation.simulator import run as simulated
from eke.simulation.traffic import Traffic
from eke.simulation.traffic.readers.run import in_order, named, replayed
from eke.simulation.watch import Watch
from eke.types.record import Record, replace
from eke.types.run import COLUMNS, FINISHED, Run

OBSERVED = "observed"
FELT = 0.01  # share of a request's time on an engine from which on a delay keeps its place

Change = Callable[[Traffic], Traffic]


class Replay(Record):
    """A run to be played again. observed: with the label that it has beside others.  rows: places
    of the requests that come again, in the order in which they come.  aside: of those that no
    policy decides on, since a budget or a limit turned them away.  traffic: of `rows`.
    """

    observed: Run
    rows: Any
    aside: Any
    traffic: Traffic

    @property
    def caching(self) -> bool:
        """Whether any prompt was found in a cache."""
        return bool(self.observed.requests["cached"].any())


def replay(run: Run) -> Replay:
    """A run as it is to be played again. Raises BadInput where nobody came."""
    rows = in_order(run)
    names = [*run.names.get("reason", ()), ""]
    turned = np.array([name.startswith(NOT_ADMITTED) for name in names])
    aside = turned[np.clip(run.requests["reason"][rows], -1, len(names) - 1)]
    coming = replayed(run, rows[~aside])
    if aside.any():
        words = f"replayed: {int(aside.sum()):,} requests that no policy admitted stay so"
        coming = replace(coming, remarks=(*coming.remarks, words))
    seen = replace(run, label=OBSERVED)
    return Replay(observed=seen, rows=rows[~aside], aside=rows[aside], traffic=coming)


class Again(Record):
    """The engines of a run, ready to play its traffic. late: whether the delay of answers keeps
    places."""

    of: Replay
    found: Engines
    ready: Fitted
    late: bool


def again(of: Replay, settings: Settings | None = None) -> Again:
    """The engines that were observed. settings: of the engines; None keeps prefixes where the run
    found any. Raises BadInput where too little is known of them, or for what cannot be fitted."""
    how = settings or Settings(caching=of.caching)
    if how.static or how.swap:
        raise BadInput(
            "batches that begin together and caches that swap are not fitted to a run; say what "
            "runs where: --plan FILE, or serve MODEL --on CHIPS."
        )
    found = engines(of.observed)
    ready = fitted(of.observed, found, how.caching, how.ordered)
    return Again(of=of, found=found, ready=ready, late=found.fit.delay > FELT * _stay(of.observed))


def play(
    engines_of: Again,
    policy: Policy,
    watch: Watch,
    coming: Traffic | None = None,
    *,
    label: str = "",
    seed: int = 0,
    progress: Progress | None = None,
) -> Run:
    """A run again, on its engines, under a policy. coming: its traffic where that was changed."""
    found = engines_of.found
    made = simulated(
        cast(Deployment, engines_of.ready),  # as much of one as the simulator asks for
        coming or engines_of.of.traffic,
        Later(policy, found.fit.delay) if engines_of.late else policy,
        watch,
        label=label,
        seed=seed,
        progress=progress,
    )
    return whole(_as_seen(made, found), engines_of.of)


def _stay(run: Run) -> float:
    """How long a request is on an engine, the median [s]."""
    requests = run.requests
    spans = requests["finished"] - requests["started"]
    return float(np.median(spans[(requests["outcome"] == FINISHED) & np.isfinite(spans)]))


def _as_seen(run: Run, found: Engines) -> Run:
    """Every answer as late as it is on its way; and where the run did not see steps, a request
    counts as taken in when it is handed over, as there."""
    requests, delay = dict(run.requests), found.fit.delay
    if not found.aligned:
        inside = np.isfinite(requests["scheduled"])
        requests["scheduled"] = np.where(inside, requests["started"], requests["scheduled"])
    answered = requests["outcome"] == FINISHED
    requests["first"] = requests["first"] + delay
    requests["finished"] = requests["finished"] + np.where(answered, delay, 0.0)
    return replace(run, requests=requests, end=run.end + delay)


def whole(run: Run, of: Replay) -> Run:
    """A simulated run with the sessions that its requests had, and with the requests that no policy
    decides on, as they were."""
    requests, observed = dict(run.requests), of.observed
    requests["session"] = observed.requests["session"][of.rows[: len(run)]]
    aside = of.aside
    if len(run) < len(of.rows):  # it was watched for a part of the time
        aside = aside[observed.requests["arrived"][aside] <= run.end]
    if not len(aside):
        return replace(run, requests=requests)
    names = dict(run.names)
    theirs = {name: column[aside] for name, column in observed.requests.items()}
    for name in ("tenant", "kind", "reason"):
        words, codes = named(observed, name)
        names[name], theirs[name] = _coded(names[name], words, codes[aside])
    both = {
        name: np.concatenate((requests[name], theirs[name])).astype(kind)
        for name, (kind, _, _) in COLUMNS.items()
    }
    order = np.argsort(both["arrived"], kind="stable")
    requests = {name: column[order] for name, column in both.items()}
    end = max(run.end, float(theirs["finished"].max()))
    return replace(run, requests=requests, names=names, end=end)


def _coded(
    known: tuple[str, ...], words: tuple[str, ...], codes: Any
) -> tuple[tuple[str, ...], Any]:
    """Codes for `words` as codes for `known`, with those it lacks behind it."""
    places = {word: place for place, word in reversed([*enumerate(known)])}
    mine = np.array([places.setdefault(word, len(places)) for word in words], np.int64)
    return (*known, *[w for w, place in places.items() if place >= len(known)]), mine[codes]
