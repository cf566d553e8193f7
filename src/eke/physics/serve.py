"""Wiring of serving: from a job, a plan and a pool to everything it takes."""

from __future__ import annotations

from typing import Any

import numpy as np

from eke.physics import host, latency
from eke.physics.adapters import distinct_adapters, misses, resident_bytes, sharing
from eke.physics.costs import carbon_of, energy_of, price_of
from eke.physics.engine import (
    Load,
    asks,
    emitted,
    fixed_bytes,
    kept_on_chip,
    load,
    per_sequence,
    resident_weights,
)
from eke.physics.footprint import cache_bytes, held_parameters
from eke.physics.machine import Machine, machine
from eke.physics.operations import AnyPlan, weight_bytes
from eke.physics.outcome import Amount, Limit, Outcome, Share, amounts
from eke.types.efficiency import Knobs
from eke.types.fleet import Pool
from eke.types.job import Promise, Serve
from eke.types.plan import Plan


def serve(
    job: Serve, plan: AnyPlan, pool: Pool, knobs: Knobs, prefill_pool: Pool | None = None
) -> Outcome:
    """What it takes to serve. prefill_pool: where a disaggregated plan's prefill half runs."""
    here = machine(pool, plan, knobs)
    there = None
    if plan.prefill is not None:
        there = machine(prefill_pool or pool, plan.prefill, knobs.prefill or knobs)
    state = load(job, plan, here)
    users = latency.seen(job, plan, here, state, there)
    ceiling = state.ceiling * sharing(job, plan)
    if plan.prefill is not None and there is not None:
        ceiling = np.minimum(ceiling, latency.prefill_ceiling(job, plan.prefill, there))
    if host.used(job, plan.prefill or plan):
        carried = host.loading_ceiling(job, plan.prefill or plan, there or here)
        ceiling = np.minimum(ceiling, carried)
    held: Held = ((pool, plan.chips),)
    if plan.prefill is not None:
        half = plan.prefill.chips
        held = ((pool, plan.chips - half), (prefill_pool or pool, half))
    return Outcome(
        amounts=(
            *_common(job, plan, held, knobs, ceiling, state, users),
            *_more(job, plan, ceiling, state, users),
            *_waiting_in_host(job, plan.prefill or plan, there or here),
        ),
        parts=lambda: (*_memory_shares(job, plan, state), *_step_shares(plan, here, state)),
        limits=(
            *_limits(job, plan, pool, here, state, users, there),
            *_host_limits(job, plan, pool, here, ""),
            *_host_limits(job, plan.prefill, prefill_pool or pool, there, "prefill "),
        ),
        remarks=_remarks(job, plan, state) if isinstance(plan, Plan) else (),
    )


Held = tuple[tuple[Pool, Any], ...]  # pools and how many chips of each a plan holds


def _common(
    job: Serve,
    plan: AnyPlan,
    held: Held,
    knobs: Knobs,
    ceiling: Any,
    state: Load,
    users: latency.Seen,
) -> tuple[Amount, ...]:
    """The figures every job has; time, energy and money are of one request."""
    whole = users.ttft + (job.answer - 1) * users.tpot
    busy = np.minimum(job.rate / ceiling, 1.0)
    used = fixed_bytes(job, plan) + _cache_in_use(job, plan, state) + kept_on_chip(job, plan)
    energies = [energy_of(pool, chips, 1 / job.rate, knobs, busy) for pool, chips in held]
    prices = [
        price_of(pool, chips, 1 / job.rate, knobs, energy)
        for (pool, chips), energy in zip(held, energies, strict=True)
    ]
    energy = None if any(each is None for each in energies) else sum(energies)
    emitted_by = [
        carbon_of(pool, each, knobs) for (pool, _), each in zip(held, energies, strict=True)
    ]
    carbon = None if any(each is None for each in emitted_by) else sum(emitted_by)
    money = None if any(price is None for price in prices) else sum(prices)
    tokens = job.answer + sum(ask.share * (ask.new + ask.cached) for ask in asks(job))
    per_token = None if energy is None else energy / job.answer
    whole_time = "ttft + (answer − 1) × tpot"
    return (
        *amounts(
            ("chips", plan.chips, "1", "chips in use"),
            ("time", whole, "s", "one request, first to last", whole_time),
            ("memory", used, "B", "in use on the fullest chip"),
            ("energy", energy, "J", "per request, site included"),
            ("energy_per_token", per_token, "J/token", "per token of answer"),
            ("carbon", carbon, "kg", "CO2e of the grid, per request"),
        ),
        *(() if money is None else _money(job, money, tokens, busy)),
    )


def _money(job: Serve, money: Any, tokens: float, busy: Any) -> tuple[Amount, ...]:
    """Costs at the rate asked for, and with the chips kept full."""
    each, unit, name = money / tokens * 1e6, "USD per million tokens", "cost_per_million"
    how = "money / (prompt + answer) × 1,000,000"
    full = "of prompt and answer, with the chips kept full"
    return amounts(
        ("money", money, "USD", "per request"),
        (
            "cost_per_hour",
            money * job.rate * 3600.0,
            "USD per hour",
            "of all chips",
            "money × rate",
        ),
        (f"{name}_tokens", each, unit, "of prompt and answer together", how),
        (f"{name}_answer_tokens", money / job.answer * 1e6, unit, "if the answer carries all cost"),
        (f"{name}_tokens_full", each * busy, unit, full, f"{name}_tokens × utilisation"),
    )


def _more(
    job: Serve, plan: AnyPlan, ceiling: Any, state: Load, users: latency.Seen
) -> tuple[Amount, ...]:
    """Figures of serving alone."""
    plain, loaded, mixed = state.step.plain.flop, state.step.loaded.flop, state.step.share
    flop = plain + mixed * (loaded - plain)
    at_once = state.concurrency * sharing(job, plan)
    fitting = state.most * plan.replicas
    tokens = ceiling * job.answer
    first = users.ttft_promised if job.ttft else None
    each = users.tpot_promised if job.tpot else None
    return amounts(
        ("ttft", users.ttft, "s", "time to first token, mean"),
        ("tpot", users.tpot, "s", "time per output token, mean"),
        ("ttft_promised", first, "s", _percentile(job.ttft)),
        ("tpot_promised", each, "s", _percentile(job.tpot)),
        ("concurrency", at_once, "1", "requests being answered at once"),
        ("concurrency_most", fitting, "1", "requests that fit in memory at once"),
        ("rate_most", ceiling, "1/s", "requests at most"),
        ("answer_tokens_per_second_most", tokens, "token/s", "all chips", "rate_most × answer"),
        ("utilisation", job.rate / ceiling, "1", "of what the plan can do", "rate / rate_most"),
        ("flop_rate", flop / state.step.mean, "FLOP/s", "done by each chip"),
    )


def _waiting_in_host(job: Serve, plan: AnyPlan, here: Machine) -> tuple[Amount, ...]:
    """Conversations kept, and what requests wait for out of the host's memory."""
    kept = job.rate * job.pause if job.pause else None
    used = host.used(job, plan)
    loading = host.loading_time(job, plan, here) if used else None
    shared = job.adapters and np.any(np.asarray(plan.adapter_slots) > 0)
    missed = misses(job, plan) if shared else None
    return amounts(
        ("conversations_kept", kept, "1", "between their turns", "rate × pause"),
        ("loading", loading, "s", "from the host's memory, per request"),
        ("adapter_misses", missed, "1", "of requests, whose adapter is not resident"),
    )


def _percentile(promise: Promise | None) -> str:
    return f"at the {100 * promise.percentile:g}th percentile" if promise else ""


def _cache_in_use(job: Serve, plan: AnyPlan, state: Load) -> Any:
    return np.minimum(state.concurrency, state.most) * per_sequence(job, plan) / plan.data


def _memory_shares(job: Serve, plan: AnyPlan, state: Load) -> list[Share]:
    weights = resident_weights(job, plan)
    cache = _cache_in_use(job, plan, state)
    tunes = resident_bytes(job, plan)
    working = fixed_bytes(job, plan) - weights - tunes
    rows = (
        ("weights", weights),
        ("cache", cache),
        ("working memory", working),
        ("kept conversations", kept_on_chip(job, plan)),
        ("adapters", tunes),
    )
    return [Share(of="memory", name=name, value=value, unit="B") for name, value in rows]


def _step_shares(plan: AnyPlan, here: Machine, state: Load) -> list[Share]:
    """Where the mean step goes: each part's time before overlap, scaled to the step."""
    at, knobs = state.step, here.knobs
    rows: dict[str, Any] = {}
    for name, field in _PARTS:
        plain, loaded = getattr(at.plain, field), getattr(at.loaded, field)
        rows[name] = (1 - at.share) * plain + at.share * loaded
    waiting = (1 - at.share) * at.plain.waiting + at.share * at.loaded.waiting
    matrices = rows.pop("matrices") + rows.pop("logits")
    rows = {
        "reading weights": np.minimum(waiting, matrices),
        "arithmetic": np.maximum(matrices - waiting, 0.0),
        **rows,
        "engine": knobs.step,
    }
    total = sum(rows.values())
    scale = at.mean / total / emitted(plan)
    return [
        Share(of="tpot", name=name, value=value * scale, unit="s") for name, value in rows.items()
    ]


_PARTS = (
    ("matrices", "matrices"),
    ("logits", "logits"),
    ("attention and cache", "attention"),
    ("norms and activations", "elementwise"),
    ("kernel launches", "launch"),
    ("adapters", "adapters"),
    ("tensor exchange", "tensor"),
    ("expert exchange", "expert"),
    ("stage exchange", "stage"),
)


def _limits(
    job: Serve,
    plan: AnyPlan,
    pool: Pool,
    here: Machine,
    state: Load,
    users: latency.Seen,
    there: Machine | None,
) -> tuple[Limit, ...]:
    longest = max(ask.longest for ask in asks(job))
    one = fixed_bytes(job, plan) + cache_bytes(job.model, longest, plan)
    one = one + kept_on_chip(job, plan)
    narrower = "narrower weights (--weights fp8)" if plan.weights == "bf16" else "narrower weights"
    shorter = f"more chips, {narrower}, or a shorter context"
    keeps = bool(np.any(np.asarray(kept_on_chip(job, plan)) > 0))
    if keeps:
        shorter = (
            f"keep conversations on the host (--offload), or less long (--pause), or {shorter}"
        )
    found = [
        Limit(name="memory", need=one, have=here.size, unit="B", hint=shorter),
        Limit(
            name="throughput",
            need=job.rate / job.utilisation,
            have=state.ceiling * sharing(job, plan),
            unit="1/s",
            hint="more chips, or a lower rate" + (", or --offload" if keeps else ""),
        ),
    ]
    if job.ttft:
        found.append(_promise("ttft", users.ttft_promised, job.ttft.limit))
    if job.tpot:
        found.append(_promise("tpot", users.tpot_promised, job.tpot.limit))
    if plan.stream:
        whole = held_parameters(job.model, plan).total * weight_bytes(plan)
        have = pool.chip.stream_size or 0.0
        hint = "more external memory, or narrower weights"
        found.append(Limit(name="external memory", need=whole, have=have, unit="B", hint=hint))
    if plan.prefill is not None and there is not None:
        found += _prefill_limits(job, plan.prefill, there, longest)
    return tuple(found)


def _prefill_limits(job: Serve, half: Plan, there: Machine, longest: float) -> list[Limit]:
    """The prefill half keeps up, and one of the longest requests fits it."""
    have = latency.prefill_ceiling(job, half, there)
    one = fixed_bytes(job, half) + cache_bytes(job.model, longest, half)
    one = one + kept_on_chip(job, half)
    more, wider = "more prefill replicas", "more tensor parallelism in prefill, or narrower weights"
    return [
        Limit(name="prefill", need=job.rate / job.utilisation, have=have, unit="1/s", hint=more),
        Limit(name="prefill memory", need=one, have=there.size, unit="B", hint=wider),
    ]


def _host_limits(
    job: Serve, plan: AnyPlan | None, pool: Pool, here: Machine | None, half: str
) -> list[Limit]:
    """What one half of a plan needs of its hosts, and copies for every fine-tune."""
    if plan is None or here is None:
        return []
    found = []
    if job.adapters:
        copies = np.where(np.asarray(plan.adapter_slots) > 0, 1, job.adapters)
        hint = "a replica for each, or several on one (--adapter-slots 8)"
        name = f"{half}replicas"
        found.append(Limit(name=name, need=copies, have=plan.replicas, unit="1", hint=hint))
    if host.used(job, plan):
        need, name = host.host_bytes(job, plan), f"{half}host memory"
        hint = "more chips, a shorter pause, less reuse, or fewer adapters"
        found.append(Limit(name=name, need=need, have=pool.host_memory, unit="B", hint=hint))
    if host.used(job, plan) and plan.prefill is None:  # prompts are taken in here
        need, name = job.rate / job.utilisation, f"{half}host link"
        have = host.loading_ceiling(job, plan, here)
        hint = "more replicas, more adapter slots, or conversations kept on the chips"
        found.append(Limit(name=name, need=need, have=have, unit="1/s", hint=hint))
    return found


def _promise(name: str, value: Any, limit: float) -> Limit:
    return Limit(
        name=name,
        need=value,
        have=limit,
        unit="s",
        hint="more tensor parallelism, more chips, or a looser promise",
    )


def _tuned(job: Serve, plan: Plan, state: Load) -> tuple[str, ...]:
    """What is assumed of fine-tunes, and whether a batch wants more of them than there is room."""
    if not job.adapters:
        return ()
    slots, at_once = plan.adapter_slots, float(np.ravel(state.concurrency)[0])
    if not slots:
        return (f"each of {job.adapters:,} adapters is merged into a copy of the model of its own",)
    wanted = float(distinct_adapters(adapters=job.adapters, sequences=at_once))
    found = [
        f"{job.adapters:,} adapters of rank {job.adapter_rank} beside every attention and dense "
        "feed-forward matrix, asked for equally often"
    ]
    if wanted > slots:
        found.append(
            f"a replica's batch wants about {wanted:.0f} different adapters and holds {slots}: "
            "requests would also wait for one to be released, which is not counted"
        )
    return tuple(found)


def _remarks(job: Serve, plan: Plan, state: Load) -> tuple[str, ...]:
    """What the answer assumed or rounded, in words."""
    found = []
    longest = max(ask.longest for ask in asks(job))
    if job.model.context and longest > job.model.context:
        found.append(
            f"requests reach {longest:,.0f} tokens; {job.model.name} is made for "
            f"{job.model.context:,}"
        )
    if plan.drafts:
        found.append(
            f"{plan.drafts} drafted tokens per step, each kept with {plan.acceptance:.0%}: assumed"
        )
    return (*found, *_tuned(job, plan, state))
