"""The time of any engine step, as tables that the physics fills once.

A step takes in chunks of prompts and gives every sequence in flight its next token. Matrices, norms
and exchanges depend on how many tokens enter it, logits on how many sequences want a word, and the
attention core on lengths: of each decoding sequence on its context, of each chunk on its tokens and
on those before it. Each of these is a table, so that a step costs a few look-ups; the physics is
that of `eke need`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from eke.physics.engine import encoder_positions, encoding_time, own_time, run, slowdown
from eke.physics.forward import Pass
from eke.physics.machine import Machine
from eke.physics.operations import Batch
from eke.types.job import Serve
from eke.types.model import Attention, LatentAttention
from eke.types.plan import Plan
from eke.types.record import Record, replace

CORE = ("attention core", "state update")  # operations that depend on the lengths of sequences
CLOSE = 1.1  # from one length of a table to the next: half of its error squared is 0.1 %


class StepTable(Record):
    """Times of the parts of a step on one data-parallel rank of a replica [s].

    base: of what depends on the tokens that enter, 0, 1, 2, …  tensor, expert, other: of exchanges,
    by tokens too.  logits: by sequences that want a word, 0, 1, 2, …  lengths: contexts at which
    `decode` has the attention core of one sequence; between them it is a straight line.
    new, cached: tokens of a chunk, and before it, at which `chunk` has its attention core.
    own, sequence: the engine's own work, per step and per sequence.  factor: on everything.
    overlap_tensor, overlap_expert: shares of the exchanges that hide behind computing.
    ranks: over which the sequences of a replica are spread, `stages` of a pipeline among them.
    """

    base: Any
    tensor: Any
    expert: Any
    other: Any
    logits: Any
    lengths: Any
    decode: Any
    new: Any
    cached: Any
    chunk: Any
    own: float
    sequence: float
    factor: float
    overlap_tensor: float
    overlap_expert: float
    ranks: int
    stages: int = 1


def step_table(job: Serve, plan: Plan, machine: Machine, longest: int) -> StepTable:
    """The tables of one replica. longest: context of any request [tokens]."""
    ranks = plan.data * plan.pipeline
    rows = -(-plan.batch * (1 + plan.drafts) // ranks)
    most = max(plan.token_budget, rows)
    entering = np.arange(most + 1.0)
    passed = _pass(job, plan, machine, Batch(sequences=entering, new=1.0), 0.0)
    worded = _pass(job, plan, machine, Batch(sequences=1.0, new=1.0), np.arange(most + 1.0))
    lengths = _lengths(job, longest)
    new, cached = _grid(plan.token_budget), _grid(longest)
    chunk = Batch(sequences=1.0, new=new[:, None], cached=cached[None, :])
    answer = Batch(sequences=1.0, new=1.0 + plan.drafts, cached=lengths)
    drafting = 1 + plan.drafts * plan.draft_cost
    return StepTable(
        base=_whole(_base(passed, machine, plan), entering),
        tensor=_whole(passed.tensor, entering),
        expert=_whole(passed.expert, entering),
        other=_whole(passed.context + passed.stage, entering),
        logits=_whole(worded.logits + _words(worded), entering),
        lengths=lengths,
        decode=_whole(_core(_pass(job, plan, machine, answer, 1.0)), lengths),
        new=new,
        cached=cached,
        chunk=_whole(_core(_pass(job, plan, machine, chunk, 1.0)), chunk.new + chunk.cached),
        own=float(own_time(machine, 0.0)),
        sequence=float(own_time(machine, 1.0) - own_time(machine, 0.0)),
        factor=float(slowdown(job, machine) * drafting),
        overlap_tensor=float(machine.knobs.overlap_tensor),
        overlap_expert=float(machine.knobs.overlap_expert),
        ranks=ranks,
        stages=plan.pipeline,
    )


def encoding_times(job: Serve, plan: Plan, machine: Machine, images: Any, sound: Any) -> Any:
    """Time to encode the images and the sound of each request [s]."""
    if not job.model.encoders:
        return np.zeros(len(images))
    kinds = {encoder.kind for encoder in job.model.encoders}
    seen = images if "image" in kinds else 0.0
    heard = sound if "audio" in kinds else 0.0
    if not (np.any(seen) or np.any(heard)):
        return np.zeros(len(images))
    return encoding_time(replace(job, images=seen, sound=heard), plan, machine) + 0.0 * images


def _pass(job: Serve, plan: Plan, machine: Machine, batch: Batch, logits_rows: Any) -> Pass:
    work = replace(batch, source=encoder_positions(job.model))
    return run(job, (work,), plan, machine, logits_rows=logits_rows)


def _whole(values: Any, like: Any) -> Any:
    """One number per element of `like`, also where it is the same for all."""
    shape = np.broadcast_shapes(np.shape(values), np.shape(like))
    return np.ascontiguousarray(np.broadcast_to(np.asarray(values, dtype=np.float64), shape))


def _core(once: Pass) -> Any:
    """Time of what depends on the lengths of sequences [s]."""
    return sum(done.operation.times * done.time for done in once.done if _is_core(done))


def _is_core(done: Any) -> bool:
    return done.operation.name in CORE


def _words(once: Pass) -> Any:
    return sum(
        done.operation.times * done.time
        for done in once.done
        if done.operation.name == "softmax over words"
    )


def _base(once: Pass, machine: Machine, plan: Plan) -> Any:
    """All computing but the core, logits and words [s]."""
    states = sum(
        done.operation.times * done.time
        for done in once.done
        if _is_core(done) and done.operation.kind == "stream"
    )
    return once.matrices + once.elementwise - states - _words(once) + once.launch + once.adapters


def _grid(most: int) -> Any:
    """Whole numbers from 0 to `most`, one by one at first, then in equal ratios."""
    count = int(np.ceil(np.log(max(most, 2)) / np.log(CLOSE))) + 1
    grid = np.unique(np.rint(np.geomspace(1, max(most, 1), count)))
    return np.concatenate(([0.0], grid)) if most > 0 else np.array([0.0, 1.0])


def _lengths(job: Serve, longest: int) -> Any:
    """The lengths of the decoding table, those at which a window fills among them."""
    edges = [
        float(edge)
        for stack in job.model.stacks
        for edge in _edges(stack.block.mixer)
        if edge is not None and edge < longest
    ]
    near = [edge + by for edge in edges for by in (-1.0, 0.0)]
    return np.unique(np.concatenate((_grid(longest), [e for e in near if e > 0])))


def _edges(mixer: Any) -> tuple[int | None, ...]:
    if isinstance(mixer, Attention):
        return mixer.window, mixer.top_tokens
    if isinstance(mixer, LatentAttention):
        return (mixer.top_tokens,)
    return ()
