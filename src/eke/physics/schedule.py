"""Pipeline schedules operation by operation: what each stage does in which order, and when.

The order is the published one and knows no times. Placing it in time needs the durations alone: an
operation starts when its stage is free and what it needs is there. Handing a micro-batch on is
part of the operation that sends it, as in the closed form (`physics.pipeline`).
"""

from __future__ import annotations

from typing import Literal

from eke.types.plan import Schedule
from eke.types.record import Record, fields, replace

Kind = Literal["forward", "backward", "weight gradient"]


class Operation(Record):
    """What a stage does next: one pass of one micro-batch through one chunk of its layers.

    Under the zero-bubble schedule `backward` is the gradient of the inputs alone.
    """

    kind: Kind
    micro_batch: int
    chunk: int = 0


class Slot(Record):
    """A stage busy with one thing for a while. start, duration [s].

    kind: of an operation, or of the part of one that a timeline tells apart.  micro_batch: −1 for
    what happens once per step.
    """

    stage: int
    start: float
    duration: float
    kind: str
    micro_batch: int
    chunk: int = 0

    @property
    def end(self) -> float:
        """When the stage is free again [s]."""
        return self.start + self.duration


Order = list[list[Operation]]  # of every stage


def order(schedule: Schedule, *, stages: int, micro_batches: int, virtual: int = 1) -> Order:
    """What every stage does in which order. Stages with several chunks always interleave."""
    if virtual > 1:
        return [_interleaved(stage, stages, micro_batches, virtual) for stage in range(stages)]
    each = {"gpipe": _gpipe, "zero-bubble": _zero_bubble}.get(schedule, _one_f_one_b)
    return [each(stages - 1 - stage, stage, micro_batches) for stage in range(stages)]


def _gpipe(after: int, before: int, micro_batches: int) -> list[Operation]:
    """All forwards, then all backwards from the last one on. Source: huang2019."""
    ahead = [Operation(kind="forward", micro_batch=i) for i in range(micro_batches)]
    return ahead + [
        Operation(kind="backward", micro_batch=i) for i in reversed(range(micro_batches))
    ]


def _one_f_one_b(after: int, before: int, micro_batches: int) -> list[Operation]:
    """One forward for every stage that comes after, then one forward, one backward. Source:
    narayanan2021 (section 2.2)."""
    ahead = [Operation(kind="forward", micro_batch=i) for i in range(micro_batches)]
    back = [Operation(kind="backward", micro_batch=i) for i in range(micro_batches)]
    return _alternating(ahead, back, min(after, micro_batches))


def _zero_bubble(after: int, before: int, micro_batches: int) -> list[Operation]:
    """ZB-H1: 1F1B whose gradients of weights come as many micro-batches late as there are stages
    before, so that they fill the waiting at the end. Source: qi2023 (section 2.1, figure 3)."""
    found, late = [], 0
    for each in _one_f_one_b(after, before, micro_batches):
        found.append(each)
        if each.kind == "backward" and each.micro_batch >= before:
            found.append(Operation(kind="weight gradient", micro_batch=late))
            late += 1
    rest = range(late, micro_batches)
    return found + [Operation(kind="weight gradient", micro_batch=i) for i in rest]


def _interleaved(stage: int, stages: int, micro_batches: int, virtual: int) -> list[Operation]:
    """Groups of as many micro-batches as stages go through one chunk after the other. Published
    for whole groups; places of a last group that nobody takes stay empty. Source: narayanan2021
    (section 2.2.2)."""
    ahead, back = [], []
    for first in range(0, micro_batches, stages):
        group = range(first, first + stages)
        for part in range(virtual):
            last = virtual - 1 - part
            ahead += [Operation(kind="forward", micro_batch=i, chunk=part) for i in group]
            back += [Operation(kind="backward", micro_batch=i, chunk=last) for i in group]
    warm = 2 * (stages - 1 - stage) + (virtual - 1) * stages
    whole = _alternating(ahead, back, min(warm, len(ahead)))
    return [each for each in whole if each.micro_batch < micro_batches]


def _alternating(ahead: list[Operation], back: list[Operation], warm: int) -> list[Operation]:
    """`warm` forwards, then a forward and a backward in turn, then the backwards that are left."""
    steady = zip(ahead[warm:], back, strict=False)
    return [*ahead[:warm], *(each for pair in steady for each in pair), *back[len(ahead) - warm :]]


class Times(Record):
    """Seconds of one micro-batch in one chunk of a stage. weight: gradient of the weights, where
    the schedule does it apart from the rest of the backward pass."""

    forward: float
    backward: float
    weight: float = 0.0

    def of(self, kind: Kind) -> float:
        """Seconds of an operation."""
        if kind == "forward":
            return self.forward
        return self.backward if kind == "backward" else self.weight


def placed(todo: Order, times: Times) -> list[Slot]:
    """Every operation as early as its stage's order and what it needs allow; stage by stage in
    the order of time."""
    stages = len(todo)
    last = stages * (1 + max(each.chunk for each in todo[0])) - 1
    rows: list[list[Slot]] = [[] for _ in todo]
    done: dict[tuple[str, int, int], float] = {}
    free, ready = [0.0] * stages, set(range(stages))
    while ready:
        stage = ready.pop()
        row = rows[stage]
        while len(row) < len(todo[stage]):
            each = todo[stage][len(row)]
            place = each.chunk * stages + stage
            needs, unlocks = _neighbours(each, place, last)
            if needs is not None and needs not in done:
                break
            start = max(free[stage], done[needs] if needs is not None else 0.0)
            took = times.of(each.kind)
            row.append(_slot(each, stage, start, took))
            done[(each.kind, each.micro_batch, place)] = free[stage] = start + took
            ready.add(unlocks % stages)
    if any(len(row) < len(work) for row, work in zip(rows, todo, strict=True)):
        raise ValueError("the schedule waits for itself")
    return [slot for row in rows for slot in row]


def _slot(each: Operation, stage: int, start: float, duration: float) -> Slot:
    return Slot(
        stage=stage,
        start=start,
        duration=duration,
        kind=each.kind,
        micro_batch=each.micro_batch,
        chunk=each.chunk,
    )


def _neighbours(each: Operation, place: int, last: int) -> tuple[tuple[str, int, int] | None, int]:
    """What an operation at a place of the pipeline waits for, and the place that waits for it."""
    i = each.micro_batch
    if each.kind == "forward":
        return ("forward", i, place - 1) if place else None, min(place + 1, last)
    if each.kind == "backward":
        needs = ("backward", i, place + 1) if place < last else ("forward", i, place)
        return needs, max(place - 1, 0)
    return ("backward", i, place), place


class Cut(Record):
    """A piece of a step that is left out because it repeats what stands before it [s].

    micro_batches: that run forward, backward or both meanwhile.
    """

    start: float
    length: float
    micro_batches: int


class Played(Record):
    """A schedule in time. length: from the first start to the last end, cuts included [s]."""

    slots: list[Slot]
    cuts: tuple[Cut, ...]
    length: float


def play(
    schedule: Schedule,
    *,
    stages: int,
    micro_batches: int,
    times: Times,
    virtual: int = 1,
    most: int | None = None,
) -> Played:
    """A schedule in time. most: micro-batches to lay out, about; of more the middle is cut out."""
    kept = micro_batches if most is None else _kept(schedule, micro_batches, stages, most)
    todo = order(schedule, stages=stages, micro_batches=kept, virtual=virtual)
    slots = placed(todo, times)
    length = max(slot.end for slot in slots)
    whole = Times(**{name: virtual * value for name, value in fields(times).items()})
    cuts = _cuts(schedule, stages, whole, kept, micro_batches - kept)
    for cut, sign in zip(cuts, (1, -1), strict=False):  # GPipe counts down on the way back
        slots = _opened(slots, cut, sign * cut.micro_batches)
        length += cut.length
    return Played(slots=slots, cuts=cuts, length=length)


def _kept(schedule: Schedule, micro_batches: int, stages: int, most: int) -> int:
    """How many micro-batches to lay out: all, or as many as fill and drain the pipeline (which late
    weight gradients take longer to fill) and leave as large a remainder for interleaving."""
    rest, least = micro_batches % stages, 4 if schedule == "zero-bubble" else 3
    fewer = max(least, (most - rest) // stages) * stages + rest
    return micro_batches if micro_batches <= max(most, fewer) else fewer


def _cuts(
    schedule: Schedule, stages: int, times: Times, kept: int, left_out: int
) -> tuple[Cut, ...]:
    """Where a schedule repeats itself: once, or under GPipe once forward and once backward."""
    if not left_out:
        return ()
    ahead, back = times.forward, times.backward + times.weight
    if schedule != "gpipe":
        length = left_out * (ahead + back)
        return (Cut(start=kept / 2 * (ahead + back), length=length, micro_batches=left_out),)
    half = (kept + stages - 1) / 2
    one = Cut(start=half * ahead, length=left_out * ahead, micro_batches=left_out)
    turn = 2 * half * ahead + one.length
    two = Cut(start=turn + half * back, length=left_out * back, micro_batches=left_out)
    return one, two


def _opened(slots: list[Slot], cut: Cut, later: int) -> list[Slot]:
    """What comes after a cut, later by its length and by so many micro-batches; an operation that
    is under way when it begins has its like under way when it ends."""
    before = [slot for slot in slots if slot.start < cut.start]
    after = [slot for slot in slots if slot.end > cut.start]
    return before + [
        replace(slot, start=slot.start + cut.length, micro_batch=slot.micro_batch + later)
        for slot in after
    ]
