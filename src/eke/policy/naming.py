"""Policies by name: ``make("fair(weights=gold:4+free:1)+promise@prefix")``.

    policy   = order ["+" addition]… ["@" router]
    each     = name ["(" [setting ["," setting]…] ")"]
    setting  = key "=" value | value
    value    = quantity ("30s", "20%", "8k") | name ":" quantity ["+" name ":" quantity]… | word

Orders, who goes next:
    fcfs         first come, first served
    priority     lower class first; ageing=30s (or never): waiting that outweighs a class
    fair         least served tenant first, by tokens; weights=gold:4+free:1, prompt=1, answer=2:
                 what a token counts
    classes      lower class first, and in each class as fair; ageing=30s (or never), weights=…,
                 prompt=1, answer=2
    deficit      tenants in rounds, prefixes kept together; weights=…, quantum=4096 [tokens]
    deadline     the promise that runs out first; patience=10min: promise to those without
    shortest     least expected work first; ageing=50: tokens that a second of waiting outweighs
    tiers        by length of context: 8k:90%,32k:10% are the shares that each is sure of
All orders but tiers also take shares of a tenant, a class or a kind:
    floors=gold:20%+free:5%         what it is sure of, lent while it does not ask
    ceilings=free:50%+batch:25%     what it never has more of in flight
Additions:
    promise      refuse what would miss its promise; margin=1
    queue        refuse who would have too many before it; most=1000
    ladder       short:256,small:model,refuse is what is taken, in turn; step=5s: between rungs
    backfill     batch work in the troughs; kinds=batch+eval; spare=20%: kept for the others;
                 quiet=10s: before a job of a whole engine starts again
    anticipate   keep the place of who will be back at once; hold=5%: of its last request's time
Routers, where: least-load (the usual one), round-robin, prefix and sticky (slack=50%).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from eke.errors import BadInput, BadQuantity, closest
from eke.policy import values
from eke.policy.admission import Full, Gate, Promise
from eke.policy.anticipating import Anticipating
from eke.policy.direct import Direct
from eke.policy.dispatcher import Dispatcher
from eke.policy.jobs import Jobs
from eke.policy.ladder import Ladder
from eke.policy.orders.backfill import Backfill
from eke.policy.orders.ceilings import Ceilings
from eke.policy.orders.classes import Classes
from eke.policy.orders.deadline import Deadline
from eke.policy.orders.deficit import Deficit
from eke.policy.orders.fair import Fair
from eke.policy.orders.fcfs import Fcfs
from eke.policy.orders.floors import Floors
from eke.policy.orders.order import Order
from eke.policy.orders.priority import Priority
from eke.policy.orders.shortest import Shortest
from eke.policy.orders.tiers import Tiers
from eke.policy.routers.least_load import LeastLoad
from eke.policy.routers.prefix import Prefix
from eke.policy.routers.round_robin import RoundRobin
from eke.policy.routers.sticky import Sticky


class Part(NamedTuple):
    """What a name stands for. settings: how the text of each is read, by its key.

    bare: name of the setting that values without a key belong to, and how they are read.
    """

    build: Callable[..., Any]
    settings: dict[str, Callable[[str], Any]] = {}
    bare: tuple[str, Callable[[Sequence[str]], Any]] | None = None


FLOORS, CEILINGS = "floors", "ceilings"
SHARES = (FLOORS, CEILINGS)  # settings of all orders but tiers
DIRECT = "direct"
FAIR: dict[str, Callable[[str], Any]] = {
    "weights": values.weights,
    "prompt": values.above_0,
    "answer": values.above_0,
}

ORDERS: dict[str, Part] = {
    "fcfs": Part(Fcfs),
    "priority": Part(Priority, {"ageing": values.seconds}),
    "fair": Part(Fair, FAIR),
    "classes": Part(Classes, {"ageing": values.seconds, **FAIR}),
    "deficit": Part(Deficit, {"weights": values.weights, "quantum": values.above_0}),
    "deadline": Part(Deadline, {"patience": values.seconds}),
    "shortest": Part(Shortest, {"ageing": values.above_0}),
    "tiers": Part(Tiers, {}, ("tiers", values.tiers)),
}
ADDITIONS: dict[str, Part] = {
    "promise": Part(Promise, {"margin": values.above_0}),
    "queue": Part(Full, {"most": values.above_0}),
    "ladder": Part(Ladder, {"step": values.seconds}, ("rungs", values.rungs)),
    "backfill": Part(dict, {"kinds": values.words, "spare": values.share, "quiet": values.seconds}),
    "anticipate": Part(dict, {"hold": values.share}),
}
ROUTERS: dict[str, Part] = {
    "least-load": Part(LeastLoad),
    "round-robin": Part(RoundRobin),
    "prefix": Part(Prefix, {"slack": values.share}),
    "sticky": Part(Sticky, {"slack": values.share}),
}


def make(text: str, model: str | None = None, /, **settings: Any) -> Dispatcher | Direct:
    """The policy that a text names.

    model: that requests ask for, where engines of smaller ones may be there too; None for the first
    engine's.  settings: more of its order's settings, as Python values; what is given by name in
    both is taken together.

    Errors: BadInput, naming what was given and what is allowed.
    """
    if text.strip() == DIRECT:
        if settings:
            raise BadInput(f"{DIRECT} has no setting {next(iter(settings))!r}; it has none.")
        return Direct()
    words, _, route = text.partition("@")
    first, *rest = _parts(words, text)
    router = _build("router", ROUTERS, values.part(route or "least-load", text))
    added = {name: _build("addition", ADDITIONS, (name, texts)) for name, texts in rest}
    if len(added) < len(rest):
        raise BadInput(f"policy {text!r:.80} has the same addition twice; leave one of them out.")
    idle, hold, jobs = added.pop("backfill", None), added.pop("anticipate", None), None
    if idle is not None:
        jobs = Jobs(quiet=idle.pop("quiet", 10.0))
    order = _order(first, settings, idle)
    gates: list[Gate] = list(added.values())
    if hold is not None:
        policy: Dispatcher = Anticipating(order, router, gates, jobs, **hold)
    else:
        policy = Dispatcher(order, router, gates, jobs)
    if policy.ladder is not None:
        policy.ladder.main = model
    return policy


def steps_to(text: str, model: str) -> bool:
    """Whether a policy sends requests to engines of a smaller model when there is not enough."""
    policy = make(text)
    ladder = policy.ladder if isinstance(policy, Dispatcher) else None
    return ladder is not None and any(name in ("", model) for name, _ in ladder.smaller)


def takes(text: str, setting: str) -> bool:
    """Whether the order of a policy has a setting. Raises BadInput."""
    (name, _), *_ = _parts(text.partition("@")[0], text)
    return name in ORDERS and setting in _readers(name, ORDERS[name])


def names() -> dict[str, tuple[str, ...]]:
    """What `make` knows: "orders", "additions" and "routers", by name, and what stands alone."""
    parts = {"orders": (*ORDERS,), "additions": (*ADDITIONS,), "routers": (*ROUTERS,)}
    return {**parts, "alone": (DIRECT,)}


def _order(
    given: tuple[str, list[str]], settings: dict[str, Any], idle: dict[str, Any] | None
) -> Order:
    """An order, with what stands around it. idle: settings of backfill, where it is asked for."""
    part, found = _settings("order", ORDERS, given, settings)
    floors, ceilings = (found.pop(each, None) for each in SHARES)
    for group in (floors or {}).keys() & (ceilings or {}).keys():
        if floors[group] > ceilings[group]:
            raise BadInput(
                f"{group} is sure of {floors[group]:.0%}, and may have {ceilings[group]:.0%} at "
                "most; give it a ceiling that is not below its floor."
            )
    order: Order = part.build(**found)
    if floors:
        order = Floors(order, floors)
    if idle is not None:
        order = Backfill(order, **idle)
    return Ceilings(order, ceilings, lambda: part.build(**found)) if ceilings else order


def _parts(words: str, text: str) -> list[tuple[str, list[str]]]:
    """Names and settings of an order and of what is added to it. text: the whole policy."""
    return [values.part(each, text) for each in values.split(words, "+")]


def _readers(order: str, part: Part) -> dict[str, Callable[[str], Any]]:
    """How the settings of an order are read, with those that nearly all of them have."""
    return part.settings | dict.fromkeys(() if order == "tiers" else SHARES, values.shares)


def _build(kind: str, parts: dict[str, Part], given: tuple[str, list[str]]) -> Any:
    """Make an addition or a router from its name and the texts of its settings."""
    part, found = _settings(kind, parts, given, {})
    return part.build(**found)


def _settings(
    kind: str, parts: dict[str, Part], given: tuple[str, list[str]], more: dict[str, Any]
) -> tuple[Part, dict[str, Any]]:
    """What a name stands for and its settings, from their texts and from Python."""
    name, texts = given
    if name not in parts:
        raise BadInput(f"no {kind} {name!r}{_near(name, parts)}; there are {', '.join(parts)}.")
    part, found, bare = parts[name], dict(more), []
    readers = _readers(name, part) if kind == "order" else part.settings
    for key in found:
        _known(name, key, readers, part)
    for text in texts:
        key, equals, value = (word.strip() for word in text.partition("="))
        if not equals and part.bare:
            bare.append(text)
            continue
        _known(name, key, readers, None)
        read = _read(name, readers[key], value)
        found[key] = _together(name, key, found[key], read) if key in found else read
    if part.bare and bare and part.bare[0] in found:
        raise BadInput(f"{name} is given {part.bare[0]} twice; leave one of them out.")
    if part.bare and part.bare[0] not in found:
        found[part.bare[0]] = _read(name, part.bare[1], bare)
    return part, found


def _together(name: str, key: str, one: Any, other: Any) -> Any:
    """A setting that is given twice, by name each time."""
    if isinstance(one, dict) and isinstance(other, dict) and not one.keys() & other.keys():
        return {**one, **other}
    raise BadInput(f"{name} is given {key} twice; leave one of them out.")


def _known(name: str, key: str, readers: dict[str, Any], part: Part | None) -> None:
    """Refuse a setting that is not one of its part's."""
    known = [*readers, *([part.bare[0]] if part and part.bare else [])]
    if key in known:
        return
    if name == "tiers" and key in SHARES:
        raise BadInput(f"tiers are floors themselves; leave {key} out.")
    allowed = f"it has {', '.join(known)}" if known else "it has none"
    raise BadInput(f"{name} has no setting {key!r}{_near(key, known)}; {allowed}.")


def _read(name: str, reader: Callable[[Any], Any], text: Any) -> Any:
    """The value of a setting."""
    try:
        return reader(text)
    except BadQuantity as error:
        raise BadInput(f"{name}: {error}") from None


def _near(name: str, known: Any) -> str:
    near = closest(name, known)
    return f" (closest: {near})" if near else ""
