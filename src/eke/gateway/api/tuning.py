"""/v1/fine_tuning/jobs."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from eke.errors import BadInput
from eke.gateway.api.routes import Asking, Route
from eke.gateway.api.stored import LIMIT, MOST, PAGE, expired, found, keeps, listed, page, state_of
from eke.gateway.files.file import KIND as FILE
from eke.gateway.files.file import TUNE
from eke.gateway.refusal import Refusal, bad, not_found
from eke.gateway.refusing import no_model, usable
from eke.gateway.responses.ask import check_metadata
from eke.gateway.state import items
from eke.gateway.state.documents import Document, Listing
from eke.gateway.state.items import Slice
from eke.gateway.tuning import job as jobs
from eke.gateway.tuning import notes
from eke.gateway.tuning.job import Ask, job_of, shown
from eke.gateway.tuning.runner import wake

WORDS = "Could not find fine tune: {:.80}"
NOT_FOUND = "fine_tune_not_found"


async def create(asking: Asking) -> None:
    """A new job, which waits until an engine can be spared."""
    gateway, state, ask = asking.gateway, keeps(asking), await asking.json(Ask)
    if not gateway.settings.trainer:
        raise Refusal(
            501,
            "This gateway has no trainer. Whoever runs it can give it one: trainer = "
            '"bash tune.sh" in its gateway.toml, with tune.sh beside that file.',
            "server_error",
            "not_implemented",
            again=False,
        )
    check_metadata(ask.metadata)
    _check_model(asking, ask.model)
    for param, id in (
        ("training_file", ask.training_file),
        ("validation_file", ask.validation_file),
    ):
        if id is not None:
            await _check_file(asking, param, id)
    document = jobs.new(ask, asking.tenant, gateway.clock.wall())
    told = [
        notes.event(f"Created fine-tuning job: {document.id}", document.created),
        notes.event(f"Validating training file: {ask.training_file}", document.created),
    ]
    await state.write(notes.begin, document, told)
    wake(gateway)
    await asking.reply(200, shown(document))


async def list_jobs(asking: Asking) -> None:
    """The tenant's jobs, newest first; those with some metadata, or with none, where that is asked
    for."""
    limit, after = asking.number("limit", LIMIT, 1, MOST), asking.query.get("after")
    wanted = _wanted(asking)
    kept: list[Document] = []
    more = True
    while more and len(kept) <= limit:
        listing = Listing(kind=jobs.KIND, tenant=asking.tenant.name, after=after, limit=MOST)
        there = await page(asking, listing)
        kept += [each for each in there.documents if _matches(asking, each, wanted)]
        more = there.more
        after = there.documents[-1].id if there.documents else None
    shows = [shown(each) for each in kept[:limit]]
    await asking.reply(200, listed(shows, len(kept) > limit))


async def get(asking: Asking) -> None:
    """One job."""
    await asking.reply(200, shown(await _job(asking)))


async def cancel(asking: Asking) -> None:
    """End a job, and its trainer."""
    retention = asking.tenant.retention

    def change(document: Document, now: float) -> Document:
        return jobs.ended(document, job_of(document), jobs.CANCELLED, now, retention)

    await _change(asking, jobs.OPEN, change, "The job was cancelled.")


async def pause(asking: Asking) -> None:
    """Stop a job, after a checkpoint, until it is to go on."""

    def change(document: Document, now: float) -> Document:
        return jobs.changed(document, job_of(document), jobs.PAUSED)

    before = (jobs.VALIDATING, jobs.QUEUED, jobs.RUNNING)
    await _change(asking, before, change, "The job was paused.")


async def resume(asking: Asking) -> None:
    """Let a paused job go on from its checkpoint."""

    def change(document: Document, now: float) -> Document:
        job = job_of(document)
        return jobs.changed(document, job, jobs.QUEUED if job.checked else jobs.VALIDATING)

    await _change(asking, (jobs.PAUSED,), change, "The job was resumed.")


async def events(asking: Asking) -> None:
    """What happened, newest first."""
    await _told(asking, notes.EVENT)


async def checkpoints(asking: Asking) -> None:
    """Checkpoints so far, newest first."""
    await _told(asking, notes.CHECKPOINT)


async def _job(asking: Asking) -> Document:
    id = asking.parts["job"]
    return await found(asking, jobs.KIND, id, WORDS.format(id), NOT_FOUND)


async def _change(asking: Asking, before: Sequence[str], change: notes.Turn, words: str) -> None:
    """Change a job that stands so. Raises Refusal 400 where it does not."""
    document, now = await _job(asking), asking.gateway.clock.wall()
    turned = await state_of(asking).write(
        notes.turn, document, before, lambda found: change(found, now), notes.event(words, now)
    )
    if isinstance(turned, str):
        raise bad(f"The job is {turned}; it would have to be {' or '.join(before)}.")
    if turned is None:
        raise not_found(WORDS.format(document.id), "id", NOT_FOUND)
    wake(asking.gateway)
    await asking.reply(200, shown(turned))


async def _told(asking: Asking, part: str) -> None:
    job = await _job(asking)
    wanted = Slice(
        owner=job.id,
        tenant=job.tenant,
        part=part,
        after=asking.query.get("after"),
        limit=asking.number("limit", LIMIT, 1, MOST),
    )
    try:
        told = await state_of(asking).read(items.page, wanted)
    except BadInput as error:
        raise bad(str(error), "after") from None
    there, more = told or ([], False)
    await asking.reply(200, listed([msgspec.json.decode(each.body) for each in there], more))


def _check_model(asking: Asking, model: str) -> None:
    names = usable(asking.gateway, asking.tenant)
    if model not in names:
        raise no_model(model, names)


async def _check_file(asking: Asking, param: str, id: str) -> None:
    file = await found(asking, FILE, id, f"No such File object: {id:.80}", param=param)
    if file.label != TUNE:
        words = f"The file was uploaded for {file.label!r}; a job reads one for 'fine-tune'."
        raise bad(words, param, "invalid_file_purpose")


def _wanted(asking: Asking) -> dict[str, str] | None:
    """Metadata that jobs are to have: metadata[NAME]=VALUE. None for jobs without any:
    metadata=null. Raises Refusal 400."""
    names = [name for name in asking.query if name.startswith("metadata[")]
    if "metadata" not in asking.query:
        return {name[9:-1]: asking.query[name] for name in names}
    if names or asking.query["metadata"] != "null":
        raise bad("Invalid 'metadata': write metadata[NAME]=VALUE, or metadata=null.", "metadata")
    return None


def _matches(asking: Asking, document: Document, wanted: dict[str, str] | None) -> bool:
    if expired(document, asking.gateway.clock.wall()):
        return False
    there = job_of(document).metadata or {}
    if wanted is None:
        return not there
    return all(there.get(name) == value for name, value in wanted.items())


ROUTES = (
    Route("POST", "/v1/fine_tuning/jobs", create, Ask),
    Route("GET", "/v1/fine_tuning/jobs", list_jobs, None, PAGE),
    Route("GET", "/v1/fine_tuning/jobs/{job}", get),
    Route("POST", "/v1/fine_tuning/jobs/{job}/cancel", cancel),
    Route("POST", "/v1/fine_tuning/jobs/{job}/pause", pause),
    Route("POST", "/v1/fine_tuning/jobs/{job}/resume", resume),
    Route("GET", "/v1/fine_tuning/jobs/{job}/events", events, None, PAGE),
    Route("GET", "/v1/fine_tuning/jobs/{job}/checkpoints", checkpoints, None, PAGE),
)
