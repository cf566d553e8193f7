"""A job on an engine: from the moment the policy gives it the engine until that is free again."""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
from collections.abc import Sequence
from typing import Literal, NamedTuple

import msgspec

from eke.gateway.call import Call
from eke.gateway.engines.engine import Engine
from eke.gateway.gateway import Gateway
from eke.gateway.refusal import Refusal
from eke.gateway.settings import ADMIN_KEY
from eke.gateway.state import standing
from eke.gateway.state.documents import Document
from eke.gateway.state.items import Item
from eke.gateway.state.state import State
from eke.gateway.tuning import notes
from eke.gateway.tuning.checking import exported
from eke.gateway.tuning.folder import Folder
from eke.gateway.tuning.job import KIND, QUEUED, RUNNING, Job, Stretch, changed, job_of, name_of
from eke.gateway.tuning.room import make_room, take_back
from eke.gateway.tuning.saying import Heard
from eke.gateway.tuning.stay import Stay, stretch_of
from eke.gateway.tuning.trainer import Trainer, start
from eke.types.record import replace

POLL = 0.2  # between looks at what the trainer says [s]
LOOK = 1.0  # between tellings of how far it is, and looks at what was asked for [s]
NOTICE = 3.0  # until other gateways know that a job has an engine [s]
OTHERS = "others use the engine"
SECOND = "a job of another gateway has the engine"

# How a stretch ended: the trainer is done, or failed; the policy took the engine back; requests
# stand at its door that the policy knows nothing of; somebody asked for it; a budget is spent; the
# gateway ends; the engine is not as it should be.
Why = Literal["done", "failed", "taken", "wanted", "asked", "spent", "ending", "trouble"]


class End(NamedTuple):
    """How a stretch ended. words: why, where that is to be told, maybe in those of a trainer or an
    engine.  reason: what rows keep of it, in our words only."""

    why: Why
    words: str = ""
    reason: str = ""


class Training:
    """One stretch of a job. news: set when something happened.  stretch: None before it began.
    share: of the engine's time, when it is over [s].  leaving: it is to end, soon."""

    def __init__(
        self, gateway: Gateway, state: State, document: Document, call: Call, news: asyncio.Event
    ) -> None:
        assert call.engine is not None
        self.gateway, self.state, self.document = gateway, state, document
        self.call, self.engine, self.news = call, call.engine, news
        self.folder = Folder(gateway.settings.jobs, document.id)
        self.stretch: Stretch | None = None
        self.share = 0.0
        self.leaving = False
        self._stay = Stay(gateway, gateway.tenants.named(document.tenant), self.engine)
        self._started = call.started
        self._door: list[Call] = []
        self._wanted = self._hurried = False
        self._trainer: Trainer | None = None
        self._heard: Heard
        self._read = job_of(document).read

    def knock(self, call: Call) -> None:
        """A request stands at the engine's door."""
        self._door.append(call)
        self.news.set()

    def want(self) -> None:
        """Requests of other gateways need the engine."""
        self._wanted = True
        self.news.set()

    def hurry(self) -> None:
        """The gateway ends at once: nobody waits for a checkpoint."""
        self._hurried = True
        if self._trainer is not None:
            self._trainer.kill()

    @property
    def has(self) -> bool:
        """Whether the policy has not taken the engine back."""
        return self.call.engine is self.engine and self.call.started == self._started

    async def run(self) -> End:
        """Train until it is over, or the engine is needed; then the engine is free again."""
        engine = self.engine
        if engine.running or engine.elsewhere or engine.holder is not None:
            return End("trouble", OTHERS, OTHERS)
        try:
            await self._stay.reserve()
        except Refusal as refusal:
            return End("spent", refusal.message, refusal.reason)
        if not self.has:
            self._stay.end()
            return End("taken")
        engine.holder = self
        self._stay.begin()
        try:
            return await self._trained()
        finally:
            await take_back(engine)
            self.share = self._stay.end()
            engine.holder = None
            for call in self._door:
                call.wake()

    async def _trained(self) -> End:
        self.stretch = stretch_of(self.gateway, self.call.request, self.engine)
        words = f"Training on engine {self.engine.name}."
        found = await self._note([notes.event(words, self.stretch.began)], self._running)
        if found is None or found.status != RUNNING:
            return End("asked")
        if await self._second(self.stretch):
            return End("trouble", SECOND, SECOND)
        if not await self._announced():
            return End("trouble", OTHERS, OTHERS)
        job = job_of(found)
        paths = await self._export(job)
        if isinstance(paths, End):
            return paths
        if (end := await self._must_stop()) is not None:
            return end
        if trouble := await make_room(self.engine):
            return End("trouble", f"the engine makes no room: {trouble}", "no room on the engine")
        errors = self.folder.size_of_errors()
        trainer = await self._start(job, paths)
        if isinstance(trainer, End):
            return trainer
        end = await self._seen(trainer, job)
        await self._tell(last=True)
        if self._heard.finished or (end.why == "done" and trainer.code == 0):
            return End("done")
        if end.why != "done":
            return end
        reason = f"the trainer ended with {trainer.code}"
        words = f"T{reason[1:]}. {self.folder.last_words(errors)}"
        return End("failed", words.strip(), reason)

    async def _export(self, job: Job) -> tuple[str, str] | End:
        """Paths of the job's files, before its engine makes room: where they cannot be had, it
        need not."""
        try:
            paths = await exported(self.state, job, self.document.tenant, self.folder)
        except OSError as error:
            words = f"The job has no folder for its files: {_why(error)}."
            return End("failed", words, "no folder for the files of the job")
        if paths is None:
            return End("failed", "A file of the job is gone.", "a file of the job is gone")
        return paths

    async def _start(self, job: Job, paths: tuple[str, str]) -> Trainer | End:
        environment = self._environment(job, paths)
        try:
            command = shlex.split(self.gateway.settings.trainer)
            return await start(self.folder, command, environment)
        except (OSError, ValueError) as error:  # the latter of what no process can be told
            words = f"The trainer cannot be started: {_why(error)}."
            return End("failed", words, "the trainer cannot be started")

    async def _announced(self) -> bool:
        """Give other gateways the time to hear that a job has the engine; whether none uses it."""
        if self.gateway.keeper is not None and self.gateway.keeper.others:
            await asyncio.sleep(NOTICE)
        return not self.engine.elsewhere

    async def _second(self, mine: Stretch) -> bool:
        """Whether another gateway gave the engine to a job before this one did."""
        for each in await self.state.read(standing.open_ones, KIND, (RUNNING,)):
            other = job_of(each).stretch
            if other is None or other.engine != mine.engine or each.id == self.document.id:
                continue
            if (other.began, each.id) < (mine.began, self.document.id):
                return True
        return False

    async def _seen(self, trainer: Trainer, job: Job) -> End:
        """What ended a trainer, which is over then."""
        name, wall = name_of(self.document), self.gateway.clock.wall()
        self._heard = Heard(self.document.id, name, job, wall)
        self._first, self._trainer = self._heard.step, trainer
        try:
            return await self._watch(trainer)
        finally:
            if trainer.code is None:
                patience = self.gateway.settings.patience.checkpoint
                await trainer.stop(0.0 if self._hurried else patience)
            await trainer.end()

    async def _watch(self, trainer: Trainer) -> End:
        """Hear what a trainer says until it is over, or must stop."""
        look = 0.0
        while True:
            now = self.gateway.clock.now()
            if now >= look or self.news.is_set():
                self.news.clear()
                look = now + LOOK
                found = await self._tell()
                if found is None or found.status != RUNNING:
                    return End("asked")
            if trainer.code is not None:
                killed = self._hurried and trainer.code == -signal.SIGKILL
                return End("ending" if killed else "done")
            if (end := await self._must_stop()) is not None:
                return end
            try:
                async with asyncio.timeout(POLL):
                    await self.news.wait()
            except TimeoutError:
                self._hear()

    async def _must_stop(self) -> End | None:
        """Why it cannot stay on the engine any longer; None where it can."""
        if not self.has:
            return End("taken")
        if self._door or self._wanted or self.engine.draining:
            return End("wanted")
        if self.leaving or self.gateway.closing:
            return End("ending")
        if self._stay.due:
            try:
                await self._stay.go_on()
            except Refusal as refusal:
                return End("spent", refusal.message, refusal.reason)
        return None

    def _hear(self, last: bool = False) -> None:
        """What the trainer said since."""
        self._heard.now = self.gateway.clock.wall()
        while said := self.folder.said(self._read, last):
            self._read += len(said)
            self._heard.hear(said)

    async def _tell(self, last: bool = False) -> Document | None:
        """Keep what the trainer said, and how far it is."""
        self._hear(last)
        told, self._heard.items = self._heard.items, []
        found = await self._note(told, self._progress)
        self.folder.thin(self._read)
        return found

    async def _note(self, told: Sequence[Item], how: notes.Change) -> Document | None:
        found = await self.state.write(notes.note, self.document, told, how)
        self.document = found or self.document
        return found

    def _running(self, found: Document) -> Document:
        if found.status != QUEUED:
            return found
        return changed(found, replace(job_of(found), stretch=self.stretch), RUNNING)

    def _progress(self, found: Document) -> Document:
        """A job with what is known of it by now, and when it is likely to be over."""
        job, wall = self._heard.edit(job_of(found)), self.gateway.clock.wall()
        finish, done = None, job.step - self._first
        if job.steps and done > 0 and self.stretch is not None:
            finish = wall + (job.steps - job.step) * (wall - self.stretch.began) / done
        stretch = None if job.stretch is None else replace(job.stretch, seen=wall)
        return changed(found, replace(job, read=self._read, finish=finish, stretch=stretch))

    def _environment(self, job: Job, paths: tuple[str, str]) -> dict[str, str]:
        """Of the trainer: the gateway's own, without what holds a key of anybody, and the job.

        DATA and OUTPUT are what the scripts that `eke plan … --write trl` writes ask for.
        """
        tenants, folder = self.gateway.tenants.by_name.values(), self.folder
        hidden = {ADMIN_KEY, *self.gateway.settings.key_env, *(each.seal for each in tenants)}
        hidden.update(name for each in tenants for name in each.key_env)
        return {
            **{name: value for name, value in os.environ.items() if name not in hidden},
            "EKE_JOB": self.document.id,
            "EKE_MODEL": self.engine.models.get(job.model, job.model),
            "EKE_TRAINING_FILE": paths[0],
            "EKE_VALIDATION_FILE": paths[1],
            "EKE_METHOD": job.method,
            "EKE_HYPERPARAMETERS": msgspec.json.encode(job.hyperparameters).decode(),
            "EKE_SUFFIX": job.suffix or "",
            "EKE_SEED": str(job.seed),
            "EKE_CHECKPOINTS": str(folder.checkpoints),
            "EKE_RESUME": "1" if folder.resumes else "",
            "EKE_ENGINE": self.engine.name,
            "DATA": str(folder.data),
            "OUTPUT": str(folder.checkpoints),
        }


def _why(error: Exception) -> str:
    """What went wrong, without the path at which it did."""
    return getattr(error, "strerror", None) or str(error)


def engine_named(gateway: Gateway, name: str) -> Engine | None:
    """The engine of a name; None where it is gone."""
    return next((each for each in gateway.engines.values() if each.name == name), None)
