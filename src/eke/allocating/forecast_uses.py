"""What each use takes of the chips, quarter by quarter and in every case."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from eke.allocating.forecast_cases import Array, Cases, Uncertain, path_inputs
from eke.allocating.forecast_curve import Curve, curve
from eke.allocating.forecast_lines import asked as job_of
from eke.allocating.forecast_paths import along
from eke.allocating.forecast_plans import active, per_ask, per_run
from eke.allocating.forecast_same import peak
from eke.catalog.chips import chip
from eke.errors import BadInput
from eke.physics.compute import inference_flop, training_flop
from eke.physics.demand import (
    answer_chip_time,
    elastic_demand,
    grown,
    serving_chips,
    training_chip_time,
    training_chips,
)
from eke.types.forecast import Demand, Training, Use
from eke.types.job import Serve
from eke.types.need import Span
from eke.types.plan import Plan
from eke.types.record import replace

Told = Callable[[str], None]  # what is planned next
ROOM = 0.8  # largest share of the throughput one plans with, as in a plan
DRAWS = 500  # cases in which the lengths are looked at before anything is planned


class Taken(Protocol):
    """A use, wired: its inputs, and what it takes after so many years."""

    name: str
    busy: float  # share of the time that its chips work

    def inputs(self) -> dict[str, Uncertain]: ...
    def chips(self, cases: Cases, years: float) -> Array: ...
    def asks(self, cases: Cases, years: float) -> Array: ...
    def tokens(self, cases: Cases, years: float) -> Array: ...
    def described(self) -> Use: ...


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
    for part in ("active", "utilisation"):
        span = getattr(demand.work, part)
        if span is not None:
            found[f"{name} {part}"] = Uncertain(span=span)
    return found


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
        self.curve: Curve | None = None
        if demand.work.model is not None:
            self.curve = self._planned(years, told)
        self.times = {kind: self._time_on(kind, told) for kind in (on, *kinds)}

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
        """The layout planned at every length there will be."""
        cases = Cases(demand_inputs(self.demand), DRAWS, seed=0)
        lengths = [
            np.concatenate(
                [along(cases, f"{self.name} {part}", path, at) for at in (0.0, years / 2, years)]
            )
            for part, path in (("prompt", self.demand.prompt), ("answer", self.demand.answer))
        ]
        base = job_of(self.demand)

        def time(prompt: float, answer: float) -> Span:
            told(f"{self.name} on {self.on}, {prompt:,.0f} tokens in and {answer:,.0f} out")
            return self._ask(replace(base, prompt=prompt, answer=answer), self.on)

        return curve(lengths[0], lengths[1], time)

    def _ask(self, job: Serve, kind: str) -> Span:
        weights = self.demand.work.weights
        found = per_ask(job, kind, (("weights", weights),) if weights else ())
        if kind == self.on:
            self.plan = found.plan.plan
        return found.chip_time

    def _time_on(self, kind: str, told: Told) -> Span | None:
        """Chip time of an ask at today's lengths; None where it cannot run."""
        work = self.demand.work
        if work.model is None:
            assert work.active is not None and work.utilisation is not None, "checked when read"
            ends = zip(_ends(work.active), reversed(_ends(work.utilisation)), strict=True)
            low, likely, high = (self._rule(kind, n, u) for n, u in ends)
            return Span(low=low, likely=likely, high=high)
        told(f"{self.name} on {kind}")
        try:
            return self._ask(job_of(self.demand), kind)
        except BadInput:
            if kind == self.on:
                raise
            return None

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
            chip_time=time / _gained(cases, self.name, years),
            peak_over_mean=cases[f"{self.name} peak over mean"],
            room=self.room,
        )

    def described(self) -> Use:
        time, work = self.times[self.on], self.demand.work
        assert time is not None, "it runs on the kind it is counted in"
        prompt, answer = self.demand.prompt.now.likely, self.demand.answer.now.likely
        of = work.model
        parameters = active(of) if of is not None else (work.active or _NONE).likely
        flop = inference_flop(parameters=parameters, tokens=prompt + answer)
        width = self.plan.compute if self.plan is not None else "bf16"
        return Use(
            name=self.name,
            what="inference",
            model=of.name if of is not None else "",
            chip_time=self.times,
            plan=self.plan,
            peak_share=float(flop / time.likely / peak(chip(self.on), width)),
        )


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
        for part in ("active", "utilisation"):
            span = getattr(of.work, part)
            if span is not None:
                found[f"{name} {part}"] = Uncertain(span=span)
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
            assert work.active is not None and work.utilisation is not None, "checked when read"
            ends = zip(_ends(work.active), reversed(_ends(work.utilisation)), strict=True)
            low, likely, high = (
                float(
                    training_chip_time(
                        parameters=n, tokens=tokens, peak=peak(chip(kind), "bf16"), utilisation=u
                    )
                )
                for n, u in ends
            )
            return Span(low=low, likely=likely, high=high)
        told(f"{self.name} on {kind}")
        try:
            found = per_run(work.model, tokens, kind)
        except BadInput:
            if kind == self.on:
                raise
            return None
        if kind == self.on:
            self.plan = found.plan.plan
        return found.chip_time

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
            chip_time=one * more / _gained(cases, name, years),
            within=of.within,
        )

    def described(self) -> Use:
        time, work = self.times[self.on], self.training.work
        assert time is not None, "it runs on the kind it is counted in"
        of = work.model
        parameters = active(of) if of is not None else (work.active or _NONE).likely
        flop = training_flop(parameters=parameters, tokens=self.training.tokens.likely)
        width = self.plan.compute if self.plan is not None else "bf16"
        return Use(
            name=self.name,
            what="training",
            model=of.name if of is not None else "",
            chip_time=self.times,
            plan=self.plan,
            peak_share=float(flop / time.likely / peak(chip(self.on), width)),
        )


_NONE = Span(low=0.0, likely=0.0, high=0.0)


def _gained(cases: Cases, name: str, years: float) -> Array:
    """By how much the same chip does more, for better models and software."""
    if f"{name} efficiency" not in cases:
        return 1.0
    return grown(now=1.0, growth=cases[f"{name} efficiency"], years=years)


def _ends(span: Span) -> tuple[float, float, float]:
    return span.low, span.likely, span.high
