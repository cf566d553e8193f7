"""ServeGen: no requests but models of clients, from which requests are drawn.

Each client has a rate and a spread of gaps in each window of ten minutes, and, where published, how
long its prompts and answers are in each window of six hours. The model of all clients is held; the
requests stream.

A client's gaps are drawn for a rate of one and stretched to the rate of the windows they fall in,
so that its mean rate is right however bursty it is.  Source: xiang2025servegen.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from eke.simulation.traffic.chance import stream
from eke.simulation.traffic.profiles import Figure
from eke.simulation.traffic.profiles import tokens as about
from eke.simulation.traffic.readers.clients import WINDOW, Client, Service, Spread
from eke.types.arrivals import Arrivals, arrivals

SPREAD = 1.13  # mean over median of lengths nobody published; as for prompts set by hand


def remarks(found: Service) -> tuple[str, ...]:
    """What was assumed, in words."""
    drawn = f"ServeGen: requests drawn from models of {len(found.clients)} clients of {found.model}"
    if not found.borrowed:
        return (drawn, "ServeGen: lengths of prompt and answer drawn apart")
    pairs = ", ".join(f"{client} from {donor}" for client, donor in found.borrowed.items())
    load = {client.number: client.rate.sum() for client in found.clients}
    share = sum(load[number] for number in found.borrowed) / sum(load.values())
    lengths = (
        f"{len(found.borrowed)} clients without lengths, {share:.0%} of requests, borrow them "
        f"from one as busy: {pairs}"
    )
    return (drawn, "ServeGen: lengths of prompt and answer drawn apart", f"ServeGen: {lengths}")


def seconds(found: Service) -> float:
    """How long the models say anything [s]."""
    return max(len(client.rate) for client in found.clients) * WINDOW


def requests(found: Service, said: Mapping[str, Any], seed: int, part: int) -> Iterator[Arrivals]:
    """The requests of all clients in order of time, a window at a time."""
    rest = stream(seed, part, "lengths").random(len(found.clients))
    names = tuple(f"client {client.number}" for client in found.clients)
    for window in range(int(seconds(found) / WINDOW)):
        draw = stream(seed, part, "clients", window)
        parts = [
            _window(client, rank, window, rest, draw, said)
            for rank, client in enumerate(found.clients)
            if window < len(client.rate) and client.rate[window] > 0
        ]
        if not parts:
            continue
        times, prompts, answers, tenants = (np.concatenate(c) for c in zip(*parts, strict=True))
        order = np.argsort(times, kind="stable")
        if len(order):
            yield arrivals(
                times[order],
                prompts[order],
                answers[order],
                tenant=tenants[order],
                tenants=names,
                kinds=(found.model,),
            )


def _window(
    client: Client,
    rank: int,
    window: int,
    rest: Any,
    draw: np.random.Generator,
    said: Mapping[str, Any],
) -> tuple[Any, Any, Any, Any]:
    """Times, prompts, answers and ranks of one client's requests in one window.

    rest: of each client, expected requests until its next one; moved on.
    """
    rate = float(client.rate[window])
    expected = rate * WINDOW
    steps = _steps(client, window, float(rest[rank]), expected, draw)
    rest[rank] = steps[-1] - expected
    steps = steps[:-1]
    lengths = (
        _drawn(spreads, window * WINDOW, said.get(name), draw, len(steps))
        for spreads, name in ((client.prompts, "prompt"), (client.answers, "answer"))
    )
    return (window * WINDOW + steps / rate, *lengths, np.full(len(steps), rank, np.int32))


def _steps(client: Client, window: int, now: float, end: float, draw: np.random.Generator) -> Any:
    """Where requests come on a clock that runs at the client's rate, up to the first past `end`."""
    shape = float(client.shape[window])
    found = [np.array([now])]
    while now <= end:
        count = int(end - now) + 16
        if client.weibull[window]:
            gaps = draw.weibull(shape, count) / math.gamma(1 + 1 / shape)
        else:
            gaps = draw.standard_gamma(shape, count) / shape
        found.append(now + np.cumsum(gaps))
        now = float(found[-1][-1])
    steps = np.concatenate(found)
    return steps[: int(np.searchsorted(steps, end, side="right")) + 1]


def _drawn(
    spreads: dict[float, Spread],
    time: float,
    given: int | None,
    draw: np.random.Generator,
    count: int,
) -> Any:
    """Lengths at that time, from the nearest window that has some [tokens]."""
    if given is not None:
        figure = Figure(mean=given, median=given / SPREAD, source="given", ground="given")
        return about(figure, draw, count)
    spread = spreads[min(spreads, key=lambda start: abs(start - time))]
    places = np.searchsorted(spread.chance, draw.random(count), side="right")
    return spread.lengths[np.minimum(places, len(spread.lengths) - 1)].astype(np.int64)
