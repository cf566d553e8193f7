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
    deficit      tenants in rounds, prefixes kept together; weights=…, quantum=4096 [tokens]
    deadline     the promise that runs out first; patience=10min: promise to those without
    shortest     least expected work first; ageing=50: tokens that a second of waiting outweighs
    tiers        by length of context: 8k:90%,32k:10% are the shares that each is sure of
All orders but tiers also take floors=gold:20%+free:5%: shares of a tenant, a class or a kind.
Additions:
    promise      refuse what would miss its promise; margin=1
    queue        refuse who would have too many before it; most=1000
    ladder       short:256,small:model,refuse is what is taken, in turn; step=5s: between rungs
    backfill     batch work in the troughs; kinds=batch+eval; spare=20%: kept for the others;
                 quiet=10s: before a job of a whole engine starts again
Routers, where: least-load (the usual one), round-robin, prefix and sticky (slack=50%).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from eke.errors import BadInput, BadQuantity, closest
from eke.policy import values
from eke.policy.admission import Full, Gate, Promise
from eke.policy.direct import Direct
from eke.policy.dispatcher import Dispatcher
from eke.policy.jobs import Jobs
from eke.policy.ladder import Ladder
from eke.policy.orders.backfill import Backfill
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


FLOORS = "floors"
DIRECT = "direct"

ORDERS: dict[str, Part] = {
    "fcfs": Part(Fcfs),
    "priority": Part(Priority, {"ageing": values.seconds}),
    "fair": Part(
        Fair, {"weights": values.weights, "prompt": values.above_0, "answer": values.above_0}
    ),
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
}
ROUTERS: dict[str, Part] = {
    "least-load": Part(LeastLoad),
    "round-robin": Part(RoundRobin),
    "prefix": Part(Prefix, {"slack": values.share}),
    "sticky": Part(Sticky, {"slack": values.share}),
}


def make(text: str, **settings: Any) -> Dispatcher | Direct:
    """The policy that a text names. settings: more of its order's settings, as Python values.

    Errors: BadInput, naming what was given and what is allowed.
    """
    if text.strip() == DIRECT:
        return Direct()
    words, _, route = text.partition("@")
    first, *rest = [values.part(each, text) for each in values.split(words, "+")]
    order: Order = _order(first, settings)
    router = _build("router", ROUTERS, values.part(route or "least-load", text))
    added = {name: _build("addition", ADDITIONS, (name, texts)) for name, texts in rest}
    if len(added) < len(rest):
        raise BadInput(f"policy {text!r:.80} has the same addition twice; leave one of them out.")
    jobs = None
    if "backfill" in added:
        idle = added.pop("backfill")
        jobs = Jobs(quiet=idle.pop("quiet", 10.0))
        order = Backfill(order, **idle)
    gates: list[Gate] = list(added.values())
    return Dispatcher(order, router, gates, jobs)


def names() -> dict[str, tuple[str, ...]]:
    """What `make` knows: "orders", "additions" and "routers", by name, and what stands alone."""
    parts = {"orders": (*ORDERS,), "additions": (*ADDITIONS,), "routers": (*ROUTERS,)}
    return {**parts, "alone": (DIRECT,)}


def _order(given: tuple[str, list[str]], settings: dict[str, Any]) -> Order:
    """An order, with floors around it where they are asked for."""
    name, texts = given
    own = [text for text in texts if text.partition("=")[0].strip() != FLOORS]
    floors = [text.partition("=")[2] for text in texts if text not in own]
    if name == "tiers" and (floors or FLOORS in settings):
        raise BadInput("tiers are floors themselves; leave floors out.")
    more = dict(settings)
    shares = more.pop(FLOORS, None) or (_read(name, values.shares, floors[-1]) if floors else None)
    order: Order = _build("order", ORDERS, (name, own), more)
    return Floors(order, shares) if shares else order


def _build(
    kind: str,
    parts: dict[str, Part],
    given: tuple[str, list[str]],
    more: dict[str, Any] | None = None,
) -> Any:
    """Make an order, an addition or a router from its name and the texts of its settings."""
    name, texts = given
    if name not in parts:
        raise BadInput(f"no {kind} {name!r}{_near(name, parts)}; there are {', '.join(parts)}.")
    part, found, bare = parts[name], dict(more or {}), []
    for text in texts:
        key, equals, value = (word.strip() for word in text.partition("="))
        if not equals and part.bare:
            bare.append(text)
            continue
        _known(name, key, part)
        found[key] = _read(name, part.settings[key], value)
    for key in found:
        _known(name, key, part)
    if part.bare and (bare or part.bare[0] not in found):
        found[part.bare[0]] = _read(name, part.bare[1], bare)
    return part.build(**found)


def _known(name: str, key: str, part: Part) -> None:
    """Refuse a setting that is not one of its part's."""
    known = [*part.settings, *([part.bare[0]] if part.bare else [])]
    if name in ORDERS and name != "tiers":
        known.append(FLOORS)
    if key not in known:
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
