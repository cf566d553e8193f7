"""An engine as vLLM v1 schedules it, step by step: a machine without a clock.

Sequences in flight go first: each that decodes gets its next token, one whose prompt is only partly
taken in its next chunk. What is left of the token budget goes to those that wait, in their order,
until one does not fit. Where the cache has no block left for a sequence in flight, the one admitted
last loses its place and is computed anew, and nobody is admitted in that step. It is the engine of
`eke.simulation.engine` over again, for one replica and plain Python; a test holds them together.
"""

from __future__ import annotations

from heapq import heappop, heappush
from math import inf

from eke.errors import BadInput
from eke.standin.cache import Cache, keys_of
from eke.standin.sequence import Request
from eke.standin.steps import Load, Steps, mixed_time, stretch
from eke.types.record import Message, Record


class Limits(Record):
    """What an engine holds. places: sequences in flight.  budget: tokens of one step, on all ranks
    together.  blocks: of the cache, of `block` tokens each.  caching: prefixes are kept and found
    again.  ordered: a request's priority counts, lower first."""

    places: int
    budget: int
    blocks: int
    block: int = 16
    caching: bool = True
    ordered: bool = False


class Step(Message):
    """What a step does. duration, lag: of it, and from its end until first tokens are there [s].
    gives: to whom how many tokens.  taken: tokens of prompts computed."""

    duration: float
    gives: list[tuple[Request, int]]
    lag: float = 0.0
    taken: int = 0


class Engine:
    """Requests come with `add`, go with `drop`; `step` says what happens next and how long."""

    def __init__(self, steps: Steps, limits: Limits) -> None:
        self.steps, self.limits = steps, limits
        self.cache = Cache(limits.blocks)
        self.decoding: list[Request] = []
        self.filling: list[Request] = []
        self.waiting = 0
        self.preemptions = self.looked_up = self.found = 0  # so far; tokens of prompts
        self._queue: list[tuple[int, int, Request]] = []
        self._needy: list[Request] = []  # those that get a block for their next token in this step
        self._came = self._admitted = 0
        self._extra = 0.0  # time the next step takes longer, for encoders [s]

    @property
    def busy(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.decoding or self.filling or self.waiting)

    def add(self, request: Request, now: float) -> None:
        """A request comes. Raises BadInput where it would never fit into the cache."""
        if self._blocks_for(request.prompt + request.answer) > self.limits.blocks:
            raise BadInput(
                f"{request.prompt + request.answer:,} tokens do not fit into a cache of "
                f"{self.limits.blocks * self.limits.block:,}."
            )
        self._came += 1
        request.arrived, request.number = now, self._came
        self._enqueue(request)

    def drop(self, request: Request) -> None:
        """A request goes, wherever it stands; its place and its blocks are free at once."""
        if request.waits:
            request.waits = False
            self.waiting -= 1
            return
        for those in (self.decoding, self.filling):
            if request in those:
                those.remove(request)
                self._release(request)

    def step(self, now: float, wanted: float = 0.0) -> Step | None:
        """What happens next; None with nothing to do. now: when it begins [s].  wanted: steps in
        which nothing changes but the tokens are taken together up to this long [s]."""
        preempted = self.preemptions
        self._make_room()
        limits = self.limits
        budget = limits.budget - len(self.decoding) * (1 + self.steps.drafts)
        budget = self._go_on_filling(budget)
        if self.preemptions == preempted or not (self.decoding or self.filling):
            self._admit(budget, now)
        self._needy = []
        if self.filling:
            return self._mixed_step()
        alike = self.preemptions == preempted  # else somebody may be admitted after one step
        return self._decode_steps(wanted if alike else 0.0) if self.decoding else None

    def _blocks_for(self, tokens: int) -> int:
        return -(-tokens // self.limits.block)

    def _reserved(self, request: Request, stored: int) -> int:
        """Blocks a sequence holds with so many tokens in the cache: where a step gives several, all
        it will ever need."""
        whole = request.prompt + request.answer
        return self._blocks_for(whole if self.steps.drafts else stored)

    def _enqueue(self, request: Request) -> None:
        request.waits = True
        self.waiting += 1
        line = request.priority if self.limits.ordered else 0
        heappush(self._queue, (line, request.number, request))

    def _first(self) -> Request | None:
        """Who is next; those who left are forgotten on the way."""
        while self._queue and not self._queue[0][2].waits:
            heappop(self._queue)
        return self._queue[0][2] if self._queue else None

    @property
    def _free(self) -> int:
        """Blocks beside those that decoding sequences need in this step."""
        return self.cache.free - len(self._needy)

    def _make_room(self) -> None:
        """Preempt until every decoding sequence finds a block for its next token."""
        if self.steps.drafts:
            return
        block = self.limits.block
        self._needy = [each for each in self.decoding if len(each.blocks) * block <= each.stored]
        while self._free < 0:
            self._preempt_last()

    def _preempt_last(self) -> Request:
        """Take its place from the sequence that should lose it first, and let it wait again."""
        ordered = self.limits.ordered
        last = max(
            (*self.decoding, *self.filling),
            key=lambda each: (each.priority, each.number) if ordered else (0, each.admitted),
        )
        self.drop(last)
        if last in self._needy:
            self._needy.remove(last)
        last.preempted += 1
        self.preemptions += 1
        self._enqueue(last)
        return last

    def _go_on_filling(self, budget: int) -> int:
        """The next chunk of every prompt that is only partly taken in; the budget that is left."""
        for each in list(self.filling):
            each.takes = min(each.need - each.done, max(budget, 0))
            more = self._reserved(each, each.done + each.takes) - len(each.blocks)
            while each in self.filling and more > self._free:
                self._preempt_last()
            if each in self.filling:
                each.blocks += self.cache.take(more)
                budget -= each.takes
        return budget

    def _admit(self, budget: int, now: float) -> None:
        """Take waiting requests in, in their order, as far as places, budget and cache go."""
        while budget > 0 and len(self.decoding) + len(self.filling) < self.limits.places:
            request = self._first()
            if request is None or not self._start_filling(request, budget):
                return
            if request.scheduled is None:
                request.scheduled = now
            budget -= request.takes

    def _start_filling(self, request: Request, budget: int) -> bool:
        """The first chunk of a prompt, and of what was answered before the place was lost; False
        when not all of it would fit."""
        need = request.prompt + request.given
        keys = self._keys(request, need - 1)  # the last token is always computed
        found, idle = self.cache.find(keys)
        if self._reserved(request, need) - found + idle > self._free:
            return False
        heappop(self._queue)
        request.waits = False
        self.waiting -= 1
        self._admitted += 1
        request.admitted, request.need = self._admitted, need
        request.done = found * self.limits.block
        request.takes = min(need - request.done, budget)
        request.blocks = self.cache.hold(keys[:found])
        held = self._reserved(request, request.done + request.takes)
        request.blocks += self.cache.take(held - found)
        if not request.preempted:
            request.cached = request.done
            self.looked_up += request.prompt
            self.found += request.done
        self._extra += request.encoding
        self.filling.append(request)
        return True

    def _keys(self, request: Request, tokens: int) -> list[int]:
        """Keys of the full blocks of so many tokens of its text."""
        if not self.limits.caching:
            return []
        blocks = tokens // self.limits.block
        request.more_keys(blocks, self.limits.block, keys_of)
        return request.keys[:blocks]

    def _release(self, request: Request) -> None:
        """Free a sequence's blocks; what it has computed is found again while it lasts."""
        computed = request.done if request.done < request.need else request.stored
        self.cache.name(request.blocks, self._keys(request, computed))
        self.cache.give_back(request.blocks)

    def _mixed_step(self) -> Step:
        """Chunks of prompts, and a token for each decoding sequence beside them."""
        chunks = [(each.takes, each.done) for each in self.filling if each.takes]
        duration, lag = mixed_time(self.steps, self._load(chunks))
        duration, self._extra = duration + self._extra, 0.0
        gives = self._decoded(1)
        for each in list(self.filling):
            each.done += each.takes
            each.takes = 0
            self.cache.name(each.blocks, self._keys(each, each.done))
            if each.done >= each.need:
                gives.append((each, 1))
                self._filled(each)
        return Step(duration, gives, lag, sum(takes for takes, _ in chunks))

    def _filled(self, request: Request) -> None:
        """A prompt is complete and a token there: it ends or decodes on."""
        request.given += 1
        self.filling.remove(request)
        if request.given >= request.answer:
            self._release(request)
            return
        request.begun, request.steps = request.given, 0
        self.decoding.append(request)

    def _decode_steps(self, wanted: float) -> Step:
        """A step that only decodes, or several in which nobody ends and blocks suffice."""
        most = 1
        if wanted > 0:
            rounds = self.cache.free // len(self.decoding)  # each sequence fills one block in each
            left = min(each.answer - each.given for each in self.decoding)
            most = max(min(int(left / self.steps.emitted), rounds * self.limits.block), 1)
        many, duration = stretch(self.steps, self._load(), most, wanted)
        return Step(duration, self._decoded(many))

    def _load(self, chunks: list[tuple[int, int]] | None = None) -> Load:
        context = sum(each.stored for each in self.decoding)
        return Load(decoding=len(self.decoding), context=context, chunks=chunks or ())

    def _decoded(self, steps: int) -> list[tuple[Request, int]]:
        """Give every decoding sequence its tokens; those that have all leave."""
        gives, emitted, soonest = [], self.steps.emitted, inf
        for each in self.decoding:
            more = self._reserved(each, each.stored + steps) - len(each.blocks)
            if more > 0:
                each.blocks += self.cache.take(more)
            each.steps += steps
            made = min(each.begun + int(each.steps * emitted), each.answer)
            gives.append((each, made - each.given))
            each.given = made
            soonest = min(soonest, each.answer - made)
        if soonest <= 0:
            over = [each for each in self.decoding if each.given >= each.answer]
            self.decoding = [each for each in self.decoding if each.given < each.answer]
            for each in over:
                self._release(each)
        return gives
