"""How every replica was, again and again: the engines' timeline."""

from __future__ import annotations

from typing import Any

import numpy as np

from eke.simulation.driver import Driver
from eke.simulation.engine.layout import (
    ALIVE,
    BLOCKS,
    DECODING,
    FILLING,
    FREE,
    KIND,
    QUEUED,
)
from eke.simulation.replicas import Replicas


class Timeline:
    """Samples at equal intervals; where there come to be twice as many as wanted, every other one
    goes and the interval doubles."""

    def __init__(
        self, driver: Driver, replicas: Replicas, wanted: int, seconds: float | None
    ) -> None:
        self.driver, self.replicas = driver, replicas
        self.wanted = max(wanted, 2)
        self.every = max(seconds / self.wanted, 1e-3) if seconds else 1.0
        self._rows: list[tuple[float, int, Any]] = []

    def sample(self, about: Any = None) -> None:
        """Look at every replica, and plan the next look."""
        if len(self._rows) >= 2 * self.wanted:
            self._rows = self._rows[::2]
            self.every *= 2
        self._rows.append((self.driver.now, self.driver.waiting, self._state()))
        self.driver.at(self.driver.now + self.every, self._again, None, regular=True)

    def _again(self, about: Any) -> None:
        self.driver.regular -= 1
        self.sample()

    def _state(self) -> Any:
        """running, waiting, cache, alive, time worked and tokens given so far, of each replica."""
        w = self.driver.ledger.world
        num = w.num
        blocks = w.shape[num[:, KIND], BLOCKS]
        return np.stack(
            (
                num[:, DECODING] + num[:, FILLING],
                num[:, QUEUED],
                1 - num[:, FREE] / blocks,
                num[:, ALIVE],
                self.replicas.worked_by(self.driver.now),
                self.replicas.given_by(self.driver.now),
            )
        )

    def columns(self) -> dict[str, Any]:
        """The timeline as `eke.types.run.TIMELINE` says."""
        last = self.driver.now
        if not self._rows or self._rows[-1][0] < last:
            self._rows.append((last, self.driver.waiting, self._state()))
        times = np.array([row[0] for row in self._rows])
        queued = np.array([row[1] for row in self._rows])
        state = np.stack([row[2] for row in self._rows])  # sample, what, replica
        count = state.shape[2]
        passed = np.diff(times, prepend=times[0])[:, None]
        worked, given = (np.diff(state[:, i], axis=0, prepend=state[:1, i]) for i in (4, 5))
        busy = np.divide(worked, passed, out=np.zeros_like(worked), where=passed > 0)
        return {
            "time": np.repeat(times, count),
            "replica": np.tile(np.arange(count, dtype=np.int32), len(times)),
            "running": state[:, 0].astype(np.int32).ravel(),
            "waiting": state[:, 1].astype(np.int32).ravel(),
            "queued": np.repeat(queued.astype(np.int32), count),
            "cache": state[:, 2].astype(np.float32).ravel(),
            "busy": np.minimum(busy, 1.0).astype(np.float32).ravel(),
            "tokens": given.ravel(),
            "alive": state[:, 3].astype(np.int8).ravel(),
        }
