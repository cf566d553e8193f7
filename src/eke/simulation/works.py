"""Work that takes a whole replica, such as fine-tuning, while nobody else needs it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from eke.errors import BadInput
from eke.policy.protocol import Finished
from eke.simulation.driver import Driver
from eke.simulation.engine.layout import (
    ALIVE,
    DECODING,
    FILLING,
    FINISHED,
    OUTCOME,
    QUEUED,
    REPLICA,
    STARTED,
)
from eke.types import run as codes
from eke.types.request import Request

if TYPE_CHECKING:
    from eke.simulation.replicas import Replicas


class Works:
    """Jobs of whole replicas: they pause and go on where they were."""

    def __init__(self, replicas: Replicas, driver: Driver) -> None:
        self.driver = driver
        self._spent = np.zeros(len(replicas.half))  # time of each on jobs not under way now [s]
        self._jobs: dict[int, tuple[Request, int, float]] = {}  # number → it, where, since when
        self._has: dict[int, int] = {}  # replica → number
        self._left: dict[int, float] = {}  # of one that was stopped, what is left to do [s]
        driver.begin_work, driver.stop_work = self.begin, self.stop

    def begin(self, request: Request, replica: int) -> None:
        """Work begins, or goes on. Raises BadInput where the replica is not idle."""
        driver, number = self.driver, request.id
        w = driver.ledger.world
        num = w.num[replica]
        if driver.stale and not num[ALIVE]:
            driver.come_back(number)
            return
        if replica in self._has or num[DECODING] + num[FILLING] + num[QUEUED] or not num[ALIVE]:
            raise BadInput(
                f"the policy gave engine {replica} work of a whole replica at {driver.now:.6g} s, "
                "but it is not idle. Run eke.policy.contract.check on it."
            )
        w.count[number, OUTCOME], w.count[number, REPLICA] = codes.RUNNING, replica
        w.times[number, STARTED] = driver.now
        self._jobs[number] = (request, replica, driver.now)
        self._has[replica] = number
        driver.waiting -= 1
        driver.flying += 1
        left = self._left.get(number, request.work)
        driver.coming += 1
        driver.at(driver.now + left, self._ends, (number, driver.now))

    def stop(self, number: int) -> None:
        """Work pauses; what it has done is kept."""
        if number not in self._jobs:
            raise BadInput(f"the policy stopped request {number}, which is not started.")
        self._put_back(number)
        self.driver.waits_again(number)

    def lose(self, replica: int) -> list[int]:
        """What a replica that died had of such work."""
        number = self._has.get(replica)
        if number is None:
            return []
        self._put_back(number)
        return [number]

    def spent_by(self, now: float) -> Any:
        """Time each replica has spent on them up to `now` [s]."""
        found = self._spent.copy()
        for _, replica, since in self._jobs.values():
            found[replica] += now - since
        return found

    def _put_back(self, number: int) -> None:
        request, replica, since = self._jobs.pop(number)
        del self._has[replica]
        spent = self.driver.now - since
        self._spent[replica] += spent
        self._left[number] = max(self._left.get(number, request.work) - spent, 0.0)

    def _ends(self, about: tuple[int, float]) -> None:
        number, since = about
        driver: Any = self.driver
        driver.coming -= 1
        if number not in self._jobs or self._jobs[number][2] != since:
            return  # it was stopped in between
        _, replica, _ = self._jobs.pop(number)
        del self._has[replica]
        self._spent[replica] += driver.now - since
        w = driver.ledger.world
        w.count[number, OUTCOME], w.times[number, FINISHED] = codes.FINISHED, driver.now
        driver.works.pop(number, None)
        driver.flying -= 1
        driver.tell(Finished(number, 0, 0))
