"""The laws that any policy is held to."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable
from typing import Any

from eke.policy.contract.referee import Referee
from eke.policy.contract.toy import Play, World
from eke.policy.contract.worlds import WORLDS, flood, greedy
from eke.policy.protocol import Action, Event, Policy
from eke.policy.says import Says
from eke.types.request import Request

MakePolicy = Callable[[], Policy]
KEPT = 80  # requests that a policy may still know when all are over


def check(make: MakePolicy, seeds: Iterable[int] = (1, 2)) -> None:
    """Hold a policy to every law: AssertionError, with a sentence that names the broken one.

    make: gives a fresh policy each time. A policy may have an attribute `says`, its `Says`.
    """
    for seed in seeds:
        for world in WORLDS:
            tried(make, world(seed))
    says = says_of(make())
    if says.service and says.gap:
        for classes in (1, 2):
            fair(make, says, greedy(classes))
    if says.patient:
        patient(make)


def tried(make: MakePolicy, world: World) -> Play:
    """One world: what it did is lawful, and the same when it is told the same again."""
    policy = make()
    referee = Referee(world, policy, says_of(policy))
    play = Play(world, policy, referee)
    try:
        play.run()
        referee.over(play)
        replayed(make, play)
        forgotten(policy)
    except AssertionError as broken:
        raise AssertionError(f"in the world {world.name!r}, {broken}") from None
    return play


def replayed(make: MakePolicy, play: Play) -> None:
    """A fresh policy that is told the same answers the same."""
    policy = make()
    for now, event, actions in play.log:
        again = tuple(policy.on(event, now))
        if again != actions:
            raise AssertionError(
                f"told again of {event!r:.80} at {now:g} s, it answers {again!r:.120} "
                f"and not {actions!r:.120}"
            )


def forgotten(policy: Policy) -> None:
    """Nothing is kept of requests that are over."""
    seen, kept, ahead = {id(policy)}, 0, [policy]
    while ahead:
        for each in gc.get_referents(ahead.pop()):
            if id(each) in seen or isinstance(each, type) or callable(each) is True:
                continue
            seen.add(id(each))
            kept += isinstance(each, Request)
            ahead.append(each)
    if kept > KEPT:
        raise AssertionError(f"it still holds {kept} requests that are over")


def fair(make: MakePolicy, says: Says, world: World) -> None:
    """Two tenants who always wait are served alike, within the gap that the policy states."""
    policy = make()
    referee = Referee(world, policy, says_of(policy))
    Play(world, policy, referee).run()
    assert says.gap is not None
    room = sum(machine.room for machine in world.machines)
    allowed, found = says.gap(100, 100, room), referee.shares.widest
    if found > allowed:
        raise AssertionError(
            f"the service of two tenants who always waited drifted {found:,.0f} apart; "
            f"it states {allowed:,.0f} at most"
        )


class Onlooker:
    """Notes when a request started, and whether everything had arrived by then."""

    def __init__(self, number: int) -> None:
        self.number, self.started = number, float("inf")

    def event(self, event: Event, now: float) -> None: ...

    def action(self, action: Action, now: float) -> None:
        if action.request == self.number:
            self.started = min(self.started, now)

    def settled(self, now: float) -> None: ...


def patient(make: MakePolicy) -> None:
    """A request starts, or is refused, while others that would go first never cease to come."""
    world, onlooker = flood(0), Onlooker(0)
    play = Play(world, make(), onlooker)
    play.run()
    last = world.requests[-1].arrived
    if onlooker.started >= last:
        raise AssertionError(f"a request waited for all of the {last:g} s that a flood went on")


def says_of(policy: Any) -> Says:
    """What a policy says of itself."""
    says: Says = getattr(policy, "says", Says())
    return says
