"""What is kept of every request: numbers and names, no text."""

from __future__ import annotations

from typing import NamedTuple

# How a request ended, as `eke.types.run.OUTCOMES` has them.
FINISHED, REFUSED, STOPPED, FAILED = "finished", "refused", "stopped", "failed"
NOT_ADMITTED = "not admitted: "  # before reasons of refusals that no policy decides
TUNE = "tune"  # kind of a row that is no request: a stretch of a fine-tuning job on an engine


class Row(NamedTuple):
    """One request that is over. Times are the gateway's [s], None where it never happened.

    arrived_at: UTC [s].  asked: longest answer asked for.  cached: of the prompt, not computed.
    reason: why it was not answered, in few words of ours and none that were sent.
    seconds: of accelerators.  energy [J].  cost: of the chips [USD].  charged: by the price list
    [USD].  saved: what the cached tokens would have taken more [USD].
    """

    number: int
    arrived_at: float
    arrived: float
    started: float | None
    first: float | None
    finished: float
    prompt: int
    asked: int
    tokens: int
    cached: int
    tenant: str
    kind: str
    model: str
    priority: int
    tier: str
    engine: str
    outcome: str
    reason: str
    tries: int
    session: int | None
    ttft: float | None
    deadline: float | None
    seconds: float
    energy: float
    cost: float
    charged: float
    saved: float

    @property
    def ended_at(self) -> float:
        """When it ended, UTC [s]."""
        return self.arrived_at + self.finished - self.arrived
