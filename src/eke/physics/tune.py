"""Wiring of fine-tuning: full, LoRA and QLoRA; supervised, reward model, preferences."""

from __future__ import annotations

from eke.physics.layers import adapted_weights, count_parameters
from eke.physics.learn import Learning
from eke.physics.operations import ACTIVATION, AnyPlan
from eke.physics.outcome import Outcome
from eke.physics.train import learning_outcome, learning_sequence
from eke.types.efficiency import Knobs
from eke.types.fleet import Pool
from eke.types.job import Train, Tune
from eke.types.model import Model
from eke.types.record import replace

NF4 = 0.5 + 4 / 64 / 4  # bytes per weight: 4 bits and doubly quantised scales of 64 (dettmers2023)


def tune(job: Tune, plan: AnyPlan, pool: Pool, knobs: Knobs) -> Outcome:
    """What it takes to fine-tune."""
    result = learning_outcome(
        tune_learning(job), job.tokens * job.epochs, job.within, plan, pool, knobs
    )
    return replace(result, remarks=_remarks(job))


def learning_of(job: Train | Tune) -> Learning:
    """What a job learns."""
    if isinstance(job, Tune):
        return tune_learning(job)
    return Learning(model=job.model, sequence=learning_sequence(job))


def tune_learning(job: Tune) -> Learning:
    """What a fine-tuning job learns, and what it keeps beside it."""
    frozen = job.method != "full"
    reference = job.objective == "dpo"
    return Learning(
        model=job.model,
        sequence=learning_sequence(job),
        frozen=frozen,
        trainable=lora_parameters(job.model, job.rank) if frozen else 0.0,
        stored={"full": None, "lora": ACTIVATION, "qlora": NF4}[job.method],
        reads=1.0 if reference else 0.0,
        reference=reference and not frozen,  # with factors, switching them off gives it
        scores=0.0 if job.objective == "reward" else 1.0,
    )


def lora_parameters(model: Model, rank: int) -> float:
    """Parameters of low-rank factors beside every matrix of mixers and dense feed-forwards.

    Source: hu2021 (two factors, inputs × rank and rank × outputs).
    """
    return float(
        sum(
            stack.count * rank * (fused * w.inputs + w.outputs)
            for stack in model.stacks
            for w, fused in adapted_weights(stack.block, model.hidden)
        )
    )


def _remarks(job: Tune) -> tuple[str, ...]:
    if job.method == "full":
        return ()
    trained = lora_parameters(job.model, job.rank)
    share = trained / count_parameters(job.model).total
    found = [
        f"{trained / 1e6:,.1f} M parameters learn, {share:.2%} of the model: factors of rank "
        f"{job.rank} beside every attention and dense feed-forward matrix"
    ]
    if job.objective == "dpo":
        found.append("the reference model is the same weights with the factors switched off")
    return tuple(found)
