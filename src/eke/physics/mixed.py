"""A pipeline over two kinds of chips: its first stages on one, the later ones on another.

Each half is priced as if the whole pipeline ran on its chips, with as many layers on each stage as
this half gives its own; then the stages of both stand in one pipeline, whose pace the slower ones
set. As in a pipeline of equal chips, logits count as spread over all stages, and what nothing hides
of handing on as the same on each.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from eke.physics import exchange, learn
from eke.physics.formula import Number, formula
from eke.physics.learn import Learning, StepTime, micro_batches
from eke.physics.learn_memory import LearningMemory, learning_memory
from eke.physics.machine import Machine
from eke.physics.operations import ACTIVATION, AnyPlan
from eke.types.plan import later_stages
from eke.types.record import Record, fields, replace


class Halves(Record):
    """Both halves of a pipeline as plans of their own, and the machines they run on.

    front, rear: each as if all `stages` were its own.  first, last: stages there really are.
    """

    learning: Learning
    front: AnyPlan
    rear: AnyPlan
    here: Machine
    there: Machine
    stages: Any
    first: Any
    last: Any

    @property
    def layers(self) -> int:
        """Of the whole model."""
        return self.learning.model.layers

    @property
    def ahead(self) -> Any:
        """Layers that the front holds."""
        return np.minimum(self.first * self.front.stage_layers, self.layers - self.last)


def halves(learning: Learning, plan: AnyPlan, here: Machine, there: Machine) -> Halves:
    """The two halves of a plan, with the layers of every stage settled: as the plan says, or so
    that the pipeline is as fast as can be and memory holds."""
    both = apart(learning, plan, here, there)
    one, two = both.front.stage_layers, both.rear.stage_layers
    if not np.any(one) and not np.any(two):
        one, two = _balanced(both)
    elif not np.all(two):
        two = np.maximum(np.ceil((both.layers - both.first * one) / both.last), 1)
    elif not np.all(one):
        one = np.maximum(np.ceil((both.layers - both.last * two) / both.first), 1)
    return _with_layers(both, one, two)


def apart(learning: Learning, plan: AnyPlan, here: Machine, there: Machine) -> Halves:
    """The two halves with the layers of a stage as the plan has them, settled or not."""
    rear, stages = later_stages(plan), plan.pipeline + plan.rear.pipeline  # type: ignore[union-attr]
    return Halves(
        learning=learning,
        front=replace(plan, rear=None, pipeline=stages),
        rear=replace(rear, pipeline=stages),
        here=here,
        there=there,
        stages=stages,
        first=plan.pipeline,
        last=rear.pipeline,
    )


def _with_layers(both: Halves, one: Any, two: Any) -> Halves:
    front, rear = replace(both.front, stage_layers=one), replace(both.rear, stage_layers=two)
    return replace(both, front=front, rear=rear)


def settled(plan: AnyPlan, both: Halves) -> Any:
    """The plan with the layers of its stages written down."""
    one, two = (np.asarray(half.stage_layers).astype(int) for half in (both.front, both.rear))
    whole: list[Any] = [each if each.ndim else int(each) for each in (one, two)]
    rear: Any = replace(plan.rear, stage_layers=whole[1])  # type: ignore[type-var]
    return replace(plan, stage_layers=whole[0], rear=rear)


def _balanced(both: Halves) -> tuple[Any, Any]:
    """Layers on a stage of either half: of all splits that fit in memory the one whose step is
    shortest; where none fits, the one that misses least."""
    m = micro_batches(both.front)
    rates = [_stage_rate(side, both.layers) for side in _sides(both)]
    room = _most_layers(both)
    most = np.ceil(np.max((both.layers - both.last) / both.first))
    best: Any = (np.inf, np.inf, 1, 1)  # what it misses, its time, its layers
    for one in range(1, int(most) + 1):
        ahead = np.minimum(one * both.first, both.layers - both.last)
        two = np.ceil((both.layers - ahead) / both.last)
        miss = np.maximum(np.maximum(one / room[0], two / room[1]), 1.0)
        miss = np.where((one - 1) * both.first < both.layers - both.last, miss, np.inf)
        each = [each * n + fixed for (each, fixed), n in zip(rates, (one, two), strict=True)]
        took = pipeline_time(
            one=each[0], two=each[1], first=both.first, last=both.last, micro_batches=m
        )
        better = (miss < best[0]) | ((miss == best[0]) & (took < best[1]))
        best = [
            np.where(better, new, old)
            for new, old in zip((miss, took, one, two), best, strict=True)
        ]
    return best[2], best[3]


Side = tuple[Learning, AnyPlan, Machine]


def _sides(both: Halves) -> tuple[Side, Side]:
    learning = both.learning
    return (learning, both.front, both.here), (learning, both.rear, both.there)


def _stage_rate(side: Side, layers: int) -> tuple[Any, Any]:
    """Time of a micro-batch on a stage for each of its layers, and beside them [s]."""
    times, plan = learn.step_time(*side), side[1]
    handing = times.stage / micro_batches(plan)
    return (times.each - handing) / np.ceil(layers / plan.pipeline), handing


def _most_layers(both: Halves) -> list[Any]:
    """Layers for which a stage of the front, and one of the rear, has memory."""
    few, more = (memories(_with_layers(both, layers, layers)) for layers in (1, 2))
    sizes = (both.here.size, both.there.size)
    return [
        np.maximum(np.floor(1 + (size - one.total) / (two.total - one.total) + 1e-9), 0.5)
        for size, one, two in zip(sizes, few, more, strict=True)
    ]


def holds(both: Halves) -> Any:
    """Whether any split of the layers fits in memory, per plan."""
    front, rear = _most_layers(both)
    fits = both.first * front + both.last * rear >= both.layers
    return fits & (front >= 1) & (rear >= 1)


def memories(both: Halves) -> tuple[LearningMemory, LearningMemory]:
    """Memory of the fullest stage of either half. The front embeds words and holds micro-batches
    for all stages, the rear has the logits and holds as many as it has stages."""
    model = both.learning.model
    ends = replace(model, tied=True, positions=0, table_parameters=0, matrices=(), encoders=())
    front = replace(both.learning, scores=0.0)
    rear = replace(both.learning, model=ends)
    return (
        learning_memory(front, both.front),
        learning_memory(rear, replace(both.rear, pipeline=both.last)),
    )


def fuller(one: LearningMemory, two: LearningMemory) -> LearningMemory:
    """Of two stages the one that takes more."""
    fullest = one.total >= two.total
    return LearningMemory(
        **{
            name: np.where(fullest, value, getattr(two, name))
            for name, value in fields(one).items()
        }
    )


@formula(unit="s", equation="(m − 1) max(t, t′) + p t + p′ t′", source=("eke-derived",))
def pipeline_time(
    *, one: Number, two: Number, first: Number, last: Number, micro_batches: Number
) -> Number:
    """Time for all micro-batches to pass a pipeline of two kinds of stages [s].

    Once through all, there and back, then at the pace of the slower kind. Exact under GPipe, and
    under 1F1B where the later stages are no faster; else 1F1B waits less.

    one, two: forward and backward of a micro-batch on an earlier, a later stage [s].  first, last:
    earlier, later stages [1].  micro_batches: per step [1].
    """
    return (micro_batches - 1) * np.maximum(one, two) + first * one + last * two


def step_time(both: Halves) -> StepTime:
    """One optimizer step: the parts of the slowest stage, and how long it waits for others."""
    one, two = (
        learn.step_time(*side, crossing=gap)
        for side, gap in zip(_sides(both), _crossings(both), strict=True)
    )
    slow, late = one.each >= two.each, one.data + one.update >= two.data + two.update
    m, slowest = micro_batches(both.front), np.maximum(one.each, two.each)
    passing = pipeline_time(
        one=one.each, two=two.each, first=both.first, last=both.last, micro_batches=m
    )

    def of(name: str, first: Any) -> Any:
        return np.where(first, getattr(one, name), getattr(two, name))

    bubble = passing - m * slowest
    parts = {name: of(name, slow) for name in _PACE} | {"bubble": bubble}
    parts |= {name: of(name, late) for name in ("data", "update")}
    computing = [each.compute - each.bubble - each.update for each in (one, two)]
    return StepTime(
        **parts,
        total=sum(parts.values()),
        compute=np.where(slow, *computing) + bubble + parts["update"],
        exchange=of("exchange", slow) + np.maximum(parts["data"] - of("data", slow), 0.0),
        flop=_mean_flop(both, one, two),
        each=slowest,
    )


_PACE = ("forward", "backward", "recompute", "tensor", "context", "expert", "stage")


def _crossings(both: Halves) -> tuple[Any, Any]:
    """How much longer the hand-over between the halves takes than one between stages of a half:
    each sends or takes it over its network, and the slower one sets the time [s]."""
    if both.front.chip == both.rear.chip:
        return 0.0, 0.0
    tokens = both.front.micro_batch * both.learning.sequence / both.front.context
    size = ACTIVATION * tokens * both.learning.model.hidden
    far, near = [], []
    for _, plan, machine in _sides(both):
        own, distance = size / plan.tensor, plan.tensor * plan.context * plan.data
        far.append(exchange.hop(machine, size=own, distance=machine.domain))
        near.append(exchange.hop(machine, size=own, distance=distance))
    across = np.maximum(*far)
    return across - near[0], across - near[1]


def _mean_flop(both: Halves, one: StepTime, two: StepTime) -> Any:
    """Executed by the mean chip; a half priced alone counts an even share of all layers."""
    ahead = both.ahead / both.layers * both.front.tensor * one.flop
    behind = (1 - both.ahead / both.layers) * both.rear.tensor * two.flop
    ranks = both.first * both.front.tensor + both.last * both.rear.tensor
    return (ahead + behind) * both.stages / ranks


def remarks(both: Halves) -> tuple[str, ...]:
    """Which chips hold how many layers, in the likeliest case."""
    ahead = int(np.ravel(both.ahead)[0])
    front, rear = both.front.chip, both.rear.chip
    return (f"{ahead} of {both.layers} layers on {front}, {both.layers - ahead} on {rear}",)
