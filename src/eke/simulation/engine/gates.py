"""The way from Python into the engine: few calls, as cheap as they can be made.

Compiled code gets the address of the world's table, plain code the world itself.
"""

from __future__ import annotations

from typing import Any

from eke.simulation.engine import advance as plain
from eke.simulation.engine import lane
from eke.simulation.engine.compiled import COMPILED, jit
from eke.simulation.engine.layout import NONE, World

world_at: Any
if COMPILED:
    from eke.simulation.engine.pointer import address_table, world_at
else:

    def world_at(address: Any) -> Any:
        """Plain code is given the world itself."""
        return address


@jit
def advance(
    address: Any, limit: float, hear: int, replica: int, request: int, now: float, most: int
) -> Any:
    """See `eke.simulation.engine.advance`; before it, `request` comes to `replica`, where that is
    not NONE. Where it is not taken, nothing happens, and instead of a number of events there is
    the negative of why."""
    w = world_at(address)
    if replica != NONE:
        said = plain_enqueue(w, replica, request, now, most)
        if said != 0:
            return -said, now, 0, 0, 0, 0
    return plain_advance(w, limit, hear)


@jit
def enqueue(address: Any, replica: int, request: int, now: float, most: int) -> Any:
    """See `eke.simulation.engine.advance`."""
    return plain_enqueue(world_at(address), replica, request, now, most)


@jit
def play_lane(
    address: Any,
    r: int,
    first: int,
    begun: int,
    last: int,
    limit: float,
    running: int,
    places: int,
    held: float,
    room: float,
    ceiling: int,
) -> Any:
    """See `eke.simulation.engine.lane`."""
    w = world_at(address)
    return plain_lane(w, r, first, begun, last, limit, running, places, held, room, ceiling)


@jit
def withdraw(address: Any, replica: int, request: int, now: float) -> Any:
    """See `eke.simulation.engine.advance`."""
    return plain_withdraw(world_at(address), replica, request, now)


@jit
def drop_all(address: Any, replica: int, now: float) -> Any:
    """See `eke.simulation.engine.advance`."""
    return plain_drop_all(world_at(address), replica, now)


@jit
def begin(address: Any, replica: int) -> None:
    """See `eke.simulation.engine.advance`."""
    plain_begin(world_at(address), replica)


@jit
def look(address: Any, replica: int, now: float) -> Any:
    """See `eke.simulation.engine.advance`."""
    return plain_look(world_at(address), replica, now)


plain_advance, plain_enqueue = plain.advance, plain.enqueue
plain_lane = lane.play_lane
plain_withdraw, plain_drop_all, plain_begin = plain.withdraw, plain.drop_all, plain.begin
plain_look = plain.look


def handle(w: World) -> Any:
    """What the gates take for a world, and what has to be kept while it is used."""
    if not COMPILED:
        return w, None
    table = address_table(w)
    return int(table.ctypes.data), table


def entry(function: Any, signature: str) -> Any:
    """A gate without the part of a call that finds out what it was given."""
    if not COMPILED:
        return _in_plain_numbers(function)
    function.compile(signature)
    return function.overloads[function.signatures[0]].entry_point


def _in_plain_numbers(function: Any) -> Any:
    """A gate whose answers are Python's numbers, as those of compiled code are, and not NumPy's."""

    def through(*given: Any) -> Any:
        found = function(*given)
        if isinstance(found, tuple):
            return tuple(getattr(each, "item", lambda each=each: each)() for each in found)
        return found

    return through


def entries() -> tuple[Any, Any, Any]:
    """`advance`, `enqueue` and `play_lane` for the innermost loop."""
    return (
        entry(advance, "(int64, float64, int64, int64, int64, float64, int64)"),
        entry(enqueue, "(int64, int64, int64, float64, int64)"),
        entry(
            play_lane,
            "(int64, int64, int64, int64, int64, float64, int64, int64, float64, float64, int64)",
        ),
    )
