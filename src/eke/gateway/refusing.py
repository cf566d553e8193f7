"""What a policy's no, and a model that is none, are to clients."""

from __future__ import annotations

from eke.errors import closest
from eke.gateway.asker import Asker
from eke.gateway.call import Call
from eke.gateway.desk import Desk
from eke.gateway.engines.engine import Engine
from eke.gateway.gateway import Gateway
from eke.gateway.refusal import Refusal, not_found, overloaded
from eke.gateway.settings import Tenant
from eke.gateway.sizing import too_long

STARTING = 2.0  # when to ask again while engines start [s]


def refused(gateway: Gateway, asker: Asker, call: Call) -> Refusal:
    """What the policy's no is to the client."""
    said = call.refusal
    assert said is not None
    if said.reason == "too long":
        return too_long(gateway, asker, call.request.prompt, None)
    if asker.tier == "flex":
        words, code = f"Resource Unavailable: {said.reason}.", "resource_unavailable"
        return Refusal(429, words, code, code, retry_after=said.retry_after, reason=said.reason)
    later = ", or send it as a background response or in a batch" if gateway.state else ""
    words = f"The engines are overloaded: {said.reason}. Ask again later{later}."
    refusal = overloaded(words, said.retry_after, said.reason)
    if said.place is not None:
        refusal.more = ((b"x-eke-queue-place", b"%d" % said.place),)
    return refusal


def may_use(tenant: Tenant, model: str) -> bool:
    """Whether a tenant may use a model."""
    return tenant.models is None or model in tenant.models


def unseen(gateway: Gateway, model: str) -> list[Engine]:
    """Engines that were never there and may serve a model."""
    return [
        engine
        for engine in gateway.engines.values()
        if not engine.ready and (engine.settings.models is None or model in engine.models)
    ]


def desk_of(gateway: Gateway, tenant: Tenant, model: str) -> Desk:
    """Where a tenant's requests to a model wait. Raises Refusal where nobody serves it, or not to
    this tenant."""
    desk = gateway.desks.get(model)
    if desk is None or not may_use(tenant, model):
        raise unknown_model(gateway, tenant, model)
    return desk


def unknown_model(gateway: Gateway, tenant: Tenant, model: str) -> Refusal:
    """A model that nobody serves, or not to this tenant; while engines start, nobody knows."""
    if missing := unseen(gateway, model):
        words = (
            f"The model `{model:.80}` is not known; {len(missing)} engine(s) did not answer yet."
        )
        return overloaded(words, STARTING)
    return no_model(model, usable(gateway, tenant))


def usable(gateway: Gateway, tenant: Tenant) -> list[str]:
    """Models that a tenant may use, as clients name them."""
    return [name for name in gateway.names() if may_use(tenant, name)]


def no_model(model: str, names: list[str]) -> Refusal:
    """A model that is none of some."""
    near = closest(model[:80], names)
    more = f" Closest: {near}." if near else ""
    words = f"The model `{model:.80}` does not exist or you do not have access to it.{more}"
    return not_found(words, "model", "model_not_found")
