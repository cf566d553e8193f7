"""What a configuration is written from."""

from __future__ import annotations

from eke.types.fleet import Fleet
from eke.types.job import Job
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
