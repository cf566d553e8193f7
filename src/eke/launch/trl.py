"""TRL: a configuration for `trl sft`, `reward`, `dpo` or `grpo`, one for accelerate, and the start.

Names and choices as trl 1.16.0 and transformers 5.24.0 have them; the recorded lists are in
tests/oracles/record/trl_arguments.json.
"""

from __future__ import annotations

import json
from math import ceil
from typing import Any

from eke.errors import BadInput
from eke.launch import accelerate, deepspeed, refusals, yaml
from eke.launch.nodes import nodes
from eke.launch.rollouts import per_round, rollout_tensor
from eke.launch.script import bash, named, needed
from eke.launch.start import Start
from eke.physics.train import learning_sequence
from eke.types.job import Align, Tune
from eke.types.plan import Plan

NAME = "trl"
OPTIMIZERS = {"adam": "adamw_torch_fused", "adafactor": "adafactor", "sgd": "sgd"}
RATES = {"full": 1e-5, "lora": 1e-4, "qlora": 1e-4}
NOTE = "Rates and checkpoint intervals are not part of a plan: set them to what the data needs."


def files(start: Start) -> dict[str, str]:
    """The trainer's file, accelerate's, DeepSpeed's where it shards, and the script."""
    refusals.for_jobs(NAME, start, "tune", "align", instead="To train: --write megatron.")
    verb = _verb(start.job)
    _refuse(start)
    header = named(start)
    found = {
        f"{verb}.yaml": yaml.text(arguments(start), (*header, *_notes(start))),
        "accelerate.yaml": yaml.text(accelerate.settings(start), header),
        "trl.sh": bash(start, _lines(start, verb)),
    }
    if start.plan.shard in (1, 2) and start.plan.chips > 1:
        own = deepspeed.engine(start)
        own["train_micro_batch_size_per_gpu"] = _each(start)
        own["train_batch_size"] = (
            _each(start) * own["gradient_accumulation_steps"] * start.plan.data
        )
        found["deepspeed.json"] = json.dumps(own, indent=2, ensure_ascii=False) + "\n"
    return found


def _notes(start: Start) -> list[str]:
    job = start.job
    if not isinstance(job, Tune):
        return [NOTE]
    tokens = start.plan.batch * learning_sequence(job)
    steps = max(ceil(job.tokens * job.epochs / tokens), 1)
    return [NOTE, f"eke counts {steps:,} steps over {job.tokens:,.0f} tokens of data."]


def _verb(job: Any) -> str:
    if isinstance(job, Tune):
        return job.objective
    if job.method == "ppo":
        raise BadInput("TRL 1.16 has no command for PPO; write it for verl.")
    return str(job.method)


def arguments(start: Start) -> dict[str, Any]:
    """Option → value of the trainer's file."""
    job, plan = start.job, start.plan
    found: dict[str, Any] = {
        "model_name_or_path": start.checkpoint,
        "dtype": _stored(job, plan),
        "attn_implementation": "eager" if plan.recompute == "none" else "sdpa",
        "gradient_checkpointing": plan.recompute == "full",
        "per_device_train_batch_size": _each(start),
        "gradient_accumulation_steps": refusals.accumulation(NAME, plan),
        "bf16": plan.compute == "bf16",
        "fp16": plan.compute == "fp16",
        "optim": _optimizer(plan),
        "lr_scheduler_type": "cosine",
        "logging_steps": 1,
        "save_steps": 500,
    }
    return {**found, **(_tune(job, plan) if isinstance(job, Tune) else _align(start))}


def _each(start: Start) -> int:
    """Rows of the data that a rank takes at once: pairs are two sequences."""
    return start.plan.micro_batch // (2 if _pairs(start.job) else 1)


def _pairs(job: Any) -> bool:
    return job.objective != "sft" if isinstance(job, Tune) else job.method == "dpo"


def _stored(job: Any, plan: Plan) -> str:
    """Weights that learn are kept in 32 bits, by DeepSpeed beside the 16-bit ones; frozen weights
    in 16."""
    frozen = isinstance(job, Tune) and job.method != "full"
    return _sixteen(plan) if frozen or plan.shard in (1, 2) else "float32"


def _sixteen(plan: Plan) -> str:
    return {"bf16": "bfloat16", "fp16": "float16", "fp32": "float32"}[plan.compute]


def _optimizer(plan: Plan) -> str:
    if plan.optimizer == "adam-8bit":
        return "adamw_torch_8bit" if plan.shard == 3 else "adamw_bnb_8bit"
    return OPTIMIZERS[plan.optimizer]


def _tune(job: Tune, plan: Plan) -> dict[str, Any]:
    found: dict[str, Any] = {
        "learning_rate": RATES[job.method],
        "num_train_epochs": job.epochs,
        "max_length": learning_sequence(job),
    }
    if job.objective == "sft":
        found |= {"packing": True, "packing_strategy": "bfd"}  # every sequence is full
    if job.method != "full":
        found |= {"use_peft": True, "lora_r": job.rank, "lora_alpha": 2 * job.rank}
        found |= {"lora_target_modules": ["all-linear"]}
        found |= {"lora_task_type": "SEQ_CLS"} if job.objective == "reward" else {}
    if job.method == "qlora":
        found |= {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "use_bnb_nested_quant": True}
        found |= {"bnb_4bit_quant_storage": _sixteen(plan)} if plan.shard == 3 else {}
    return found


def _align(start: Start) -> dict[str, Any]:
    job = start.job
    assert isinstance(job, Align)
    if job.method == "dpo":
        length = ceil(job.prompt + (job.longest or job.answer))
        return {"learning_rate": 1e-6, "num_train_epochs": job.epochs, "max_length": length}
    return {
        "learning_rate": 1e-6,
        "max_steps": _steps(job, start.plan),
        "num_iterations": int(job.epochs),
        "num_generations": job.answers_each,
        "generation_batch_size": per_round(NAME, job),
        "max_completion_length": ceil(job.longest or job.answer),
        "beta": 0.001,  # above zero, so that there is a reference model, as eke counts
        "use_vllm": True,
        "vllm_mode": "colocate",
        "vllm_enable_sleep_mode": True,
        "vllm_tensor_parallel_size": rollout_tensor(NAME, start),
    }


def _steps(job: Align, plan: Plan) -> int:
    """Optimizer steps over all prompts."""
    each = per_round(NAME, job) // plan.batch * int(job.epochs)
    return max(ceil(job.prompts / job.batch), 1) * each


def _refuse(start: Start) -> None:
    job, plan = start.job, start.plan
    refusals.a_trainer(NAME, plan)
    refusals.alone(NAME, plan, "tensor", "pipeline", "virtual", "expert")
    refusals.one_of(NAME, plan, "compute", PRECISIONS)
    refusals.one_of(NAME, plan, "optimizer", (*OPTIMIZERS, "adam-8bit"))
    refusals.one_of(
        NAME, plan, "gradients", ("fp32", "bf16") if plan.shard in (1, 2) else ("fp32",)
    )
    refusals.accumulation(NAME, plan)
    if _pairs(job) and (plan.micro_batch % 2 or plan.batch % 2):
        raise BadInput(
            f"micro_batch is {plan.micro_batch}; TRL learns from pairs, two sequences at once: "
            "plan with --micro-batch 2 and an even batch."
        )
    if plan.context > 1 and (plan.shard != 3 or _verb(job) != "sft"):
        raise BadInput(
            f"context is {plan.context}; TRL has context parallelism for supervised fine-tuning "
            "with FSDP only: plan with --shard 3, or with --context 1."
        )
    if isinstance(job, Align):
        _refuse_rounds(job, plan)


PRECISIONS = tuple(accelerate.PRECISION)


def _refuse_rounds(job: Align, plan: Plan) -> None:
    """Rounds of answers have to be whole steps."""
    if job.split is not None:
        raise BadInput("split is set; eke writes TRL with all chips taking turns: plan without it.")
    if job.method == "dpo":
        return
    if job.epochs != int(job.epochs):
        raise BadInput(f"epochs is {job.epochs:g}; TRL goes over its answers whole times.")
    written = per_round(NAME, job)
    if written % plan.batch:
        raise BadInput(
            f"batch is {plan.batch} answers; TRL needs a divisor of the {written} an iteration "
            "writes."
        )


def _lines(start: Start, verb: str) -> list[str]:
    asks = [
        needed("DATA", "the name or folder of the data set, as TRL reads it"),
        needed("OUTPUT", "the folder for checkpoints"),
    ]
    words = [f"trl {verb}", f"--config {verb}.yaml", "--accelerate_config accelerate.yaml"]
    words += ['--dataset_name "$DATA"', '--output_dir "$OUTPUT"']
    if nodes(start).count > 1:
        asks.append(': "${RANK_OF_SERVER:=${SLURM_NODEID:-}}"')
        asks.append(needed("RANK_OF_SERVER", "the number of this server, from 0"))
        asks.append(needed("HEAD", "host:port of the first server"))
        words += ['--machine_rank "$RANK_OF_SERVER"', '--main_process_ip "${HEAD%:*}"']
        words += ['--main_process_port "${HEAD##*:}"']
    if verb == "grpo":
        asks.append(_reward(start))
        words.append(_REWARDS[_ruled(start)])
    return [*asks, "", " \\\n  ".join([*words, '"$@"'])]


def _ruled(start: Start) -> bool:
    return isinstance(start.job, Align) and start.job.feedback == "rule"


_REWARDS = {
    True: '--reward_funcs "$REWARD"',
    False: '--reward_model_name_or_path "$REWARD_MODEL"',
}


def _reward(start: Start) -> str:
    if _ruled(start):
        return needed("REWARD", "the dotted path of the function that scores answers")
    return needed("REWARD_MODEL", "the reward model that learnt from the judged pairs")
