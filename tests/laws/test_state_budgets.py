"""Budgets hold in every interleaving of gateways."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.states import KINDS, address, opened, read, together, write

from eke.gateway.state import budgets
from eke.gateway.state.budgets import Ask, Budget, Settled, Window
from eke.gateway.state.state import State

ROOT = Path(__file__).parents[2]
GATEWAYS = ("a", "b", "c")
_tenants = count()


@pytest.fixture(scope="module", params=KINDS)
def state(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> State:
    with opened(address(request.param, tmp_path_factory.mktemp("budgets"))) as state:
        yield state


def fresh() -> Window:
    """A window that nobody has used."""
    return Window(f"tenant {next(_tenants)}", "tokens/day", 0.0, 86400.0)


def standing(state: State, window: Window) -> Budget:
    (found,) = read(state, budgets.standing, window.tenant)
    return found


gateway = st.sampled_from(GATEWAYS)
amount = st.integers(0, 60)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("lease"), gateway, amount, amount),
        st.tuples(st.just("rest"), gateway),
        st.tuples(st.just("settle"), gateway, amount, amount),
        st.tuples(st.just("expire"), st.integers(0, 50)),
        st.tuples(st.just("renew"), gateway, st.integers(0, 50)),
    ),
    max_size=25,
)


class Model:
    """What must come of it, by plain sums."""

    def __init__(self, most: int) -> None:
        self.most, self.spent = most, 0
        self.held = dict.fromkeys(GATEWAYS, 0)
        self.lost = dict.fromkeys(GATEWAYS, 0)
        self.until = dict.fromkeys(GATEWAYS, 0)
        self.used = self.beyond = 0

    @property
    def free(self) -> int:
        return self.most - self.spent - sum(self.held.values())

    def others(self, who: str) -> bool:
        return self.spent < self.most and sum(self.held.values()) > self.held[who]

    def lease(self, who: str, wanted: int, least: int) -> int:
        given = min(wanted, self.free)
        return self._give(who, given if given >= max(least, 1) else 0)

    def rest(self, who: str) -> int:
        return self._give(who, 0 if self.others(who) else max(self.free, 0))

    def settle(self, who: str, used: int, returned: int) -> None:
        off = min(used + returned, self.held[who])
        found = min(used + returned - off, self.lost[who])
        self.held[who] -= off
        self.lost[who] -= found
        self.spent += used - found
        self.used += used
        self.beyond += max(used - off - found, 0)

    def expire(self, now: int) -> dict[str, int]:
        gone = {who: held for who, held in self.held.items() if held and self.until[who] < now}
        for who, held in gone.items():
            self.held[who] = 0
            self.lost[who] += held
            self.spent += held
        return gone

    def _give(self, who: str, given: int) -> int:
        self.held[who] += given
        if given:
            self.until[who] = 10
        return given


@given(most=st.integers(0, 200), steps=steps)
@settings(max_examples=40)
def test_spent_and_leased_stay_within_the_limit(
    state: State, most: int, steps: list[tuple]
) -> None:
    window, model = fresh(), Model(most)
    for name, *words in steps:
        if name == "lease":
            who, wanted, least = words
            ask = Ask(window, most, wanted, least, 10.0)
            given = write(state, budgets.lease, who, ask)
            assert given.amount == model.lease(who, wanted, least)
            assert given.left == most - model.spent
            assert given.others == (given.amount == 0 and model.others(who))
        elif name == "rest":
            ask = Ask(window, most, 0, 0, 10.0)
            given = write(state, budgets.rest, *words, ask)
            assert given.amount == model.rest(*words)
            assert given.left == most - model.spent and given.others == model.others(*words)
        elif name == "settle":
            write(state, budgets.settle, words[0], [Settled(window, most, *words[1:])])
            model.settle(*words)
        elif name == "renew":
            write(state, budgets.renew, words[0], float(words[1]))
            if model.held[words[0]]:
                model.until[words[0]] = words[1]
        else:
            lost = write(state, budgets.expire, float(words[0]))
            mine = {each.gateway: each.amount for each in lost if each.tenant == window.tenant}
            assert mine == model.expire(*words)
        found = read(state, budgets.standing, window.tenant)
        if found:
            now = found[0]
            assert (now.spent, now.leased) == (model.spent, sum(model.held.values()))
            assert now.lost == sum(model.lost.values())
            assert now.spent - now.lost == model.used  # what is spent was used, or is lost
            assert now.spent + now.leased <= most + model.beyond
    for who in GATEWAYS:  # leave nothing that later examples would find expired
        write(state, budgets.settle, who, [Settled(window, most, 0, model.held[who])])


def test_many_at_once_get_the_limit_and_no_more(state: State) -> None:
    window = fresh()
    asks = [
        partial(_lease, gateway=f"g{i % 7}", ask=Ask(window, 1000, 7 + i % 5, 1, 10.0))
        for i in range(200)
    ]
    given = together(state, asks)
    assert sum(given) == 1000
    assert standing(state, window).leased == 1000


def test_what_is_told_of_several_windows_at_once_never_waits_in_a_ring(state: State) -> None:
    one, other = fresh(), fresh()
    for window in (one, other):
        write(state, budgets.lease, "g", Ask(window, 100, 60, 1, 10.0))

    def both(transaction, turned: bool) -> None:
        windows = (other, one) if turned else (one, other)
        budgets.settle(transaction, "g", [Settled(each, 100, 1, 0) for each in windows])

    together(state, [partial(both, turned=bool(i % 2)) for i in range(60)])
    for window in (one, other):
        assert (standing(state, window).spent, standing(state, window).leased) == (60, 0)


def test_what_is_given_back_may_be_had_again_in_the_same_step(state: State) -> None:
    window = fresh()
    assert write(state, budgets.lease, "a", Ask(window, 100, 100, 1, 5.0)).amount == 100
    told = Settled(window, 100, 10, 60)
    given = write(state, budgets.lease, "a", Ask(window, 100, 50, 1, 5.0), told)
    assert (given.amount, given.left, given.others) == (50, 90, False)
    told = Settled(window, 100, 30, 50)
    assert write(state, budgets.rest, "a", Ask(window, 100, 0, 1, 5.0), told).amount == 60
    refused = write(state, budgets.lease, "b", Ask(window, 100, 1, 1, 5.0))
    assert (refused.amount, refused.left, refused.others) == (0, 60, True)
    write(state, budgets.settle, "a", [Settled(window, 100, 0, 60)])
    assert standing(state, window).leased == 0


def _lease(transaction, gateway: str, ask: Ask) -> int:
    return budgets.lease(transaction, gateway, ask).amount


PROCESS = """
import asyncio, sys
from eke.gateway.state import budgets
from eke.gateway.state.state import open_state

async def spend(address, gateway):
    state = open_state(address)
    window = budgets.Window("everyone", "tokens/day", 0.0, 1.0)
    used = 0
    while True:
        ask = budgets.Ask(window, 500, 9, 1, 9.0)
        given = (await state.write(budgets.lease, gateway, ask)).amount
        if not given:
            break
        await state.write(budgets.settle, gateway, [budgets.Settled(window, 500, given - 1, 1)])
        used += given - 1 if given > 1 else 0
        if given == 1:
            break
    print(used)
    await state.close()

asyncio.run(spend(*sys.argv[1:]))
"""


@pytest.mark.parametrize("kind", KINDS)
def test_processes_together_spend_the_limit_and_no_more(kind: str, tmp_path: Path) -> None:
    where = address(kind, tmp_path)
    running = [
        subprocess.Popen(
            [sys.executable, "-c", PROCESS, where, name],
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        for name in GATEWAYS
    ]
    used = [int(process.communicate(timeout=60)[0]) for process in running]
    with opened(where) as state:
        (found,) = read(state, budgets.standing, "everyone")
    assert found.spent == sum(used)
    assert 500 - 2 * len(GATEWAYS) <= found.spent <= 500 and found.leased == 0


def test_leave_lost_with_its_gateway_counts_as_spent_until_it_tells_better(state: State) -> None:
    window = fresh()
    write(state, budgets.lease, "dead", Ask(window, 100, 60, 1, 5.0))
    assert write(state, budgets.expire, 5.0) == []
    (lost,) = write(state, budgets.expire, 5.1)
    assert (lost.gateway, lost.amount) == ("dead", 60)
    now = standing(state, window)
    assert (now.spent, now.leased, now.lost) == (60, 0, 60)
    assert write(state, budgets.lease, "live", Ask(window, 100, 60, 50, 9.0)).amount == 0
    write(state, budgets.settle, "dead", [Settled(window, 100, 20, 40)])  # it was only slow
    now = standing(state, window)
    assert (now.spent, now.leased, now.lost) == (20, 0, 0)


def test_a_request_that_took_more_passes_the_limit_by_that(state: State) -> None:
    window = fresh()
    write(state, budgets.lease, "a", Ask(window, 100, 100, 1, 5.0))
    write(state, budgets.settle, "a", [Settled(window, 100, 130, 0)])
    assert standing(state, window).spent == 130
    assert write(state, budgets.lease, "a", Ask(window, 100, 1, 1, 5.0)).amount == 0
    assert write(state, budgets.lease, "a", Ask(window, 200, 80, 1, 5.0)).amount == 70  # was raised


def test_the_rest_goes_to_who_is_alone(state: State) -> None:
    window = fresh()
    ask = Ask(window, 100, 0, 1, 5.0)
    write(state, budgets.lease, "a", Ask(window, 100, 30, 1, 5.0))
    write(state, budgets.lease, "b", Ask(window, 100, 30, 1, 5.0))
    assert write(state, budgets.rest, "a", ask).amount == 0
    write(state, budgets.settle, "b", [Settled(window, 100, 10, 20)])
    assert write(state, budgets.rest, "a", ask).amount == 60
    assert write(state, budgets.rest, "b", ask).amount == 0


def test_windows_that_ended_are_forgotten(state: State) -> None:
    tenant = fresh().tenant
    old, now = Window(tenant, "n", 0.0, 60.0), Window(tenant, "n", 60.0, 120.0)
    forever = Window(tenant, "all", 0.0, float("inf"))
    for each in (old, now, forever):
        write(state, budgets.lease, "a", Ask(each, 10, 5, 1, 5.0))
    write(state, budgets.sweep, 60.5)
    left = read(state, budgets.standing, tenant)
    assert [(each.name, each.starts, each.ends) for each in left] == [
        ("all", 0.0, float("inf")),
        ("n", 60.0, 120.0),
    ]
