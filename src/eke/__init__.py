"""eke: what a ChatGPT-class model takes in AI chips, and how to make scarce ones last.

    from eke import Serve, fleet, model, need

    answer = need(Serve(model=model("llama-3.1-70b"), rate=5), fleet=fleet("8xh100-sxm"))

Names are imported when they are first used, so that `import eke` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from eke.allocating.chips.answer import choose as choose
    from eke.allocating.designs.answer import design as design
    from eke.allocating.forecasts.answer import forecast as forecast
    from eke.allocating.forecasts.published import published_forecasts as published_forecasts
    from eke.allocating.forecasts.reading import read_forecast as read_forecast
    from eke.allocating.sharing.read import read_provider as read_provider
    from eke.allocating.sharing.verb import allocate as allocate
    from eke.allocating.tiers.answer import context_tiers as context_tiers
    from eke.allocating.tiers.demand import read_demand as read_demand
    from eke.catalog.chips import chip as chip
    from eke.catalog.fleets import fleet as fleet
    from eke.catalog.models import model as model
    from eke.catalog.systems import system as system
    from eke.errors import BadInput as BadInput
    from eke.errors import EkeError as EkeError
    from eke.planning import frontier as frontier
    from eke.planning import plan as plan
    from eke.simulating import simulate as simulate
    from eke.simulation.deployment import Settings as Settings
    from eke.simulation.statistics import summary as summary
    from eke.simulation.traffic import traffic as traffic
    from eke.simulation.watch import Watch as Watch
    from eke.types.chip import Chip as Chip
    from eke.types.fleet import Fleet as Fleet
    from eke.types.fleet import Pool as Pool
    from eke.types.goal import AtMost as AtMost
    from eke.types.goal import Front as Front
    from eke.types.goal import Goal as Goal
    from eke.types.goal import Planned as Planned
    from eke.types.job import Align as Align
    from eke.types.job import Promise as Promise
    from eke.types.job import Serve as Serve
    from eke.types.job import Tier as Tier
    from eke.types.job import Train as Train
    from eke.types.job import Tune as Tune
    from eke.types.model import Model as Model
    from eke.types.need import Infeasible as Infeasible
    from eke.types.need import Need as Need
    from eke.types.need import Span as Span
    from eke.types.plan import Plan as Plan
    from eke.types.run import Run as Run
    from eke.types.share import Allocation as Allocation
    from eke.types.share import Clash as Clash
    from eke.units import quantity as quantity
    from eke.verbs import need as need

__version__ = "0.1.0"

_HOMES = {
    "allocating.forecasts.answer": ("forecast",),
    "allocating.forecasts.reading": ("read_forecast",),
    "allocating.forecasts.published": ("published_forecasts",),
    "allocating.chips.answer": ("choose",),
    "allocating.designs.answer": ("design",),
    "allocating.tiers.answer": ("context_tiers",),
    "allocating.tiers.demand": ("read_demand",),
    "allocating.sharing.read": ("read_provider",),
    "allocating.sharing.verb": ("allocate",),
    "catalog.chips": ("chip",),
    "catalog.fleets": ("fleet",),
    "catalog.models": ("model",),
    "catalog.systems": ("system",),
    "errors": ("BadInput", "EkeError"),
    "planning": ("frontier", "plan"),
    "simulating": ("simulate",),
    "simulation.deployment": ("Settings",),
    "simulation.statistics": ("summary",),
    "simulation.traffic": ("traffic",),
    "simulation.watch": ("Watch",),
    "types.chip": ("Chip",),
    "types.fleet": ("Fleet", "Pool"),
    "types.goal": ("AtMost", "Front", "Goal", "Planned"),
    "types.job": ("Align", "Promise", "Serve", "Tier", "Train", "Tune"),
    "types.model": ("Model",),
    "types.need": ("Infeasible", "Need", "Span"),
    "types.plan": ("Plan",),
    "types.run": ("Run",),
    "types.share": ("Allocation", "Clash"),
    "units": ("quantity",),
    "verbs": ("need",),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}
__all__ = [*_HOME, "__version__"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"eke has no {name!r}; it has {', '.join(sorted(_HOME))}.")
    return getattr(import_module(f"eke.{_HOME[name]}"), name)
