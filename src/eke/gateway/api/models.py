"""GET /v1/models: what may be asked for."""

from __future__ import annotations

from math import inf
from typing import Any

from eke.gateway.api.routes import Asking, Route
from eke.gateway.gateway import Gateway
from eke.gateway.refusing import no_model, usable
from eke.gateway.settings import Tenant


def described(gateway: Gateway, tenant: Tenant, name: str) -> dict[str, Any]:
    """One model, as OpenAI describes it, with the context its tenant has."""
    context = gateway.context(tenant, name)
    created = int(gateway.clock.wall(0.0))
    found = {"id": name, "object": "model", "created": created, "owned_by": "eke"}
    return found if context == inf else {**found, "max_model_len": int(context)}


async def listed(asking: Asking) -> None:
    """All of them."""
    gateway, tenant = asking.gateway, asking.tenant
    data = [described(gateway, tenant, name) for name in usable(gateway, tenant)]
    await asking.reply(200, {"object": "list", "data": data})


async def one(asking: Asking) -> None:
    """One of them."""
    gateway, tenant, name = asking.gateway, asking.tenant, asking.parts["model"]
    if name not in usable(gateway, tenant):
        raise no_model(name, usable(gateway, tenant))
    await asking.reply(200, described(gateway, tenant, name))


ROUTES = (Route("GET", "/v1/models", listed), Route("GET", "/v1/models/{model...}", one))
