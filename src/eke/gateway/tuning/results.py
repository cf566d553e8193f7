"""The file with the metrics of a job, step by step."""

from __future__ import annotations

from typing import Any

import msgspec

from eke.gateway.files.file import KIND as FILE
from eke.gateway.files.file import RESULTS, New, document
from eke.gateway.gateway import Gateway
from eke.gateway.state import blobs, documents, items
from eke.gateway.state.documents import Document
from eke.gateway.state.items import Slice
from eke.gateway.state.state import State
from eke.gateway.tuning.notes import EVENT

PAGE = 500  # events read at once
FIRST = ("step", "train_loss", "valid_loss")  # columns in front


async def metrics(gateway: Gateway, state: State, job: Document) -> tuple[str, ...]:
    """The id of the file, made unless a crash came after it was; none without metrics."""
    steps = await _steps(state, job)
    if not steps:
        return ()
    id = f"file-{job.id.removeprefix('ftjob-')}-metrics"
    if await state.read(documents.get, FILE, id, job.tenant) is None:
        await state.write(blobs.give_up, id, job.tenant)  # what a crash left of it
        now, text = gateway.clock.wall(), _table(steps)
        async with state.upload(id, job.tenant, now, len(text)) as upload:
            await upload.write(text)
            new = New(id=id, purpose=RESULTS, name="step_metrics.csv", created=now)
            await upload.finish(document(new, gateway.tenants.named(job.tenant), len(text)))
    return (id,)


async def _steps(state: State, job: Document) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    after, more = None, True
    while more:
        wanted = Slice(
            owner=job.id, tenant=job.tenant, part=EVENT, after=after, limit=PAGE, newest=False
        )
        page = await state.read(items.page, wanted)
        there, more = page or ([], False)
        told = [msgspec.json.decode(item.body) for item in there]
        found += [each["data"] for each in told if each["type"] == "metrics"]
        after = there[-1].id if there else None
    return found


def _table(steps: list[dict[str, Any]]) -> bytes:
    """Comma-separated: numbers and names of metrics only."""
    names = {name for step in steps for name in step} - {"total_steps"}
    columns = [name for name in FIRST if name in names]
    columns += sorted(name for name in names - set(FIRST) if name.replace("_", "").isalnum())
    lines = [",".join(columns)]
    lines += [",".join(str(step.get(name, "")) for name in columns) for step in steps]
    return ("\n".join(lines) + "\n").encode()
