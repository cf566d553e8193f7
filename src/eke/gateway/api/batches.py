"""/v1/batches."""

from __future__ import annotations

from typing import Any

from eke.gateway.api.routes import Asking, Route
from eke.gateway.api.stored import LIMIT, MOST, PAGE, expired, found, keeps, listed, page, state_of
from eke.gateway.batches.batch import (
    CANCELLED,
    CANCELLING,
    KIND,
    OPEN,
    RUNNING,
    VALIDATING,
    Ask,
    Counts,
    batch_of,
    changed,
    new,
    shown,
)
from eke.gateway.batches.line import URLS
from eke.gateway.batches.runner import wake
from eke.gateway.files.file import BATCH
from eke.gateway.files.file import KIND as FILE
from eke.gateway.refusal import bad
from eke.gateway.responses.ask import check_metadata
from eke.gateway.state import standing, works
from eke.gateway.state.documents import Document, Listing


async def create(asking: Asking) -> None:
    """A new batch, which is checked and run a little later."""
    state, ask = keeps(asking), await asking.json(Ask)
    if ask.endpoint not in URLS:
        raise bad(f"Invalid 'endpoint'. Supported values are {', '.join(URLS)}.", "endpoint")
    check_metadata(ask.metadata)
    id = ask.input_file_id
    words = f"No such File object: {id:.80}"
    file = await found(asking, FILE, id, words, param="input_file_id")
    if file.label != BATCH:
        words = f"The file was uploaded for {file.label!r}; a batch reads one for 'batch'."
        raise bad(words, "input_file_id", "invalid_file_purpose")
    document = new(ask, asking.tenant, asking.gateway.clock.wall())
    await state.write(standing.begin, document)
    wake(asking.gateway)
    await asking.reply(200, shown(document))


async def list_batches(asking: Asking) -> None:
    """The tenant's batches, newest first."""
    listing = Listing(
        kind=KIND,
        tenant=asking.tenant.name,
        after=asking.query.get("after"),
        limit=asking.number("limit", LIMIT, 1, MOST),
    )
    there, wall = await page(asking, listing), asking.gateway.clock.wall()
    living = [each for each in there.documents if not expired(each, wall)]
    await asking.reply(200, listed([await _shown(asking, each) for each in living], there.more))


async def get(asking: Asking) -> None:
    """One batch."""
    await asking.reply(200, await _shown(asking, await _batch(asking)))


async def cancel(asking: Asking) -> None:
    """Stop a batch; what is answered by then is returned."""
    document = await _batch(asking)
    if document.status in (VALIDATING, RUNNING):
        change = state_of(asking).write(standing.change, document, _cancelling(asking))
        document = await change or document
        wake(asking.gateway)
    if document.status not in (CANCELLING, CANCELLED):
        words = f"Cannot cancel a batch with status '{document.status}'."
        raise bad(words, code="batch_not_cancellable")
    await asking.reply(200, await _shown(asking, document))


def _cancelling(asking: Asking) -> standing.Change:
    """What cancelling does to a batch as it stands then."""
    now = asking.gateway.clock.wall()

    def change(document: Document) -> Document | None:
        if document.status not in (VALIDATING, RUNNING):
            return None
        return changed(document, batch_of(document), CANCELLING, now)

    return change


async def _batch(asking: Asking) -> Document:
    id = asking.parts["batch"]
    return await found(asking, KIND, id, f"No batch found with id '{id:.80}'.")


async def _shown(asking: Asking, document: Document) -> dict[str, Any]:
    """A batch as clients see it, its lines counted while it runs."""
    if document.status not in OPEN or document.status == VALIDATING:
        return shown(document)
    found = await state_of(asking).read(works.counts, document.id)
    total = batch_of(document).counts.total
    done, failed = found.get(works.DONE, 0), found.get(works.FAILED, 0)
    return shown(document, Counts(total=total, completed=done, failed=failed))


ROUTES = (
    Route("POST", "/v1/batches", create, Ask),
    Route("GET", "/v1/batches", list_batches, None, PAGE),
    Route("GET", "/v1/batches/{batch}", get),
    Route("POST", "/v1/batches/{batch}/cancel", cancel),
)
