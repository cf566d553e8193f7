"""How many requests an engine is given at once, found out from what it does with them."""

from __future__ import annotations

from eke.gateway.engines.speeds import Seen, Speed, pooled

FIRST = 8  # requests at once before anything is known
MOST = 4096
ENOUGH = 0.975  # share of the best throughput that the limit must reach
CHANGED = 1.4  # times another throughput than before, twice, that are no chance
FRESH = 60.0  # how long what is known of other levels is good [s]
AGES = 16  # or so many times what a request takes, if that is longer
LEAST, MUCH = 16, 128  # requests that are enough to tell a level by, and that always are
KEPT = 4  # rounds that a level's throughput goes back, or somewhat more
USUAL = 0.01  # of a new request in the running mean of works
PASSING = 16  # one in so many may wait inside: for the next step, not for a place
LOOKS = 3  # in a row at which more wait, before an engine is believed to be full
SLOW = 2.0  # what requests take where waiting for a step cannot look like waiting for a place [s]
PROMPT = 0.1  # what a token of a prompt counts beside one of an answer (assumed)


class Capacity:
    """The smallest number at once with nearly the best throughput.

    An engine with a queue of its own does not get faster with more, only its queue longer, where
    nobody can reorder it; an engine that batches gets faster until its memory's speed or its chips
    are used up. Either is seen in the throughput by level. While requests wait, the limit goes
    round by round: down until throughput falls, up until it does not grow, and then to the level
    where the speed seen below would give the best throughput, which is the knee of an engine with
    places (cardwell2016 does the same with bytes on a link; kleinrock1979). There it stays; from
    time to time a level somewhat above is tried again, and a throughput that changes begins it all
    anew.

    Where an engine tells how many wait inside it, the limit doubles at every look until any do, and
    is cut by those that wait at every look. Short requests wait for the next step as long as they
    are computed, which looks the same, so theirs are told by the throughput alone.

    limit: requests at once.  fixed: nothing is to be found out.  levels: what was seen of each.
    """

    __slots__ = (
        *("_calm", "_cap", "_cap_until", "_doubt", "_knee", "_looks", "_round", "_since", "_took"),
        "_usual",
        *("fixed", "levels", "limit"),
    )

    def __init__(self, slots: int | None = None) -> None:
        self.fixed = slots is not None
        self.limit = slots or FIRST
        self.levels: dict[int, Seen] = {}
        self._round, self._since = Seen(), float("-inf")
        self._usual = self._took = 0.0  # work of a request, and what it takes [s]
        self._knee = 0  # where it was found last; 0 while it is looked for
        self._doubt = False  # the throughput seems to have changed
        self._calm = True  # nobody was ever seen waiting inside twice in a row
        self._looks: tuple[tuple[int, int], ...] = ()  # how many were, and were not, of late
        self._cap, self._cap_until = MOST, float("-inf")

    def ended(self, at: tuple[int, int], work: float, seconds: float, now: float) -> None:
        """A request is answered. at: requests at once when it started, itself among them, and when
        it ended.  work: tokens, of prompts counted as PROMPT."""
        if self.fixed or work <= 0 or seconds <= 0:
            return
        self._usual += USUAL * (work - self._usual) if self._usual else work
        self._took += USUAL * (seconds - self._took) if self._took else seconds
        low, high = min(at), max(at)
        slack = self.limit // 8
        if now - seconds >= self._since and self.limit - slack <= low <= high <= self.limit + slack:
            self._round.add((low + high) / 2, work, seconds)

    def look(self, now: float, pressed: bool) -> bool:
        """Choose the limit anew; whether it changed. pressed: requests wait for it."""
        enough = min(max(LEAST, self.limit), MUCH)
        if self.fixed or not pressed or self._round.number < enough:
            return False
        self._learn(now)
        if self._looks and self._calm:
            self._calm = self._grows(now)
        if self._looks and self._calm:
            return False  # it doubles at the next look
        return self._set(min(self._next(now), self._most(now)), now)

    def told(self, inside: int, there: int, pressed: bool, now: float) -> None:
        """How many wait inside the engine, as it says itself, of those there. pressed: and outside,
        for it."""
        if self.fixed:
            return
        self._looks = (*self._looks, (inside, there - inside))[-LOOKS:]
        passing = self.limit // PASSING
        if inside <= passing:
            if pressed and self._calm:
                self._set(min(2 * self.limit, self._most(now)), now)
            return
        if len(self._looks) > 1 and min(self._looks[-2:])[0] > passing:
            self._calm = False
        slow = (self._took or SLOW) >= SLOW  # or nothing has been answered yet
        if len(self._looks) == LOOKS and min(self._looks)[0] > passing and slow:
            self.full(max(placed for _, placed in self._looks), now)

    def unseen(self) -> None:
        """The engine does not say how many wait inside it, or not any more."""
        self._looks = ()

    def full(self, running: int, now: float, seconds: float = 30.0) -> None:
        """The engine has no place for more than so many, for a while."""
        self._cap, self._cap_until = max(1, running), now + seconds
        if not self.fixed:
            self._set(min(self.limit, self._cap), now)

    def _set(self, limit: int, now: float) -> bool:
        """Another limit; what began before does not count for it. Whether it is another."""
        if limit == self.limit:
            return False
        self.limit, self._since, self._round = limit, now, Seen()
        return True

    def _most(self, now: float) -> int:
        return self._cap if now < self._cap_until else MOST

    def _learn(self, now: float) -> None:
        """A round at the limit is over."""
        seen, self._round = self._round, Seen()
        seen.at = now
        before = self.levels.get(self.limit)
        if before is not None:
            ratio = seen.speed(self._usual).rate / before.speed(self._usual).rate
            if 1 / CHANGED < ratio < CHANGED:
                self._doubt = False
                before.join(seen, 0.5 if before.number > KEPT * seen.number else 1.0)
            elif not self._doubt:
                self._doubt = True
            else:
                self.levels.clear()
                self._doubt, self._knee, before = False, 0, None
        if before is None:
            self.levels[self.limit] = seen
        above = [level for level in self.levels if level > self.limit]
        age = now - max((self.levels[level].at for level in above), default=now)
        if age > _good(seen):
            for level in above:
                del self.levels[level]

    def _speeds(self, now: float) -> tuple[dict[int, Speed], int]:
        """Throughput by level, and the lowest level that has nearly the best."""
        speeds = {}
        for level, seen in self.levels.items():
            speed = seen.speed(self._usual)
            speeds[level] = speed._replace(error=speed.error * (1 + (now - seen.at) / _good(seen)))
        found = pooled(speeds)
        best = found[max(found)].least
        return found, min(level for level in found if found[level].most >= ENOUGH * best)

    def _grows(self, now: float) -> bool:
        """Whether the throughput is the best at the highest level, as far as was seen."""
        found, enough = self._speeds(now)
        return enough == max(found)

    def _next(self, now: float) -> int:
        """Where to look, or to stay."""
        found, enough = self._speeds(now)
        top = max(found)
        best = found[top]
        under = max((level for level in found if level < enough), default=0)
        if not under and enough > 1:
            return enough // 2
        if under and enough < top and self.levels[top].number < 2 * LEAST:
            return top  # one round is little for what others are told by
        if top < (above := self._above(enough, top)):
            return above
        guess = round(under * best.rate / found[under].rate) if under else enough
        guess = max(guess, under + 1)
        if guess < enough:
            return guess
        self._knee = min(guess, top)
        return self._knee

    def _above(self, enough: int, top: int) -> int:
        """The level that must be known above the knee: half as near to one that is slower."""
        if enough > self._knee:
            self._knee = 0  # throughput grew: look further up
        wanted = max(enough + enough // 4 if self._knee else 2 * enough, enough + 1)
        slower = min((level for level in self.levels if level > top), default=MOST)
        if slower > wanted:
            return wanted
        return (top + slower) // 2 if slower - top > max(1, top // 4) else top


def _good(seen: Seen) -> float:
    """How long what was seen is good [s]."""
    return max(FRESH, AGES * seen.seconds / seen.number)
