"""What a line of inference takes of the chips, quarter by quarter and in every case."""

from __future__ import annotations

import numpy as np

from eke.allocating.forecasts.cases import Array, Cases, Uncertain, along, path_inputs
from eke.allocating.forecasts.curves import Curve, curve
from eke.allocating.forecasts.demands import job_of
from eke.allocating.forecasts.plans import ROOM, Taken, peak, per_ask
from eke.allocating.forecasts.uses import Told, by_rule, gained, rule_inputs, use_of, where_it_runs
from eke.catalog.chips import chip
from eke.physics.compute import inference_flop
from eke.physics.demand import answer_chip_time, elastic_demand, grown, serving_chips
from eke.search.block import Apart
from eke.types.forecast import Demand, Use
from eke.types.job import Serve
from eke.types.need import Span
from eke.types.plan import Plan
from eke.types.record import replace

DRAWS = 500  # cases in which the lengths are looked at before anything is planned


def demand_inputs(demand: Demand) -> dict[str, Uncertain]:
    """What is uncertain of a line of inference, before eke has planned it."""
    name = demand.name
    found = {
        **path_inputs(f"{name} users", demand.users),
        **path_inputs(f"{name} asks", demand.asks, "1/s"),
        **path_inputs(f"{name} prompt", demand.prompt, "token"),
        **path_inputs(f"{name} answer", demand.answer, "token"),
        f"{name} peak over mean": Uncertain(span=demand.peak_over_mean),
    }
    if demand.efficiency is not None:
        found[f"{name} efficiency"] = Uncertain(span=demand.efficiency, growth=True)
    if demand.price_fall is not None and demand.elasticity is not None:
        fall = demand.price_fall
        price = Span(low=-fall.high, likely=-fall.likely, high=-fall.low)
        found[f"{name} price"] = Uncertain(span=price, growth=True)
        found[f"{name} elasticity"] = Uncertain(span=demand.elasticity)
    return found | rule_inputs(name, demand.work)


class Inference:
    """A line of inference on a kind of chip. kinds: the other kinds that it may run on."""

    def __init__(
        self, demand: Demand, on: str, kinds: tuple[str, ...], years: float, told: Told
    ) -> None:
        self.name, self.demand, self.on = demand.name, demand, on
        # A share of the peak that is assumed is a mean already.
        self.room = ROOM if demand.work.model is not None else 1.0
        self.busy = self.room / demand.peak_over_mean.likely
        self.plan: Plan | None = None
        self.times = {kind: self._time_on(kind, told) for kind in (on, *kinds)}
        self.curve = self._planned(years, told) if demand.work.model is not None else None

    def inputs(self) -> dict[str, Uncertain]:
        found = demand_inputs(self.demand)
        if self.curve is not None:
            found[self._speed] = Uncertain(span=self.curve.speed)
        return found

    @property
    def _speed(self) -> str:
        model = self.demand.work.model
        assert model is not None, "only what is planned has a speed of eke's"
        return f"eke's speed of {model.name}"

    def _planned(self, years: float, told: Told) -> Curve:
        """Planned at every length there will be; with prompts on chips of their own where they are
        today."""
        cases = Cases(demand_inputs(self.demand), DRAWS, seed=0)
        lengths = [
            np.concatenate(
                [along(cases, f"{self.name} {part}", path, at) for at in (0.0, years / 2, years)]
            )
            for part, path in (("prompt", self.demand.prompt), ("answer", self.demand.answer))
        ]
        base = job_of(self.demand)
        apart: Apart = "may" if self.plan is not None and self.plan.prefill else "never"

        def time(prompt: float, answer: float) -> Span:
            told(f"{self.name} on {self.on}, {prompt:,.0f} tokens in and {answer:,.0f} out")
            job = replace(base, prompt=prompt, answer=answer)
            return self._asked(job, self.on, apart).chip_time

        return curve(lengths[0], lengths[1], time)

    def _asked(self, job: Serve, kind: str, apart: Apart = "may") -> Taken:
        weights = self.demand.work.weights
        return per_ask(job, kind, (("weights", weights),) if weights else (), apart)

    def _time_on(self, kind: str, told: Told) -> Span | None:
        """Chip time of an ask at today's lengths; None where it cannot run."""
        if self.demand.work.model is None:
            return by_rule(self.demand.work, lambda n, u: self._rule(kind, n, u))
        told(f"{self.name} on {kind}")
        found = where_it_runs(kind, self.on, lambda: self._asked(job_of(self.demand), kind))
        if found is not None and kind == self.on:
            self.plan = found.need.plan
        return found.chip_time if found is not None else None

    def _rule(self, kind: str, parameters: float, utilisation: float) -> float:
        """The rule of thumb at today's lengths."""
        return float(
            answer_chip_time(
                parameters=parameters,
                tokens=self._worked(self.demand.prompt.now.likely, self.demand.answer.now.likely),
                peak=peak(chip(kind), "bf16"),
                utilisation=utilisation,
            )
        )

    def _worked(self, prompt: Array, answer: Array) -> Array:
        """Tokens that are computed, those out of the cache left out."""
        return prompt * (1 - self.demand.reuse) + answer

    def _lengths(self, cases: Cases, years: float) -> tuple[Array, Array]:
        prompt = along(cases, f"{self.name} prompt", self.demand.prompt, years)
        answer = along(cases, f"{self.name} answer", self.demand.answer, years)
        return np.maximum(prompt, 1.0), np.maximum(answer, 1.0)

    def asks(self, cases: Cases, years: float) -> Array:
        users = along(cases, f"{self.name} users", self.demand.users, years)
        found = users * along(cases, f"{self.name} asks", self.demand.asks, years)
        if f"{self.name} elasticity" in cases:
            price = grown(now=1.0, growth=cases[f"{self.name} price"], years=years)
            found = found * elastic_demand(
                price_ratio=price, elasticity=cases[f"{self.name} elasticity"]
            )
        return found

    def tokens(self, cases: Cases, years: float) -> Array:
        prompt, answer = self._lengths(cases, years)
        return self.asks(cases, years) * (prompt + answer)

    def chips(self, cases: Cases, years: float) -> Array:
        prompt, answer = self._lengths(cases, years)
        if self.curve is not None:
            time = self.curve.at(prompt, answer) * cases[self._speed]
        else:
            time = answer_chip_time(
                parameters=cases[f"{self.name} active"],
                tokens=self._worked(prompt, answer),
                peak=peak(chip(self.on), "bf16"),
                utilisation=cases[f"{self.name} utilisation"],
            )
        return serving_chips(
            asks=self.asks(cases, years),
            chip_time=time / gained(cases, self.name, years),
            peak_over_mean=cases[f"{self.name} peak over mean"],
            room=self.room,
        )

    def described(self) -> Use:
        worked = self._worked(self.demand.prompt.now.likely, self.demand.answer.now.likely)
        return use_of(
            self.name,
            "inference",
            self.demand.work,
            times=self.times,
            on=self.on,
            plan=self.plan,
            flop=lambda n: float(inference_flop(parameters=n, tokens=worked)),
        )
