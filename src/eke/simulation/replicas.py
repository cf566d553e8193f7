"""The replicas of a deployment as the driver keeps them: reports, hand-overs, coming and going."""

from __future__ import annotations

from typing import Any

import numpy as np

from eke.policy.protocol import EngineReport
from eke.simulation.deployment import Deployment
from eke.simulation.driver import Driver
from eke.simulation.engine import gates
from eke.simulation.engine.layout import (
    ALIVE,
    BLOCK,
    BLOCKS,
    BUSY,
    CLOCK,
    DECODING,
    EMITTED,
    END,
    FILLING,
    FREE,
    GIVEN,
    KIND,
    OUTCOME,
    PENDING,
    PROMPT,
    QUEUED,
    STARTED,
    TAKEN,
)
from eke.simulation.watch import Watch
from eke.simulation.works import Works
from eke.types import run as codes

LOST = "its engine failed"


class Replicas:
    """All replicas; the first ones are those that a policy hands requests to.

    half: the part of the plan each belongs to.  entries: how many a policy sees.  there: whether
    it is paid for, taking requests or not.  held: time it was paid for up to `since` [s].
    """

    def __init__(self, deployment: Deployment, driver: Driver, watch: Watch) -> None:
        self.deployment, self.driver, self.watch = deployment, driver, watch
        self.half = np.repeat(
            np.arange(len(deployment.halves)), [h.count for h in deployment.halves]
        )
        self.entries = deployment.halves[0].count
        count = len(self.half)
        self.held, self.since = np.zeros(count), np.zeros(count)
        self.there = np.ones(count, dtype=bool)  # rented, whether it takes requests or not
        self._done = np.zeros(count)  # tokens at the last report, and time worked
        self._worked = np.zeros(count)
        self._link_free = np.zeros(count)
        self.works = Works(self, driver)
        driver.hand_over = self.hand_over

    def alive(self, replica: int) -> bool:
        """Whether it takes requests."""
        return bool(self.driver.ledger.world.num[replica, ALIVE])

    # --- reports ------------------------------------------------------------------------------

    def report(self, again: Any) -> None:
        """Every engine says how it is, heard at once or a little later."""
        for each in range(self.entries):
            self.report_one(each)
        self.driver.at(self.driver.now + self.watch.report, self._again, None, regular=True)

    def _again(self, about: Any) -> None:
        self.driver.regular -= 1
        self.report(about)

    def report_one(self, replica: int) -> None:
        """One engine says how it is."""
        report = self._state(replica)
        driver = self.driver
        if self.watch.late and report.as_of > 0:
            driver.at(driver.now + self.watch.late, self._heard, report, regular=True)
        else:
            driver.tell(report)

    def _heard(self, report: EngineReport) -> None:
        self.driver.regular -= 1
        self.driver.tell(report)

    def _state(self, replica: int) -> EngineReport:
        """What an engine says of itself; the half that takes prompts in speaks for both."""
        w = self.driver.ledger.world
        last = self.deployment.halves[-1].replica
        share = self.deployment.halves[-1].count / self.entries
        num = w.num[replica]
        room = int(last.blocks * last.block * share)
        free = int(num[FREE]) * int(w.shape[0, BLOCK])
        whole = int(w.shape[0, BLOCKS]) * int(w.shape[0, BLOCK])
        return EngineReport(
            replica,
            self.driver.now,
            max(int(last.most * share), 1),
            room,
            int(num[DECODING] + num[FILLING]),
            int(num[QUEUED]),
            whole - free,
            self.deployment.longest,
            bool(num[ALIVE]),
            self.deployment.job.model.id,
            self._pace(replica),
        )

    def _pace(self, replica: int) -> float | None:
        """Seconds per token of the work done since the last report."""
        flt = self.driver.ledger.world.flt[replica]
        done, time = flt[GIVEN] + flt[TAKEN] - self._done[replica], flt[BUSY]
        spent = time - self._worked[replica]
        if done < 1 or spent <= 0:
            return None
        self._done[replica] += done
        self._worked[replica] = time
        return float(spent / done)

    def look(self) -> None:
        """Watching ends: count the tokens of answers that are under way."""
        for replica in range(len(self.half)):
            gates.look(self.driver.ledger.address, replica, self.driver.now)

    def worked_by(self, now: float) -> Any:
        """Time each replica has worked up to `now`, the steps under way included [s]."""
        w = self.driver.ledger.world
        since, until = w.flt[:, CLOCK], w.flt[:, END]
        begun = np.where(w.num[:, PENDING] > 0, np.clip(now, since, until) - since, 0.0)
        return w.flt[:, BUSY] + begun + self.works.spent_by(now)

    def given_by(self, now: float) -> Any:
        """Tokens of answers each replica has given up to `now`; steps of the stretch under way
        count as equally long."""
        w = self.driver.ledger.world
        since, steps = w.flt[:, CLOCK], w.num[:, PENDING]
        length = np.where(steps > 1, w.flt[:, END] - since, np.inf)
        done = np.floor(steps * np.clip((now - since) / length, 0.0, 1.0))
        emitted = w.table[w.num[:, KIND], EMITTED]
        return w.flt[:, GIVEN] + w.num[:, DECODING] * done * emitted

    # --- from one half of a plan to the other ------------------------------------------------

    def hand_over(self, request: int, replica: int, now: float) -> None:
        """Send a prompt's keys and values on: one after the other over the sender's link."""
        at_once, each = self.deployment.handover
        tokens = int(self.driver.ledger.world.count[request, PROMPT])
        begins = max(now, float(self._link_free[replica]))
        self._link_free[replica] = begins + tokens * each
        self.driver.coming += 1
        self.driver.at(begins + tokens * each + at_once, self._enters, request)

    def _enters(self, request: int) -> None:
        """A request goes on where fewest are."""
        driver, w = self.driver, self.driver.ledger.world
        driver.coming -= 1
        if w.count[request, OUTCOME] != codes.RUNNING:
            return
        second = slice(self.entries, len(self.half))
        load = w.num[second, DECODING] + w.num[second, FILLING] + w.num[second, QUEUED]
        load = np.where(w.num[second, ALIVE] > 0, load, np.iinfo(np.int64).max)
        best = self.entries + int(np.argmin(load))
        if not self.alive(best):
            driver.fail(request, LOST)
            return
        started = float(w.times[request, STARTED])
        w.count[request, OUTCOME] = codes.WAITING
        gates.enqueue(driver.ledger.address, best, request, driver.now)
        w.times[request, STARTED] = started

    # --- replicas that come and go ------------------------------------------------------------

    def fail(self, replica: int) -> None:
        """A replica loses all that it holds."""
        driver = self.driver
        lost: list[int] = []
        while many := gates.drop_all(driver.ledger.address, replica, driver.now):
            lost += driver.ledger.world.told[:many, 1].tolist()
            if not driver.ledger.world.num[replica, QUEUED]:
                break
        lost += self.works.lose(replica)
        if replica < self.entries:
            self.report_one(replica)
        for request in lost:
            driver.fail(request, LOST)

    def start(self, replica: int) -> None:
        """A replica takes requests from now on."""
        gates.begin(self.driver.ledger.address, replica)
        self.rent(replica)
        if replica < self.entries:
            self.report_one(replica)

    def rent(self, replica: int) -> None:
        """A replica is paid for from now on."""
        if not self.there[replica]:
            self.there[replica], self.since[replica] = True, self.driver.now

    def give_up(self, replica: int) -> None:
        """A replica is paid for no more."""
        if self.there[replica]:
            self.held[replica] += self.driver.now - self.since[replica]
            self.there[replica] = False

    def held_by(self, now: float) -> Any:
        """Time each replica has been paid for up to `now` [s]."""
        return self.held + np.where(self.there, now - self.since, 0.0)
