"""The simulation as textbook queues: closed forms, and SimPy and Ciw with the very same draws.

A replica with one place whose steps take a time per token is a server; a policy in front of it is
its queue. One whose step takes a time per sequence is shared by all of them.
"""

from __future__ import annotations

from math import factorial
from typing import Any, NamedTuple

import numpy as np
import pytest
from tests.engines import table
from tests.fleets import deployed, play, traffic

from eke.physics.queueing import erlang_c
from eke.simulation.engine.build import Replica
from eke.simulation.watch import Watch
from eke.types.record import replace
from eke.types.run import FINISHED, REFUSED

TICK = 1e-3  # service of one token [s]
SERVER = Replica(step=table(per_token=TICK), most=1, budget=4096, blocks=1 << 14)
SHARED = Replica(step=table(per_token=TICK), most=1024, budget=4096, blocks=1 << 22)
WATCH = Watch(report=1e6, samples=20)
BATCHES = 20  # of a run, whose means are taken as independent
SURE = 4.0  # standard errors that a mean may be off: by chance once in 10,000 tests (t, 19)


class Work(NamedTuple):
    """Service times in tokens: geometric with these means, in these shares; fixed where `fixed`.

    Geometric is what exponential becomes in whole tokens; its moments are known exactly.
    """

    means: tuple[float, ...]
    shares: tuple[float, ...] = (1.0,)
    fixed: bool = False

    def draw(self, numbers: np.random.Generator, many: int) -> Any:
        """So many of them [tokens]."""
        which = numbers.choice(len(self.means), size=many, p=self.shares)
        means = np.array(self.means)[which]
        return means.astype(int) if self.fixed else numbers.geometric(1 / means)

    @property
    def mean(self) -> float:
        """Of the service time [s]."""
        return TICK * float(np.dot(self.shares, self.means))

    @property
    def square(self) -> float:
        """Mean of its square [s²]."""
        means = np.array(self.means)
        each = means**2 if self.fixed else 2 * means**2 - means
        return TICK**2 * float(np.dot(self.shares, each))


FIXED = Work((1000,), fixed=True)
EXPONENTIAL = Work((1000,))
HYPER = Work((200, 4200), (0.8, 0.2))  # squared variation 6.1


def agrees(values: Any, expected: float, error: float = 0.06) -> None:
    """The mean of a sequence is the expected one, within SURE standard errors found from the
    means of BATCHES long stretches; and that is worth something, since one is below `error`."""
    means = np.array([part.mean() for part in np.array_split(values, BATCHES)])
    one = means.std(ddof=1) / np.sqrt(BATCHES)
    assert one < error * expected
    assert abs(means.mean() - expected) < SURE * one, (means.mean(), expected, one)


def served(
    work: Work, busy: float, many: int, servers: int = 1, kind: Replica = SERVER, policy="fcfs"
):
    """A run of Poisson arrivals that keep so many servers busy for that share of their time."""
    numbers = np.random.default_rng(7)
    arrived = np.cumsum(numbers.exponential(work.mean / busy / servers, many))
    tokens, one = work.draw(numbers, many), np.ones(many, int)
    asked = (one, tokens) if kind is SHARED else (tokens, one)
    return play(deployed((kind, servers)), traffic(arrived, *asked), policy, WATCH)


def waits(run: Any) -> Any:
    """How long each request waited for a server [s]."""
    return run.requests["started"] - run.requests["arrived"]


@pytest.mark.parametrize(("servers", "busy"), [(1, 0.7), (3, 0.8), (10, 0.85)])
def test_several_servers_wait_as_erlang_says(servers, busy):
    """M/M/c: the chance of waiting is Erlang's C, the mean wait C·s / (c(1 − ρ))."""
    run = served(EXPONENTIAL, busy, 120_000, servers)
    chance = float(erlang_c(servers, busy * servers))
    agrees(waits(run) > 1e-9, chance)
    agrees(waits(run), chance * EXPONENTIAL.mean / (servers * (1 - busy)))


@pytest.mark.parametrize("work", [FIXED, EXPONENTIAL, HYPER])
def test_one_server_waits_as_pollaczek_and_khinchine_say(work):
    """M/G/1: λ E[S²] / (2 (1 − ρ))."""
    busy = 0.6
    rate = busy / work.mean
    agrees(waits(served(work, busy, 120_000)), rate * work.square / (2 * (1 - busy)))


@pytest.mark.parametrize("work", [FIXED, EXPONENTIAL, HYPER])
def test_a_shared_engine_is_insensitive_to_the_spread_of_work(work):
    """M/G/1 processor sharing: mean response E[S] / (1 − ρ), whatever the distribution.

    An arrival waits for the step under way, a token for each of those at work: 0.1 % of the
    response here.
    """
    busy = 0.7
    run = served(work, busy, 40_000, kind=SHARED)
    response = run.requests["finished"] - run.requests["arrived"]
    agrees(response, work.mean / (1 - busy))


@pytest.mark.parametrize(("servers", "places"), [(1, 1), (4, 2)])
def test_a_short_queue_turns_away_as_erlang_says(servers, places):
    """M/M/c with so many places to wait: Erlang's chance that all are taken."""
    busy = 0.9
    run = served(EXPONENTIAL, busy, 40_000, servers, policy=f"fcfs+queue(most={places})")
    load = busy * servers
    states = [load**n / factorial(min(n, servers)) for n in range(servers + places + 1)]
    states = [each / servers ** max(n - servers, 0) for n, each in enumerate(states)]
    agrees(run.requests["outcome"] == REFUSED, states[-1] / sum(states))


def test_users_who_wait_for_one_another_as_machines_for_repair():
    """M/M/c with N users who think: the finite source of Palm's machine repair."""
    users, servers, think = 12, 2, 4.0
    numbers = np.random.default_rng(3)
    many = 30_000
    tokens = EXPONENTIAL.draw(numbers, many)
    asked = traffic(numbers.exponential(think, many), tokens, np.ones(many, int), users=users)
    run = play(deployed((SERVER, servers)), asked, "fcfs", WATCH)
    ratio, states = EXPONENTIAL.mean / think, [1.0]
    for n in range(users):  # n are served or wait
        states.append(states[-1] * (users - n) * ratio / min(n + 1, servers))
    chance = np.array(states) / sum(states)
    inside = chance @ np.arange(users + 1)
    rate = (users - inside) / think
    response = run.requests["finished"] - run.requests["arrived"]
    agrees(response, inside / rate)  # Little
    assert len(run) / run.end == pytest.approx(rate, rel=0.02)


# --- the same customers in SimPy and Ciw ----------------------------------------------------------


class Customers(NamedTuple):
    """arrived [s], service of each [tokens], classes."""

    arrived: Any
    tokens: Any
    classes: Any

    @property
    def service(self) -> list[float]:
        """[s]"""
        return (self.tokens * TICK).tolist()


def customers(many: int, rate: float, work: Work = HYPER) -> Customers:
    """Customers who come together now and then, and otherwise at random."""
    numbers = np.random.default_rng(11)
    gaps = numbers.exponential(1 / rate, many)
    classes = numbers.integers(0, 3, many)
    return Customers(np.cumsum(gaps), work.draw(numbers, many), classes)


def simpy_waits(who: Customers, servers: int, classes: bool = False) -> Any:
    """How long SimPy lets each wait."""
    import simpy

    world = simpy.Environment()
    desk = simpy.PriorityResource(world, servers)
    found = np.zeros(len(who.arrived))

    def comes(number: int, arrived: float, service: float, line: int):
        yield world.timeout(arrived)
        with desk.request(priority=line) as place:
            yield place
            found[number] = world.now - arrived
            yield world.timeout(service)

    lines = who.classes.tolist() if classes else [0] * len(found)
    for number, each in enumerate(zip(who.arrived.tolist(), who.service, lines, strict=True)):
        world.process(comes(number, *each))
    world.run()
    return found


@pytest.mark.parametrize("servers", [1, 3])
@pytest.mark.parametrize("policy", ["fcfs", "priority(ageing=never)", "fcfs@sticky"])
def test_each_customer_waits_as_in_simpy(servers, policy):
    who = customers(3000, 0.9 * servers / HYPER.mean)
    asked = traffic(who.arrived, who.tokens, np.ones(3000, int), priority=who.classes)
    run = play(deployed((SERVER, servers)), asked, policy, WATCH)
    expected = simpy_waits(who, servers, classes=policy.startswith("priority"))
    assert expected.max() > 10
    assert waits(run) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("servers", [1, 4])
def test_each_customer_waits_as_in_ciw(servers):
    import ciw

    many = 1500
    who = customers(many, 0.85 * servers / HYPER.mean)
    gaps = np.diff(who.arrived, prepend=0.0).tolist()
    network = ciw.create_network(
        arrival_distributions=[ciw.dists.Sequential([*gaps, float("inf")])],
        service_distributions=[ciw.dists.Sequential(who.service)],
        number_of_servers=[servers],
    )
    simulation = ciw.Simulation(network)
    simulation.simulate_until_max_customers(many, method="Finish")
    records = sorted(simulation.get_all_records(), key=lambda each: each.id_number)
    asked = traffic(who.arrived, who.tokens, np.ones(many, int))
    run = play(deployed((SERVER, servers)), asked, "fcfs", WATCH)
    # one that ends late may be missing from Ciw's records
    there = np.array([record.id_number - 1 for record in records])
    assert len(there) > many - 10
    expected = [record.waiting_time for record in records]
    assert waits(run)[there] == pytest.approx(expected, abs=1e-9)


def test_prompts_and_answers_in_line_as_two_desks_in_simpy():
    """One place for prompts, one link, and four replicas for answers. The policy lets in no more
    at once than can be answered at once."""
    import simpy

    many, at_once, each = 2000, 0.05, 1e-4
    numbers = np.random.default_rng(5)
    arrived = np.cumsum(numbers.exponential(1 / 0.7, many))
    prompt, answer = EXPONENTIAL.draw(numbers, many), 1 + Work((1500,)).draw(numbers, many)
    taking = replace(SERVER, role="fills")
    answering = replace(SERVER, role="answers", step=table(own=TICK))
    where = deployed((taking, 1), (answering, 4), handover=(at_once, each))
    run = play(where, traffic(arrived, prompt, answer), "fcfs", WATCH)

    world = simpy.Environment()
    inside = simpy.Resource(world, 4)
    desk, link = simpy.Resource(world), simpy.Resource(world)
    first, finished = np.zeros(many), np.zeros(many)

    def comes(number: int):
        yield world.timeout(arrived[number])
        with inside.request() as ticket:
            yield ticket
            with desk.request() as place:
                yield place
                yield world.timeout(prompt[number] * TICK)
            first[number] = world.now
            with link.request() as place:
                yield place
                yield world.timeout(prompt[number] * each)
            yield world.timeout(at_once)
            yield world.timeout((answer[number] - 1) * TICK)
        finished[number] = world.now

    for number in range(many):
        world.process(comes(number))
    world.run()
    assert (run.requests["outcome"] == FINISHED).all()
    assert run.requests["first"] == pytest.approx(first, abs=1e-6)
    assert run.requests["finished"] == pytest.approx(finished, abs=1e-6)
