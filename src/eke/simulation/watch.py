"""What happens to a fleet beside its traffic, and how closely it is watched."""

from __future__ import annotations

from eke.errors import BadInput
from eke.types.record import Record


class Failures(Record):
    """Replicas fail at random. every: mean time between failures of one replica [s].  restart:
    until it takes requests again [s]."""

    every: float
    restart: float = 300.0

    def __post_init__(self) -> None:
        if not (self.every > 0 and self.restart >= 0):
            raise BadInput(
                "failures: the time between them must be above zero, and the restart zero or more."
            )


class Scaling(Record):
    """Replicas come and go with the load. least: replicas that always run.  target: share of
    their places that is to be taken.  start: until a new one takes requests [s].  every: between
    two looks at the load [s].  calm: how long the load must stay low before one goes [s]."""

    least: int = 1
    target: float = 0.7
    start: float = 180.0
    every: float = 30.0
    calm: float = 300.0

    def __post_init__(self) -> None:
        if self.least < 1 or not 0 < self.target <= 1 or min(self.start, self.calm) < 0:
            raise BadInput(
                "scaling: at least one replica, a target between 0 and 100 %, and times "
                "of zero or more."
            )
        if self.every <= 0:
            raise BadInput("scaling: the time between two looks must be above zero.")


class Watch(Record):
    """until: when watching ends, None with the last request [s].  report: time between two reports
    of an engine to the policy [s].  late: how old a report is when it is heard [s].
    patience: how long a client waits for the first token before it goes away [s].
    forecast: what the policy believes of an answer's length: the "mean" of its kind, or "exact".
    samples: of the timeline, about so many.
    """

    until: float | None = None
    report: float = 5.0
    late: float = 0.0
    patience: float | None = None
    forecast: str = "mean"
    samples: int = 1000
    failures: Failures | None = None
    scaling: Scaling | None = None

    def __post_init__(self) -> None:
        if self.report <= 0 or self.late < 0:
            raise BadInput("reports come at intervals above zero, and zero seconds late or more.")
        if self.patience is not None and self.patience <= 0:
            raise BadInput("patience must be above zero.")
        if self.until is not None and self.until <= 0:
            raise BadInput("until must be above zero.")
        if self.forecast not in ("mean", "exact"):
            raise BadInput(f"forecast is {self.forecast!r}; expected mean or exact.")
