"""What the endpoints of stored things share: where they are, whose, and how they are listed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from eke.errors import BadInput
from eke.gateway.api.routes import Asking
from eke.gateway.refusal import Refusal, bad, not_found
from eke.gateway.state import documents
from eke.gateway.state.documents import Document, Listing
from eke.gateway.state.state import State

LIMIT, MOST = 20, 100  # things on a page
PAGE = ("after", "limit")  # names of the address that choose one


def state_of(asking: Asking) -> State:
    """Where things are kept. Raises Refusal 501 where nothing is."""
    state = asking.gateway.state
    if state is None:
        raise Refusal(
            501,
            "This gateway keeps nothing, so it has no files, batches or fine-tuning jobs. Whoever "
            'runs it can give it a state: state = "eke.db" in its file, or --state eke.db.',
            "server_error",
            "not_implemented",
            again=False,
        )
    return state


def keeps(asking: Asking) -> State:
    """The same for what puts something there. Raises Refusal 403 where the tenant's texts are not
    to be kept."""
    if not asking.tenant.store:
        raise Refusal(403, "Your account keeps no texts, so it can have no files and no batches.")
    return state_of(asking)


async def found(
    asking: Asking, kind: str, id: str, words: str, code: str | None = None, param: str = "id"
) -> Document:
    """One of the tenant's things. words, code, param: of the Refusal 404 where it has none such;
    param is the field that named it."""
    document = await state_of(asking).read(documents.get, kind, id, asking.tenant.name)
    if document is None or expired(document, asking.gateway.clock.wall()):
        raise not_found(words, param, code)
    return document


def expired(document: Document, wall: float) -> bool:
    """Whether it is about to be swept. wall: UTC [s]."""
    return document.expires is not None and document.expires < wall


async def page(asking: Asking, listing: Listing) -> documents.Page:
    """A page of the tenant's things. Raises Refusal 400."""
    try:
        return await state_of(asking).read(documents.page, listing)
    except BadInput as error:
        raise bad(str(error), "after") from None


def newest_first(asking: Asking) -> bool:
    """By the query's order. Raises Refusal 400."""
    order: str = asking.query.get("order", "desc")
    if order not in ("asc", "desc"):
        raise bad("Invalid 'order': it is asc or desc.", "order")
    return order == "desc"


def listed(shown: Sequence[dict[str, Any]], more: bool) -> dict[str, Any]:
    """Things as a list."""
    return {
        "object": "list",
        "data": shown,
        "first_id": shown[0]["id"] if shown else None,
        "last_id": shown[-1]["id"] if shown else None,
        "has_more": more,
    }


async def reply_page(
    asking: Asking, listing: Listing, show: Callable[[Document], dict[str, Any]]
) -> None:
    """Answer with a page of things. show: one as clients see it."""
    there = await page(asking, listing)
    wall = asking.gateway.clock.wall()
    shown = [show(each) for each in there.documents if not expired(each, wall)]
    await asking.reply(200, listed(shown, there.more))
