"""What training runs take of the chips, quarter by quarter and in every case."""

from __future__ import annotations

import numpy as np

from eke.allocating.forecasts.cases import Array, Cases, Uncertain, along, path_inputs
from eke.allocating.forecasts.curves import SMALL, Sizes, over_likely, sizes
from eke.allocating.forecasts.plans import Taken, peak, per_run
from eke.allocating.forecasts.uses import Told, by_rule, gained, rule_inputs, use_of, where_it_runs
from eke.catalog.chips import chip
from eke.physics.compute import training_flop
from eke.physics.demand import grown, training_chip_time, training_chips
from eke.types.forecast import Training, Use
from eke.types.need import Span
from eke.types.plan import Plan
from eke.units import show

WORTH_SAYING = 1.1  # times the chip time on few chips, or the time there is
DAY = 86400.0
WIDTH = "bf16"  # in which runs are compared before they are planned


class Runs:
    """Training runs on a kind of chip. kinds: the other kinds that they may run on.

    Each takes all the time there is for them, so that as few chips as possible wait for each other.
    """

    def __init__(
        self, training: Training, on: str, kinds: tuple[str, ...], years: float, told: Told
    ) -> None:
        self.name, self.training, self.on, self.years = training.name, training, on, years
        self.busy = 1.0
        self.plan: Plan | None = None
        self.sizes: Sizes | None = None
        if training.work.model is not None:
            self.sizes = self._planned(told)
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
        time = self.times[self.on]
        if of.work.model is not None and time is not None:
            found[self._speed] = Uncertain(span=over_likely(time))
        return found | rule_inputs(name, of.work)

    @property
    def _speed(self) -> str:
        model = self.training.work.model
        assert model is not None, "only what is planned has a speed of eke's"
        return f"eke's speed of training {model.name}"

    def _planned(self, told: Told) -> Sizes:
        """A run at the numbers of chips that it likely has, now and at the end."""
        rates = self._rate(0.0), self._rate(self.years)

        def planned(chips: int) -> tuple[float, float]:
            told(f"{self.name} on {chips:,} {self.on}")
            found = self._run(self.on, chips)
            return found.need.chips.likely, found.chip_time.likely

        return sizes(min(rates), max(rates), planned)

    def _run(self, kind: str, chips: int) -> Taken:
        of = self.training
        assert of.work.model is not None, "only a model is planned"
        return per_run(of.work.model, of.tokens.likely, kind, chips, of.batch)

    def _rate(self, years: float) -> float:
        """Runs as large as today's that one of that time stands for, over the time it takes,
        likeliest [1/s]."""
        growth, gain = (
            span.likely if span is not None else 0.0
            for span in (self.training.growth, self.training.efficiency)
        )
        return float(((1 + growth) / (1 + gain)) ** years / self.training.within)

    def _chips(self, years: float) -> float:
        """Of one run of that time, likeliest."""
        assert self.sizes is not None, "only what is planned has sizes"
        return float(self.sizes.at(self._rate(years)))

    def _time_on(self, kind: str, told: Told) -> Span | None:
        """Chip time of a run as large as it is now; None where it cannot run."""
        if self.training.work.model is None:
            return by_rule(self.training.work, lambda n, u: float(self._rule(kind, n, u)))
        told(f"{self.name} on {kind}")
        alike = self._chips(0.0) * peak(chip(self.on), WIDTH) / peak(chip(kind), WIDTH)
        found = where_it_runs(kind, self.on, lambda: self._run(kind, max(round(alike), 1)))
        if found is not None and kind == self.on:
            self.plan = found.need.plan
        return found.chip_time if found is not None else None

    def _rule(self, kind: str, parameters: Array, utilisation: Array) -> Array:
        return training_chip_time(
            parameters=parameters,
            tokens=self.training.tokens.likely,
            peak=peak(chip(kind), WIDTH),
            utilisation=utilisation,
        )

    def asks(self, cases: Cases, years: float) -> Array:
        return np.zeros(1)

    def tokens(self, cases: Cases, years: float) -> Array:
        return np.zeros(1)

    def chips(self, cases: Cases, years: float) -> Array:
        name, of = self.name, self.training
        growth = cases[f"{name} growth"] if of.growth is not None else 0.0
        more = grown(now=1.0, growth=growth, years=years) / gained(cases, name, years)
        more = more * cases[f"{name} tokens"] / of.tokens.likely
        if self.sizes is not None:
            one = of.within * self.sizes.at(more * cases[self._speed] / of.within)
        else:
            one = more * self._rule(self.on, cases[f"{name} active"], cases[f"{name} utilisation"])
        return training_chips(
            companies=along(cases, f"{name} companies", of.companies, years),
            runs=cases[f"{name} runs"],
            chip_time=one * cases[f"{name} experiments"],
            within=of.within,
        )

    def described(self) -> Use:
        tokens = self.training.tokens.likely
        return use_of(
            self.name,
            "training",
            self.training.work,
            times=self.times,
            on=self.on,
            plan=self.plan,
            flop=lambda n: float(training_flop(parameters=n, tokens=tokens)),
            notes=self._notes(),
        )

    def _notes(self) -> tuple[str, ...]:
        """What it costs that so many chips wait for each other."""
        if self.sizes is None:
            return ()
        small, ends = self._run(self.on, SMALL), (0.0, self.years) if self.years else (0.0,)
        chips = [self._chips(each) for each in ends]
        late = [self.sizes.done(self._rate(each)) for each in ends]
        lost = [
            n * slow / self._rate(each) / small.chip_time.likely
            for n, slow, each in zip(chips, late, ends, strict=True)
        ]
        if max(lost) < WORTH_SAYING:
            return ()
        counts, times = (
            ", at the end ".join(each)
            for each in ([f"{n:,.0f}" for n in chips], [f"×{x:.2f}" for x in lost])
        )
        days = [f"{slow * self.training.within / DAY:,.0f}" for slow in late]
        too_long = (
            f". At the end it takes {days[-1]} days on those, and longer on more"
            if late[-1] > WORTH_SAYING
            else ""
        )
        batch = show(small.need.figures["batch"].span.likely, "token")
        return (
            f"a run has {counts} chips, which wait for each other and break down: the same work "
            f"takes {times} the chip time it takes on {SMALL:,}{too_long}. Its batch is taken to "
            f"stay at {batch}; a larger one (batch = …) loses less",
        )
