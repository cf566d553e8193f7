"""The replicas of a deployment as the driver keeps them: reports, hand-overs, coming and going."""

from __future__ import annotations

from typing import Any

import numpy as np

from eke.policy.protocol import EngineReport
from eke.simulation.deployment import Deployment
from eke.simulation.driver import Driver
from eke.simulation.engine import gates
from eke.simulation.engine.advance import ALL
from eke.simulation.engine.layout import (
    ALIVE,
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
SAID = (
    max(DECODING, FILLING, QUEUED, FREE, ALIVE) + 1
)  # numbers of a replica that a report is made of


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
        self._done = [0.0] * count  # tokens at the last report, and time worked
        self._worked = [0.0] * count
        last, share = deployment.halves[-1], deployment.halves[-1].count / self.entries
        entry = deployment.halves[0].replica
        self._slots = max(int(last.replica.most * share), 1)
        self._room = int(last.replica.blocks * last.replica.block * share)
        self._whole, self._block = entry.blocks * entry.block, entry.block
        self._link_free = np.zeros(count)
        self.works = Works(self, driver)
        driver.hand_over, driver.stale = self.hand_over, watch.late > 0

    def alive(self, replica: int) -> bool:
        """Whether it takes requests."""
        return bool(self.driver.ledger.world.num[replica, ALIVE])

    # --- reports ------------------------------------------------------------------------------

    def report(self, again: Any) -> None:
        """Every engine says how it is, heard at once or a little later."""
        w = self.driver.ledger.world
        num = w.num[: self.entries, :SAID].tolist()
        flt = w.flt[: self.entries, (BUSY, GIVEN, TAKEN)].tolist()
        for each in range(self.entries):
            self._say(self._state(each, num[each], flt[each]))
        self.driver.at(self.driver.now + self.watch.report, self._again, None, regular=True)

    def _again(self, about: Any) -> None:
        self.driver.regular -= 1
        self.report(about)

    def report_one(self, replica: int) -> None:
        """One engine says how it is."""
        w = self.driver.ledger.world
        flt = w.flt[replica, (BUSY, GIVEN, TAKEN)].tolist()
        self._say(self._state(replica, w.num[replica, :SAID].tolist(), flt))

    def _say(self, report: EngineReport) -> None:
        driver = self.driver
        if self.watch.late and report.as_of > 0:
            driver.at(driver.now + self.watch.late, self._heard, report, regular=True)
        else:
            driver.tell(report)

    def _heard(self, report: EngineReport) -> None:
        self.driver.regular -= 1
        self.driver.tell(report)

    def _state(self, replica: int, num: list[int], flt: list[float]) -> EngineReport:
        """What an engine says of itself; the half that takes prompts in speaks for both."""
        return EngineReport(
            replica,
            self.driver.now,
            self._slots,
            self._room,
            num[DECODING] + num[FILLING],
            num[QUEUED],
            self._whole - num[FREE] * self._block,
            self.deployment.longest,
            bool(num[ALIVE]),
            self.deployment.job.model.id,
            self._pace(replica, *flt),
        )

    def _pace(self, replica: int, busy: float, given: float, taken: float) -> float | None:
        """Seconds per token of the work done since the last report."""
        done, spent = given + taken - self._done[replica], busy - self._worked[replica]
        if done < 1 or spent <= 0:
            return None
        self._done[replica] += done
        self._worked[replica] = busy
        return spent / done

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
        gates.enqueue(driver.ledger.address, best, request, driver.now, ALL)
        w.times[request, STARTED] = started

    # --- replicas that come and go ------------------------------------------------------------

    def fail(self, replica: int) -> None:
        """A replica loses all that it holds."""
        driver = self.driver
        driver.settle()  # a policy has to know of a start before it hears that it came to nothing
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
