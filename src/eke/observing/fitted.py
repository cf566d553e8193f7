"""Observed engines in the place of a deployment that a plan would give."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from eke.observing.engines import Engines, fit_words, replica
from eke.simulation.engine.build import Replica
from eke.types.record import Record
from eke.types.run import Run

SPENT = ("energy", "carbon", "cost")


class Model(NamedTuple):
    """What engines serve; a run does not say which."""

    id: str = ""


class Job(NamedTuple):
    """What the engines are for."""

    model: Model = Model()


class Half(Record):
    """All of the engines. chips: of one."""

    replica: Replica
    count: int
    chips: float


class Fitted(Record):
    """As much of `eke.simulation.deployment.Deployment` as the simulator asks for.

    rates: what an engine takes per second at work (of a gateway's run), or per second that it is
    there (of a simulated one, `paid`); None for what nobody knows [J/s, kg/s, USD/s].
    """

    halves: tuple[Half]
    longest: int
    grounds: str
    rates: tuple[float | None, ...]
    paid: bool
    job: Job = Job()
    handover: tuple[float, float] = (0.0, 0.0)

    @property
    def chips(self) -> float:
        """Of all engines."""
        return self.halves[0].count * self.halves[0].chips

    def encoding(self, images: Any, sound: Any) -> Any:
        """Time to encode images and sound [s]: it is in the times of the prompts."""
        return np.zeros(len(images))

    def costs(self, half: int, held: float, busy: float) -> tuple[Any, Any, Any]:
        """Energy [J], carbon [kg] and money [USD] of an engine there, and at work, so long [s]."""
        time = held if self.paid else busy
        energy, carbon, cost = (None if rate is None else rate * time for rate in self.rates)
        return energy, carbon, cost


def fitted(run: Run, found: Engines, caching: bool, ordered: bool = False) -> Fitted:
    """The engines of a run, to be played by the simulator."""
    paid = run.source.startswith("simulated")
    time = found.count * run.end if paid else found.busy
    rates = tuple(run.facts[name] / time if name in run.facts else None for name in SPENT)
    chips = run.facts.get("chip_seconds", 0.0) / time
    half = Half(replica=replica(found, caching, ordered), count=found.count, chips=chips)
    return Fitted(
        halves=(half,),
        longest=found.longest,
        grounds=fit_words(found),
        rates=rates,
        paid=paid,
    )
