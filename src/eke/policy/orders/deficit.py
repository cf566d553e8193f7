"""Fair queueing of tenants in rounds, which keeps requests with the same prefix together."""

from __future__ import annotations

from collections import OrderedDict, deque

from eke.policy.orders.order import Order
from eke.policy.orders.use import size
from eke.policy.orders.weights import checked
from eke.policy.says import Says
from eke.types.request import Request

KEPT = 1024  # tenants, before those of whom nothing need be remembered are forgotten
RUN = 32  # requests of one prefix in a row, before the first of the round goes


class Account:
    """What is known of one tenant.

    credit: tokens it may still start in this round.  rounds: in which it was given credit.
    stands: whether it is in the ring.  flying: requests started.
    """

    __slots__ = ("credit", "flying", "name", "queue", "rounds", "stands", "weight")

    def __init__(self, name: str, weight: float) -> None:
        self.name, self.weight = name, weight
        self.credit = 0.0
        self.queue: OrderedDict[int, Request] = OrderedDict()
        self.rounds = self.flying = 0
        self.stands = False


class Deficit(Order):
    """In each round a tenant may start as many tokens as its credit; what it overdraws it owes.

    Whoever has credit and shares the prefix that was started last goes before its turn, so that
    the engine's cache is used; credit keeps that fair. Forecasts are charged when a request starts
    and put right, less what the cache saved, when it ends.
    Source: shreedhar1995 (deficit round robin), cao2025 (with prefixes).

    weights: tenant → weight; 1 for others.  quantum: credit per round and weight [tokens].
    """

    __slots__ = (
        *("accounts", "hot", "kept", "quantum", "ring", "rounds", "row", "stems", "weights"),
    )

    counts = True

    def __init__(self, weights: dict[str, float] | None = None, quantum: float = 4096.0) -> None:
        super().__init__()
        self.weights, self.quantum = checked(weights), quantum
        self.accounts: dict[str, Account] = {}
        self.ring: deque[Account] = deque()  # of tenants that wait; the first has its turn
        self.stems: dict[int, OrderedDict[int, Request]] = {}
        self.hot: int | None = None  # prefix started last
        self.row = 0  # of it, in a row
        self.rounds = 0
        self.kept = KEPT

    def push(self, request: Request) -> None:
        self._wait(request, self.accounts.get(request.tenant) or self._met(request.tenant))

    def back(self, request: Request) -> None:
        account = self.accounts.get(request.tenant) or self._met(request.tenant)
        self._wait(request, account)
        account.queue.move_to_end(request.id, last=False)

    def undo(self, request: Request) -> None:
        account = self.accounts[request.tenant]
        account.flying -= 1
        account.credit += size(request)

    def peek(self, now: float) -> Request | None:
        if self.hot in self.stems and self.row < RUN:
            request = next(iter(self.stems[self.hot].values()))
            if self.accounts[request.tenant].credit > 0:
                return request
        ring = self.ring
        while ring:
            account = ring[0]
            if not account.queue:
                ring.popleft().stands = False
            elif account.credit > 0:
                return next(iter(account.queue.values()))
            else:
                account.credit += self.quantum * account.weight
                account.rounds += 1
                if account.rounds > self.rounds:
                    self.rounds = account.rounds
                ring.rotate(-1)
        return None

    def take(self, request: Request) -> None:
        self._charge(request, self.accounts[request.tenant])
        self.drop(request)

    def through(self, request: Request) -> None:
        account = self.accounts.get(request.tenant) or self._met(request.tenant)
        account.credit = self._owed(account)
        account.rounds = self.rounds
        self._charge(request, account)

    def drop(self, request: Request) -> None:
        del self.waiting[request.id]
        account = self.accounts[request.tenant]
        del account.queue[request.id]
        if not account.queue:
            account.credit = min(account.credit, 0.0)
        if request.stem is not None:
            line = self.stems[request.stem]
            del line[request.id]
            if not line:
                del self.stems[request.stem]

    def ended(self, request: Request, tokens: int | None, cached: int) -> None:
        account = self.accounts[request.tenant]
        account.flying -= 1
        if tokens is not None:
            account.credit += size(request) - (request.prompt - cached + tokens)
            if not account.queue:
                account.credit = min(account.credit, 0.0)

    def ahead(self, request: Request) -> float:
        account = self.accounts.get(request.tenant) or self._met(request.tenant)
        own = len(account.queue)
        if request.id in account.queue:
            own = list(account.queue).index(request.id)
        others = len(self.waiting) - len(account.queue)
        return own + min(others, (own + 0.5) * (len(self.ring) or 1))

    def precedes(self, request: Request, head: Request, now: float) -> bool:
        """It may overdraw as much as a round of waiting would have given it."""
        account = self.accounts.get(request.tenant)
        return account is None or self._owed(account) > -self.quantum * account.weight

    def says(self) -> Says:
        return Says(service=self.service, gap=self.gap)

    def service(self, request: Request, tokens: float) -> float:
        """What an answer of so many tokens counts, with its prompt, over the tenant's weight."""
        return (request.prompt + tokens) / self.weights.get(request.tenant, 1.0)

    def gap(self, prompt: float, answer: float, room: float) -> float:
        """Most by which the service of two tenants who always wait differs.

        prompt, answer: longest there are.  room: all that engines hold [tokens].
        Per unit of weight tenants who wait get the same credit, up to one round's; at either end a
        quantum may be left or a request overdrawn, and at the first one more quantum where a place
        was kept. The rest is as for `Fair`.
        Source: shreedhar1995 (theorem on fairness).
        """
        least = min([1.0, *self.weights.values()])
        return 3 * self.quantum + 2 * (prompt + answer + 2 * room) / least

    def _charge(self, request: Request, account: Account) -> None:
        """A request of a tenant starts."""
        account.credit -= size(request)
        account.flying += 1
        same = request.stem is not None and request.stem == self.hot
        self.row = self.row + 1 if same else 0
        self.hot = request.stem

    def _wait(self, request: Request, account: Account) -> None:
        """A request stands in the lines of its tenant and its prefix."""
        number = request.id
        self.waiting[number] = request
        if not account.queue:
            account.credit = self._owed(account)
            account.rounds = self.rounds
            if not account.stands:
                account.stands = True
                self.ring.append(account)
        account.queue[number] = request
        if request.stem is not None:
            self.stems.setdefault(request.stem, OrderedDict())[number] = request

    def _owed(self, account: Account) -> float:
        """Credit of a tenant that did not wait: rounds without it paid what it owes, no more."""
        missed = (self.rounds - account.rounds) * self.quantum * account.weight
        return min(0.0, account.credit + missed)

    def _met(self, name: str) -> Account:
        """A tenant that was not known, or was forgotten."""
        if len(self.accounts) >= self.kept:
            self.accounts = {
                each.name: each
                for each in self.accounts.values()
                if each.stands or each.flying or self._owed(each) < 0
            }
            self.kept = max(KEPT, 2 * len(self.accounts))
        account = self.accounts[name] = Account(name, self.weights.get(name, 1.0))
        return account
