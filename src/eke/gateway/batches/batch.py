"""A batch as it is kept, and as OpenAI's clients know it.

    validating → failed | in_progress → finalizing → completed | expired | cancelled
                            └→ cancelling ────┘

One batch asks one model. Its lines run in the troughs of other traffic: in the first half of the
window as the lowest class and the kind "batch", which a policy with `backfill` starts only where
engines have room to spare; in the next quarter as any request of the tier "flex", then as one of
"default". Lines that no engine has answered when the window ends are told in the error file; the
others are returned and charged. A batch whose window ends before any engine told whether it has the
model expires without files.
"""

from __future__ import annotations

from math import inf
from secrets import token_hex
from typing import Any

import msgspec

from eke.errors import BadQuantity
from eke.gateway.asked import CLASSES
from eke.gateway.files.file import LEAST, MOST
from eke.gateway.files.lines import Mistake
from eke.gateway.refusal import bad
from eke.gateway.settings import Tenant
from eke.gateway.state.documents import Document
from eke.types.record import Record, replace
from eke.units import quantity

KIND = "batch"
VALIDATING, RUNNING, FINALIZING, CANCELLING = (
    "validating",
    "in_progress",
    "finalizing",
    "cancelling",
)
FAILED, COMPLETED, EXPIRED, CANCELLED = "failed", "completed", "expired", "cancelled"
OPEN = (VALIDATING, RUNNING, FINALIZING, CANCELLING)
STAMPS = {
    RUNNING: "in_progress_at",
    **{each: f"{each}_at" for each in (FINALIZING, COMPLETED, FAILED, EXPIRED)},
    **{each: f"{each}_at" for each in (CANCELLING, CANCELLED)},
}
LINES = 50_000  # of a batch
SHORTEST, LONGEST = 1.0, 30 * 86400.0  # windows [s]
CLASS = ((0.5, CLASSES["batch"]), (0.75, CLASSES["flex"]), (inf, CLASSES["default"]))


class Counts(Record):
    """Lines of a batch: all of them, those answered and those that failed."""

    total: int = 0
    completed: int = 0
    failed: int = 0


class Usage(Record):
    """Tokens of all its answers, as engines counted them."""

    prompt: int = 0
    cached: int = 0
    tokens: int = 0
    reasoning: int = 0


class Batch(Record):
    """What is known of a batch besides its document.

    file: that it reads.  endpoint: of all lines.  words, window: time to its end, as asked for and
    in seconds.  kept: how long its output is to be [s]; None for as long as may be.  model: of all
    lines.  ending: status it will have, when it is finalized.  stamps: when it came to each status,
    UTC [s].  output, errors: files.
    """

    file: str
    endpoint: str
    words: str
    window: float
    metadata: dict[str, str] | None = None
    kept: float | None = None
    model: str | None = None
    counts: Counts = Counts()
    usage: Usage | None = None
    ending: str = COMPLETED
    stamps: dict[str, float] = {}
    mistakes: tuple[Mistake, ...] = ()
    output: str | None = None
    errors: str | None = None


class OutputExpires(msgspec.Struct):
    """How long the output is to be kept."""

    anchor: str
    seconds: int


class Ask(msgspec.Struct):
    """The body of POST /v1/batches."""

    input_file_id: str
    endpoint: str
    completion_window: str
    metadata: dict[str, str] | None = None
    output_expires_after: OutputExpires | None = None


def new(ask: Ask, tenant: Tenant, now: float) -> Document:
    """The document of a new batch. now: UTC [s].  Raises Refusal 400."""
    batch = Batch(
        file=ask.input_file_id,
        endpoint=ask.endpoint,
        words=ask.completion_window,
        window=_window(ask.completion_window),
        metadata=ask.metadata,
        kept=_kept(ask.output_expires_after),
    )
    return Document(
        id=f"batch_{token_hex(16)}",
        kind=KIND,
        tenant=tenant.name,
        created=now,
        status=VALIDATING,
        body=msgspec.json.encode(batch),
        expires=None if tenant.retention == inf else now + batch.window + tenant.retention,
    )


def batch_of(document: Document) -> Batch:
    """What is known of a batch."""
    return msgspec.json.decode(document.body, type=Batch)


def changed(document: Document, batch: Batch, status: str, now: float) -> Document:
    """The document with another status, or with more known of the batch. now: UTC [s]."""
    if status != document.status:
        batch = replace(batch, stamps={**batch.stamps, STAMPS[status]: now})
    return replace(document, status=status, body=msgspec.json.encode(batch))


def ends(document: Document) -> float:
    """When its window does, UTC [s]."""
    return document.created + batch_of(document).window


def urgency(created: float, window: float, now: float) -> int:
    """The class its lines are in: the later, the more urgent. created, now: UTC [s]."""
    gone = (now - created) / window
    return next(level for share, level in CLASS if gone < share)


def shown(document: Document, counts: Counts | None = None) -> dict[str, Any]:
    """The batch as clients see it. counts: of lines while it runs."""
    batch = batch_of(document)
    stamps = {name: _whole(batch.stamps.get(name)) for name in STAMPS.values()}
    return {
        "id": document.id,
        "object": "batch",
        "endpoint": batch.endpoint,
        "model": batch.model,
        "errors": _errors(batch),
        "input_file_id": batch.file,
        "completion_window": batch.words,
        "status": document.status,
        "output_file_id": batch.output,
        "error_file_id": batch.errors,
        "created_at": int(document.created),
        "expires_at": int(document.created + batch.window),
        **stamps,
        "request_counts": counts or batch.counts,
        "usage": _usage(batch.usage),
        "metadata": batch.metadata,
    }


def _whole(seconds: float | None) -> int | None:
    return None if seconds is None else int(seconds)


def _errors(batch: Batch) -> dict[str, Any] | None:
    return {"object": "list", "data": batch.mistakes} if batch.mistakes else None


def _usage(usage: Usage | None) -> dict[str, Any] | None:
    if usage is None:
        return None
    return {
        "input_tokens": usage.prompt,
        "input_tokens_details": {"cached_tokens": usage.cached},
        "output_tokens": usage.tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.prompt + usage.tokens,
    }


def _window(words: str) -> float:
    """Time to a batch's end [s]. Raises Refusal 400."""
    try:
        seconds = quantity(words, "s")
    except BadQuantity:
        seconds = 0.0
    if not SHORTEST <= seconds <= LONGEST:
        raise bad(
            f"Invalid 'completion_window': {words!r:.40}. Expected a time such as 24h or 1h, of 1 "
            "second to 30 days.",
            "completion_window",
        )
    return seconds


def _kept(expires: OutputExpires | None) -> float | None:
    if expires is None:
        return None
    if expires.anchor != "created_at" or not LEAST <= expires.seconds <= MOST:
        words = f"expected the anchor created_at and {LEAST} to {MOST} seconds."
        raise bad(f"Invalid 'output_expires_after': {words}", "output_expires_after")
    return float(expires.seconds)
