"""Making a long conversation short: what users said, and a summary of the rest by the model."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from eke.gateway.errand import Errand
from eke.gateway.gateway import Gateway
from eke.gateway.refusal import no_answer
from eke.gateway.responses.answer import Answer
from eke.gateway.responses.ask import Ask, CacheOptions
from eke.gateway.responses.ids import Ids
from eke.gateway.responses.items import Item, items_of
from eke.gateway.responses.making import Making, errand_of
from eke.gateway.responses.opaque import packed
from eke.gateway.responses.turn import turn_of
from eke.gateway.settings import Tenant

ORDER = (
    "Summarise the conversation above for whoever goes on with it and cannot see it: what was "
    "asked for, decided, found out and done, with every name, number and open question that "
    "matters. Write only the summary."
)


class Compact(msgspec.Struct, kw_only=True):
    """What POST /v1/responses/compact is asked for."""

    model: str
    input: str | list[dict[str, Any]] | None = None
    instructions: str | None = None
    previous_response_id: str | None = None
    prompt_cache_key: str | None = None
    prompt_cache_options: CacheOptions | None = None
    prompt_cache_retention: str | None = None
    service_tier: Literal["auto", "default", "fast", "flex", "priority"] | None = None
    image: dict[str, Any] | None = None


async def making_of(gateway: Gateway, tenant: Tenant, given: Compact) -> Making:
    """The summary, as a response that is to be made. Raises Refusal."""
    ask = Ask(
        model=given.model,
        input=given.input,
        instructions=given.instructions,
        previous_response_id=given.previous_response_id,
        prompt_cache_key=given.prompt_cache_key,
        service_tier=given.service_tier,
        truncation="auto",  # a summary of what fits is better than none
    )
    ids = Ids()
    items = [*items_of(ask.input, ids), *items_of(ORDER, ids)]
    turn = await turn_of(gateway, tenant, ask, ids, items)
    return Making(errand_of(Errand, gateway, tenant, ask, turn), ask, turn, stored=False)


def compacted(making: Making) -> Answer:
    """What users said and the summary, as input to go on with. Raises Refusal where the model gave
    no summary."""
    text = "".join(
        part.get("text", "")
        for item in making.answer["output"]
        if item["type"] == "message"
        for part in item["content"]
    )
    if not text.strip():
        raise no_answer("The model gave no summary.", "no summary")
    ids, turn = making.turn.ids, making.turn
    summary: Item = {"id": ids.item("cmp"), "type": "compaction", "encrypted_content": packed(text)}
    asked = [*turn.before, *turn.input[:-1]]
    return {
        "id": making.id,
        "object": "response.compaction",
        "created_at": int(making.created),
        "output": [item for item in asked if item.get("role") == "user"] + [summary],
        "usage": making.answer["usage"],
    }
