"""A request's body as an engine gets it."""

from __future__ import annotations

from typing import Any

from eke.gateway.asker import Asker
from eke.gateway.call import Call
from eke.gateway.changes import with_fields
from eke.gateway.engines.engine import Engine
from eke.gateway.gateway import Gateway


def body_for(gateway: Gateway, asker: Asker, call: Call, engine: Engine, body: bytes) -> bytes:
    """The body with the model's name there, usage asked for, and the answer bounded as decided."""
    asked, fields = asker.asked, dict[str, Any]()
    smaller = gateway.model(asked.model).smaller or ""
    there = engine.models.get(asked.model) or engine.models.get(smaller, asked.model)
    if there != asked.model:
        fields["model"] = there
    if asked.stream and asker.endpoint.answers:
        options = asked.stream_options or {}
        if not options.get("include_usage"):
            fields["stream_options"] = {**options, "include_usage": True}
    if (most := _cut(gateway, asker, call)) is not None:
        given = [name for name in asker.endpoint.bounds if getattr(asked, name) is not None]
        fields.update(dict.fromkeys(given or ["max_tokens"], most))
    if engine.settings.ordered:
        fields["priority"] = call.request.priority
    return with_fields(body, fields)


def _cut(gateway: Gateway, asker: Asker, call: Call) -> int | None:
    """Longest answer there may be, each where several are asked for; None where the client and the
    engine bound it as tightly."""
    asked = asker.asked
    if not asker.endpoint.answers:
        return None
    most = call.request.most if call.most is None else call.most
    most, said = max(most // asker.copies, 1), asker.bound
    if said is not None:
        return most if most < said else None
    shorter = call.most is not None and call.rung
    own = gateway.context(asker.tenant, asked.model)
    return most if shorter or own < gateway.model_context(asked.model) else None
