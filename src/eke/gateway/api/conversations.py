"""/v1/conversations: items in order, which responses read and add to."""

from __future__ import annotations

from typing import Any

import msgspec

from eke.gateway.api.listing import SLICE, included, listed, shown, slice_of
from eke.gateway.api.routes import Asking, Route
from eke.gateway.refusal import bad
from eke.gateway.responses import conversations, kept
from eke.gateway.responses.ask import check_metadata
from eke.gateway.responses.ids import Ids
from eke.gateway.responses.items import REFERENCE, Item, items_of
from eke.gateway.state.state import State

AT_ONCE = 20  # items that are added at most


class Create(msgspec.Struct):
    """What POST /v1/conversations is asked for."""

    items: list[dict[str, Any]] | None = None
    metadata: dict[str, str] | None = None


class Update(msgspec.Struct):
    """And POST /v1/conversations/{id}."""

    metadata: dict[str, str] | None


class Add(msgspec.Struct):
    """And POST /v1/conversations/{id}/items."""

    items: list[dict[str, Any]]


async def create(asking: Asking) -> None:
    """POST /v1/conversations."""
    given = await asking.json(Create)
    check_metadata(given.metadata)
    items, state = _items(given.items or []), _state(asking)
    if not asking.tenant.store:
        raise bad("Nothing of your requests may be stored, so there are no conversations.")
    id = f"conv_{Ids().stamp}"
    document = conversations.document(
        id, asking.tenant, given.metadata, asking.gateway.clock.wall()
    )
    await state.write(conversations.create, document, items)
    await asking.reply(200, conversations.told(document))


async def retrieve(asking: Asking) -> None:
    """GET /v1/conversations/{id}."""
    document = await _state(asking).read(conversations.get, *_which(asking))
    await asking.reply(200, conversations.told(document))


async def update(asking: Asking) -> None:
    """POST /v1/conversations/{id}: other metadata."""
    given = await asking.json(Update)
    check_metadata(given.metadata)
    verb = conversations.update
    document = await _state(asking).write(verb, *_which(asking), given.metadata or {})
    await asking.reply(200, conversations.told(document))


async def delete(asking: Asking) -> None:
    """DELETE /v1/conversations/{id}, with its items; responses stay."""
    state, (id, tenant, _) = _state(asking), _which(asking)
    if not await state.write(conversations.delete, id, tenant):
        raise kept.no_conversation(id)
    await state.scrub()
    await asking.reply(200, {"id": id, "object": "conversation.deleted", "deleted": True})


async def add(asking: Asking) -> None:
    """POST /v1/conversations/{id}/items."""
    items, state = _items((await asking.json(Add)).items), _state(asking)
    until = asking.gateway.clock.wall() + asking.tenant.retention
    await state.write(conversations.add, *_which(asking), items, until)
    await asking.reply(200, listed(asking, (items, False)))


async def items(asking: Asking) -> None:
    """GET /v1/conversations/{id}/items."""
    wanted = slice_of(asking, asking.parts["id"])
    now = asking.gateway.clock.wall()
    page = await _state(asking).read(conversations.page, wanted, now)
    await asking.reply(200, listed(asking, page))


async def item(asking: Asking) -> None:
    """GET /v1/conversations/{id}/items/{item}."""
    found = await _state(asking).read(conversations.item, *_which(asking), asking.parts["item"])
    await asking.reply(200, shown(found, included(asking)))


async def remove(asking: Asking) -> None:
    """DELETE /v1/conversations/{id}/items/{item}."""
    state = _state(asking)
    document = await state.write(conversations.remove, *_which(asking), asking.parts["item"])
    await state.scrub()
    await asking.reply(200, conversations.told(document))


def _items(given: list[dict[str, Any]]) -> list[Item]:
    """Items that are added. Raises Refusal 400."""
    if len(given) > AT_ONCE:
        raise bad(f"Invalid 'items': {len(given)} items; {AT_ONCE} is the most at once.", "items")
    found = items_of(given, Ids(), "items")
    if any(item["type"] == REFERENCE for item in found):
        raise bad("Items of a conversation are sent whole, not as references.", "items")
    return found


def _which(asking: Asking) -> tuple[str, str, float]:
    """The conversation that is asked about, whose, and when, UTC [s]."""
    return asking.parts["id"], asking.tenant.name, asking.gateway.clock.wall()


def _state(asking: Asking) -> State:
    """Where conversations are kept. Raises Refusal."""
    state = asking.gateway.state
    if state is None:
        raise bad("This gateway keeps no conversations: it has no 'state' in its settings.")
    return state


ROUTES = (
    Route("POST", "/v1/conversations", create, Create),
    Route("GET", "/v1/conversations/{id}", retrieve),
    Route("POST", "/v1/conversations/{id}", update, Update),
    Route("DELETE", "/v1/conversations/{id}", delete),
    Route("POST", "/v1/conversations/{id}/items", add, Add),
    Route("GET", "/v1/conversations/{id}/items", items, None, SLICE),
    Route("GET", "/v1/conversations/{id}/items/{item}", item),
    Route("DELETE", "/v1/conversations/{id}/items/{item}", remove),
)
