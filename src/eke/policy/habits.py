"""How soon tenants come back that wait for one answer before they ask again."""

from __future__ import annotations

from eke.types.request import Request

KEPT = 1024  # tenants, before those of whom nothing is under way are forgotten
TRIALS = 3  # times a tenant is waited for before it ever came back
LONG = 4.0  # a gap counts as at most so many times the longest that is waited for
WEIGHT = 0.25  # of the last gap in the mean


class Habit:
    """What is known of one tenant.

    inside: requests that wait or are under way, places kept for it among them.  flying: of these,
    those that have a place.  gap: from the end of one to the next, in the mean; None while unknown.
    ended: when its last ended, None once the next came.  lasted: time that one took [s].
    trials: how often it was waited for without knowing.
    """

    __slots__ = ("ended", "flying", "gap", "inside", "lasted", "trials")

    def __init__(self) -> None:
        self.inside = self.flying = self.trials = 0
        self.gap: float | None = None
        self.ended: float | None = None
        self.lasted = 0.0


class Habits:
    """Learns tenants' gaps from what a policy is told and answers.

    hold: longest wait for a tenant's next request, as a share of the time of its last.
    tenants: habit by name.  active: how many have anything inside.
    """

    __slots__ = ("active", "begun", "hold", "kept", "tenants", "whose")

    def __init__(self, hold: float) -> None:
        self.hold = hold
        self.tenants: dict[str, Habit] = {}
        self.whose: dict[int, Habit] = {}  # by number of each request inside
        self.begun: dict[int, float] = {}  # when each with a place was started
        self.active = 0
        self.kept = KEPT

    def came(self, request: Request, now: float) -> None:
        """A request came."""
        habit = self.tenants.get(request.tenant) or self._met(request.tenant)
        if habit.ended is not None:
            gap = min(now - habit.ended, LONG * self.hold * habit.lasted)
            habit.gap = gap if habit.gap is None else habit.gap + WEIGHT * (gap - habit.gap)
            habit.ended = None
        self.active += not habit.inside
        habit.inside += 1
        self.whose[request.id] = habit

    def started(self, number: int, now: float) -> None:
        """A request got a place."""
        habit = self.whose.get(number)
        if habit is not None:
            habit.flying += 1
            self.begun[number] = now

    def failed(self, number: int) -> None:
        """A request lost its place, and waits again."""
        if self.begun.pop(number, None) is not None:
            self.whose[number].flying -= 1

    def over(self, number: int) -> None:
        """A request ended, was refused or left."""
        self.failed(number)
        habit = self.whose.pop(number, None)
        if habit is not None:
            self._leave(habit)

    def ended(self, number: int, now: float, slots: int) -> float:
        """A request was answered. How long its place is to be kept for its tenant's next [s]; such
        a place counts as inside until it is given up.

        0 where others of it wait, where nobody else is active, where it has its equal share all the
        same, and where its next takes longer to come than is worth it. slots: of all engines.
        """
        habit = self.whose.pop(number)
        lasted = now - self.begun.pop(number)
        habit.ended, habit.lasted = now, lasted
        if (
            habit.inside == habit.flying
            and self.active > 1
            and (habit.flying - 1) * self.active < slots
            and (wait := self._patience(habit, self.hold * lasted))
        ):
            return wait
        self.given_up(habit)
        return 0.0

    def given_up(self, habit: Habit) -> None:
        """A tenant has one place less."""
        habit.flying -= 1
        self._leave(habit)

    def _leave(self, habit: Habit) -> None:
        """A tenant has one inside less."""
        habit.inside -= 1
        self.active -= not habit.inside

    def _patience(self, habit: Habit, longest: float) -> float:
        """How long to wait for the next of a tenant, at most so long; 0 for not at all [s]."""
        gap = habit.gap
        if gap is None:
            habit.trials += 1
            return longest if habit.trials <= TRIALS else 0.0
        return min(longest, 2 * gap + longest / 8) if gap <= longest else 0.0

    def _met(self, name: str) -> Habit:
        """A tenant that was not known, or was forgotten."""
        if len(self.tenants) >= self.kept:
            self.tenants = {each: habit for each, habit in self.tenants.items() if habit.inside}
            self.kept = max(KEPT, 2 * len(self.tenants))
        habit = self.tenants[name] = Habit()
        return habit
