"""Policies by name: ``make("fair(weights=gold:4+free:1)+promise@prefix")``.

    policy   = order ["+" addition]… ["@" router]
    each     = name ["(" setting ["," setting]… ")"]
    setting  = key "=" value | value
    value    = quantity ("30s", "20%", "8k") | name ":" quantity ["+" name ":" quantity]… | word

Orders: fcfs, priority, fair, deadline, shortest. Routers: least-load (the usual one), round-robin,
prefix, sticky. `names()` lists everything with its settings.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from eke.errors import BadInput, BadQuantity, closest
from eke.policy.dispatcher import Dispatcher
from eke.policy.orders.deadline import Deadline
from eke.policy.orders.fair import Fair
from eke.policy.orders.fcfs import Fcfs
from eke.policy.orders.order import Order
from eke.policy.orders.priority import Priority
from eke.policy.orders.shortest import Shortest
from eke.policy.routers.least_load import LeastLoad
from eke.policy.routers.prefix import Prefix
from eke.policy.routers.round_robin import RoundRobin
from eke.policy.routers.router import Router
from eke.policy.routers.sticky import Sticky
from eke.units import quantity

Reader = Callable[[str], Any]
_PART = re.compile(r"\s*([A-Za-z][\w-]*)\s*(?:\((.*)\))?\s*\Z", re.S)


def seconds(text: str) -> float:
    """A duration, or "never"."""
    return math.inf if text.strip() == "never" else quantity(text, "s")


def number(text: str) -> float:
    """A plain number or a share."""
    return quantity(text, "1")


def numbers(text: str) -> dict[str, float]:
    """Numbers by name: "gold:4+free:1"."""
    pairs = [each.partition(":") for each in text.split("+")]
    if not all(colon for _, colon, _ in pairs):
        raise BadQuantity(f"{text!r} does not say a number by name, such as gold:4+free:1.")
    return {name.strip(): number(value) for name, _, value in pairs}


class Part(NamedTuple):
    """What a name stands for. settings: how the text of each is read, by its key."""

    build: Callable[..., Any]
    settings: dict[str, Reader] = {}


ORDERS: dict[str, Part] = {
    "fcfs": Part(Fcfs),
    "priority": Part(Priority, {"ageing": seconds}),
    "fair": Part(Fair, {"weights": numbers, "prompt": number, "answer": number}),
    "deadline": Part(Deadline, {"patience": seconds}),
    "shortest": Part(Shortest, {"ageing": number}),
}
ROUTERS: dict[str, Part] = {
    "least-load": Part(LeastLoad),
    "round-robin": Part(RoundRobin),
    "prefix": Part(Prefix, {"slack": number}),
    "sticky": Part(Sticky, {"slack": number}),
}


def make(text: str, **settings: Any) -> Dispatcher:
    """The policy that a text names. settings: more of its order's settings, as values.

    Errors: BadInput, naming what was given and what is allowed.
    """
    words, _, route = text.partition("@")
    first, *_additions = [_part(each, text) for each in _split(words, "+")]
    order = _build("order", ORDERS, first, settings)
    router: Router = _build("router", ROUTERS, _part(route or "least-load", text))
    assert isinstance(order, Order)
    return Dispatcher(order, router)


def _split(text: str, mark: str) -> list[str]:
    """Cut a text at a mark that stands outside parentheses."""
    parts, depth = [""], 0
    for letter in text:
        depth += (letter == "(") - (letter == ")")
        if letter == mark and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return parts


def _part(text: str, whole: str) -> tuple[str, list[str]]:
    """Name and settings: "fair(weights=a:2)" → ("fair", ["weights=a:2"])."""
    match = _PART.match(text)
    if match is None:
        raise BadInput(
            f"policy {whole!r:.80}: {text.strip()!r:.60} is not a name with settings in "
            "parentheses; write it like fair(weights=gold:4+free:1)+promise@least-load."
        )
    return match[1], [each.strip() for each in _split(match[2] or "", ",") if each.strip()]


def _build(
    kind: str, parts: dict[str, Part], given: tuple[str, list[str]], more: Any = None
) -> Any:
    """Make an order, an addition or a router from its name and settings."""
    name, texts = given
    if name not in parts:
        raise BadInput(f"no {kind} {name!r}{_hint(name, parts)}; there are {', '.join(parts)}.")
    part, values = parts[name], dict(more or {})
    for text in texts:
        key, _, value = (word.strip() for word in text.partition("="))
        if key not in part.settings:
            raise BadInput(_no_setting(name, key, part.settings))
        try:
            values[key] = part.settings[key](value)
        except BadQuantity as error:
            raise BadInput(f"{name}({text}): {error}") from None
    unknown = sorted(values.keys() - part.settings.keys())
    if unknown:
        raise BadInput(_no_setting(name, unknown[0], part.settings))
    return part.build(**values)


def _no_setting(name: str, key: str, settings: Iterable[str]) -> str:
    known = ", ".join(settings) or "none"
    return f"{name} has no setting {key!r}{_hint(key, settings)}; it has {known}."


def _hint(name: str, names: Iterable[str]) -> str:
    near = closest(name, names)
    return f" (closest: {near})" if near else ""
