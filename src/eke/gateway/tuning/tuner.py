"""Sees one job through: checks its files, waits for an engine, trains, pauses and goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from eke.errors import StateError
from eke.gateway.call import Call
from eke.gateway.desk import Desk
from eke.gateway.gateway import Gateway
from eke.gateway.row import FAILED, FINISHED, STOPPED
from eke.gateway.state import documents, works
from eke.gateway.state.documents import Document
from eke.gateway.state.items import Item
from eke.gateway.state.state import State
from eke.gateway.state.works import Work
from eke.gateway.tuning import job as jobs
from eke.gateway.tuning import notes
from eke.gateway.tuning.checking import mistakes
from eke.gateway.tuning.folder import Folder
from eke.gateway.tuning.job import Failure, Job, job_of
from eke.gateway.tuning.results import metrics
from eke.gateway.tuning.room import take_back
from eke.gateway.tuning.stay import request_of, row_of
from eke.gateway.tuning.trainer import stop_orphan
from eke.gateway.tuning.training import End, Training, engine_named
from eke.types.record import replace
from eke.types.request import Request

LATER = 10.0  # when to try again what could not be done [s]
UNKNOWN = 3600.0  # time that a job takes, before anything is known [s]
TRIES = 5  # of a job over which the gateway itself fails

TOLD = {
    "taken": "Stopped: requests need the engine. The job goes on when it is idle again.",
    "wanted": "Stopped: requests need the engine. The job goes on when it is idle again.",
    "ending": "Stopped: the gateway ends. The job goes on with the next one.",
}
GATEWAY_FAILED = "the gateway failed"
OUTCOMES = {"done": FINISHED, "failed": FAILED}


class JobCall(Call):
    """A job as policies and desks know it: its news are the tuner's."""

    __slots__ = ("heard",)

    def __init__(self, request: Request, heard: asyncio.Event) -> None:
        self.heard = heard
        super().__init__(request)

    def wake(self) -> None:
        """There is news."""
        self.heard.set()


class Tuner:
    """Of one job. work: the job's own, claimed here.  look: between looks at it [s]."""

    def __init__(self, gateway: Gateway, state: State, work: Work, look: float) -> None:
        self.gateway, self.state, self.work, self.look = gateway, state, work, look
        self.news = asyncio.Event()
        self.folder = Folder(gateway.settings.jobs, work.id)
        self._until = 0.0  # not tried before, by the gateway's clock [s]

    async def attend(self) -> None:
        """Do what is to be done, until the job is over. Raises StateError, and whatever goes wrong
        inside, which is counted."""
        try:
            await self._attend()
        except StateError:
            raise
        except Exception:
            await self._stumble()
            raise

    async def _stumble(self) -> None:
        """The gateway failed over the job. Where it did so too often the job fails: each try may
        put an engine to sleep."""
        document = await self._read()
        if document is None or document.status not in jobs.OPEN:
            return
        stumbles = 1 + job_of(document).stumbles
        if stumbles >= TRIES:
            words = f"The gateway itself failed over this job {stumbles} times."
            await self._fail(document, Failure(code="server_error", message=words))
            return

        def change(found: Document) -> Document:
            return jobs.changed(found, replace(job_of(found), stumbles=stumbles))

        await self.state.write(notes.note, document, [], change)

    async def _read(self) -> Document | None:
        return await self.state.read(documents.get, jobs.KIND, self.work.id, self.work.tenant)

    async def _attend(self) -> None:
        work = self.work
        while True:
            document = await self._read()
            await self._recover(document)
            if document is None or document.status not in jobs.OPEN:
                self.folder.forget()
                await self.state.write(works.finish, work, works.DONE, None)
                return
            if document.status == jobs.VALIDATING:
                await self._validate(document)
            elif document.status == jobs.QUEUED and self.gateway.clock.now() >= self._until:
                await self._queue(document)
            elif document.status != jobs.RUNNING:  # that was just recovered
                await self._wait()

    async def _wait(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self.look):
                await self.news.wait()
        self.news.clear()

    async def _recover(self, document: Document | None) -> None:
        """Stop a trainer whose gateway is gone, and charge what it took as far as that is known."""
        stopped = await stop_orphan(self.folder, self.gateway.settings.patience.checkpoint)
        job = None if document is None else job_of(document)
        if document is None or job is None:
            return
        if job.stretch is None:
            if document.status == jobs.RUNNING:
                await self._note(document, [], jobs.QUEUED)
            return
        engine = engine_named(self.gateway, job.stretch.engine)
        if engine is not None and engine.holder is None:
            await take_back(engine)
        share = job.stretch.seen - job.stretch.began
        row = row_of(document, job.stretch, (STOPPED, "its gateway ended", share))
        words = "The gateway ended, and the trainer with it." if stopped else "The gateway ended."
        told = [notes.event(words, self._wall(), "warn")]
        await self.state.write(notes.close, document, row, told, _again)

    async def _validate(self, document: Document) -> None:
        longest, job = self.gateway.settings.longest_body, job_of(document)
        failure = await mistakes(self.state, job, document.tenant, longest)
        if failure is not None:
            await self._fail(document, failure)
            return
        told = [notes.event("Files validated, moving job to queued state.", self._wall())]
        await self._note(document, told, jobs.QUEUED, jobs.VALIDATING)

    async def _queue(self, document: Document) -> None:
        """Wait for an engine and train there, as often as the policy says, while it is queued."""
        job = job_of(document)
        desk = self.gateway.desks.get(job.model)
        if desk is None or self.gateway.closing or not self.gateway.settings.trainer:
            await self._wait()
            return
        work = UNKNOWN if job.finish is None else job.finish - self._wall()
        call = JobCall(request_of(self.gateway, document.tenant, work), self.news)
        desk.arrive(call)
        try:
            while await self._turn(document, call):
                if not await self._train(document, desk, call):
                    return
        finally:
            if call.request.id in desk.calls:
                desk.left(call)

    async def _turn(self, document: Document, call: Call) -> bool:
        """Wait until it has an engine; False where it is not to have one any more."""
        while call.engine is None:
            if call.refusal is not None:
                words = f"The policy gives no engine: {call.refusal.reason}."
                await self._note(document, [notes.event(words, self._wall(), "warn")])
                self._until = self.gateway.clock.now() + 6 * LATER
                return False
            await self._wait()
            found = await self._read()
            if found is None or found.status != jobs.QUEUED or self.gateway.closing:
                return False
        return True

    async def _train(self, document: Document, desk: Desk, call: Call) -> bool:
        """Train on the engine that the policy gave; whether to wait for another turn."""
        training = Training(self.gateway, self.state, document, call, self.news)
        task = asyncio.ensure_future(self._trained(training))
        try:
            end = await asyncio.shield(task)
        except asyncio.CancelledError:
            training.leaving = True
            self.news.set()
            await task
            raise
        if end.why == "taken":
            return True
        if end.why == "done" and training.has:
            desk.finished(call, 0, 0)
        elif end.why in ("wanted", "spent", "trouble"):
            self._until = self.gateway.clock.now() + LATER
        return False

    async def _trained(self, training: Training) -> End:
        end = End("trouble", GATEWAY_FAILED, GATEWAY_FAILED)
        try:
            end = await training.run()
        finally:
            await self._ended(training, end)
        if await self._read() is None:  # its tenant was removed meanwhile
            self.folder.erase()
        return end

    async def _ended(self, training: Training, end: End) -> None:
        """Keep how a stretch ended, and charge it."""
        document, wall = training.document, self._wall()
        words = end.words or TOLD.get(end.why, "")
        told = [notes.event(words, wall, "warn" if end.words else "info")] if words else []
        change: notes.Change = _again
        if end.why == "done":
            results = await metrics(self.gateway, self.state, document)
            told = [notes.event("The job has successfully completed.", wall)]
            change = self._succeeded(results)
        elif end.why == "failed":
            change = self._failed(Failure(code="trainer_failed", message=end.words))
            told = [notes.event(end.words, wall, "error")]
        if training.stretch is None:
            await self.state.write(notes.note, document, told, change)
            return
        outcome = OUTCOMES.get(end.why, STOPPED)
        end_of_it = outcome, end.reason or TOLD.get(end.why, ""), training.share
        row = row_of(document, training.stretch, end_of_it)
        if await self.state.write(notes.close, document, row, told, change):
            self.gateway.write(row)

    async def _fail(self, document: Document, failure: Failure) -> None:
        told = [notes.event(failure.message, self._wall(), "error")]
        await self.state.write(notes.note, document, told, self._failed(failure))

    async def _note(
        self, document: Document, told: Sequence[Item], status: str = "", before: str = jobs.RUNNING
    ) -> None:
        """Keep what happened. status: that it has now, if it had another before."""

        def change(found: Document) -> Document:
            checked = replace(job_of(found), checked=job_of(found).checked or status == jobs.QUEUED)
            return jobs.changed(found, checked, status) if found.status == before else found

        await self.state.write(notes.note, document, told, change if status else notes.same)

    def _succeeded(self, results: tuple[str, ...]) -> notes.Change:
        def edit(found: Document, job: Job) -> Job:
            return replace(job, named=jobs.name_of(found), results=results)

        return self._over(jobs.SUCCEEDED, edit)

    def _failed(self, failure: Failure) -> notes.Change:
        return self._over(jobs.FAILED, lambda found, job: replace(job, failure=failure))

    def _over(self, status: str, edit: jobs.Edit) -> notes.Change:
        """What makes a job end with a status, unless somebody ended it meanwhile."""
        tenant, wall = self.gateway.tenants.named(self.work.tenant), self._wall()

        def change(found: Document) -> Document:
            if found.status not in jobs.OPEN:
                return found
            job = edit(found, job_of(found))
            return jobs.ended(found, job, status, wall, tenant.retention)

        return change

    def _wall(self) -> float:
        return self.gateway.clock.wall()


def _again(found: Document) -> Document:
    """What makes a job wait for an engine again, unless it was asked not to."""
    return (
        jobs.changed(found, job_of(found), jobs.QUEUED) if found.status == jobs.RUNNING else found
    )
