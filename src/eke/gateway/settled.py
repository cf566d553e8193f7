"""A request that is over, as it is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eke.gateway.row import FAILED, REFUSED, Row
from eke.gateway.settings import Price

if TYPE_CHECKING:
    from eke.gateway.errand import Errand


def row_of(errand: Errand, counts: tuple[int, int, int], end: tuple[str, str], now: float) -> Row:
    """What is kept of it. counts: tokens of prompt and answer, and those cached.  end: how and
    why; what the gateway could not do, or never began, is not charged."""
    call, request, asker = errand.call, errand.call.request, errand.asker
    (prompt, tokens, cached), (outcome, reason), engine = counts, end, call.engine
    free = outcome in (REFUSED, FAILED) or call.started is None
    charged, saved = 0.0 if free else call.cost, 0.0
    price = _price(errand)
    if price is not None and not free:
        part = 1.0 - errand.gateway.settings.batch_discount if asker.tier == "batch" else 1.0
        fresh = (prompt - cached) * price.prompt + cached * price.cached
        charged = part * (fresh + tokens * price.answer)
        saved = part * cached * (price.prompt - price.cached)
    return Row(
        number=request.id,
        arrived_at=errand.gateway.clock.wall(request.arrived),
        arrived=request.arrived,
        started=call.started,
        first=call.first,
        finished=now,
        prompt=prompt,
        asked=min(request.most, 1 << 30),
        tokens=tokens,
        cached=cached,
        tenant=errand.tenant.name,
        kind=asker.kind,
        model=asker.asked.model,
        priority=request.priority,
        tier=asker.tier,
        engine="" if engine is None else engine.name,
        outcome=outcome,
        reason=reason,
        tries=call.tries,
        session=request.session,
        ttft=request.ttft,
        deadline=request.deadline,
        seconds=call.seconds,
        energy=call.energy,
        cost=call.cost,
        charged=charged,
        saved=saved,
    )


def _price(errand: Errand) -> Price | None:
    """The price list of the model that answered, which may be a smaller one than was asked for; of
    the one asked for where that has none."""
    gateway, engine = errand.gateway, errand.call.engine
    asked = gateway.model(errand.asker.asked.model)
    if asked.smaller and engine is not None and asked.name not in engine.models:
        return gateway.model(asked.smaller).price or asked.price
    return asked.price
