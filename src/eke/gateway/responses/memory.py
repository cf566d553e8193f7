"""How long an engine's cache of a conversation is expected to last, and what it saved."""

from __future__ import annotations

from typing import Any

from eke.gateway.responses.ask import Ask
from eke.gateway.row import Row
from eke.gateway.settings import Tenant

KEPT = 300.0  # for which an engine keeps the cache of a conversation that rests [s] (assumed)


def remembered(ask: Ask, tenant: Tenant, row: Row, wall: float) -> dict[str, Any]:
    """What a response says of it besides what OpenAI's do. wall: UTC [s]."""
    seconds = KEPT if ask.ttl is None else min(ask.ttl, tenant.retention)
    return {
        "kept_until": round(wall + seconds, 3) if row.tokens else None,
        "cached_tokens": row.cached,
        "saved_usd": row.saved,
        "cost_usd": row.charged,
        "energy_j": row.energy,
    }
