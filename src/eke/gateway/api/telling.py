"""Headers by which answers tell what became of a request, and what is left of rates."""

from __future__ import annotations

from collections.abc import Iterable

from eke.gateway.errand import Errand
from eke.gateway.gateway import Gateway
from eke.gateway.settings import Counted

RATES: tuple[Counted, ...] = ("requests", "tokens")
ID = b"x-request-id"

Headers = list[tuple[bytes, bytes]]


def told(errand: Errand) -> Headers:
    """Headers of every answer to a request: its number, its wait, what is left of its rates."""
    gateway, call = errand.gateway, errand.call
    now = gateway.clock.now()
    found: Headers = [
        (ID, gateway.request_id(call.request.id).encode()),
        (b"openai-processing-ms", b"%d" % ((now - call.request.arrived) * 1e3)),
    ]
    waited = 0 if call.started is None else int((call.started - call.request.arrived) * 1e3)
    if waited:
        found.append((b"x-eke-wait-ms", b"%d" % waited))
    if errand.place is not None:
        found.append((b"x-eke-queue-place", b"%d" % errand.place.before))
    if call.rung:
        found.append((b"x-eke-degraded", call.rung.encode()))
    if errand.tenant.limits:
        found += _rates(errand)
    return found


def costs(usd: float, joules: float) -> Headers:
    """What a request took, where that is known before its answer is sent [USD, J]."""
    found = [(b"x-eke-cost-usd", b"%.9f" % usd)]
    return [*found, (b"x-eke-energy-j", b"%.4g" % joules)] if joules else found


def numbered(gateway: Gateway, headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    """Headers, with a number of the request among them where they have none yet."""
    found = list(headers)
    if not any(name == ID for name, _ in found):
        found.append((ID, gateway.request_id(gateway.number()).encode()))
    return found


def _rates(errand: Errand) -> Headers:
    gateway, found = errand.gateway, Headers()
    wall = gateway.clock.wall()
    for what in RATES:
        left = gateway.ledger.left(errand.tenant, what, wall)
        if left is not None:
            limit, rest, seconds = left
            name = what.encode()
            found.append((b"x-ratelimit-limit-" + name, b"%d" % limit))
            found.append((b"x-ratelimit-remaining-" + name, b"%d" % rest))
            found.append((b"x-ratelimit-reset-" + name, duration(seconds).encode()))
    return found


def duration(seconds: float) -> str:
    """As OpenAI's headers have it: "6m0s", "1s", "20ms"."""
    if seconds < 1:
        return f"{max(round(seconds * 1e3), 1)}ms"
    whole = round(seconds)
    hours, minutes = whole // 3600, whole // 60 % 60
    words = f"{hours}h" if hours else ""
    return words + (f"{minutes}m" if hours or minutes else "") + f"{whole % 60}s"
