"""A fine-tuning job as it is kept, and as OpenAI's clients know it.

    validating_files → queued ⇄ running → succeeded | failed | cancelled
                 └→ paused ⇄ queued

A job waits, "queued", for an engine that nobody needs; it is stopped, and queued again, as soon as
requests need the engine. "paused" is only who was asked to be.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from secrets import randbelow, token_hex
from typing import Any, Literal

import msgspec

from eke.gateway.refusal import bad
from eke.gateway.settings import Tenant
from eke.gateway.state.documents import Document
from eke.types.record import Record, replace

KIND = "job"
VALIDATING, QUEUED, RUNNING, PAUSED = "validating_files", "queued", "running", "paused"
SUCCEEDED, FAILED, CANCELLED = "succeeded", "failed", "cancelled"
OPEN = (VALIDATING, QUEUED, RUNNING, PAUSED)
SUFFIX = 64  # characters
SEEDS = 2**31
GRADER = "grader"  # of reinforcement; it stands among the hyperparameters


class Failure(Record):
    """Why a job failed, as OpenAI tells it."""

    code: str
    message: str
    param: str | None = None


class Stretch(Record):
    """A stay on an engine. gateway, base: whose, and when its clock began.  number: of its row.
    asked, began, seen: when it came to wait, to train, and was last looked at.  All UTC [s].
    chips, rate [USD/s], power [W]: of the engine."""

    gateway: str
    base: float
    engine: str
    asked: float
    began: float
    seen: float
    number: int
    chips: float
    rate: float
    power: float


class Job(Record):
    """What is known of a job besides its document.

    training, validation: files.  method, hyperparameters: as asked.  checked: its files are.
    step, steps: how far it is, of how many.  tokens: trained on.  finish: when it is likely to be
    over, and over: when it was, UTC [s].  read: bytes of the trainer's output that were read.
    told: steps and words of the trainer so far.  stretch: under way; what remains of a gateway that
    died in it.  named: what the tuned model is called.  results: files.  stumbles: how often the
    gateway itself failed over it.
    """

    model: str
    training: str
    seed: int
    validation: str | None = None
    method: str = "supervised"
    hyperparameters: dict[str, Any] = {}
    suffix: str | None = None
    metadata: dict[str, str] | None = None
    checked: bool = False
    step: int = 0
    steps: int | None = None
    tokens: int | None = None
    finish: float | None = None
    over: float | None = None
    read: int = 0
    told: int = 0
    stretch: Stretch | None = None
    failure: Failure | None = None
    named: str | None = None
    results: tuple[str, ...] = ()
    stumbles: int = 0


class Hyper(msgspec.Struct):
    """A way of training. grader: of reinforcement."""

    hyperparameters: dict[str, Any] | None = None
    grader: dict[str, Any] | None = None


class Method(msgspec.Struct):
    """Which way, and how."""

    type: Literal["supervised", "dpo", "reinforcement"]
    supervised: Hyper | None = None
    dpo: Hyper | None = None
    reinforcement: Hyper | None = None


class Ask(msgspec.Struct):
    """The body of POST /v1/fine_tuning/jobs."""

    model: str
    training_file: str
    validation_file: str | None = None
    method: Method | None = None
    hyperparameters: dict[str, Any] | None = None
    suffix: str | None = None
    seed: int | None = None
    metadata: dict[str, str] | None = None
    integrations: list[Any] | None = None


def new(ask: Ask, tenant: Tenant, now: float) -> Document:
    """The document of a new job. now: UTC [s].  Raises Refusal 400."""
    if ask.integrations:
        words = "'integrations' are not supported: the trainer is the operator's."
        raise bad(words, "integrations")
    if ask.suffix is not None and not 0 < len(ask.suffix) <= SUFFIX:
        raise bad(f"Invalid 'suffix': 1 to {SUFFIX} characters are allowed.", "suffix")
    if (
        ask.suffix is not None and not ask.suffix.isprintable()
    ):  # its trainer finds it in a variable
        raise bad("Invalid 'suffix': only characters that can be seen are allowed.", "suffix")
    if ask.seed is not None and not 0 <= ask.seed < SEEDS:
        raise bad(f"Invalid 'seed': expected a number from 0 to {SEEDS - 1}.", "seed")
    job = Job(
        model=ask.model,
        training=ask.training_file,
        validation=ask.validation_file,
        seed=randbelow(SEEDS) if ask.seed is None else ask.seed,
        method=ask.method.type if ask.method else "supervised",
        hyperparameters=_hyperparameters(ask),
        suffix=ask.suffix,
        metadata=ask.metadata,
    )
    return Document(
        id=f"ftjob-{token_hex(12)}",
        kind=KIND,
        tenant=tenant.name,
        created=now,
        status=VALIDATING,
        body=msgspec.json.encode(job),
    )


Edit = Callable[[Document, Job], Job]


def job_of(document: Document) -> Job:
    """What is known of a job."""
    return msgspec.json.decode(document.body, type=Job)


def changed(document: Document, job: Job, status: str | None = None) -> Document:
    """The document with more known of the job, or with another status."""
    status = document.status if status is None else status
    return replace(document, status=status, body=msgspec.json.encode(job))


def ended(
    document: Document, job: Job, status: str, now: float, retention: float = inf
) -> Document:
    """The document of a job that is over. now: UTC [s].  retention: how long it is kept [s].

    A stretch that is under way stays: it is still to be charged, and its engine to be taken back.
    """
    over = replace(job, over=now, finish=None)
    expires = None if retention == inf else now + retention
    return replace(changed(document, over, status), expires=expires)


def name_of(document: Document) -> str:
    """What its tuned model is called."""
    job, short = job_of(document), document.id.removeprefix("ftjob-")[:8]
    return f"ft:{job.model}:{document.tenant}:{job.suffix or ''}:{short}"


def shown(document: Document) -> dict[str, Any]:
    """The job as clients see it."""
    job = job_of(document)
    running, over = document.status == RUNNING, job.over is not None
    hyper = {name: value for name, value in job.hyperparameters.items() if name != GRADER}
    way = {"hyperparameters": hyper}
    if GRADER in job.hyperparameters:
        way[GRADER] = job.hyperparameters[GRADER]
    return {
        "id": document.id,
        "object": "fine_tuning.job",
        "created_at": int(document.created),
        "error": job.failure,
        "fine_tuned_model": job.named,
        "finished_at": None if job.over is None else int(job.over),
        "hyperparameters": hyper,
        "model": job.model,
        "organization_id": document.tenant,
        "result_files": job.results,
        "seed": job.seed,
        "status": document.status,
        "trained_tokens": job.tokens if over else None,
        "training_file": job.training,
        "validation_file": job.validation,
        "estimated_finish": int(job.finish) if running and job.finish else None,
        "integrations": [],
        "metadata": job.metadata,
        "method": {"type": job.method, job.method: way},
    }


def _hyperparameters(ask: Ask) -> dict[str, Any]:
    """Those of the method, or those given as clients did before there were methods."""
    way = getattr(ask.method, ask.method.type) if ask.method else None
    found: dict[str, Any] = (way and way.hyperparameters) or ask.hyperparameters or {}
    return {**found, GRADER: way.grader} if way and way.grader else found
