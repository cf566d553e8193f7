"""GET /eke/queue: what of a tenant waits, where it stands, and when it will be its turn."""

from __future__ import annotations

from asyncio import sleep
from collections.abc import Iterable
from typing import Any

from eke.gateway.api.routes import Asking, Route
from eke.gateway.call import Call
from eke.gateway.desk import Desk
from eke.gateway.refusal import not_found
from eke.gateway.refusing import usable
from eke.gateway.seeing.census import KEPT, models_of
from eke.gateway.seeing.seeing import Seeing
from eke.gateway.seeing.status import TIERS
from eke.gateway.settings import Tenant
from eke.policy.protocol import Place

FRESH = (b"cache-control", b"no-store")

Placed = tuple[Desk, Call, Place]


def routes(seeing: Seeing) -> tuple[Route, ...]:
    """For every tenant, of its own requests."""

    async def queue(asking: Asking) -> None:
        number = asking.query.get("request_id")
        tenant = asking.tenant
        told = await (_all(seeing, tenant) if number is None else _one(seeing, tenant, number))
        await asking.reply(200, told, (FRESH,))

    return (Route("GET", "/eke/queue", queue, None, ("request_id",)),)


async def _all(seeing: Seeing, tenant: Tenant) -> dict[str, Any]:
    """What waits, the oldest first, KEPT of it by name."""
    gateway, census = seeing.gateway, await seeing.counting.now()
    desks, own = gateway.all_desks(), census.own(tenant.name)
    calls = [(line.desk, call) for line, queue in own for call in queue.first if _waits(call)]
    calls.sort(key=lambda each: each[1].request.id)
    placed = await _placed(calls[:KEPT])
    waiting, allowed = sum(queue.count for _, queue in own), set(usable(gateway, tenant))
    return {
        "object": "list",
        "as_of": gateway.clock.wall(census.at),
        "waiting": waiting,
        "has_more": waiting > KEPT,
        "data": [_request(seeing, tenant, each) for each in placed],
        "queues": [
            _queue(seeing, tenant, desk, placed)
            for desk in desks
            if allowed & set(models_of(gateway, desk))
        ],
    }


async def _one(seeing: Seeing, tenant: Tenant, number: str) -> dict[str, Any]:
    """One request. Raises Refusal 404 where it does not wait, or is not the tenant's."""
    found = seeing.numbered(number)
    for desk in seeing.gateway.all_desks():
        call = None if found is None else desk.calls.get(found)
        if call is not None and call.request.tenant == tenant.name and _waits(call):
            placed = await _placed([(desk, call)])
            if placed:
                return _request(seeing, tenant, placed[0])
    raise not_found(
        "No request of yours with this id waits: it was started, is over, or never was.",
        "request_id",
    )


async def _placed(own: Iterable[tuple[Desk, Call]]) -> list[Placed]:
    """Where requests stand. Finding out takes a look at the whole queue, which is done for the
    first and the last of each tier; those between are told to stand evenly between them."""
    lines: dict[tuple[int, int], list[tuple[Desk, Call]]] = {}
    for desk, call in own:
        lines.setdefault((id(desk), call.request.priority), []).append((desk, call))
    found: list[Placed] = []
    for line in lines.values():
        ends = []
        for desk, call in (line[0], line[-1]):
            ends.append(desk.place(call))
            await sleep(0)
        first, last = ends
        if first is None or last is None:
            continue  # they were started meanwhile
        for number, (desk, call) in enumerate(line):
            if _waits(call):
                place = _between(first, last, number / max(len(line) - 1, 1))
                found.append((desk, call, place))
    return sorted(found, key=lambda each: each[1].request.id)


def _between(first: Place, last: Place, part: float) -> Place:
    before = first.before + part * (last.before - first.before)
    if first.eta is None or last.eta is None:
        return Place(before=round(before))
    return Place(before=round(before), eta=first.eta + part * (last.eta - first.eta))


def _request(seeing: Seeing, tenant: Tenant, placed: Placed) -> dict[str, Any]:
    desk, call, place = placed
    request = call.request
    allowed = usable(seeing.gateway, tenant)
    return {
        "object": "eke.queued",
        "request_id": seeing.gateway.request_id(request.id),
        "models": [name for name in models_of(seeing.gateway, desk) if name in allowed],
        "service_tier": TIERS.get(request.priority, "default"),
        "kind": request.kind,
        "before": place.before,
        "eta_seconds": place.eta,
        "waited_seconds": seeing.gateway.clock.now() - request.arrived,
    }


def _queue(seeing: Seeing, tenant: Tenant, desk: Desk, placed: Iterable[Placed]) -> dict[str, Any]:
    """Of all tenants together. before_newest: of those that wait, before the tenant's newest."""
    allowed = usable(seeing.gateway, tenant)
    own = [place.before for other, _, place in placed if other is desk]
    return {
        "models": [name for name in models_of(seeing.gateway, desk) if name in allowed],
        "waiting": desk.waiting,
        "before_newest": own[-1] if own else None,
        "engines": len(desk.engines),
        "engines_alive": sum(engine.alive for engine in desk.engines.values()),
    }


def _waits(call: Call) -> bool:
    return call.engine is None and call.refusal is None and not call.left
