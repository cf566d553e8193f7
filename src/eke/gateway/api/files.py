"""/v1/files."""

from __future__ import annotations

from eke.gateway.api.routes import Asking, Route
from eke.gateway.api.stored import found, keeps, newest_first, reply_page, state_of
from eke.gateway.files.file import KIND, body_of, shown
from eke.gateway.files.upload import store
from eke.gateway.refusal import not_found
from eke.gateway.state import blobs, deleting
from eke.gateway.state.documents import Document, Listing

MANY = 10_000  # files on a page, as OpenAI's lists have them
PLAIN = (b"content-type", b"application/octet-stream")


async def create(asking: Asking) -> None:
    """Store a file."""
    await asking.reply(200, shown(await store(asking, keeps(asking))))


async def list_files(asking: Asking) -> None:
    """The tenant's files."""
    listing = Listing(
        kind=KIND,
        tenant=asking.tenant.name,
        label=asking.query.get("purpose", ""),
        after=asking.query.get("after"),
        limit=asking.number("limit", MANY, 1, MANY),
        newest=newest_first(asking),
    )
    await reply_page(asking, listing, shown)


async def get(asking: Asking) -> None:
    """One file."""
    await asking.reply(200, shown(await _file(asking)))


async def content(asking: Asking) -> None:
    """What a file holds, as it is read."""
    document, state = await _file(asking), state_of(asking)
    blob = await state.read(blobs.get, document.id, asking.tenant.name)
    if blob is None:
        raise _unknown(document.id)
    headers = [PLAIN, (b"content-length", b"%d" % blob.size), _disposition(document)]
    await asking.send({"type": "http.response.start", "status": 200, "headers": headers})
    if asking.scope["method"] != "HEAD":
        async for piece in state.pieces(blob):
            await asking.send({"type": "http.response.body", "body": piece, "more_body": True})
    await asking.send({"type": "http.response.body", "body": b""})


async def delete(asking: Asking) -> None:
    """Delete a file. What was read of it before, such as the lines of a batch, stays."""
    id = asking.parts["file"]
    if not await state_of(asking).write(deleting.delete, KIND, id, asking.tenant.name):
        raise _unknown(id)
    await asking.reply(200, {"id": id, "object": "file", "deleted": True})


async def _file(asking: Asking) -> Document:
    id = asking.parts["file"]
    return await found(asking, KIND, id, f"No such File object: {id:.80}")


def _unknown(id: str) -> Exception:
    return not_found(f"No such File object: {id:.80}", "id")


def _disposition(document: Document) -> tuple[bytes, bytes]:
    name = "".join(each for each in body_of(document).name if each.isalnum() or each in "._- ")
    return b"content-disposition", f'attachment; filename="{name}"'.encode("ascii", "replace")


ROUTES = (
    Route("POST", "/v1/files", create),
    Route("GET", "/v1/files", list_files, None, ("purpose", "after", "limit", "order")),
    Route("GET", "/v1/files/{file}", get),
    Route("GET", "/v1/files/{file}/content", content),
    Route("DELETE", "/v1/files/{file}", delete),
)
