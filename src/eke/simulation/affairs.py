"""What becomes of requests: what the policy wants done with them, how they end, who follows.

The driver's clock calls this; nothing here advances it.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappush
from typing import Any

from eke.errors import BadInput
from eke.policy.protocol import (
    Action,
    Arrived,
    EngineReport,
    Event,
    Failed,
    Lane,
    Left,
    Policy,
    Reject,
    Start,
    Stop,
)
from eke.simulation.engine import gates
from eke.simulation.engine.advance import ALL, NOT_THERE, NOT_WAITING, TOO_LONG
from eke.simulation.engine.layout import (
    ARRIVED,
    FINISHED,
    FIRST,
    OUTCOME,
    REPLICA,
    STORED,
    TOKENS,
)
from eke.simulation.ledger import Ledger
from eke.simulation.source import Source
from eke.types import run as codes
from eke.types.record import replace
from eke.types.request import Request

TOO_LARGE = "does not fit into the cache"
IMPATIENT = "the client left"
GONE = "its engine is gone"

Happening = Callable[[Any], None]


class Affairs:
    """The requests of one run.

    now: of the last happening [s].  waiting, flying: requests that the policy holds, and that
    engines have.  coming: followers whose time is known.  calendar: what is planned; `regular` of
    it comes again and again and keeps nothing going.  stale: whether the policy may have heard late
    of engines that are gone.
    """

    def __init__(
        self,
        source: Source,
        ledger: Ledger,
        policy: Policy,
        users: int | None = None,
        patience: float | None = None,
    ) -> None:
        self.source, self.ledger, self.policy = source, ledger, policy
        self.users, self.patience = users, patience
        self.now = 0.0
        self.stale = False
        self.waiting = self.flying = self.coming = 0
        self.calendar: list[tuple[float, int, Happening, Any]] = []
        self.regular = 0
        self.reasons: dict[str, int] = {"": 0}
        self.reason_of: dict[int, int] = {}
        self.remarks: list[str] = []
        self.hand_over: Callable[[int, int, float], None] = _nobody
        self.works: dict[int, Request] = {}
        self.begin_work: Callable[[Request, int], None] = _nobody
        self.stop_work: Callable[[int], None] = _nobody
        self._advance, self._enqueue, self._play_lane = gates.entries()
        self._untold: int | None = None  # first request in lanes that the policy was not told of
        self._lane: Lane | None = None
        self._gone: list[int] = []  # who was under way before and is over
        self._counter = 0
        self._quiet = 0
        self._came: dict[int, int] = {}  # of a closed loop: request → first of its conversation
        self._open: dict[int, int] = {}  # first of a conversation → requests of it not yet over

    def at(self, time: float, what: Happening, about: Any = None, regular: bool = False) -> None:
        """Plan something. What is planned for one moment happens in the order of planning."""
        self._counter += 1
        self.regular += regular
        heappush(self.calendar, (time, self._counter, what, about))

    def tell(self, event: Event) -> None:
        """An event to the policy, and what it wants done."""
        if self._untold is not None and type(event) is not EngineReport:
            self.settle()
        if actions := self.policy.on(event, self.now):
            self._act(actions)

    def settle(self) -> None:
        """Tell the policy what came of lanes, where there are any."""
        raise NotImplementedError  # lanes are the clock's

    def _comes(self, request: Request) -> None:
        """A request comes."""
        self.waiting += 1
        self._quiet = 0
        if request.work:
            self.works[request.id] = request
        elif self.patience is not None:
            self.at(self.now + self.patience, self._lose_patience, request.id)
        self.tell(Arrived(request))

    def _act(self, actions: list[Action]) -> None:
        """Do what the policy wants."""
        now, address = self.now, self.ledger.address
        for action in actions:
            if type(action) is Start:
                request = action.request
                if self.works and request in self.works:
                    self.begin_work(self.works[request], action.engine)
                    continue
                if action.rung:
                    self.reason_of[request] = self.code(action.rung)
                self.waiting -= 1
                self.flying += 1
                said = self._enqueue(address, action.engine, request, now, action.most or ALL)
                if said:
                    self._not_taken(request, action.engine, said)
            elif type(action) is Reject:
                self.refuse(action.request, action.reason)
            elif type(action) is Stop:
                self._stop(action)
            else:
                raise BadInput(f"the policy answered {action!r:.80}; expected Start, Reject, Stop.")

    def _not_taken(self, request: int, engine: int, said: int) -> None:
        self.waiting += 1
        self.flying -= 1
        if said == TOO_LONG:
            self.refuse(request, TOO_LARGE)
            self.tell(Left(request))
            return
        if said == NOT_THERE and self.stale:
            self.come_back(request)
            return
        what = "which does not wait" if said == NOT_WAITING else "which takes no requests"
        whom = f"request {request}" if said == NOT_WAITING else f"engine {engine}"
        raise BadInput(
            f"the policy started request {request} on engine {engine} at {self.now:.6g} s: "
            f"{whom}, {what}. Run eke.policy.contract.check on it."
        )

    def come_back(self, request: int) -> None:
        """A start on an engine that is gone comes to nothing."""
        self.at(self.now, self._comes_back, request)

    def _comes_back(self, request: int) -> None:
        if self.ledger.world.count[request, OUTCOME] == codes.WAITING:
            self.tell(Failed(request, GONE))

    def code(self, reason: str) -> int:
        """The code of a reason, a new one where it was never given."""
        return self.reasons.setdefault(reason, len(self.reasons))

    def refuse(self, request: int, reason: str) -> None:
        """A waiting request is told no."""
        self.waiting -= 1
        self.works.pop(request, None)
        self._end(request, codes.REFUSED, reason)

    def _end(self, request: int, outcome: int, reason: str) -> None:
        w = self.ledger.world
        w.count[request, OUTCOME], w.times[request, FINISHED] = outcome, self.now
        self.reason_of[request] = self.code(reason)
        if self.source.followers or self.users is not None:
            self._over(request, answered=False)

    def _stop(self, action: Stop) -> None:
        """Take a request back; it waits again."""
        request = action.request
        if self.works and request in self.works:
            self.stop_work(request)
            return
        w = self.ledger.world
        if w.count[request, OUTCOME] != codes.RUNNING:
            raise BadInput(f"the policy stopped request {request}, which is not started.")
        gates.withdraw(self.ledger.address, int(w.count[request, REPLICA]), request, self.now)
        self.waits_again(request)

    def waits_again(self, request: int) -> None:
        """What was computed of a request is lost, and the policy has it again."""
        counts = self.ledger.world.count
        counts[request, OUTCOME], counts[request, TOKENS] = codes.WAITING, 0
        counts[request, STORED] = 0
        self.flying -= 1
        self.waiting += 1

    def fail(self, request: int, reason: str) -> None:
        """What was started of a request came to nothing."""
        tokens = int(self.ledger.world.count[request, TOKENS])
        self.waits_again(request)
        self.tell(Failed(request, reason, tokens))

    def _lose_patience(self, request: int) -> None:
        """A client that has waited long enough for its first token goes away."""
        w = self.ledger.world
        outcome = int(w.count[request, OUTCOME])
        begun = bool(w.times[request, FIRST] <= self.now)
        if begun or outcome not in (codes.WAITING, codes.RUNNING):
            return
        if outcome == codes.RUNNING:
            gates.withdraw(self.ledger.address, int(w.count[request, REPLICA]), request, self.now)
            self.flying -= 1
        else:
            self.waiting -= 1
        self._end(request, codes.STOPPED, IMPATIENT)
        self.tell(Left(request))

    def _over(self, request: int, answered: bool = True) -> None:
        """Who follows a request comes when it is answered; in a closed loop the next user when all
        of a conversation is."""
        following = self.source.followers.pop(request, []) if answered else []
        for follower in following:
            self.coming += 1
            self.at(self.now + follower.arrived, self._follows, follower)
        if self.users is not None:
            self._conversation(request, following)

    def _conversation(self, request: int, following: list[Request]) -> None:
        """Count what is open of a conversation; when nothing is, the next user comes."""
        first = self._came.pop(request, request)
        for follower in following:
            self._came[follower.id] = first
        left = self._open.pop(first, 1) - 1 + len(following)
        if left:
            self._open[first] = left
        else:
            self._next_user(self.now)

    def _follows(self, request: Request) -> None:
        """A request comes that followed another."""
        self.coming -= 1
        self.ledger.world.times[request.id, ARRIVED] = self.now
        self._comes(replace(request, arrived=self.now))

    def _next_user(self, now: float) -> None:
        """In a closed loop, the next request in line comes after its pause."""
        if self.source.refill():
            request = self.source.line.pop()
            self.coming += 1
            self.at(now + request.arrived, self._follows, request)


def _nobody(*about: Any) -> None:
    raise BadInput("nothing is set up for that.")
