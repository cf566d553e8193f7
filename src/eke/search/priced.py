"""A block of plans with its figures, and the plans of it worth remembering."""

from __future__ import annotations

from typing import Any

import numpy as np

from eke.physics.outcome import Outcome
from eke.search.block import Block
from eke.search.limits import POOLS, capacity, figure, limit_ratio, limits_of, misses
from eke.types.goal import Goal
from eke.types.plan import Plan, Plans
from eke.types.record import Record

ALIKE = 1e-3  # figures this close count as equal; then the faster plan is better


class Candidate(Record):
    """A plan worth remembering.

    value: of the goal's figure.  ratios: need over have of every limit, times the margin that what
    is predicted keeps; at most 1 where it is kept.  haves: what each limit allows, and its unit.
    figures: of the answer.
    """

    block: Block
    index: int
    value: float
    rank: tuple[float, float]  # among plans of the same value: time and use, then splitting
    ratios: dict[str, float]
    haves: dict[str, tuple[float, str]]
    figures: dict[str, float]

    @property
    def plan(self) -> Plan:
        """As one plan."""
        return self.block.plans[self.index]


class Priced:
    """A block's figures as flat columns."""

    def __init__(self, block: Block, goal: Goal, result: Outcome, margin: float = 1.0) -> None:
        self.block, plans = block, block.plans
        self.shape = plans.shape
        self.figures = {
            amount.name: amount.value for amount in result.amounts if amount.value is not None
        }
        self.value = self.flat(figure(self.figures, goal.least, block.place))
        used = self.figures.get("utilisation", 1.0)  # of equal plans the one with room to spare
        self.time = self.flat(self.figures["time"] * used)
        self.group = self.flat(plans.group)
        limits = limits_of(block, goal, result)
        self.limits = [limit.name for limit in limits]
        self.haves = [(self.flat(limit.have), limit.unit) for limit in limits]
        ratios = [self.flat(limit_ratio(limit)) for limit in limits]
        wide = [1.0 if capacity(name) else margin for name in self.limits]
        self.ratios = np.array(ratios) * np.array(wide)[:, None]
        self.missed = ~(self.ratios <= 1)

    def almost(self, missed: Any) -> dict[str, list[Candidate]]:
        """For each limit, plans that miss it alone: the best, and those that miss it by least.

        missed: how many limits each plan misses.
        """
        found = {}
        for row, name in enumerate(self.limits):
            those = np.flatnonzero(self.missed[row] & (missed == 1))
            if name not in POOLS and len(those):
                near = those[np.argsort(self.ratios[row, those])[:4]]
                mask = np.isin(np.arange(len(missed)), those)
                found[name] = [self.keep(i) for i in dict.fromkeys([*near, *self.best(mask, 8)])]
        return found

    def nearest(self) -> Candidate:
        """The plan that misses its limits by least."""
        ratios = dict(zip(self.limits, self.ratios, strict=True))
        return self.keep(np.lexsort(misses(ratios)[::-1])[0])

    def flat(self, value: Any) -> Any:
        """One number per plan."""
        return np.broadcast_to(np.asarray(value, dtype=float), self.shape).ravel()

    def best(self, those: Any, most: int) -> Any:
        """Indices of the best of `those`, one of each layout before further ones of the same."""
        index = np.flatnonzero(those)
        if len(index) > 64 * most:
            cut = np.partition(self.value[index], 64 * most)[64 * most]
            index = index[self.value[index] <= cut]
        near = np.round(np.log(np.maximum(self.value[index], 1e-300)) / ALIKE)
        order = index[np.lexsort((self.group[index], self.time[index], near))]
        _, first = np.unique(self._layout(order), return_index=True)
        return order[np.sort(first)[:most]]

    def _layout(self, index: Any) -> Any:
        """A number that tells layouts of a block apart, whatever their settings."""
        plans, mixed = self.block.plans, np.zeros(len(index))
        halves = [plans] + ([plans.other] if isinstance(plans.other, Plans) else [])
        for half in halves:
            for name in ("tensor", "pipeline", "context", "data", "expert", "virtual", "replicas"):
                mixed = mixed * 131071 + self.flat(getattr(half, name))[index]
                mixed = mixed % 9007199254740881
        return mixed

    def keep(self, i: int) -> Candidate:
        """One of them, to remember."""
        i = int(i)
        return Candidate(
            block=self.block,
            index=i,
            value=float(self.value[i]),
            rank=(float(self.time[i]), float(self.group[i])),
            ratios=dict(zip(self.limits, self.ratios[:, i].tolist(), strict=True)),
            haves={
                name: (float(have[i]), unit)
                for name, (have, unit) in zip(self.limits, self.haves, strict=True)
            },
            figures={name: float(self.flat(value)[i]) for name, value in self.figures.items()},
        )


def nearer(one: Candidate | None, other: Candidate) -> Candidate:
    """Of two plans, the one that misses its limits by less."""
    return other if one is None or misses(other.ratios) < misses(one.ratios) else one
