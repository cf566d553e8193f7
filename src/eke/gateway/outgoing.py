"""A request's body as an engine gets it."""

from __future__ import annotations

from typing import Any

from eke.gateway.call import Call
from eke.gateway.changes import with_fields
from eke.gateway.engines.engine import Engine
from eke.gateway.gateway import Gateway
from eke.gateway.sizing import Asker


def body_for(gateway: Gateway, asker: Asker, call: Call, engine: Engine, body: bytes) -> bytes:
    """The body with the model's name there, usage asked for, and the answer bounded as decided."""
    asked, fields = asker.asked, dict[str, Any]()
    present = False
    smaller = gateway.model(asked.model).smaller or ""
    there = engine.models.get(asked.model) or engine.models.get(smaller, asked.model)
    if there != asked.model:
        fields["model"], present = there, True
    if asked.stream and asker.endpoint.answers:
        options = asked.stream_options or {}
        if not options.get("include_usage"):
            fields["stream_options"] = {**options, "include_usage": True}
            present = present or asked.stream_options is not None
    if _cuts(gateway, asker, call):
        name = "max_tokens" if asked.max_completion_tokens is None else "max_completion_tokens"
        fields[name] = call.request.most if call.most is None else call.most
        present = present or asked.max_tokens is not None or name != "max_tokens"
    if engine.settings.ordered:
        fields["priority"], present = call.request.priority, True
    return with_fields(body, fields, present)


def _cuts(gateway: Gateway, asker: Asker, call: Call) -> bool:
    """Whether the answer is bounded more tightly than the client and the engine would."""
    asked = asker.asked
    if not asker.endpoint.answers or max(asked.n or 1, asked.best_of or 1) > 1:
        return False
    said = asked.max_completion_tokens or asked.max_tokens
    most = call.request.most if call.most is None else call.most
    if said is not None:
        return most < said
    own = gateway.context(asker.tenant, asked.model)
    return call.most is not None or own < gateway.model_context(asked.model)
