"""An engine's replica in steady state: what it does per step, and how full it is.

A replica runs steps. Each step gives every sequence in flight its next token; some steps also
take in a chunk of a new prompt. `concurrency` sequences in flight at step time T finish
concurrency / (answer × T) requests per second; the rate asked for fixes the concurrency.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from eke.physics import footprint, queueing, speculative
from eke.physics.adapters import resident_bytes, sharing, with_adapters
from eke.physics.forward import Pass, encoder_pass, forward
from eke.physics.machine import Machine
from eke.physics.operations import ACTIVATION, AnyPlan, Batch, weight_bytes
from eke.physics.roofline import hidden_time
from eke.types.job import Serve
from eke.types.model import Model
from eke.types.record import Record

GRID = 24  # concurrencies at which a replica's throughput is evaluated


class Ask(Record):
    """One kind of request. share: of all requests.  new: prompt tokens to compute.
    cached: prompt tokens whose keys and values are kept.  answer [tokens]."""

    share: float
    new: Any
    cached: Any
    answer: Any

    @property
    def context(self) -> Any:
        """Mean length while answering [tokens]."""
        return self.new + self.cached + self.answer / 2

    @property
    def longest(self) -> Any:
        """Length at the end [tokens]."""
        return self.new + self.cached + self.answer


def asks(job: Serve) -> tuple[Ask, ...]:
    """The kinds of requests a job has: one, or one per context tier, each filling its context."""
    added = job.images * _tokens_per_item(job.model, "image")
    added += job.sound * _tokens_per_second(job.model)
    kinds = [(1.0, job.prompt)]
    if job.tiers:
        kinds = [(tier.share, np.maximum(tier.context - job.answer, 1)) for tier in job.tiers]
    return tuple(
        Ask(
            share=share,
            new=np.maximum(prompt * (1 - job.reuse), 1.0) + added,
            cached=prompt - np.maximum(prompt * (1 - job.reuse), 1.0) if job.reuse else 0.0,
            answer=job.answer,
        )
        for share, prompt in kinds
    )


def _tokens_per_item(model: Model, kind: str) -> float:
    return next((float(e.tokens) for e in model.encoders if e.kind == kind), 0.0)


def _tokens_per_second(model: Model) -> float:
    """Tokens the language model sees per second of sound; none where it only cross-attends."""
    sound = next((e for e in model.encoders if e.kind == "audio"), None)
    if sound is None or not sound.seconds or _cross_attends(model):
        return 0.0
    return sound.tokens / sound.seconds


def _cross_attends(model: Model) -> bool:
    return any(stack.block.cross is not None for stack in model.stacks)


class Step(Record):
    """An engine step at some concurrency. mean, mixed: duration on average, and with a chunk of
    prompt [s].  chunks: mixed steps one prompt takes.  share: of steps that are mixed.  busy:
    share of the room for prompts that is in use.  plain, loaded: the passes without and with a
    chunk of prompt."""

    mean: Any
    mixed: Any
    chunks: Any
    share: Any
    busy: Any
    plain: Pass
    loaded: Pass


def decode_pass(
    job: Serve, plan: AnyPlan, machine: Machine, concurrency: Any, context: Any = None
) -> Pass:
    """One step that only decodes: every sequence in flight gets its next token.

    concurrency: sequences in flight per replica.  context: their mean length [tokens].
    """
    work = _decoding(job, plan, concurrency, context)
    rows = sum(batch.tokens for batch in work)
    return run(job, work, plan, machine, logits_rows=rows)


def run(
    job: Serve, work: tuple[Batch, ...], plan: AnyPlan, machine: Machine, logits_rows: Any
) -> Pass:
    """One pass through the model, and through the factors of the fine-tunes asked for."""
    once = forward(job.model, work, plan, machine, logits_rows=logits_rows)
    return with_adapters(once, job, work, plan, machine)


def _decoding(job: Serve, plan: AnyPlan, concurrency: Any, context: Any) -> tuple[Batch, ...]:
    rank = per_pass(plan, concurrency)
    return tuple(
        Batch(
            sequences=rank * ask.share,
            new=1 + plan.drafts,
            cached=ask.context if context is None else context,
            source=encoder_positions(job.model),
        )
        for ask in asks(job)
    )


def per_pass(plan: AnyPlan, concurrency: Any) -> Any:
    """Sequences that one pass of a rank takes on: stages and data-parallel ranks share them out,
    but a sequence is not cut."""
    return np.maximum(concurrency / (plan.data * plan.pipeline), np.minimum(concurrency, 1.0))


def own_time(machine: Machine, rows: Any) -> Any:
    """The engine's own work in a step that gives `rows` sequences a token [s]."""
    return machine.knobs.step + machine.knobs.sequence * rows


def encoder_positions(model: Model) -> float:
    """What the decoder's cross-attention reads per sequence; 0 where it has none."""
    return float(model.encoders[0].tokens) if model.encoders and _cross_attends(model) else 0.0


def emitted(plan: AnyPlan) -> Any:
    """Tokens a step gives each sequence: 1, or more when drafts are accepted."""
    return speculative.expected_tokens(acceptance=plan.acceptance, drafts=plan.drafts)


def step(job: Serve, plan: AnyPlan, machine: Machine, concurrency: Any) -> Step:
    """The mean step of a replica with `concurrency` sequences in flight."""
    decoding = _decoding(job, plan, concurrency, None)
    rank = per_pass(plan, concurrency)
    rows = sum(batch.tokens for batch in decoding)
    prompt = sum(ask.share * ask.new for ask in asks(job))
    if plan.prefill is not None:
        return _decode_only(job, plan, machine, decoding, rows)
    room = np.maximum(plan.token_budget - rows, plan.block)
    chunk = np.minimum(prompt, room)
    chunks = np.ceil(prompt / chunk)
    arriving = rank * emitted(plan) / job.answer  # prompts that begin per step, per rank
    slots = np.maximum(np.floor(room / chunk), 1)
    together = np.maximum(arriving * chunks, 1)  # chunks in one mixed step
    share = np.minimum(arriving * chunks, 1)
    chunked = tuple(
        Batch(
            sequences=together * ask.share / chunks,
            new=ask.new,
            cached=ask.cached,
            source=encoder_positions(job.model),
        )
        for ask in asks(job)
    )
    plain = run(job, decoding, plan, machine, logits_rows=rows)
    loaded = run(job, (*decoding, *chunked), plan, machine, logits_rows=rows + together / chunks)
    slow = slowdown(job, machine) * (1 + plan.drafts * plan.draft_cost)
    encoding = encoding_time(job, plan, machine) * together / chunks
    own = own_time(machine, rank)
    without = (duration(plain, machine) + own) * slow
    mixed = (duration(loaded, machine) + own + encoding) * slow
    return Step(
        mean=(1 - share) * without + share * mixed,
        mixed=mixed,
        chunks=chunks,
        share=share,
        busy=arriving * chunks / slots,
        plain=plain,
        loaded=loaded,
    )


def _decode_only(
    job: Serve, plan: AnyPlan, machine: Machine, decoding: tuple[Batch, ...], rows: Any
) -> Step:
    """The step of a replica whose prompts are taken in elsewhere."""
    plain = run(job, decoding, plan, machine, logits_rows=rows)
    slow = slowdown(job, machine) * (1 + plan.drafts * plan.draft_cost)
    mean = (duration(plain, machine) + own_time(machine, rows)) * slow
    return Step(
        mean=mean,
        mixed=mean,
        chunks=0.0,
        share=0.0,
        busy=0.0,
        plain=plain,
        loaded=plain,
    )


def prefill_time(job: Serve, plan: AnyPlan, machine: Machine) -> Any:
    """Time of one whole prompt on one replica that only takes in prompts [s]."""
    work = tuple(
        Batch(
            sequences=ask.share / plan.data,
            new=ask.new,
            cached=ask.cached,
            source=encoder_positions(job.model),
        )
        for ask in asks(job)
    )
    once = run(job, work, plan, machine, logits_rows=1.0)
    own = own_time(machine, 1.0) + encoding_time(job, plan, machine)
    return (duration(once, machine) + own) * slowdown(job, machine)


def duration(once: Pass, machine: Machine) -> Any:
    """Compute and exchange composed with what overlaps [s]; stages hand over in turn."""
    knobs, room = machine.knobs, once.compute
    tensor = hidden_time(exchange=once.tensor, room=room, overlap=knobs.overlap_tensor)
    expert = hidden_time(exchange=once.expert, room=room - tensor, overlap=knobs.overlap_expert)
    return once.compute + once.exchange - tensor - expert


def slowdown(job: Serve, machine: Machine) -> Any:
    """What the physics leaves out and what confidential computing costs, as a factor."""
    private = 1 / (1 - machine.knobs.confidential) if job.confidential else 1.0
    return machine.knobs.scatter * private


def encoding_time(job: Serve, plan: AnyPlan, machine: Machine) -> Any:
    """Time to encode the images and the sound of one request [s]."""
    total: Any = 0.0
    for encoder in job.model.encoders:
        items = job.images if encoder.kind == "image" else job.sound / (encoder.seconds or 30.0)
        once = encoder_pass(encoder.stacks, encoder.hidden, items, encoder.positions, plan, machine)
        total = total + once * (items > 0)
    return total


class Load(Record):
    """A replica at the rate asked for: concurrency, step there, throughput it could reach."""

    concurrency: Any
    most: Any  # sequences in flight that memory and the plan allow
    ceiling: Any  # requests per second of one replica at that concurrency
    step: Step


def room_for_cache(job: Serve, plan: AnyPlan, machine: Machine) -> Any:
    """Memory left for keys and values of what is being answered, on the fullest chip [B]; negative
    when nothing fits."""
    return machine.size - fixed_bytes(job, plan) - kept_on_chip(job, plan)


def fixed_bytes(job: Serve, plan: AnyPlan) -> Any:
    """Weights, working memory and resident fine-tunes on the fullest chip [B]."""
    held = resident_weights(job, plan) + working_bytes(job.model, plan)
    return held + resident_bytes(job, plan)


def kept_bytes(job: Serve, plan: AnyPlan) -> Any:
    """What conversations keep between their turns, each chip's part [B].

    Prompts are taken in where their conversations are kept: of a disaggregated plan, in its prefill
    half.
    """
    if not (job.pause and job.reuse) or plan.prefill is not None:
        return 0.0
    rate = job.rate / sharing(job, plan)
    kept = queueing.conversations_kept(rate=rate, pause=job.pause)
    return kept * kept_each(job, plan) / plan.data


def kept_each(job: Serve, plan: AnyPlan) -> Any:
    """What one conversation keeps, each chip's part, mean over requests [B]."""
    if not job.reuse:
        return 0.0
    return sum(ask.share * footprint.cache_bytes(job.model, ask.cached, plan) for ask in asks(job))


def kept_on_chip(job: Serve, plan: AnyPlan) -> Any:
    """Of what conversations keep, what lies in the chip's own memory [B]."""
    return 0.0 if plan.offload else kept_bytes(job, plan)


def resident_weights(job: Serve, plan: AnyPlan) -> Any:
    """Weights on the fullest chip; none where they are streamed [B].

    Engines quantise the matrices inside layers; tables, logits and vectors stay in 16 bits.
    """
    width = weight_bytes(plan)
    quantised = footprint.layer_matrices(job.model, plan).total
    others = footprint.held_parameters(job.model, plan).total - quantised
    held = quantised * width + others * max(width, ACTIVATION)
    return 0.0 * held if plan.stream else held


def working_bytes(model: Model, plan: AnyPlan) -> Any:
    """Activations of the largest step: hidden states, the widest feed-forward row, scores [B]."""
    widest = max((_widest(stack.block) for stack in model.stacks), default=0)
    rows = plan.token_budget
    scores = 4.0 * np.minimum(plan.batch, 256) * model.vocabulary
    return 2.0 * rows * (4 * model.hidden + 2 * widest / plan.tensor) + scores / plan.tensor


def _widest(block: Any) -> int:
    feed = block.feed
    if feed is None:
        return 0
    return int(feed.width * getattr(feed, "active", 1) + getattr(feed, "shared", 0))


def per_sequence(job: Serve, plan: AnyPlan) -> Any:
    """Cache of one sequence on each chip, mean over requests and over its life [B]."""
    return sum(ask.share * footprint.cache_bytes(job.model, ask.context, plan) for ask in asks(job))


def load(job: Serve, plan: AnyPlan, machine: Machine) -> Load:
    """How many sequences are in flight when a replica gets its share of the rate."""
    rank_cache = per_sequence(job, plan) * plan.pipeline / plan.data  # spread over all stages
    room = room_for_cache(job, plan, machine)
    fitting = np.floor(room * plan.pipeline / np.maximum(rank_cache, 1.0))
    most = np.clip(fitting, 1, plan.batch)
    grid = _grid(most)
    times = step(job, plan, machine, grid).mean
    speed = grid * emitted(plan) / (job.answer * times)  # requests per second
    speed = np.maximum.accumulate(speed, axis=0)
    wanted = job.rate / sharing(job, plan)
    concurrency = _crossing(grid, speed, wanted)
    return Load(
        concurrency=concurrency,
        most=most,
        ceiling=speed[-1] / machine.knobs.full,
        step=step(job, plan, machine, np.maximum(concurrency, 1.0)),
    )


def _grid(most: Any) -> Any:
    """Concurrencies from 1 to `most`, evenly spaced in their logarithm; first axis new."""
    steps = np.linspace(0, 1, GRID)
    return np.asarray(most)[None, ...] ** steps.reshape((-1,) + (1,) * np.ndim(most))


def _crossing(grid: Any, speed: Any, wanted: Any) -> Any:
    """The concurrency at which speed first reaches what is wanted, by interpolation."""
    shape = np.broadcast(grid, speed).shape
    grid, speed = np.broadcast_to(grid, shape), np.broadcast_to(speed, shape)
    enough = speed >= wanted
    index = np.where(enough.any(axis=0), np.argmax(enough, axis=0), len(grid) - 1)
    index = np.clip(index, 1, None)
    lower, upper = _at(grid, index - 1), _at(grid, index)
    slow, fast = _at(speed, index - 1), _at(speed, index)
    part = np.clip((wanted - slow) / np.maximum(fast - slow, 1e-300), 0, 1)
    return np.where(enough[0], wanted / speed[0], lower + part * (upper - lower))


def _at(values: Any, index: Any) -> Any:
    """One element along the first axis for each of the others."""
    return np.take_along_axis(values, index[None, ...], axis=0)[0]
