"""Worlds in which policies are tried: each makes one kind of trouble."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from eke.policy.contract.toy import Machine, World
from eke.types.record import replace
from eke.types.request import Request

TENANTS = ("", "gold", "silver", "free")


class Dice:
    """Numbers that look random and are the same everywhere. Source: park1988."""

    def __init__(self, seed: int) -> None:
        self.state = 1 + (seed * 7919 + 12345) % 2147483646

    def below(self, count: int) -> int:
        """A whole number from 0, below `count`."""
        self.state = self.state * 48271 % 2147483647
        return self.state % count

    def pick(self, *choices: Any) -> Any:
        return choices[self.below(len(choices))]


def crowd(dice: Dice, count: int, gap: float, **fixed: Any) -> tuple[list[Request], dict[int, int]]:
    """Requests of all sorts, and how long their answers will be. gap: mean between two [s]."""
    requests, answers, now = [], {}, 0.0
    for number in range(count):
        now += gap * dice.below(1000) / 500
        answers[number] = 1 + dice.below(300)
        facts = {
            "prompt": 1 + dice.below(500),
            "likely": float(answers[number]),
            "most": dice.pick(answers[number], 400, 600),
            "tenant": dice.pick(*TENANTS),
            "kind": dice.pick("chat", "chat", "batch"),
            "priority": dice.below(4),
            "ttft": dice.pick(None, 2.0, 10.0),
            "deadline": dice.pick(None, 20.0, 60.0),
            "session": dice.pick(None, dice.below(8)),
            "stem": dice.pick(None, dice.below(3)),
        }
        requests.append(Request(id=number, arrived=now, **{**facts, **fixed}))
    return requests, answers


def calm(seed: int) -> World:
    """Less to do than can be done."""
    requests, answers = crowd(Dice(seed), 60, 0.5)
    return World(name="calm", requests=requests, answers=answers, machines=[Machine()] * 2)


def overload(seed: int) -> World:
    """Twice as much to do as can be done, for a while."""
    requests, answers = crowd(Dice(seed), 150, 0.05)
    return World(name="overload", requests=requests, answers=answers, machines=[Machine()] * 2)


def tight(seed: int) -> World:
    """Memory ends before slots do, and engines differ."""
    requests, answers = crowd(Dice(seed), 100, 0.08)
    machines = [Machine(slots=64, room=1500), Machine(slots=2, room=9000), Machine(room=1000)]
    return World(name="tight memory", requests=requests, answers=answers, machines=machines)


def surprises(seed: int) -> World:
    """Forecasts are wrong, and engines take fewer than they say."""
    dice = Dice(seed)
    requests, answers = crowd(dice, 120, 0.06, likely=100.0, most=400)
    machines = [Machine(slots=8, hidden=3, room=2000), Machine(slots=8)]
    return World(
        name="wrong forecasts", requests=requests, answers=answers, machines=machines, period=0.2
    )


def deaths(seed: int) -> World:
    """Engines die and come back, and reports are late."""
    requests, answers = crowd(Dice(seed), 100, 0.1)
    machines = [Machine(dead=(3.0, 9.0)), Machine(dead=(5.0, 6.5)), Machine(since=2.0)]
    return World(
        name="deaths", requests=requests, answers=answers, machines=machines, delay=1.7, period=0.6
    )


def alone(seed: int) -> World:
    """The only engine dies, and comes back."""
    requests, answers = crowd(Dice(seed), 60, 0.1)
    machines = [Machine(dead=(2.0, 8.0))]
    return World(name="one engine", requests=requests, answers=answers, machines=machines)


def leaving(seed: int) -> World:
    """A third of the clients go away, before their turn or after."""
    dice = Dice(seed)
    requests, answers = crowd(dice, 120, 0.06)
    left = {each.id: each.arrived + dice.below(3000) / 1000 for each in requests[::3]}
    return World(
        name="clients leave", requests=requests, answers=answers, machines=[Machine()], leaving=left
    )


def jobs(seed: int) -> World:
    """Work of whole engines beside requests."""
    requests, answers = crowd(Dice(seed), 80, 0.15)
    for number in range(3):
        requests.append(Request(80 + number, 1.0 + 4 * number, 0, 0.0, 0, "lab", "tune", work=20.0))
        answers[80 + number] = 0
    return World(name="jobs", requests=requests, answers=answers, machines=[Machine()] * 2)


def misfits(seed: int) -> World:
    """Requests that no engine can finish, some before any is known, or that fail on each."""
    requests, answers = crowd(Dice(seed), 60, 0.2, prompt=300)
    long = [Request(60 + number, 0.2 * number, 2500, 10.0, 10) for number in range(6)]
    machines = [Machine(room=2000, since=0.5), Machine(longest=1500, since=0.5)]
    return World(
        name="misfits",
        requests=requests + long,
        answers=answers | dict.fromkeys(range(60, 66), 10),
        machines=machines,
        poison=frozenset((7, 23)),
    )


def uneven(seed: int) -> World:
    """Few engines for long contexts, more for short ones, and too many long requests."""
    dice = Dice(seed)
    requests, answers = crowd(dice, 150, 0.04)
    long = [
        Request(150 + number, 0.1 * number, 1800, 100.0, 100, "gold", "chat", 1)
        for number in range(25)
    ]
    machines = [Machine(longest=1000), Machine(room=2000), Machine(longest=500)]
    return World(
        name="uneven engines",
        requests=requests + long,
        answers=answers | {each.id: 100 for each in long},
        machines=machines,
    )


def many(seed: int) -> World:
    """Many engines, which come one after the other."""
    requests, answers = crowd(Dice(seed), 200, 0.01)
    machines = [Machine(since=0.1 * number, slots=1 + number % 4) for number in range(16)]
    return World(name="many engines", requests=requests, answers=answers, machines=machines)


def loops(seed: int) -> World:
    """Clients who wait for one answer before they ask again, at once, soon or late."""
    dice, clients = Dice(seed), 10
    requests, answers = crowd(dice, 140, 0.0)
    asked = [replace(each, tenant=TENANTS[each.id % clients % 4]) for each in requests]
    gaps = [(0.0, 0.001, 0.02, 2.0)[client // 3] for client in range(clients)]
    return World(
        name="loops",
        requests=asked,
        answers=answers,
        machines=[Machine(slots=2), Machine(slots=1)],
        follows={n: (n + clients, gaps[n % clients]) for n in range(140 - clients)},
    )


def kinds(seed: int) -> World:
    """A tenant asks for more than others leave it, in two kinds, of which one can wait."""
    requests, answers = crowd(Dice(seed), 150, 0.05, ttft=None, deadline=None)
    asked = [
        replace(each, tenant="free", kind="batch" if each.id % 3 else "chat")
        if each.id % 2
        else replace(each, tenant="gold", kind="chat", priority=0)
        for each in requests
    ]
    machines = [Machine(slots=8, room=50_000)]
    return World(name="two kinds", requests=asked, answers=answers, machines=machines)


WORLDS: tuple[Callable[[int], World], ...] = (
    *(calm, overload, tight, surprises, deaths, alone, leaving, jobs, misfits, uneven, many, loops),
    kinds,
)


def greedy(classes: int) -> World:
    """One tenant asks for five times as much as another, who always wait, in so many classes."""
    requests = [
        Request(
            *(number, number / 50, 100, 100.0, 100, "heavy" if number % 6 else "light"),
            priority=number // 6 % classes,
        )
        for number in range(1200)
    ]
    answers = dict.fromkeys(range(1200), 100)
    return World(name="greedy", requests=requests, answers=answers, machines=[Machine(room=1600)])


def flood(seed: int) -> World:
    """One request whom a flood of others would always go before."""
    count = 5000
    last = Request(0, 60.0, 300, 900.0, 900, "free", "chat", 3)
    flow = [
        Request(number, number / 5.3, 50, 50.0, 50, "gold", "chat", 0, 1.0, 5.0)
        for number in range(1, count)
    ]
    requests = sorted([last, *flow], key=lambda each: each.arrived)
    answers = {0: 900} | dict.fromkeys(range(1, count), 50)
    machines = [Machine(pace=0.01)]
    return World(name="flood", requests=requests, answers=answers, machines=machines, period=5.0)
