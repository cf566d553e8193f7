"""What is counted adds up: engines' time, and what tenants may use."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from math import ceil, inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eke.gateway.engines.meter import Meter
from eke.gateway.ledger import FREE, Hold, Leave, Ledger, Told, Use
from eke.gateway.refusal import Refusal
from eke.gateway.settings import Limit, Tenant
from eke.types.record import replace

steps = st.lists(
    st.tuples(st.sampled_from(["begin", "end", "read"]), st.floats(0, 10), st.floats(0.5, 1e6)),
    max_size=60,
)


@given(steps)
def test_shares_and_idle_time_are_the_time_that_passed(
    plan: list[tuple[str, float, float]],
) -> None:
    meter, now, open_, shares = Meter(0.0), 0.0, [], 0.0
    for what, wait, weight in plan:
        now += wait
        if what == "begin":
            open_.append((meter.begin(weight, now), weight))
        elif what == "end" and open_:
            share = meter.end(*open_.pop(int(weight) % len(open_)), now)
            assert share >= -1e-9 * now
            shares += share
        else:
            busy, idle = meter.read(now)
            assert busy + idle == pytest.approx(now)
    while open_:
        now += 1.0
        shares += meter.end(*open_.pop(), now)
    busy, idle = meter.read(now + 5.0)
    assert shares == pytest.approx(busy, rel=1e-6, abs=1e-6)
    assert busy + idle == pytest.approx(now + 5.0)


@given(st.lists(st.floats(0.5, 100.0), min_size=1, max_size=10), st.floats(0.1, 10.0))
def test_time_is_shared_by_weight(weights: list[float], seconds: float) -> None:
    meter = Meter(0.0)
    marks = [(meter.begin(weight, 0.0), weight) for weight in weights]
    virtual = seconds / sum(weights)
    assert meter.end(*marks[0], seconds) == pytest.approx(weights[0] * virtual)


def asks(tokens: float) -> Use:
    return Use(1.0, tokens, tokens * 1e-6, tokens * 1e-3)


def tenant(*limits: Limit, name: str = "a") -> Tenant:
    return Tenant(name=name, limits=limits)


DAY = Limit(what="tokens", amount=1000.0, period=86400.0, text="1k tokens/day")
MINUTE = Limit(what="requests", amount=5.0, period=60.0)

calls = st.lists(
    st.tuples(
        st.sampled_from(["ask", "end"]),
        st.integers(1, 600),  # tokens that it may take
        st.floats(0.0, 1.0),  # share of them that it takes
        st.floats(0.0, 20.0),  # wait before [s]
    ),
    max_size=80,
)


@given(calls, st.sampled_from([(DAY,), (MINUTE,), (DAY, MINUTE)]))
def test_a_limit_is_passed_by_one_request_at_most(plan: list, limits: tuple[Limit, ...]) -> None:
    ledger, who, wall = Ledger(), tenant(*limits), 1e9
    flying: list[tuple[Hold, float]] = []
    used: defaultdict[tuple[str, int], float] = defaultdict(float)
    most = max([tokens for _, tokens, _, _ in plan], default=0)
    for what, tokens, share, wait in plan:
        wall += wait
        if what == "ask":
            try:
                hold = ledger.reserve(who, asks(tokens), wall)
            except Refusal as refusal:
                assert refusal.status == 429
                continue
            assert hold is not None
            flying.append((hold, tokens * share))
        elif flying:
            hold, took = flying.pop(tokens % len(flying))
            ledger.settle(hold, asks(took))
            for window in hold.windows:
                used[window.limit.name, window.index] += asks(took).of(window.limit.what)
        for hold, _ in flying:
            for window in hold.windows:
                step = 1.0 if window.limit.what == "requests" else most
                assert window.used + window.reserved < window.limit.amount + step
                assert window.flying >= 1
    for hold, took in flying:
        ledger.settle(hold, asks(took))
    for limit in limits:
        assert all(
            amount < limit.amount + (1.0 if limit.what == "requests" else most)
            for (name, _), amount in used.items()
            if name == limit.name
        )


class Bank:
    """Where budgets are shared, in memory: what is spent, and what leave each gateway has."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.spent: defaultdict[tuple, float] = defaultdict(float)
        self.leased: defaultdict[tuple, defaultdict[int, float]] = defaultdict(
            lambda: defaultdict(float)
        )
        self.most: dict[tuple, float] = {}

    async def late(self) -> None:
        for _ in range(self.chance.randrange(4)):
            await asyncio.sleep(0)

    def free(self, key: tuple) -> float:
        return self.most[key] - self.spent[key] - sum(self.leased[key].values())


class Branch:
    """The same as one gateway has it."""

    def __init__(self, bank: Bank, number: int) -> None:
        self.bank, self.number = bank, number

    def key(self, owner: str, limit: Limit, window: int) -> tuple:
        key = owner, limit.name, window
        self.bank.most[key] = limit.amount
        return key

    async def lease(
        self, owner: str, limit: Limit, window: int, wanted: float, least: float
    ) -> Leave:
        await self.bank.late()
        key = self.key(owner, limit, window)
        given = min(ceil(wanted), self.bank.free(key))
        return await self.give(key, given if given >= least and given > 0 else 0.0)

    async def rest(self, owner: str, limit: Limit, window: int) -> Leave:
        await self.bank.late()
        key = self.key(owner, limit, window)
        return await self.give(key, 0.0 if self.others(key) else max(self.bank.free(key), 0.0))

    async def give(self, key: tuple, given: float) -> Leave:
        self.bank.leased[key][self.number] += given
        left = self.bank.most[key] - self.bank.spent[key]
        leave = Leave(given, left, not given and self.others(key))
        await self.bank.late()
        return leave

    def others(self, key: tuple) -> bool:
        return any(amount > 0 for n, amount in self.bank.leased[key].items() if n != self.number)

    def settle(self, owner: str, limit: Limit, window: int, told: Told) -> None:
        key = self.key(owner, limit, window)
        self.bank.spent[key] += told.used
        self.bank.leased[key][self.number] -= told.used - told.beyond + told.back
        assert self.bank.leased[key][self.number] >= 0  # it is had before it is told of


@given(st.integers(0, 2**32), st.sampled_from([1, 2, 3]), st.booleans())
def test_gateways_together_pass_a_limit_by_one_request_at_most(
    seed: int, gateways: int, turns: bool
) -> None:
    """turns: the window ends while requests are under way."""
    chance = random.Random(seed)
    bank = Bank(chance)
    limit = replace(DAY, amount=1000.0)
    who, most = tenant(limit), 300
    took: defaultdict[int, float] = defaultdict(float)
    beyond: defaultdict[int, float] = defaultdict(float)  # what was reserved
    clock = [86400.0 * 20_000 + 86390.0]

    async def request(ledger: Ledger) -> None:
        for _ in range(chance.randrange(40)):
            await asyncio.sleep(0)
        tokens = chance.randint(1, most)
        try:
            hold = ledger.reserve(who, asks(tokens), clock[0])
            if hold is None:
                hold = await ledger.fetch(who, asks(tokens), clock[0])
        except Refusal as refusal:
            assert refusal.status == 429
            return
        for _ in range(chance.randrange(10)):
            await asyncio.sleep(0)
        used = int(tokens * chance.random() * 1.2)  # or somewhat more
        ledger.settle(hold, asks(used))
        took[hold.windows[0].index] += used
        beyond[hold.windows[0].index] += max(used - tokens, 0)

    async def tells(ledgers: list[Ledger]) -> None:
        for _ in range(30):
            await asyncio.sleep(0)
            chance.choice(ledgers).tell(clock[0])
            clock[0] += chance.random() * turns

    async def all_of_it() -> None:
        ledgers = [Ledger(Branch(bank, number)) for number in range(gateways)]
        requests = [request(chance.choice(ledgers)) for _ in range(25)]
        await asyncio.gather(tells(ledgers), *requests)
        for ledger in ledgers:
            ledger.tell(clock[0])
            ledger.tell(clock[0])

    asyncio.run(all_of_it())
    for index, used in took.items():
        assert used < limit.amount + beyond[index] + most
        assert bank.spent["a", limit.name, index] == used
    for leased in bank.leased.values():
        assert sum(leased.values()) == 0.0  # nobody keeps leave


def refused(ledger: Ledger, who: Tenant, use: Use, wall: float) -> Refusal:
    with pytest.raises(Refusal) as caught:
        ledger.reserve(who, use, wall)
    return caught.value


def test_a_rate_comes_back_by_itself_and_a_budget_does_not() -> None:
    ledger, wall = Ledger(), 60.0 * 1000 + 45.5
    who = tenant(MINUTE)
    for _ in range(5):
        ledger.settle(ledger.reserve(who, asks(1), wall) or FREE, asks(1))
    rate = refused(ledger, who, asks(1), wall)
    headers = dict(rate.headers())
    assert (rate.status, rate.code) == (429, "rate_limit_exceeded")
    assert headers[b"retry-after"] == b"15" and b"x-should-retry" not in headers
    assert (
        dict(refused(ledger, who, asks(1), 60.0 * 1000 + 59.99).headers())[b"retry-after"] == b"1"
    )
    assert ledger.reserve(who, asks(1), 60.0 * 1001) is not None
    budget = tenant(DAY, name="b")
    ledger.settle(ledger.reserve(budget, asks(1000), wall) or FREE, asks(1000))
    spent = refused(ledger, budget, asks(1), wall)
    headers = dict(spent.headers())
    assert (spent.status, spent.kind) == (429, "insufficient_quota")
    assert "the limit of 1k tokens/day." in spent.message
    assert headers[b"x-should-retry"] == b"false" and b"retry-after" not in headers


def test_requests_under_way_may_leave_room_soon() -> None:
    ledger, who = Ledger(), tenant(DAY)
    hold = ledger.reserve(who, asks(900), 0.0)
    assert hold is not None
    soon = refused(ledger, who, asks(200), 0.0)
    assert soon.code == "rate_limit_exceeded" and soon.retry_after == 1.0
    ledger.settle(hold, asks(100))
    assert ledger.reserve(who, asks(200), 0.0) is not None


def test_a_request_larger_than_what_is_left_goes_alone() -> None:
    ledger, who = Ledger(), tenant(DAY)
    hold = ledger.reserve(who, asks(5000), 0.0)
    assert hold is not None
    refused(ledger, who, asks(1), 0.0)
    ledger.settle(hold, asks(999))
    assert ledger.reserve(who, asks(5000), 0.0) is not None


@pytest.mark.parametrize("back", [-3600.0, -86400.0 * 3])
def test_a_clock_that_runs_back_gives_no_second_budget(back: float) -> None:
    ledger, who, wall = Ledger(), tenant(DAY), 86400.0 * 20_000 + 10.0
    ledger.settle(ledger.reserve(who, asks(1000), wall) or FREE, asks(1000))
    refused(ledger, who, asks(1), wall + back)
    assert ledger.reserve(who, asks(1), wall + 86400.0) is not None


def test_what_a_window_took_is_counted_there_when_it_ends_later() -> None:
    ledger, who = Ledger(), tenant(DAY)
    hold = ledger.reserve(who, asks(1000), 86399.0)
    assert hold is not None
    assert ledger.reserve(who, asks(1000), 86401.0) is not None
    ledger.settle(hold, asks(1000))
    assert [window.used for window in hold.windows] == [1000.0]


def test_a_limit_that_changes_counts_at_once() -> None:
    ledger, more = Ledger(), tenant(replace(DAY, amount=2000.0))
    ledger.settle(ledger.reserve(tenant(DAY), asks(1000), 0.0) or FREE, asks(1000))
    refused(ledger, tenant(DAY), asks(1), 0.0)
    assert ledger.reserve(more, asks(1000), 0.0) is not None
    refused(ledger, tenant(replace(DAY, amount=500.0)), asks(1), 0.0)


def test_who_has_no_limits_costs_nothing() -> None:
    ledger = Ledger()
    assert ledger.reserve(tenant(), asks(1e12), 0.0) is FREE
    ledger.settle(FREE, asks(1e12))


def test_windows_that_are_over_are_forgotten() -> None:
    """Else whoever sends another key with each request fills the memory."""
    ledger = Ledger()
    for number in range(50):
        hold = ledger.reserve(tenant(DAY, name=f"key-{number}"), asks(1), 0.0)
        ledger.settle(hold or FREE, asks(1))
    ledger.tell(86401.0)
    assert not ledger._windows
    hold = ledger.reserve(tenant(replace(DAY, period=inf)), asks(1), 0.0)
    ledger.settle(hold or FREE, asks(1))
    ledger.tell(1e12)
    assert len(ledger._windows) == 1


def test_what_is_left_is_told_of_the_quickest_limit() -> None:
    ledger = Ledger()
    who = tenant(replace(MINUTE, amount=100.0, period=3600.0), MINUTE, DAY)
    hold = ledger.reserve(who, asks(10), 45.0)
    assert ledger.left(who, "requests", 45.0) == (5.0, 4.0, 15.0)
    assert ledger.left(who, "tokens", 45.0) is None  # a day is a budget, not a rate
    ledger.settle(hold or FREE, asks(10))
