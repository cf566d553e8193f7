"""Sees one batch through, from its check to its files; one gateway at a time does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from eke.gateway.batches import kept
from eke.gateway.batches.batch import (
    CANCELLED,
    CANCELLING,
    COMPLETED,
    EXPIRED,
    FAILED,
    FINALIZING,
    KIND,
    OPEN,
    RUNNING,
    VALIDATING,
    Batch,
    batch_of,
    changed,
    ends,
)
from eke.gateway.batches.finalizing import finalized
from eke.gateway.batches.lines import Lines
from eke.gateway.batches.validating import Validation
from eke.gateway.state import documents, works
from eke.gateway.state.documents import Document
from eke.gateway.state.works import Work
from eke.types.record import replace

OPEN_LINES = (works.QUEUED, works.CLAIMED)


class Steward:
    """Of one batch. lines: of this gateway.  work: the batch's own, claimed here.  look: between
    looks at it [s]."""

    def __init__(self, lines: Lines, work: Work, look: float) -> None:
        self.lines, self.work, self.look = lines, work, look
        self.gateway, self.state = lines.gateway, lines.state
        self.news = asyncio.Event()
        self._validation = Validation(self.gateway, self.state)
        self._steps: dict[str, Callable[[Document], Awaitable[bool]]] = {
            VALIDATING: self._validate,
            RUNNING: self._watch,
            CANCELLING: self._cancel,
            FINALIZING: self._finalize,
        }

    async def attend(self) -> None:
        """Do what is to be done, until the batch is over. Raises StateError."""
        work = self.work
        while True:
            document = await self.state.read(documents.get, KIND, work.id, work.tenant)
            if document is None or document.status not in OPEN:
                await self.state.write(kept.forget_lines, work.id, work.tenant)
                await self.state.write(works.finish, work, works.DONE, None)
                return
            if not await self._steps[document.status](document):
                await self._wait(document)

    async def _wait(self, document: Document) -> None:
        """Until something happened that this gateway hears of, or may have where it does not."""
        seconds = self.look
        if document.status == RUNNING and not self.lines.quiet(document.id):
            seconds = max(ends(document) - self.gateway.clock.wall(), seconds)
        self.news.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.news.wait()

    async def _validate(self, document: Document) -> bool:
        batch = await self._validation.result(document)
        if batch is not None:
            await self._change(document, batch, FAILED if batch.mistakes else RUNNING)
        elif self._late(document):
            await self._change(document, _ending(document, EXPIRED), FINALIZING)
        else:
            return False
        self.lines.stale = True
        self.lines.news.set()
        return True

    async def _watch(self, document: Document) -> bool:
        """Whether every line is over, be it because the window is."""
        if self._late(document):
            await self.state.write(works.cancel_queued, document.id, document.tenant)
        counts = await self._counts(document)
        if counts is None:
            return False
        ending = EXPIRED if counts.get(works.CANCELLED) else COMPLETED
        await self._change(document, _ending(document, ending), FINALIZING)
        return True

    async def _cancel(self, document: Document) -> bool:
        await self.state.write(works.cancel_queued, document.id, document.tenant)
        if await self._counts(document) is None:
            return False
        batch = await finalized(self.gateway, self.state, document, CANCELLED)
        await self._change(document, batch, CANCELLED)
        return True

    async def _finalize(self, document: Document) -> bool:
        ending = batch_of(document).ending
        batch = await finalized(self.gateway, self.state, document, ending)
        await self._change(document, batch, ending)
        return True

    def _late(self, document: Document) -> bool:
        """Whether its window is over."""
        return self.gateway.clock.wall() >= ends(document)

    async def _counts(self, document: Document) -> dict[str, int] | None:
        """How many lines ended how; None where one is not over, wherever it is."""
        if not self.lines.quiet(document.id):
            return None
        counts = await self.state.read(works.counts, document.id)
        return None if any(counts.get(each) for each in OPEN_LINES) else counts

    async def _change(self, before: Document, batch: Batch, status: str) -> None:
        """Store where it stands now, unless somebody else changed that meanwhile: then it is to be
        looked at again."""
        now = self.gateway.clock.wall()
        await self.state.write(documents.update, changed(before, batch, status, now))


def _ending(document: Document, status: str) -> Batch:
    """The batch, of which the files are to be made next. status: that it comes to then."""
    return replace(batch_of(document), ending=status)
