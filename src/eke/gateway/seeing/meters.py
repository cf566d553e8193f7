"""Plain numbers about requests that are over, added up as they end."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Container
from math import exp

from eke.gateway.row import FINISHED, REFUSED, Row
from eke.gateway.seeing.histogram import FINE, FIRST, TOKEN, WAIT, WHOLE, Histogram
from eke.gateway.seeing.labels import REASONS, STRANGERS, Names, reason_of

LATELY = 120.0  # how far back a tenant's share of the tokens goes, about [s]
ANSWER = 2.0  # what a token of an answer counts in it beside one of a prompt, as in the policies
KEPT = 1000  # texts of reasons whose few words are remembered
BATCH = "batch"  # tier of lines of batches and of jobs
APART = 0.01  # of its time on the engine: an answer whose rest took less came whole, not streamed

Key = tuple[str, str, str, str, str]  # model, tenant, kind, tier, outcome


class Times:
    """How long requests to one model took, in one tier [s]. first: to the first token, of streams.
    token: for each further token.  wait: in the queue.  whole: to the end."""

    __slots__ = ("first", "token", "wait", "whole")

    def __init__(self) -> None:
        self.first, self.token = Histogram(FIRST), Histogram(TOKEN)
        self.wait, self.whole = Histogram(WAIT), Histogram(WHOLE)


class Work:
    """What a tenant had of late. tokens: never forgotten.  lately: forgotten within LATELY."""

    __slots__ = ("_told", "lately", "tokens")

    def __init__(self) -> None:
        self.tokens = self.lately = self._told = 0.0

    def fade(self, seconds: float) -> None:
        """So much time passed."""
        self.lately = self.lately * exp(-seconds / LATELY) + self.tokens - self._told
        self._told = self.tokens
        if self.lately < 0.5:
            self.lately = 0.0


class Cell:
    """Requests alike in model, tenant, kind, tier and outcome: how many, and what they took.

    again: tries beyond the first.  seconds: of accelerators.  energy [J].  cost, charged, saved
    [USD].
    """

    __slots__ = (
        *("again", "answer", "cached", "charged", "cost", "energy", "prompt", "requests", "saved"),
        *("seconds", "times", "work"),
    )

    def __init__(self, times: Times, work: Work) -> None:
        self.times, self.work = times, work
        self.requests = self.prompt = self.cached = self.answer = self.again = 0
        self.seconds = self.energy = self.cost = self.charged = self.saved = 0.0


class Lately:
    """What ended since the last look. answer: tokens.  first, wait: how many by the edges of FINE,
    but for batches and jobs, which wait by their own will."""

    __slots__ = ("answer", "first", "outcomes", "wait")

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()
        self.answer = 0
        self.first, self.wait = [0] * (len(FINE) + 1), [0] * (len(FINE) + 1)


class Meters:
    """All of them.

    known: names of tenants that are always told apart.  cells: by what requests have in common.
    times: by model and tier.  work: by tenant.  reasons: how often each was given for no answer,
    by outcome.  lately: since the last look.
    """

    def __init__(self, known: Callable[[], Container[str]]) -> None:
        self.cells: dict[Key, Cell] = {}
        self.times: dict[tuple[str, str], Times] = {}
        self.work: dict[str, Work] = {}
        self.reasons: Counter[tuple[str, str]] = Counter()
        self.lately = Lately()
        self.tenants = Names(STRANGERS, known)
        self._reasons = Names(REASONS)
        self._known: dict[str, str] = {}

    def over(self, row: Row) -> None:
        """A request is over. Costs 2 µs."""
        outcome, lately = row.outcome, self.lately
        cell = self.cells.get((row.model, row.tenant, row.kind, row.tier, outcome))
        if cell is None:
            cell = self._met(row)
        cell.requests += 1
        lately.outcomes[outcome] += 1
        if outcome != FINISHED:
            self._not_answered(row)
            if outcome == REFUSED:
                return
        if row.tries:
            cell.again += row.tries
        cell.seconds += row.seconds
        cell.energy += row.energy
        cell.cost += row.cost
        cell.charged += row.charged
        cell.saved += row.saved
        if row.started is not None:
            if outcome == FINISHED or counted(row):
                prompt, tokens, cached = row.prompt, row.tokens, row.cached
                cell.prompt += prompt
                cell.cached += cached
                cell.answer += tokens
                cell.work.tokens += prompt - cached + ANSWER * tokens
                lately.answer += tokens
            self._timed(row, cell.times)

    def fade(self, seconds: float) -> Lately:
        """So much time passed; what ended in it."""
        for work in self.work.values():
            work.fade(seconds)
        lately, self.lately = self.lately, Lately()
        return lately

    def count(self, outcome: str) -> int:
        """How many requests ended so."""
        return sum(cell.requests for key, cell in self.cells.items() if key[4] == outcome)

    def total(self) -> Cell:
        """All requests as one."""
        whole = Cell(Times(), Work())
        for cell in self.cells.values():
            for name in SUMMED:
                setattr(whole, name, getattr(whole, name) + getattr(cell, name))
        return whole

    def _timed(self, row: Row, times: Times) -> None:
        arrived, started, first, finished = row.arrived, row.started, row.first, row.finished
        assert started is not None
        lately = self.lately
        times.wait.add(started - arrived)
        told = row.tier != BATCH
        lately.wait[bisect_left(FINE, started - arrived)] += told
        if row.outcome == FINISHED:
            times.whole.add(finished - arrived)
        if first is not None and streamed(row):
            times.first.add(first - arrived)
            lately.first[bisect_left(FINE, first - arrived)] += told
            times.token.add((finished - first) / (row.tokens - 1))

    def _not_answered(self, row: Row) -> None:
        reason = self._known.get(row.reason)
        if reason is None:
            reason = self._reasons.of(reason_of(row))
            if len(self._known) < KEPT:
                self._known[row.reason] = reason
        self.reasons[row.outcome, reason] += 1

    def _met(self, row: Row) -> Cell:
        """The numbers of a kind of request that was not met before, or of OTHER tenants."""
        tenant = self.tenants.of(row.tenant)
        key = (row.model, tenant, row.kind, row.tier, row.outcome)
        cell = self.cells.get(key)
        if cell is None:
            times = self.times.setdefault((row.model, row.tier), Times())
            work = self.work.setdefault(tenant, Work())
            cell = self.cells[key] = Cell(times, work)
        return cell


SUMMED = (
    *("requests", "again", "prompt", "cached", "answer", "seconds", "energy", "cost"),
    *("charged", "saved"),
)


def counted(row: Row) -> bool:
    """Whether the tokens of a request were computed: an engine's answer began, and was no error.
    What is told of other prompts is only what they were estimated to be."""
    return row.first is not None and (row.tokens > 0 or row.outcome != "failed")


def streamed(row: Row) -> bool:
    """Whether an answer came token by token. One that came whole is there with its first byte."""
    if row.first is None or row.started is None or row.tokens < 2:
        return False
    return row.finished - row.first > APART * (row.finished - row.started)
