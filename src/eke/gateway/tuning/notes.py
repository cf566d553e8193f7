"""What is told of a job as it goes: events and checkpoints, kept beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from secrets import token_hex
from typing import Any

import msgspec

from eke.gateway.row import Row
from eke.gateway.state import documents, items, rows, standing
from eke.gateway.state.documents import Document
from eke.gateway.state.items import Item
from eke.gateway.state.transaction import Transaction
from eke.gateway.tuning.job import changed, job_of
from eke.types.record import replace

EVENT, CHECKPOINT = "event", "checkpoint"  # parts of a job
TEXT = 2000  # characters of a message

Change = Callable[[Document], Document]
Turn = Callable[[Document, float], Document]


def event(
    message: str, now: float, level: str = "info", data: dict[str, Any] | None = None
) -> Item:
    """Something happened. now: UTC [s].  data: numbers of a step."""
    id = f"ftevent-{token_hex(12)}"
    told = {
        "object": "fine_tuning.job.event",
        "id": id,
        "created_at": int(now),
        "level": level,
        "message": message[:TEXT],
        "data": data or {},
        "type": "metrics" if data else "message",
    }
    return Item(id, msgspec.json.encode(told), EVENT)


def checkpoint(job: str, name: str, step: int, metrics: dict[str, Any], now: float) -> Item:
    """The trainer wrote a checkpoint. name: of the model it is.  now: UTC [s]."""
    id = f"ftckpt_{token_hex(12)}"
    told = {
        "object": "fine_tuning.job.checkpoint",
        "id": id,
        "created_at": int(now),
        "fine_tuned_model_checkpoint": f"{name}:ckpt-step-{step}",
        "fine_tuning_job_id": job,
        "metrics": {**metrics, "step": step},
        "step_number": step,
    }
    return Item(id, msgspec.json.encode(told), CHECKPOINT)


def begin(transaction: Transaction, document: Document, told: Sequence[Item]) -> None:
    """A new job, for any gateway to take."""
    standing.begin(transaction, document)
    items.append(transaction, document.id, document.tenant, told)


def turn(
    transaction: Transaction, document: Document, before: Sequence[str], how: Change, told: Item
) -> Document | str | None:
    """Change a job that stands so before; else how it stands. None where it is gone."""
    refused = []

    def change(found: Document) -> Document | None:
        if found.status in before:
            return how(found)
        refused.append(found.status)
        return None

    now = standing.change(transaction, document, change)
    if refused:
        return refused[0]
    if now is not None:
        items.append(transaction, now.id, now.tenant, [told])
    return now


def same(document: Document) -> Document:
    """No change."""
    return document


def note(
    transaction: Transaction, document: Document, told: Sequence[Item], how: Change = same
) -> Document | None:
    """Keep what happened, and change a job as it stands now; None where it is gone."""
    now = standing.change(transaction, document, how)
    if now is not None:
        items.append(transaction, now.id, now.tenant, told)
    return now


def close(
    transaction: Transaction, document: Document, row: Row, told: Sequence[Item], how: Change
) -> bool:
    """A stretch is over: it is charged with a row, once, and the job changed. Whether it was."""

    def change(found: Document) -> Document:
        new = how(found)
        return changed(new, replace(job_of(new), stretch=None, finish=None))

    found = documents.get(transaction, document.kind, document.id, document.tenant)
    stretch = None if found is None else job_of(found).stretch
    open = stretch is not None and stretch.number == row.number
    if stretch is not None and open:
        rows.add(transaction, stretch.gateway, [row])
    note(transaction, document, told, change)
    return open
