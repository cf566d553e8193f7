"""What an engine is asked for a response: all that was said, within the tenant's context."""

from __future__ import annotations

from math import inf

from eke.gateway.asked import CHAT, Asked
from eke.gateway.gateway import Gateway
from eke.gateway.refusal import bad
from eke.gateway.refusing import desk_of
from eke.gateway.responses import kept
from eke.gateway.responses.ask import Ask
from eke.gateway.responses.bodies import chat
from eke.gateway.responses.ids import Ids
from eke.gateway.responses.items import REFERENCE, Item, items_of
from eke.gateway.responses.kept import History, Wanted
from eke.gateway.responses.messages import Message, messages_of
from eke.gateway.responses.trimming import trimmed
from eke.gateway.settings import Tenant
from eke.gateway.sizing import IMAGE
from eke.types.record import Record


class Turn(Record):
    """One turn of a conversation.

    before: items it goes on from.  input: its own.  messages: all that was said, as the engine is
    told.  session: what it belongs to, the same along a chain; None where it is told by its
    beginning only.  asked, body: the request for a chat completion.
    """

    ids: Ids
    before: list[Item]
    input: list[Item]
    messages: list[Message]
    session: str | None
    asked: Asked
    body: bytes


async def turn_of(
    gateway: Gateway, tenant: Tenant, ask: Ask, ids: Ids, given: list[Item] | None = None
) -> Turn:
    """The turn that a request asks for. Raises Refusal where its model, or what it goes on from, is
    not there.

    given: its input, where that was read before.
    """
    desk_of(gateway, tenant, ask.model)  # names that nobody serves are not to be remembered
    items = items_of(ask.input, ids) if given is None else given
    history, items = await said(gateway, tenant, ask, items, ids)
    most = gateway.settings.longest_body
    messages = messages_of(history.items + items, ask.instructions, most)
    if not messages:
        raise bad("Missing required parameter: 'input'.", "input", "missing_required_parameter")
    if ask.truncation == "auto":
        messages = _fitting(gateway, tenant, ask, messages)
    session = history.session or ask.prompt_cache_key or _own(gateway, tenant, ask, ids, items)
    asked, body = chat(ask, messages, session)
    return Turn(
        ids=ids,
        before=history.items,
        input=items,
        messages=messages,
        session=session,
        asked=asked,
        body=body,
    )


async def said(
    gateway: Gateway, tenant: Tenant, ask: Ask, items: list[Item], ids: Ids
) -> tuple[History, list[Item]]:
    """What was said before, and the input without references. Raises Refusal."""
    wanted = Wanted(
        tenant=tenant.name,
        now=gateway.clock.wall(),
        previous=ask.previous_response_id,
        conversation=ask.conversation_id,
    )
    refers = any(item["type"] == REFERENCE for item in items)
    if wanted.previous is None and wanted.conversation is None and not refers:
        return History(), items
    state = gateway.state
    if state is None:
        raise bad(
            "This gateway keeps nothing: it has no 'state' in its settings. Send the whole "
            "conversation as 'input'.",
            "previous_response_id" if wanted.previous else "input",
        )
    return await state.read(kept.history, wanted, items, ids)


def _own(gateway: Gateway, tenant: Tenant, ask: Ask, ids: Ids, items: list[Item]) -> str | None:
    """The session that a response begins; None for one that nobody can go on from, or that brings
    along what was said before, as clients do that keep it themselves."""
    brings = any(item["type"] != "message" or item["role"] == "assistant" for item in items)
    return None if brings or not keeps(gateway, tenant, ask.store) else ids.response


def keeps(gateway: Gateway, tenant: Tenant, store: bool | None) -> bool:
    """Whether a response is stored."""
    return gateway.state is not None and tenant.store and store is not False


def _fitting(gateway: Gateway, tenant: Tenant, ask: Ask, messages: list[Message]) -> list[Message]:
    """The newest turns that fit into the tenant's context, with room for the answer."""
    context = gateway.context(tenant, ask.model)
    if context == inf:
        return messages
    lengths = gateway.lengths_of(ask.model)
    answer = ask.max_output_tokens or lengths.answer(tenant.name, CHAT.kind)
    room = context - min(answer, context / 2)
    return trimmed(messages, room, lambda size, media: lengths.prompt(size) + media * IMAGE)
