"""Where context tiers are weighed: a model on a pool, with the layouts worth trying."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from eke.allocating.tiers.layouts import best_layout, carried, column
from eke.allocating.tiers.load import Felt, Mix, felt, mix, upright
from eke.physics.scenarios import WHAT_IFS, likely, moves, scenarios, span
from eke.types.efficiency import Efficiency, Knobs
from eke.types.fleet import Pool
from eke.types.model import Model
from eke.types.need import Span
from eke.types.plan import COUNTS, Plan
from eke.types.record import Record, fields, replace
from eke.types.tiers import Demand, TierUse


class Stage(Record):
    """values: what arrives of published figures, each with its interval.  choices: fields of the
    plan that are decided.  plans: layouts to choose from, whatever the mix.  safe: layouts that
    carry most where what moves them most is at its worse end.  names: of the values that move
    anything; the others are not varied."""

    model: Model
    demand: Demand
    pool: Pool
    values: dict[str, Efficiency]
    choices: Mapping[str, Any]
    plans: tuple[Plan, ...] = ()
    safe: tuple[Plan, ...] = ()
    names: tuple[str, ...] = ()

    @property
    def knobs(self) -> Knobs:
        """The likeliest of each value."""
        return likely(self.values)

    def varied(self) -> Knobs:
        """The likeliest case, then every value that moves anything low and high, then what-ifs."""
        every = list(self.values)
        rows = [0, *(1 + 2 * every.index(n) + end for n in self.names for end in (0, 1))]
        rows += range(1 + 2 * len(every), 1 + 2 * len(every) + len(WHAT_IFS))
        whole = scenarios(self.values)
        cases = {n: value[rows] for n, value in fields(whole).items() if np.ndim(value) == 1}
        return replace(whole, **cases)

    def mix(self, longer: TierUse, share: float) -> Mix:
        """The demand with that share of users in the longer tier."""
        return mix(self.model, self.demand, longer, share)

    def base(self) -> Mix:
        """Everybody in the base tier."""
        return self.mix(self.demand.longer[0], 0.0)

    def learned(self, mixed: Mix) -> Stage:
        """With the layout that carries most of this mix beside those known."""
        floor = max((float(self.carried(mixed, some).max()) for some in self.alike()), default=0.0)
        found = best_layout(mixed, self.pool, self.knobs, self.choices, floor)
        if found is None or found in self.plans:
            return self
        return replace(self, plans=(*self.plans, found))

    def carried(self, mixed: Mix, plans: Sequence[Plan]) -> Any:
        """The most users of each of some layouts that share their formats."""
        return carried(mixed, column(plans), self.pool, self.knobs).users

    def alike(self) -> list[list[Plan]]:
        """The layouts, by what a column of them shares."""
        groups: dict[Plan, list[Plan]] = {}
        blank = dict.fromkeys(COUNTS, 0)
        for plan in self.plans:
            groups.setdefault(replace(plan, **blank), []).append(plan)
        return list(groups.values())

    def narrowed(self, mixed: Mix, plan: Plan, users: float) -> Stage:
        """With the values alone that move anything, and layouts for when the one that slows
        answers most is at its worse end."""
        seen = self.felt(mixed, plan, users)
        names = list(self.names)
        ups = [moves(np.ravel(each), names) for each in (seen.tpot, *seen.ttft, seen.ceiling)]
        ups += [moves(np.ravel(seen.hourly), names)] if seen.hourly is not None else []
        reach = {n: max(_reach(each.get(n, (1.0, 1.0))) for each in ups) for n in names}
        kept = tuple(n for n in names if reach[n] > 0 or n in ALWAYS)
        return replace(self, names=kept, safe=self._safe(mixed, ups[0]))

    def _safe(self, mixed: Mix, pace: dict[str, tuple[float, float]]) -> tuple[Plan, ...]:
        """The layout that carries most when the value that slows answers most does."""
        worst = max(pace, key=lambda name: max(pace[name]))
        end = ("low", "high")[int(np.argmax(pace[worst]))]
        knobs = replace(self.knobs, **{worst: getattr(self.values[worst], end)})
        found = best_layout(mixed, self.pool, knobs, self.choices)
        return () if found is None else (found,)

    def spanned(self, cases: Any) -> Span:
        """A figure's interval."""
        return span(np.ravel(cases), len(self.names))

    def felt(self, mixed: Mix, plan: Plan, users: float) -> Felt:
        """What so many users see, in every case of the values."""
        down = upright(self.varied())
        return felt(mixed, np.full((1, 1), users), column([plan]), self.pool, down)


ALWAYS = ("host_link",)  # felt where conversations lie on the hosts


def _reach(ends: tuple[float, float]) -> float:
    """How far a value moves a figure, either way."""
    return max(float(abs(np.log(each))) for each in ends)
