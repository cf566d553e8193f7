"""What a mix of context tiers does to a plan, and what users of each tier then see.

The mix is a job of `Serve` whose tiers have the lengths that are used, not the longest allowed, so
that the physics prices it as it does any other. A replica serves all tiers together: each request
waits in the same line and then takes as long as its own prompt does.
"""

from __future__ import annotations

from statistics import NormalDist
from typing import Any

import numpy as np

from eke.physics import footprint, latency
from eke.physics.engine import (
    Ask,
    Load,
    asks,
    duration,
    emitted,
    encoder_positions,
    load,
    own_time,
    per_pass,
    room_for_cache,
    run,
    slowdown,
)
from eke.physics.machine import Machine, machine
from eke.physics.operations import Batch
from eke.physics.retention import (
    exponential_hold,
    exponential_return_share,
    lognormal_hold,
    lognormal_return_share,
    mean_hold,
    reused_share,
)
from eke.physics.serve import serve
from eke.types.efficiency import Knobs
from eke.types.fleet import Pool
from eke.types.job import Serve, Tier
from eke.types.model import Model
from eke.types.plan import Plans
from eke.types.record import Record, fields, replace
from eke.types.tiers import Conversations, Demand, TierUse

FEW = 1e-6  # users at whom a layout is asked what a single one sees


class Mix(Record):
    """Users of which shares have which tier. job: theirs, one request a second.  uses: tiers with
    users, the base first.  within: squared variation of the work of a request within a tier.
    each: requests of a user at the peak [1/s].  longest: context of the longest request that must
    fit [tokens]."""

    job: Serve
    uses: tuple[TierUse, ...]
    within: float
    each: float
    longest: int

    @property
    def tokens(self) -> float:
        """Of a request, prompt and answer, mean."""
        return sum(tier.share * tier.context for tier in self.job.tiers)


def mix(model: Model, demand: Demand, longer: TierUse, share: float) -> Mix:
    """The demand with `share` of the users in the longer tier."""
    users = ((demand.base, 1 - share), (longer, share))
    there = [(use, part) for use, part in users if part > 0]
    rate = sum(part * use.asks for use, part in there)
    shares = [part * use.asks / rate for use, part in there]
    answer = sum(q * use.answer for (use, _), q in zip(there, shares, strict=True))
    prompts = np.array([use.prompt for use, _ in there])
    wide = float(np.dot(shares, prompts**2) / np.dot(shares, prompts) ** 2)
    reuse, pause = remembered(demand.conversations)
    job = Serve(
        model=model,
        prompt=float(np.dot(shares, prompts)),
        answer=answer,
        spread=(1 + demand.spread) * wide - 1,
        reuse=reuse,
        pause=pause,
        ttft=there[0][0].ttft,
        tpot=demand.tpot,
        tiers=tuple(
            Tier(context=round(use.prompt + answer), share=q)
            for (use, _), q in zip(there, shares, strict=True)
        ),
    )
    uses = tuple(use for use, _ in there)
    longest = max(use.context for use in uses)
    return Mix(job=job, uses=uses, within=demand.spread, each=rate * demand.peak, longest=longest)


def remembered(talks: Conversations | None) -> tuple[float, float]:
    """Share of prompts that is reused, and the pause for which the physics holds it.

    The physics holds the reused share of every prompt; what is held is all that may repeat, whether
    somebody comes back for it or not, so the pause is longer by as much.
    """
    if talks is None or talks.keep == "nowhere":
        return 0.0, 0.0
    reuse = reused_share(repeats=talks.repeats, turns=talks.turns, returned=returned(talks))
    if not reuse > 0:
        return 0.0, 0.0
    return float(reuse), float(held(talks) * talks.repeats / reuse)


def returned(talks: Conversations) -> float:
    """Share of later turns that come while the conversation is kept."""
    if talks.variation is None:
        return float(exponential_return_share(kept=talks.kept, think=talks.think))
    return float(
        lognormal_return_share(kept=talks.kept, think=talks.think, variation=talks.variation)
    )


def held(talks: Conversations) -> float:
    """Mean time a turn's keys and values are held [s]."""
    if talks.variation is None:
        hold = exponential_hold(kept=talks.kept, think=talks.think)
    else:
        hold = lognormal_hold(kept=talks.kept, think=talks.think, variation=talks.variation)
    return float(mean_hold(turns=talks.turns, hold=hold, kept=talks.kept))


class Felt(Record):
    """What a plan does under a number of users, as arrays over plans or cases and over numbers.

    missed: by which factor the limit missed most is; 1 or less where all are kept.  limits: each
    limit's.  ttft: as promised, of each tier.  tpot.  hourly: cost of all chips [USD/h]; None
    without a price.  ceiling: users the throughput allows.
    """

    missed: Any
    limits: dict[str, Any]
    ttft: tuple[Any, ...]
    tpot: Any
    hourly: Any
    ceiling: Any


def felt(mixed: Mix, users: Any, plans: Plans, pool: Pool, knobs: Knobs) -> Felt:
    """What all see. users: as an array that broadcasts with the plans and the knobs."""
    job = replace(mixed.job, rate=np.maximum(users, FEW) * mixed.each)
    result = serve(job, plans, pool, knobs)
    here = machine(pool, plans, knobs)
    names = {amount.name: amount.value for amount in result.amounts}
    first = _firsts(mixed, job, plans, here, names)
    limits = {
        limit.name: limit.need / np.maximum(limit.have, 1e-30)
        for limit in result.limits
        if limit.name != "ttft"
    }
    whole = footprint.cache_bytes(job.model, mixed.longest, plans)
    room = room_for_cache(job, plans, here)
    fits = np.where(room > 0, whole / np.maximum(room, 1.0), np.inf)
    limits["memory"] = np.maximum(np.where(limits["memory"] > 1, limits["memory"], 0.0), fits)
    for use, seen in zip(mixed.uses, first, strict=True):
        if use.ttft is not None:
            limits[f"ttft of {use.name}"] = seen / use.ttft.limit
    missed: Any = 0.0
    for each in limits.values():
        missed = np.maximum(missed, each)
    return Felt(
        missed=missed,
        limits=limits,
        ttft=first,
        tpot=names.get("tpot_promised", names["tpot"]),
        hourly=names.get("cost_per_hour"),
        ceiling=names["rate_most"] * job.utilisation / mixed.each,
    )


def _firsts(
    mixed: Mix, job: Serve, plans: Plans, here: Machine, seen: dict[str, Any]
) -> tuple[Any, ...]:
    """Time to first token of each tier, at its promised percentile; its mean without a promise.
    seen: figures of all together."""
    if len(mixed.uses) == 1:
        return (seen["ttft" if job.ttft is None else "ttft_promised"],)
    state = load(job, plans, here)
    whole = state.step.chunks * state.step.mixed  # of a mean prompt, within what is seen
    found = []
    for use, ask in zip(mixed.uses, asks(job), strict=True):
        own = _taking_in(ask, job, plans, here, state)
        if use.ttft is None:
            found.append(seen["ttft"] - whole + own)
            continue
        q = use.ttft.percentile
        if job.ttft is not None and job.ttft.percentile == q:
            late = seen["ttft_promised"]
        else:
            late = latency.seen(replace(job, ttft=use.ttft), plans, here, state).ttft_promised
        found.append(late - whole * _work(job.spread, q) + own * _work(mixed.within, q))
    return tuple(found)


def _work(spread: float, percentile: float) -> float:
    """A percentile of log-normal work over its mean."""
    sigma2 = float(np.log1p(max(spread, 0.0)))
    deviation = NormalDist().inv_cdf(percentile)
    return float(np.exp(deviation * np.sqrt(sigma2) - sigma2 / 2)) if spread > 1e-12 else 1.0


def _taking_in(ask: Ask, job: Serve, plans: Plans, here: Machine, state: Load) -> Any:
    """Time to take in a prompt of one tier, in steps that everybody's answers share [s]."""
    at = np.maximum(state.concurrency, 1.0)
    rank = per_pass(plans, at)
    source = encoder_positions(job.model)
    decoding = tuple(
        Batch(
            sequences=rank * each.share,
            new=1 + plans.drafts,
            cached=each.context,
            source=source,
        )
        for each in asks(job)
    )
    rows = sum(batch.tokens for batch in decoding)
    room = np.maximum(plans.token_budget - rows, plans.block)
    chunks = np.ceil(ask.new / np.minimum(ask.new, room))
    others = _beside(job, plans, state, rank, source)
    chunk = Batch(sequences=1 / chunks, new=ask.new, cached=ask.cached, source=source)
    logits = rows + 1 / chunks + sum(batch.sequences for batch in others)
    once = run(job, (*decoding, chunk, *others), plans, here, logits_rows=logits)
    slow = slowdown(job, here) * (1 + plans.drafts * plans.draft_cost)
    return chunks * (duration(once, here) + own_time(here, rank)) * slow


def _beside(job: Serve, plans: Plans, state: Load, rank: Any, source: float) -> tuple[Batch, ...]:
    """Chunks of other prompts in the same step, where more than one begins per step."""
    arriving = rank * emitted(plans) / job.answer * state.step.chunks
    more = np.maximum(arriving, 1.0) - 1.0
    return tuple(
        Batch(
            sequences=more * each.share / state.step.chunks,
            new=each.new,
            cached=each.cached,
            source=source,
        )
        for each in asks(job)
    )


def upright(knobs: Knobs) -> Knobs:
    """Cases down, so that numbers of users may stand across."""
    found = {
        name: np.asarray(value)[:, None]
        for name, value in fields(knobs).items()
        if np.ndim(value) == 1
    }
    return replace(knobs, **found)
