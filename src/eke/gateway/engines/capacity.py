"""How many requests an engine is given at once, found out from what it does with them."""

from __future__ import annotations

FIRST = 8  # requests at once before anything is known
MOST = 4096
ENOUGH = 0.95  # share of the best throughput that the limit must reach
FRESH = 60.0  # how long a level's throughput is believed [s]
LEAST = 6  # samples of a level before its throughput is believed
PASSING = 16  # one in so many may wait inside: for the next step, not for a place
PROMPT = 0.1  # what a token of a prompt counts beside one of an answer (assumed)


class Level:
    """What was seen with so many requests at once: work done, time taken, when last."""

    __slots__ = ("count", "seconds", "seen", "work")

    def __init__(self) -> None:
        self.work = self.seconds = 0.0
        self.count = 0
        self.seen = float("-inf")


class Capacity:
    """The smallest number at once with nearly the best throughput.

    An engine with a queue of its own does not get faster with more, only its queue longer, where
    nobody can reorder it; an engine that batches gets faster until its memory's speed or its chips
    are used up. Either is seen in the throughput by level, which each request measures by itself:
    level × work / time, whatever its length. While requests wait, levels below and above the
    limit are tried, one round each, until none is better. Sources: little1961; kleinrock1979
    (operating at the knee).

    Where an engine tells how many wait inside it, the limit doubles at every look until any do.

    limit: requests at once.  fixed: nothing is to be found out.
    """

    __slots__ = ("_calm", "_cap", "_cap_until", "_round", "_target", "fixed", "levels", "limit")

    def __init__(self, slots: int | None = None) -> None:
        self.fixed = slots is not None
        self.limit = slots or FIRST
        self.levels: dict[int, Level] = {}
        self._target = self.limit  # the knee as far as known; the limit may be trying another
        self._round = 0
        self._calm = True  # nobody was ever seen waiting inside
        self._cap, self._cap_until = MOST, float("-inf")

    def ended(self, at: tuple[int, int], work: float, seconds: float, now: float) -> None:
        """A request is answered. at: requests at once when it started, itself among them, and when
        it ended.  work: tokens, of prompts counted as PROMPT."""
        begun, over = at
        if self.fixed or work <= 0 or seconds <= 0 or abs(begun - over) > max(1, begun // 8):
            return
        level = self.levels.setdefault((begun + over + 1) // 2, Level())
        if level.count >= 2 * LEAST + begun or now - level.seen > FRESH:
            keep = 0.5 if now - level.seen <= FRESH else 0.0
            level.work *= keep
            level.seconds *= keep
            level.count = int(level.count * keep)
        level.work += work
        level.seconds += seconds
        level.count += 1
        level.seen = now
        self._round += 1

    def look(self, now: float, pressed: bool) -> bool:
        """Choose the limit anew; whether it changed. pressed: requests wait for it."""
        if self.fixed or not pressed or self._round < max(LEAST, self.limit):
            return False
        if not self._known(self.limit, now):
            return False
        self._round = 0
        before = self.limit
        self._target = self._knee(now)
        self.limit = min(self._next(now), self._most(now))
        return self.limit != before

    def told(self, inside: int, pressed: bool, now: float) -> None:
        """How many wait inside the engine, as it says itself. pressed: and outside, for it."""
        if self.fixed:
            return
        if inside > self.limit // PASSING:
            self._calm = False
            self.limit = self._target = max(1, self.limit - inside)
        elif pressed and self._calm:
            self.limit = self._target = min(2 * self.limit, self._most(now))

    def full(self, running: int, now: float, seconds: float = 30.0) -> None:
        """The engine refused more than so many."""
        self._cap, self._cap_until = max(1, running), now + seconds
        if not self.fixed:
            self.limit = self._target = max(1, min(self.limit, self._cap))

    def throughput(self, level: int) -> float:
        """Work per second with so many at once, as far as known."""
        found = self.levels[level]
        return level * found.work / found.seconds

    def _most(self, now: float) -> int:
        return self._cap if now < self._cap_until else MOST

    def _known(self, level: int, now: float) -> bool:
        found = self.levels.get(level)
        return found is not None and found.count >= LEAST and now - found.seen <= FRESH

    def _knee(self, now: float) -> int:
        """The smallest level with nearly the best throughput."""
        known = sorted(level for level in self.levels if self._known(level, now))
        best = max(self.throughput(level) for level in known)
        return next(level for level in known if self.throughput(level) >= ENOUGH * best)

    def _next(self, now: float) -> int:
        """A neighbour of the knee that is not known, below first, or the knee."""
        knee = self._target
        for step in (2.0, 1.25):
            low, high = int(knee / step), max(int(knee * step), knee + 1)
            low = min(low, knee - 1)
            if low >= 1 and not self._within(low, knee, now):
                return low
            if high <= self._most(now) and not self._within(knee, high, now, above=True):
                return high
        return knee

    def _within(self, low: int, high: int, now: float, above: bool = False) -> bool:
        """Whether a level between two, the knee itself not counted, is known."""
        span = range(low + 1, high + 1) if above else range(low, high)
        return any(self._known(level, now) for level in span)
