"""Lists of items, page by page, as OpenAI's clients walk through them."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

from eke.gateway.api import stored
from eke.gateway.api.routes import Asking
from eke.gateway.api.stored import LIMIT, MOST, newest_first
from eke.gateway.responses.items import Item, Part
from eke.gateway.state.items import Slice

PICTURES = "message.input_image.image_url"
SLICE = ("after", "limit", "order", "include")  # names of the address that choose items
REASONING = "reasoning.encrypted_content"


def slice_of(asking: Asking, owner: str, part: str = "") -> Slice:
    """The items that are asked for: after, limit and order of the address. Raises Refusal 400."""
    return Slice(
        owner=owner,
        tenant=asking.tenant.name,
        part=part,
        after=asking.query.get("after") or None,
        limit=asking.number("limit", LIMIT, 1, MOST),
        newest=newest_first(asking),
    )


def listed(asking: Asking, page: tuple[list[Item], bool]) -> dict[str, Any]:
    """A page as it is sent."""
    found, more = page
    told = included(asking)
    return stored.listed([shown(item, told) for item in found], more)


def included(asking: Asking) -> set[str]:
    """What the address wants besides: include=… or include[]=…"""
    query = parse_qsl(asking.scope["query_string"].decode("latin-1"))
    return {value for name, value in query if name in ("include", "include[]")}


def shown(item: Item, told: set[str]) -> Item:
    """An item with no more than is wanted: pictures and packed reasoning are long."""
    item = dict(item)
    if REASONING not in told and item["type"] == "reasoning":
        item.pop("encrypted_content", None)
    if PICTURES not in told and isinstance(item.get("content"), list):
        item["content"] = [_plain(part) for part in item["content"]]
    return item


def _plain(part: Part) -> Part:
    return {**part, "image_url": None} if part.get("type") == "input_image" else part
