"""Engines made by hand for tests: steps whose times one can work out on paper."""

from __future__ import annotations

import numpy as np

from eke.simulation.engine import gates
from eke.simulation.engine import layout as at
from eke.simulation.engine.advance import ALL
from eke.simulation.engine.build import Replica, world
from eke.simulation.step import StepTable
from eke.types.run import WAITING


def table(
    own: float = 0.0,
    per_token: float = 0.0,
    per_context: float = 0.0,
    exchange: float = 0.0,
    ranks: int = 1,
    most: int = 4096,
) -> StepTable:
    """Steps of `own` seconds, and `per_token` for each token that enters, and `per_context` for
    each token in the cache of a decoding sequence; `exchange` per token, half of it hidden."""
    tokens = np.arange(most + 1.0)
    lengths = np.array([0.0, 64.0, 1000.0, 1e6])
    return StepTable(
        base=per_token * tokens,
        tensor=exchange * tokens,
        expert=0 * tokens,
        other=0 * tokens,
        logits=0 * tokens,
        lengths=lengths,
        decode=per_context * lengths,
        new=np.array([0.0, float(most)]),
        cached=np.array([0.0, 1e6]),
        chunk=np.zeros((2, 2)),
        own=own,
        sequence=0.0,
        factor=1.0,
        overlap_tensor=0.5,
        overlap_expert=0.0,
        ranks=ranks,
    )


class Engine:
    """Replicas fed by hand, each request to a given one at a given time."""

    def __init__(self, kinds: tuple[Replica, ...], replicas: list[int], requests: int = 64) -> None:
        self.world = world(kinds, replicas, requests, 1 << 14)
        self.world.times[:] = np.nan
        self.world.times[:, at.ENCODING] = 0.0
        self.world.count[:, at.OUTCOME] = WAITING
        self.world.shared[:] = at.NONE
        self.address, self._kept = gates.handle(self.world)
        self.events: list[tuple[float, int, int]] = []

    def ask(self, request: int, now: float, prompt: int, answer: int, replica: int = 0) -> int:
        """A request comes; everything before it happens first."""
        self.until(now)
        w = self.world
        w.times[request, at.ARRIVED] = now
        w.count[request, at.PROMPT], w.count[request, at.ANSWER] = prompt, answer
        return int(gates.enqueue(self.address, replica, request, now, ALL))

    def until(self, limit: float, look=lambda engine: None) -> None:
        """Play everything that ends by `limit`; `look` is called after each happening."""
        while True:
            many, when, *_ = gates.advance(self.address, limit, at.HEAR_FIRST, at.NONE, 0, 0.0, ALL)
            if not many:
                return
            self.events += [(when, int(row[0]), int(row[1])) for row in self.world.told[:many]]
            look(self)

    def column(self, field: int) -> np.ndarray:
        """One column of the requests' times."""
        return self.world.times[:, field].copy()


def run(replica: Replica, asks, copies: int = 1, look=lambda engine: None, classes=()) -> Engine:
    """Play asks, (time, prompt, answer, replica) each, to their end. classes: of the first ones."""
    engine = Engine((replica,), [0] * copies, len(asks))
    engine.world.count[: len(classes), at.CLASS] = classes
    for number, (time, prompt, answer, where) in enumerate(asks):
        engine.ask(number, time, prompt, answer, where)
        look(engine)
    engine.until(np.inf, look)
    return engine
