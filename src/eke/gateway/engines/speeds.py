"""How fast an engine is with so many requests at once, told from what each of them took."""

from __future__ import annotations

from math import sqrt
from typing import NamedTuple

SURE = 1.5  # standard errors by which two speeds differ before they are told apart
EXACT = 0.002  # least standard error of a speed, as a share of it


class Speed(NamedTuple):
    """Work per second, and its standard error as a share of it."""

    rate: float
    error: float

    @property
    def least(self) -> float:
        """What it surely reaches."""
        return self.rate * (1 - SURE * self.error)

    @property
    def most(self) -> float:
        """What it surely does not exceed."""
        return self.rate * (1 + SURE * self.error)


class Seen:
    """Requests that an engine had at one level: sums of their levels, works and times, and of the
    squares and products of works and times.

    number: of requests.  at: of the last [s].
    """

    __slots__ = ("at", "levels", "number", "seconds", "squares", "times", "work", "works")

    def __init__(self) -> None:
        self.number = self.levels = self.work = self.seconds = 0.0
        self.works = self.times = self.squares = 0.0
        self.at = float("-inf")

    def add(self, level: float, work: float, seconds: float) -> None:
        """One request. level: at once with it.  seconds: it was on the engine."""
        self.number += 1
        self.levels += level
        self.work += work
        self.seconds += seconds
        self.works += work * work
        self.times += work * seconds
        self.squares += seconds * seconds

    def join(self, other: Seen, keep: float) -> None:
        """Those of another round too. keep: share that those before it count still."""
        self.number = keep * self.number + other.number
        self.levels = keep * self.levels + other.levels
        self.work = keep * self.work + other.work
        self.seconds = keep * self.seconds + other.seconds
        self.works = keep * self.works + other.works
        self.times = keep * self.times + other.times
        self.squares = keep * self.squares + other.squares
        self.at = other.at

    def speed(self, usual: float) -> Speed:
        """With L at once that take t each for work w, an engine does L·w/t (little1961).

        Those seen were longer or shorter than usual by chance, so t is set right for work `usual`
        by the regression of t on w (cochran1977, chapter 7). Its error is what is left of the
        regression, and of the part of t that does not depend on w, waiting for others, the
        variation of their works.
        """
        n, w, t = self.number, self.work / self.number, self.seconds / self.number
        varies = max(self.works / n - w * w, 0.0)
        together = self.times / n - w * t
        slope = together / varies if varies > 1e-9 * w * w else t / w
        slope = min(max(slope, 0.0), t / w)
        rest = max(self.squares / n - t * t - 2 * slope * together + slope**2 * varies, 0.0)
        t += slope * (usual - w)
        waits = max(1 - slope * usual / t, 0.0)
        error = sqrt((rest / t**2 + waits**2 * varies / w**2) / n)
        return Speed(self.levels / n * usual / t, max(error, EXACT))


def pooled(speeds: dict[int, Speed]) -> dict[int, Speed]:
    """The same speeds without what is only chance: more at once is never slower, so levels that
    seem slower than one below are taken together with it, by their errors (ayer1955).

    Levels that surely are slower, as where an engine's memory overflows, are left out.
    """
    blocks: list[tuple[list[int], float, float]] = []  # levels, rate, weight
    sure = 0.0
    for level, speed in sorted(speeds.items()):
        if speed.most < sure:
            continue
        sure = max(sure, speed.least)
        blocks.append(([level], speed.rate, speed.error**-2))
        while len(blocks) > 1 and blocks[-2][1] >= blocks[-1][1]:
            (above, high, heavy), (below, low, light) = blocks.pop(), blocks.pop()
            weight = heavy + light
            blocks.append((below + above, (low * light + high * heavy) / weight, weight))
    return {level: Speed(rate, w**-0.5) for levels, rate, w in blocks for level in levels}
