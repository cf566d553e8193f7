"""Wiring of alignment: rollouts priced as serving, scoring as forward passes, updates as training.

One iteration takes a batch of prompts: the policy writes answers (rollout), the reference, reward
and critic models read them (scoring), policy and critic learn from them (update). On one set of
chips these take turns, and the training state waits in host memory during rollouts;
disaggregated, rollouts run on their own share of the chips beside the rest, and the slower of the
two sets the pace.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from eke.physics.costs import carbon_of, energy_of, price_of
from eke.physics.engine import duration
from eke.physics.engine import step as engine_step
from eke.physics.exchange import hop
from eke.physics.footprint import cache_bytes, held_parameters
from eke.physics.layers import count_parameters
from eke.physics.learn import Learning, learning_pass, step_time
from eke.physics.learn_memory import learning_memory
from eke.physics.machine import Machine, machine
from eke.physics.operations import ACTIVATION, AnyPlan
from eke.physics.outcome import Limit, Outcome, Share, amounts
from eke.physics.train import lost_to_failures, model_flop
from eke.types.efficiency import Knobs
from eke.types.fleet import Pool
from eke.types.job import Align, Serve
from eke.types.model import Model
from eke.types.plan import Plan, Plans
from eke.types.record import Record, replace


class Round(Record):
    """Seconds of the whole job, by phase."""

    rollout: Any
    scoring: Any
    update: Any
    labels: Any
    lost: Any
    total: Any


def align(job: Align, plan: AnyPlan, pool: Pool, knobs: Knobs) -> Outcome:
    """What it takes to align."""
    here = machine(pool, plan, knobs)
    times = round_times(job, plan, here)
    memory = align_memory(job, sides(job, plan)[0])
    energy = energy_of(pool, plan.chips, times.total, knobs)
    money = price_of(pool, plan.chips, times.total, knobs, energy)
    labels = label_cost(job, money, times)
    tokens = answers(job) * (job.prompt + job.answer)
    who = {"human": "people", "ai": "a model", "rule": "a rule"}[job.feedback]
    people = labels if labels is not None and job.feedback == "human" else 0.0
    speed = tokens * job.epochs / times.total / plan.chips
    found = amounts(
        ("chips", plan.chips, "1", "chips in use"),
        ("time", times.total, "s", "all phases", "(rollout + scoring + update + labels) / goodput"),
        ("rollout", times.rollout, "s", "writing answers, as far as nothing hides it"),
        ("scoring", times.scoring, "s", "reading them by the models that do not learn"),
        ("update", times.update, "s", "learning from them"),
        ("labels", times.labels, "s", "judging pairs by a model"),
        ("goodput", 1 - times.lost / times.total, "1", "share of time not lost to failures"),
        ("memory", memory, "B", "on the fullest chip"),
        ("flop", align_flop(job), "FLOP", "of all models"),
        ("tokens", tokens, "token", "of prompts and answers"),
        ("tokens_per_second_per_chip", speed, "token/s", "over all phases"),
        ("chip_time", times.total * plan.chips, "chip s", "chips × time"),
        ("energy", energy, "J", "site included"),
        ("carbon", carbon_of(pool, energy, knobs), "kg", "CO2e of the grid, the whole job"),
        ("feedback", labels, "USD", f"labels made by {who}"),
        ("money", None if money is None else money + people, "USD", "chips and labels"),
    )
    return Outcome(
        amounts=found,
        parts=lambda: tuple(
            Share(of="time", name=_WORDS.get(name, name), value=getattr(times, name), unit="s")
            for name in ("rollout", "scoring", "update", "labels", "lost")
        ),
        limits=_limits(job, plan, memory, times, here),
        remarks=_remarks(job),
    )


_WORDS = {"lost": "failures and checkpoints"}


def answers(job: Align) -> float:
    """Answers learnt from: pairs for DPO, `samples` per prompt otherwise."""
    return job.prompts * (2 if job.method == "dpo" else job.answers_each)


def models(job: Align) -> dict[str, Model]:
    """Who takes part: the policy learns, the critic too where there is one."""
    reward = job.reward_model or job.model
    others: dict[str, Model] = {"reference": job.model}
    if job.method == "ppo":
        others |= {"critic": reward}
    if job.method in ("ppo", "grpo") and job.feedback != "rule":
        others |= {"reward": reward}
    return {"policy": job.model, **others}


def sides(job: Align, plan: AnyPlan) -> tuple[AnyPlan, Any]:
    """The plan of the chips that learn, and how many chips generate. Disaggregated, whole
    data-parallel ranks go to one side or the other; one rank always learns."""
    if job.split is None:
        return plan, plan.chips
    ranks = np.maximum(np.floor(plan.data * (1 - job.split) + 1e-9), 1)
    own: AnyPlan = replace(plan, data=ranks)  # a share of the ranks, not a plan to print
    return own, plan.chips - own.chips


def round_times(job: Align, plan: AnyPlan, here: Machine) -> Round:
    """Time of every phase over the whole job."""
    own, rolling = sides(job, plan)
    rollout = _rollout_time(job, plan, here, rolling)
    scoring = _scoring_time(job, own, here)
    update = _update_time(job, own, here)
    labels = _label_time(job, plan, here)
    if job.split is None:
        together = rollout + scoring + update
    else:
        together = np.maximum(rollout, scoring + update)
        waiting = together - (scoring + update)
        rollout = np.maximum(waiting, 0.0)  # the part of the rollout that is not hidden
    share = lost_to_failures(learnings(job)["policy"], plan, here.knobs)
    whole = (together + labels) / (1 - share)
    return Round(
        rollout=rollout,
        scoring=scoring,
        update=update,
        labels=labels,
        lost=whole * share,
        total=whole,
    )


def _rollout_time(job: Align, plan: AnyPlan, here: Machine, chips: Any) -> Any:
    """Each replica generates a wide batch: throughput of serving, no latency promise. Then each
    iteration waits for its longest answer, and hands the new weights to the engine."""
    if job.method == "dpo":
        return 0.0 * here.knobs.step
    whole = Serve(
        model=job.model,
        prompt=job.prompt,
        answer=job.answer,
        reuse=1 - 1 / job.answers_each,  # answers to one prompt share its keys and values
    )
    each = job.batch * job.answers_each
    writing = generation_time(whole, answers(job), plan, here, chips, per_round=each)
    layout = generation_plan(job.model, plan, here)
    tail = 0.0
    if job.longest is not None:
        alone = engine_step(replace(whole, answer=job.longest), layout, here, 1.0).plain
        tail = (job.longest - job.answer) * (duration(alone, here) + here.knobs.step)
    held = held_parameters(job.model, layout).total * ACTIVATION
    handing = hop(here, size=held, distance=here.domain)
    return writing + np.maximum(job.prompts / job.batch, 1) * (tail + handing)


def generation_time(
    whole: Serve, count: float, plan: AnyPlan, here: Machine, chips: Any, per_round: float
) -> Any:
    """Time to write `count` answers on so many chips, with `per_round` of them at once [s].

    Every replica keeps as many sequences in flight as its memory, and the round, allow.
    """
    layout = generation_plan(whole.model, plan, here)
    ranks = np.maximum(chips / layout.tensor, 1e-3)  # none at all is no answer: see _limits
    held = held_parameters(whole.model, layout).total * ACTIVATION
    room = np.maximum(here.size - held, 0.02 * here.size)
    mean = whole.prompt + whole.answer / 2
    fits = np.maximum(room / cache_bytes(whole.model, mean, layout), 1.0)
    wide = np.minimum(np.minimum(fits, 512), np.maximum(per_round / ranks, 1.0))
    return count / ranks / wide * whole.answer * engine_step(whole, layout, here, wide).mean


ROLLOUT_SHARE = 0.8  # of a chip's memory that weights may take while it generates


def generation_plan(model: Model, plan: AnyPlan, here: Machine) -> Plan | Plans:
    """The engine's layout: tensor parallelism only, the policy's degree or as many times two as
    it takes for the weights to leave room for a cache."""
    base = plan.base if isinstance(plan, Plans) else plan
    single = Plan(
        chip=base.chip, compute=base.compute, weights="bf16", token_budget=8192, batch=512
    )
    size = ROLLOUT_SHARE * float(np.min(here.size))
    tensor = plan.tensor
    while True:
        wide: Plan | Plans = (
            Plans(base=single, tensor=tensor)
            if isinstance(plan, Plans)
            else replace(single, tensor=int(tensor))
        )
        short = held_parameters(model, wide).total * ACTIVATION > size
        more = short & (np.asarray(tensor) < MOST)
        if not np.any(more):
            return wide
        tensor = np.where(more, tensor * 2, tensor)


MOST = 1024  # chips over which one copy of the engine's weights may be spread


def _scoring_time(job: Align, plan: AnyPlan, here: Machine) -> Any:
    """Every model reads every answer once, the policy for the probabilities it starts from."""
    total: Any = 0.0 * here.knobs.step
    length = int(job.prompt + job.answer)
    for name, model in models(job).items():
        if name == "policy" and job.method == "dpo":
            continue
        learning = Learning(
            model=model, sequence=length, scores=float(name in ("policy", "reference"))
        )
        once = learning_pass(learning, plan, here)
        each = (once.compute + once.exchange) / plan.pipeline * here.knobs.scatter
        total = total + answers(job) / (plan.data * plan.micro_batch) * each
    return total


def learnings(job: Align) -> dict[str, Learning]:
    """Who learns: the policy, and the critic of PPO. DPO reads the reference beside."""
    length = int(job.prompt + job.answer)
    found = {"policy": Learning(model=job.model, sequence=length, reads=0.0)}
    if job.method == "ppo":
        found["critic"] = Learning(model=job.reward_model or job.model, sequence=length, scores=0.0)
    return found


def _update_time(job: Align, plan: AnyPlan, here: Machine) -> Any:
    steps = answers(job) * job.epochs / plan.batch
    rounds = 0.0 if job.method == "dpo" else job.prompts / job.batch
    learning = sum(steps * step_time(each, plan, here).total for each in learnings(job).values())
    return learning + rounds * here.knobs.handover


def _label_time(job: Align, plan: AnyPlan, here: Machine) -> Any:
    """An AI judge reads two answers per label and writes a short verdict, on the same chips."""
    if job.feedback != "ai":
        return 0.0 * here.knobs.step
    judge = Serve(model=job.judge or job.model, prompt=job.prompt + 2 * job.answer, answer=64)
    return generation_time(judge, job.pairs, plan, here, plan.chips, per_round=job.pairs)


def label_cost(job: Align, money: Any, times: Round) -> Any:
    """What the preference labels cost [USD]: a price each, or the judge's share of the chips."""
    if job.feedback == "human" and job.label_price is not None:
        return job.pairs * job.label_price + 0.0 * times.total
    if job.feedback == "ai" and money is not None:
        return money * times.labels / times.total
    return None


def align_flop(job: Align) -> float:
    """FLOP of all models over the whole job, forward 1, update 3 per epoch."""
    length = int(job.prompt + job.answer)
    tokens = answers(job) * length
    each = {name: model_flop(model, length) * tokens for name, model in models(job).items()}
    total = sum(flop for name, flop in each.items() if name != "policy")
    total += each["policy"] * (0 if job.method == "dpo" else 1)
    return total + 3 * job.epochs * sum(each[name] for name in learnings(job))


def align_memory(job: Align, plan: AnyPlan) -> Any:
    """Learners keep their state, the others their weights; the cache borrows what is free [B]."""
    total: Any = 0.0
    for learning in learnings(job).values():
        held = learning_memory(learning, plan)
        state = held.weights + held.gradients + held.optimizer
        total = total + state
    working = [learning_memory(each, plan) for each in learnings(job).values()]
    total = total + np.maximum.reduce(
        [np.asarray(held.activations + held.buffers, dtype=float) for held in working]
    )
    for name, model in models(job).items():
        if name not in learnings(job):
            each = held_parameters(model, plan).total * ACTIVATION
            total = total + (each / (plan.data * plan.context) if plan.shard >= 3 else each)
    return total


def _limits(
    job: Align, plan: AnyPlan, memory: Any, times: Round, here: Machine
) -> tuple[Limit, ...]:
    """Learning fits the memory, every model that generates fits the chips it has, and the date."""
    hint = "more chips, --tensor or --pipeline, --shard 3, or --recompute full"
    found = [Limit(name="memory", need=memory, have=here.size, unit="B", hint=hint)]
    writers = [] if job.method == "dpo" else [(job.model, sides(job, plan)[1])]
    writers += [(job.judge or job.model, plan.chips)] if job.feedback == "ai" else []
    for model, chips in writers:
        wide = generation_plan(model, plan, here).tensor
        hint = "more chips to generate on"
        found.append(Limit(name="rollout chips", need=wide, have=chips, unit="1", hint=hint))
    if job.within is not None:
        found.append(
            Limit(name="time", need=times.total, have=job.within, unit="s", hint="more chips")
        )
    return tuple(found)


def _remarks(job: Align) -> tuple[str, ...]:
    who = ", ".join(
        f"{name} {model.name} ({count_parameters(model).total / 1e9:.3g}B)"
        for name, model in models(job).items()
    )
    found = [f"models: {who}"]
    if job.feedback == "human" and job.label_price is None:
        found.append(
            f"{job.pairs:,.0f} human labels are not priced: give --label-price, for example 5 USD"
        )
    if job.feedback == "ai":
        judge = (job.judge or job.model).name
        found.append(f"{job.pairs:,.0f} labels by {judge}, as their own line: labels")
    return tuple(found)
