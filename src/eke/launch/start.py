"""What a configuration is written from."""

from __future__ import annotations

from eke.errors import BadInput
from eke.types.fleet import Fleet
from eke.types.job import Job
from eke.types.model import Model
from eke.types.plan import Plan
from eke.types.record import Record


class Start(Record):
    """A plan to be started.

    checkpoint: the weights, as engines take them: a hub id or a folder.  command: the eke command
    that found the plan; every file names it.
    """

    job: Job
    plan: Plan
    fleet: Fleet
    checkpoint: str
    command: str


def checkpoint_of(model: Model, given: str | None) -> str:
    """The checkpoint a user gives, else the hub id of the model. Raises BadInput for neither."""
    found = (given or "").strip() or model.hub
    if not found:
        raise BadInput(
            f"nobody has told the catalogue where the weights of {model.name} are; give "
            "--checkpoint with a hub id or a folder."
        )
    if "\n" in found or "\0" in found or found.startswith("-"):
        raise BadInput(
            f"checkpoint is {found[:60]!r}; it must be a hub id or the name of a folder."
        )
    return found
