"""Pipeline bubbles against schedules played out event by event, written independently here."""

from __future__ import annotations

from fractions import Fraction

import pytest

from eke.physics.mixed import pipeline_time
from eke.physics.pipeline import (
    bubble_share,
    bubble_time,
    micro_batches_in_flight,
    zero_bubble_time,
)

F, B = 1, 2  # forward and backward times of one micro-batch on one stage


def one_f_one_b(stages: int, micro: int) -> list[list[tuple[str, int]]]:
    """The order of work on each stage: warm-up forwards, then alternating, then the rest."""
    order = []
    for stage in range(stages):
        warm = min(stages - 1 - stage, micro)
        work = [("F", i) for i in range(warm)]
        for i in range(micro - warm):
            work += [("F", warm + i), ("B", i)]
        work += [("B", i) for i in range(micro - warm, micro)]
        order.append(work)
    return order


def gpipe(stages: int, micro: int) -> list[list[tuple[str, int]]]:
    """All forwards, then all backwards."""
    work = [("F", i) for i in range(micro)] + [("B", i) for i in range(micro)]
    return [list(work) for _ in range(stages)]


def play(
    order: list[list[tuple[str, int]]], times: list[float] | None = None
) -> tuple[float, list[int]]:
    """When everything is done, and the most micro-batches each stage held at once. times: how much
    longer each stage takes."""
    stages = len(order)
    done: dict[tuple[str, int, int], float] = {}
    times = times or [1] * stages
    clock, position = [0.0] * stages, [0] * stages
    held, most = [0] * stages, [0] * stages
    while any(position[s] < len(order[s]) for s in range(stages)):
        moved = False
        for s in range(stages):
            if position[s] >= len(order[s]):
                continue
            kind, i = order[s][position[s]]
            before = (kind, i, s - 1) if kind == "F" else (kind, i, s + 1)
            first = s == 0 if kind == "F" else s == stages - 1
            if kind == "B" and first:
                before = ("F", i, s)
            if not (kind == "F" and first) and before not in done:
                continue
            start = max(clock[s], done.get(before, 0))
            clock[s] = start + (F if kind == "F" else B) * times[s]
            done[(kind, i, s)] = clock[s]
            held[s] += 1 if kind == "F" else -1
            most[s] = max(most[s], held[s])
            position[s] += 1
            moved = True
        assert moved, "the schedule waits for itself"
    return max(clock), most


@pytest.mark.parametrize("make", [one_f_one_b, gpipe])
@pytest.mark.parametrize("stages", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("micro", [1, 2, 4, 7, 16])
def test_bubble_is_exact(make, stages: int, micro: int) -> None:
    finished, most = play(make(stages, micro))
    name = "1f1b" if make is one_f_one_b else "gpipe"
    waiting = bubble_time(micro_batch_time=F + B, stages=stages, virtual=1)
    assert finished == micro * (F + B) + waiting
    share = bubble_share(stages=stages, virtual=1, micro_batches=micro)
    assert share == pytest.approx(float(Fraction(int(waiting), int(finished))))
    held = micro_batches_in_flight(schedule=name, micro_batches=micro, stages=stages, virtual=1)
    assert most[0] == held


@pytest.mark.parametrize("stages,virtual", [(2, 2), (4, 2), (4, 3), (8, 2)])
def test_interleaving_divides_the_bubble(stages: int, virtual: int) -> None:
    """Interleaved 1F1B, played chunk by chunk, waits (p − 1)/v micro-batches."""
    micro = 2 * stages
    waiting = bubble_time(micro_batch_time=F + B, stages=stages, virtual=virtual)
    assert interleaved(stages, virtual, micro) == pytest.approx(micro * (F + B) + waiting)


def interleaved(stages: int, virtual: int, micro: int) -> float:
    """Finish time of Megatron's interleaved schedule: each rank holds every stages-th chunk."""
    forward, backward = F / virtual, B / virtual
    units = micro * virtual

    def chunk(unit: int, ahead: bool) -> tuple[int, int]:
        group, inside = divmod(unit, stages * virtual)
        part = inside // stages
        return group * stages + inside % stages, part if ahead else virtual - 1 - part

    order = []
    for rank in range(stages):
        warm = min((stages - rank - 1) * 2 + (virtual - 1) * stages, units)
        work = [("F", *chunk(u, True)) for u in range(warm)]
        for u in range(units - warm):
            work += [("F", *chunk(warm + u, True)), ("B", *chunk(u, False))]
        work += [("B", *chunk(u, False)) for u in range(units - warm, units)]
        order.append(work)
    done: dict[tuple[str, int, int], float] = {}
    clock, position = [0.0] * stages, [0] * stages
    last = stages * virtual - 1
    while any(position[r] < len(order[r]) for r in range(stages)):
        moved = False
        for r in range(stages):
            while position[r] < len(order[r]):
                kind, i, part = order[r][position[r]]
                place = part * stages + r
                if kind == "F":
                    needed = ("F", i, place - 1) if place else None
                else:
                    needed = ("B", i, place + 1) if place < last else ("F", i, place)
                if needed is not None and needed not in done:
                    break
                start = max(clock[r], done[needed] if needed else 0.0)
                clock[r] = start + (forward if kind == "F" else backward)
                done[(kind, i, place)] = clock[r]
                position[r] += 1
                moved = True
        assert moved, "the schedule waits for itself"
    return max(clock)


@pytest.mark.parametrize("make", [one_f_one_b, gpipe])
@pytest.mark.parametrize("first,last,micro", [(1, 1, 4), (2, 3, 9), (4, 1, 5), (3, 2, 2)])
@pytest.mark.parametrize("slower", [1, 2, 5, 0.5])
def test_stages_of_two_speeds(make, first: int, last: int, micro: int, slower: float) -> None:
    """Later stages that take `slower` times as long: exact, but for an upper bound where 1F1B has
    slower stages in front."""
    times = [1.0] * first + [slower] * last
    finished, _ = play(make(first + last, micro), times)
    wanted = pipeline_time(
        one=F + B, two=slower * (F + B), first=first, last=last, micro_batches=micro
    )
    if slower < 1 and make is one_f_one_b:
        assert micro * (F + B) < finished <= wanted
    else:
        assert finished == pytest.approx(wanted)


def test_zero_bubble_keeps_a_third_of_equal_passes() -> None:
    """ZB-H1 leaves (p − 1)(F + B − W): with F = B = W a third of the 1F1B bubble."""
    for stages in (2, 4, 8):
        left = zero_bubble_time(forward=1, backward=1, weight=1, stages=stages, micro_batches=64)
        whole = bubble_time(micro_batch_time=3, stages=stages, virtual=1)
        assert left == pytest.approx(whole / 3)
