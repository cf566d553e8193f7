"""A file as it is kept, and as OpenAI's clients know it."""

from __future__ import annotations

from math import inf
from secrets import token_hex
from typing import Any

import msgspec

from eke.gateway.refusal import bad
from eke.gateway.settings import Settings, Tenant
from eke.gateway.state.documents import Document
from eke.gateway.whole import whole
from eke.types.record import Record

KIND = "file"
BATCH, TUNE, OUTPUT, RESULTS = "batch", "fine-tune", "batch_output", "fine-tune-results"
UPLOADED = (BATCH, TUNE, "user_data", "vision", "evals")
LEAST, MOST = 3600, 2592000  # that a file may be asked to be kept [s]
NAME = 255  # characters of a file's name that are kept


class Body(Record):
    """What is known of a file besides its document. size [B]."""

    name: str
    size: int


class New(Record):
    """A file that is to be. created: UTC [s].  kept: how long, if its tenant's texts are [s]."""

    id: str
    purpose: str
    name: str
    created: float
    kept: float = inf


def document(new: New, tenant: Tenant, size: int) -> Document:
    """The document of a file. No file is kept longer than its tenant's texts are."""
    kept = min(new.kept, tenant.retention)
    return Document(
        id=new.id,
        kind=KIND,
        tenant=tenant.name,
        created=new.created,
        status="processed",
        body=msgspec.json.encode(Body(name=new.name[:NAME], size=size)),
        expires=None if kept == inf else new.created + kept,
        label=new.purpose,
    )


def shown(document: Document) -> dict[str, Any]:
    """The file as clients see it."""
    body = body_of(document)
    return {
        "id": document.id,
        "object": "file",
        "bytes": body.size,
        "created_at": int(document.created),
        "expires_at": None if document.expires is None else int(document.expires),
        "filename": body.name,
        "purpose": document.label,
        "status": document.status,
        "status_details": None,
    }


def body_of(document: Document) -> Body:
    """What is known of a file."""
    return msgspec.json.decode(document.body, type=Body)


def new_id() -> str:
    """The id of a new file."""
    return f"file-{token_hex(12)}"


def longest(settings: Settings, purpose: str) -> int:
    """Most bytes of a file."""
    return settings.longest_batch if purpose == BATCH else settings.longest_file


def check_purpose(purpose: str) -> None:
    """Refuse purposes that nobody uploads files for. Raises Refusal 400."""
    if purpose == "assistants":
        raise bad(
            "'assistants' is not supported: OpenAI ended its Assistants API, and this gateway has "
            "none. Use the purpose 'user_data' with /v1/responses.",
            "purpose",
        )
    if purpose not in UPLOADED:
        raise bad(
            f"Invalid 'purpose': {purpose!r:.40}. Supported values are {', '.join(UPLOADED)}.",
            "purpose",
        )


def kept_for(anchor: str, seconds: str) -> float:
    """How long a file is to be kept, by the form's expires_after [s]. Raises Refusal 400."""
    if not anchor and not seconds:
        return inf
    if anchor != "created_at":
        raise bad("Invalid 'expires_after[anchor]': only created_at is one.", "expires_after")
    return float(whole("expires_after[seconds]", seconds, LEAST, MOST))
