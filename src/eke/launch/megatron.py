"""Megatron-LM: a shell script that runs pretrain_gpt.py with the arguments of its release.

Option names and choices as `add_megatron_arguments` of core_v0.19.0 has them; the recorded list is
in tests/oracles/record/megatron_arguments.json.
"""

from __future__ import annotations

from math import ceil

from eke.errors import BadInput
from eke.launch import refusals
from eke.launch.megatron_shape import shape
from eke.launch.script import Raw, Value, bash, command, needed, torchrun, usual
from eke.launch.start import Start
from eke.physics.train import learning_sequence
from eke.types.job import Train
from eke.types.model import Model
from eke.types.plan import Plan

NAME = "megatron"
SHARDS = {2: "optim_grads", 3: "optim_grads_params"}  # with FSDP; 1 is the distributed optimizer
NOTE = (
    "Rates, warm-up, decay and checkpoint intervals are not part of a plan: the values here are "
    "starting points to be set by who trains."
)


def files(start: Start) -> dict[str, str]:
    """One script for every server."""
    refusals.for_jobs(NAME, start, "train", instead="For others: --write trl, deepspeed or verl.")
    before, launcher = torchrun(start)
    lines = [
        needed("MEGATRON", "the folder of Megatron-LM, release core_v0.19.0"),
        needed("DATA", "the prefix of the tokenised data (its .bin and .idx)"),
        needed("CHECKPOINTS", "the folder for checkpoints, seen by every server"),
        *_positions(start.job.model),
        usual("LEARNING_RATE", "3e-4"),
        usual("LAST_RATE", "3e-5"),
        *before,
        *_environment(start.plan),
        "",
        command(f'{launcher} "$MEGATRON/pretrain_gpt.py"', arguments(start)),
    ]
    return {"megatron.sh": bash(start, lines, *_notes(start))}


def _notes(start: Start) -> list[str]:
    more = ["Layers that guess further tokens are not in the plan, so not here."]
    return [NOTE, *(more if start.job.model.drafts else [])]


def _positions(model: Model) -> list[str]:
    """A model's base of rotary positions is in no record of eke; the script asks for it."""
    if model.positions:
        return []
    return [needed("ROTARY_BASE", "rope_theta of the model, as in its config.json")]


def _environment(plan: Plan) -> list[str]:
    """FSDP overlaps over several queues; tensor and context parallelism need one."""
    if plan.shard < 2 and plan.tensor * plan.context > 1:
        return ["export CUDA_DEVICE_MAX_CONNECTIONS=1"]
    return ["unset CUDA_DEVICE_MAX_CONNECTIONS"]


def arguments(start: Start) -> dict[str, Value]:
    """Option → value, in the order of the script."""
    job, plan = start.job, start.plan
    assert isinstance(job, Train)
    _refuse(job, plan)
    return {
        **shape(job.model, learning_sequence(job)),
        **_layout(job.model, plan),
        **_sharding(plan),
        **_steps(job, plan),
        **_formats(plan),
        **_recompute(plan),
        **_optimizer(plan),
        "tokenizer-type": "HuggingFaceTokenizer",
        "tokenizer-model": start.checkpoint,
        "data-path": Raw("$DATA"),
        "split": "99,1,0",
        "save": Raw("$CHECKPOINTS"),
        "load": Raw("$CHECKPOINTS"),
        "save-interval": 500,
        "log-interval": 1,
        "log-throughput": True,
        "distributed-backend": "nccl",
    }


def _refuse(job: Train, plan: Plan) -> None:
    refusals.a_trainer(NAME, plan)
    refusals.one_of(NAME, plan, "optimizer", ("adam", "adam-8bit", "sgd", "muon"))
    refusals.one_of(NAME, plan, "compute", ("fp32", "fp16", "bf16", "fp8", "fp4"))
    refusals.one_of(NAME, plan, "gradients", ("fp32", "bf16"))
    if plan.pipeline > 1:
        refusals.one_of(NAME, plan, "schedule", ("1f1b", "interleaved"))
    _refuse_batches(job, plan)
    _refuse_cuts(job.model, plan)
    if plan.optimizer == "adam-8bit" and plan.shard != 1:
        raise BadInput(
            f"optimizer is adam-8bit and shard {plan.shard}; megatron keeps 8-bit state in its "
            "distributed optimizer only: plan with --shard 1."
        )
    if plan.optimizer == "muon" and plan.shard > 1:
        raise BadInput(f"shard is {plan.shard}; megatron has muon with --shard 0 or 1 only.")
    if plan.shard > 1 and plan.compute == "fp16":
        raise BadInput("megatron's FSDP is for bf16: plan with --compute bf16 or --shard 1.")


def _refuse_batches(job: Train, plan: Plan) -> None:
    count, sequence = refusals.accumulation(NAME, plan), learning_sequence(job)
    if plan.virtual > 1 and count % plan.pipeline:
        raise BadInput(
            f"{count} micro-batches a step with virtual {plan.virtual}; megatron interleaves "
            f"multiples of the {plan.pipeline} pipeline stages: change batch or micro_batch."
        )
    cuts = (plan.tensor if plan.sequence else 1) * (2 * plan.context if plan.context > 1 else 1)
    if sequence % cuts:
        raise BadInput(
            f"sequences of {sequence} tokens; megatron cuts them into {cuts} equal parts here: "
            f"plan with --sequence {ceil(sequence / cuts) * cuts}."
        )


def _refuse_cuts(model: Model, plan: Plan) -> None:
    """What tensor and expert parallelism have to divide."""
    refusals.experts(NAME, model, plan)
    for stack in model.stacks:
        heads = getattr(stack.block.mixer, "heads", plan.tensor)
        kv = getattr(stack.block.mixer, "kv_heads", plan.tensor)
        if heads % plan.tensor or (kv % plan.tensor and plan.tensor % kv):
            raise BadInput(
                f"tensor is {plan.tensor}; megatron needs a divisor of the {heads} heads of "
                f"{model.name}, in step with its {kv} of keys and values."
            )
    if model.experts:
        _refuse_experts(plan)


def _refuse_experts(plan: Plan) -> None:
    if plan.tensor > plan.expert and plan.tensor % plan.expert:
        raise BadInput(
            f"expert is {plan.expert}; megatron needs a divisor of tensor {plan.tensor}."
        )
    if plan.tensor > 1 and not plan.sequence:
        raise BadInput("megatron needs sequence parallelism where tensor ranks share experts.")


def _layout(model: Model, plan: Plan) -> dict[str, Value]:
    routed = model.experts > 0
    return {
        "tensor-model-parallel-size": plan.tensor,
        "sequence-parallel": plan.sequence and plan.tensor > 1,
        "pipeline-model-parallel-size": plan.pipeline,
        **_stages(model.layers, plan),
        "context-parallel-size": plan.context,
        "expert-model-parallel-size": plan.expert if routed else None,
        "expert-tensor-parallel-size": max(plan.tensor // plan.expert, 1) if routed else None,
        "moe-token-dispatcher-type": "alltoall" if routed else None,
    }


def _stages(layers: int, plan: Plan) -> dict[str, Value]:
    """Equal stages where layers divide; else a list of stages, the later ones a layer short."""
    cuts = plan.pipeline * plan.virtual
    if layers < cuts:
        raise BadInput(f"{layers} layers are fewer than pipeline × virtual stages, {cuts}.")
    if layers % cuts:
        sizes = [layers // cuts + (at < layers % cuts) for at in range(cuts)]
        return {"pipeline-model-parallel-layout": "E" + "|".join("t" * s for s in sizes) + "L"}
    return {"num-virtual-stages-per-pipeline-rank": plan.virtual if plan.virtual > 1 else None}


def _sharding(plan: Plan) -> dict[str, Value]:
    if plan.shard == 0:
        return {"overlap-grad-reduce": True}
    overlap: dict[str, Value] = {"overlap-grad-reduce": True, "overlap-param-gather": True}
    own: dict[str, Value] = {"use-distributed-optimizer": True, **overlap}
    if plan.shard == 1:
        return own
    ranks = plan.data * plan.context
    copies = ranks // (plan.shard_ranks or ranks)
    return {
        "use-megatron-fsdp": True,
        "data-parallel-sharding-strategy": SHARDS[plan.shard],
        "num-distributed-optimizer-instances": copies if copies > 1 else None,
        "outer-dp-sharding-strategy": "no_shard" if copies > 1 else None,
        "megatron-fsdp-main-grads-dtype": plan.gradients,
        "no-gradient-accumulation-fusion": True,
        "ckpt-format": "fsdp_dtensor",
        **own,
    }


def _steps(job: Train, plan: Plan) -> dict[str, Value]:
    return {
        "micro-batch-size": plan.micro_batch,
        "global-batch-size": plan.batch,
        "train-iters": max(ceil(job.tokens / (plan.batch * learning_sequence(job))), 1),
    }


def _formats(plan: Plan) -> dict[str, Value]:
    """8 and 4 bits are for matrices; the rest stays in bf16."""
    return {
        "bf16": plan.compute in ("bf16", "fp8", "fp4"),
        "fp16": plan.compute == "fp16",
        "fp8-format": "hybrid" if plan.compute == "fp8" else None,
        "fp8-recipe": "tensorwise" if plan.compute == "fp8" else None,
        "fp4-format": "e2m1" if plan.compute == "fp4" else None,
        "fp4-recipe": "nvfp4" if plan.compute == "fp4" else None,
        "grad-reduce-in-bf16": plan.gradients == "bf16",
        "accumulate-allreduce-grads-in-fp32": plan.gradients == "fp32" and plan.compute != "fp32",
    }


def _recompute(plan: Plan) -> dict[str, Value]:
    if plan.recompute == "none":
        return {}
    if plan.recompute == "selective":
        return {"recompute-granularity": "selective", "recompute-modules": "core_attn"}
    return {
        "recompute-granularity": "full",
        "recompute-method": "uniform",
        "recompute-num-layers": 1,
    }


def _optimizer(plan: Plan) -> dict[str, Value]:
    small = plan.optimizer == "adam-8bit"
    return {
        "optimizer": "adam" if small else plan.optimizer,
        "use-precision-aware-optimizer": small,
        "exp-avg-dtype": "fp8" if small else None,
        "exp-avg-sq-dtype": "fp8" if small else None,
        "lr": Raw("$LEARNING_RATE"),
        "min-lr": Raw("$LAST_RATE"),
        "lr-decay-style": "cosine",
        "lr-warmup-fraction": "0.01",
        "weight-decay": "0.1",
        "clip-grad": "1.0",
    }
