"""What training runs take of the chips, quarter by quarter and in every case."""

from __future__ import annotations

import numpy as np

from eke.allocating.forecasts.cases import Array, Cases, Uncertain, along, path_inputs
from eke.allocating.forecasts.plans import peak, per_run
from eke.allocating.forecasts.uses import Told, by_rule, gained, rule_inputs, use_of, where_it_runs
from eke.catalog.chips import chip
from eke.physics.compute import training_flop
from eke.physics.demand import grown, training_chip_time, training_chips
from eke.types.forecast import Training, Use
from eke.types.need import Span
from eke.types.plan import Plan


class Runs:
    """Training runs on a kind of chip."""

    def __init__(self, training: Training, on: str, kinds: tuple[str, ...], told: Told) -> None:
        self.name, self.training, self.on = training.name, training, on
        self.busy = 1.0
        self.plan: Plan | None = None
        self.times = {kind: self._time_on(kind, told) for kind in (on, *kinds)}

    def inputs(self) -> dict[str, Uncertain]:
        name, of = self.name, self.training
        found = {
            f"{name} tokens": Uncertain(span=of.tokens, unit="token"),
            f"{name} runs": Uncertain(span=of.runs),
            **path_inputs(f"{name} companies", of.companies),
            f"{name} experiments": Uncertain(span=of.experiments),
        }
        for part in ("growth", "efficiency"):
            span = getattr(of, part)
            if span is not None:
                found[f"{name} {part}"] = Uncertain(span=span, growth=True)
        found |= rule_inputs(name, of.work)
        time = self.times[self.on]
        if of.work.model is not None and time is not None:
            speed = Span(low=time.low / time.likely, likely=1.0, high=time.high / time.likely)
            found[self._speed] = Uncertain(span=speed)
        return found

    @property
    def _speed(self) -> str:
        model = self.training.work.model
        assert model is not None, "only what is planned has a speed of eke's"
        return f"eke's speed of training {model.name}"

    def _time_on(self, kind: str, told: Told) -> Span | None:
        work, tokens = self.training.work, self.training.tokens.likely
        if work.model is None:
            return by_rule(work, lambda n, u: self._rule(kind, n, u))
        of = work.model
        told(f"{self.name} on {kind}")
        found = where_it_runs(kind, self.on, lambda: per_run(of, tokens, kind))
        if found is not None and kind == self.on:
            self.plan = found.need.plan
        return found.chip_time if found is not None else None

    def _rule(self, kind: str, parameters: Array, utilisation: Array) -> Array:
        return training_chip_time(
            parameters=parameters,
            tokens=self.training.tokens.likely,
            peak=peak(chip(kind), "bf16"),
            utilisation=utilisation,
        )

    def asks(self, cases: Cases, years: float) -> Array:
        return np.zeros(1)

    def tokens(self, cases: Cases, years: float) -> Array:
        return np.zeros(1)

    def chips(self, cases: Cases, years: float) -> Array:
        name, of = self.name, self.training
        time, tokens = self.times[self.on], cases[f"{name} tokens"]
        if of.work.model is not None:
            assert time is not None, "it runs on the kind it is counted in"
            one = time.likely * tokens / of.tokens.likely * cases[self._speed]
        else:
            one = training_chip_time(
                parameters=cases[f"{name} active"],
                tokens=tokens,
                peak=peak(chip(self.on), "bf16"),
                utilisation=cases[f"{name} utilisation"],
            )
        growth = cases[f"{name} growth"] if of.growth is not None else 0.0
        more = grown(now=cases[f"{name} experiments"], growth=growth, years=years)
        return training_chips(
            companies=along(cases, f"{name} companies", of.companies, years),
            runs=cases[f"{name} runs"],
            chip_time=one * more / gained(cases, name, years),
            within=of.within,
        )

    def described(self) -> Use:
        tokens = self.training.tokens.likely
        return use_of(
            self.name,
            "training",
            self.training.work,
            self.times,
            self.on,
            self.plan,
            lambda n: float(training_flop(parameters=n, tokens=tokens)),
        )
