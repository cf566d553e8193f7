"""What happens to replicas beside their work: they fail, and they come and go with the load."""

from __future__ import annotations

from math import ceil
from typing import Any

import numpy as np

from eke.simulation.driver import Driver
from eke.simulation.engine.layout import ALIVE, DECODING, FILLING, QUEUED
from eke.simulation.replicas import Replicas
from eke.simulation.watch import Failures, Scaling


class Failing:
    """Replicas fail after exponentially distributed times, and start again."""

    def __init__(self, driver: Driver, replicas: Replicas, rule: Failures, seed: int) -> None:
        self.driver, self.replicas, self.rule = driver, replicas, rule
        self.count = 0
        self._random = np.random.default_rng(np.random.SeedSequence([seed, 7]))
        for replica in range(len(replicas.half)):
            self._plan(replica)

    def _plan(self, replica: int) -> None:
        after = self._random.exponential(self.rule.every)
        self.driver.at(self.driver.now + after, self._fails, replica, regular=True)

    def _fails(self, replica: int) -> None:
        self.driver.regular -= 1
        if not self.replicas.alive(replica):
            self._plan(replica)  # out of service: nothing can fail
            return
        self.count += 1
        self.replicas.fail(replica)
        self.driver.at(self.driver.now + self.rule.restart, self._starts, replica)

    def _starts(self, replica: int) -> None:
        if self.replicas.there[replica]:
            self.replicas.start(replica)
        self._plan(replica)


class Growing:
    """Replicas start when the load is above what the running ones should carry, and go when it has
    long been below; one that goes finishes what it has first."""

    def __init__(self, driver: Driver, replicas: Replicas, rule: Scaling) -> None:
        self.driver, self.replicas, self.rule = driver, replicas, rule
        self.starting: set[int] = set()
        self.leaving: set[int] = set()
        self._low_since: float | None = None
        self.starts = 0
        for replica in range(rule.least, replicas.entries):
            replicas.driver.ledger.world.num[replica, ALIVE] = 0
            replicas.there[replica] = False
        self._plan()

    def _plan(self) -> None:
        self.driver.at(self.driver.now + self.rule.every, self._look, None, regular=True)

    def _look(self, about: Any) -> None:
        """Compare what runs with what should."""
        self.driver.regular -= 1
        num = self.driver.ledger.world.num[: self.replicas.entries]
        inside = num[:, DECODING] + num[:, FILLING] + num[:, QUEUED]
        for replica in sorted(self.leaving):
            if inside[replica] == 0:
                self.leaving.discard(replica)
                self.replicas.give_up(replica)
        load = int(inside.sum()) + self.driver.waiting
        places = self.replicas.deployment.halves[0].replica.most * self.rule.target
        wanted = min(max(ceil(load / places), self.rule.least), self.replicas.entries)
        running = [r for r in range(self.replicas.entries) if num[r, ALIVE]]
        self._towards(wanted, running)
        self._plan()

    def _towards(self, wanted: int, running: list[int]) -> None:
        have = len(running) + len(self.starting)
        if wanted > have:
            self._low_since = None
            self._more(wanted - have)
        elif wanted == have:
            self._low_since = None
        elif self._low_since is None:
            self._low_since = self.driver.now
        elif self.driver.now - self._low_since >= self.rule.calm and len(running) > self.rule.least:
            self._low_since = self.driver.now
            self._drain(running[-1])

    def _more(self, many: int) -> None:
        """Start replicas; those that are just leaving come back at once."""
        for replica in range(self.replicas.entries):
            if many == 0:
                return
            if replica in self.leaving:
                self.leaving.discard(replica)
                self.driver.ledger.world.num[replica, ALIVE] = 1
                self.replicas.report_one(replica)
            elif not self.replicas.there[replica]:
                self.starting.add(replica)
                self.starts += 1
                self.replicas.rent(replica)
                self.driver.at(self.driver.now + self.rule.start, self._ready, replica)
            else:
                continue
            many -= 1

    def _ready(self, replica: int) -> None:
        self.starting.discard(replica)
        self.replicas.start(replica)

    def _drain(self, replica: int) -> None:
        """No more requests for a replica; it is given back when it has none left."""
        self.leaving.add(replica)
        self.driver.ledger.world.num[replica, ALIVE] = 0
        self.replicas.report_one(replica)
