"""verl: PPO and GRPO as a configuration over its own defaults, and the start on a Ray cluster.

Keys as verl 0.9.1 has them in ppo_trainer.yaml (FSDP) and ppo_megatron_trainer.yaml (Megatron);
the recorded list is in tests/oracles/record/verl_configuration.json.
"""

from __future__ import annotations

from math import ceil
from typing import Any

from eke.errors import BadInput
from eke.launch import refusals, yaml
from eke.launch.nodes import nodes
from eke.launch.rollouts import per_round, rollout_tensor
from eke.launch.script import bash, named, needed, usual
from eke.launch.start import Start
from eke.launch.verl_engine import apart, refuse_engine, sharded, trained
from eke.types.job import Align
from eke.types.plan import Plan
from eke.types.record import replace

NAME = "verl"
KEPT = {"fp8": "fp8", "bf16": "auto", "fp16": "auto"}  # keys and values, in vLLM's words
NOTE = "Rates, coefficients and checkpoint intervals are not part of a plan: set them."


def files(start: Start) -> dict[str, str]:
    """The configuration and the script that every server runs."""
    refusals.for_jobs(NAME, start, "align", instead="For others: --write megatron or trl.")
    job = start.job
    assert isinstance(job, Align)
    _refuse(job, start.plan, nodes(start).each)
    if set("'{}") & set(start.checkpoint):
        raise BadInput(
            f"checkpoint is {start.checkpoint!r}; Hydra takes no quotes or braces there."
        )
    cut = "Lengths are the means of the job, and its longest answer; verl cuts what is longer."
    return {
        "verl.yaml": yaml.text(settings(start), (*named(start), cut, NOTE)),
        "verl.sh": bash(start, _lines(start)),
    }


def settings(start: Start) -> dict[str, Any]:
    """The configuration, as far as it differs from verl's defaults."""
    job, plan = start.job, start.plan
    assert isinstance(job, Align)
    own = "ppo_trainer" if sharded(plan) else "ppo_megatron_trainer"
    steps = max(ceil(job.prompts / job.batch), 1)
    return {
        "hydra": {"searchpath": ["pkg://verl.trainer.config"]},
        "defaults": [own, "_self_"],
        "data": {
            "train_batch_size": int(job.batch),
            "max_prompt_length": ceil(job.prompt),
            "max_response_length": ceil(job.longest or job.answer),
            "filter_overlong_prompts": True,
        },
        "algorithm": {
            "adv_estimator": "grpo" if job.method == "grpo" else "gae",
            "use_kl_in_reward": job.method == "ppo",
        },
        "actor_rollout_ref": _policy(start, job),
        **({"critic": _critic(job, plan)} if job.method == "ppo" else {}),
        "reward": _reward(start, job),
        "trainer": {
            **_chips(start, job),
            "total_epochs": 1,
            "total_training_steps": steps,
            "logger": ["console"],
            "val_before_train": False,
            "test_freq": -1,
            "save_freq": 50,
        },
    }


def _chips(start: Start, job: Align) -> dict[str, Any]:
    """Servers of the trainer; apart from those that write, it hands its weights over once per
    iteration."""
    here = nodes(start)
    two = apart(job, start.plan, here.each)
    if two is None:
        return {"nnodes": here.count, "n_gpus_per_node": here.each}
    steps = per_round(NAME, job) // start.plan.batch
    return {
        "nnodes": two.learn // two.piece,
        "n_gpus_per_node": two.piece,
        "v1": {
            "trainer_mode": "separate_async",
            "separate_async": {"parameter_sync_step": steps, "num_warmup_batches": 1},
        },
    }


def _writers(start: Start, job: Align) -> dict[str, Any]:
    """Servers of their own for answers, where the plan is split."""
    two = apart(job, start.plan, nodes(start).each)
    if two is None:
        return {}
    return {
        "nnodes": two.write // two.piece,
        "n_gpus_per_node": two.piece,
        "checkpoint_engine": {"backend": "nccl"},
    }


def _policy(start: Start, job: Align) -> dict[str, Any]:
    plan = start.plan
    return {
        **({} if job.split is None else {"hybrid_engine": False}),
        "model": _model(plan),
        "actor": {
            **trained(plan, job.answers_each),
            "ppo_epochs": int(job.epochs),
            "use_kl_loss": job.method == "grpo",
        },
        "ref": {"log_prob_micro_batch_size_per_gpu": plan.micro_batch},
        "rollout": {
            **_engine(start),
            **_writers(start, job),
            "n": job.answers_each,
            "log_prob_micro_batch_size_per_gpu": plan.micro_batch,
        },
    }


def _model(plan: Plan) -> dict[str, Any]:
    """Whether layers are computed again, and attention keeps its scores."""
    found: dict[str, Any] = {"enable_gradient_checkpointing": plan.recompute == "full"}
    if plan.recompute == "none" and sharded(plan):
        found |= {"override_config": {"attn_implementation": "eager"}, "use_remove_padding": False}
    return found


def _engine(start: Start) -> dict[str, Any]:
    """The engine that writes answers, on all chips in turns with learning."""
    plan = start.plan
    own: dict[str, Any] = {}
    if plan.cache == "fp8":
        own["kv_cache_dtype"] = KEPT[plan.cache]
    if plan.block != 16:
        own["block_size"] = plan.block
    return {
        "name": "vllm",
        "tensor_model_parallel_size": rollout_tensor(NAME, start),
        "max_num_batched_tokens": plan.token_budget,
        "max_num_seqs": 512,
        "gpu_memory_utilization": 0.6,
        "free_cache_engine": True,
        **({"engine_kwargs": {"vllm": own}} if own else {}),
    }


def _critic(job: Align, plan: Plan) -> dict[str, Any]:
    return {"enable": True, **trained(plan, job.answers_each, critic=True), "model": _model(plan)}


def _reward(start: Start, job: Align) -> dict[str, Any]:
    if job.feedback == "rule":
        return {"custom_reward_function": {"name": "compute_score"}}
    engine = {**_engine(start), "prompt_length": ceil(job.prompt)}
    engine |= {"response_length": ceil(job.longest or job.answer)}
    engine.pop("engine_kwargs", None)
    return {"reward_model": {"enable": True, "rollout": engine}}


def _refuse(job: Align, plan: Plan, each: int) -> None:
    refusals.a_trainer(NAME, plan, writes=True)
    refusals.experts(NAME, job.model, plan)
    if job.method == "dpo":
        raise BadInput("verl has no DPO; write it for trl.")
    refuse_engine(plan)
    refusals.one_of(NAME, plan, "cache", KEPT)
    two = apart(job, plan, each)
    own = replace(plan, data=two.data) if two else plan
    refusals.accumulation(NAME, own)
    if job.epochs != int(job.epochs):
        raise BadInput(f"epochs is {job.epochs:g}; verl goes over its answers whole times.")
    written = per_round(NAME, job)
    if plan.batch % job.answers_each or written % plan.batch:
        raise BadInput(
            f"batch is {plan.batch} answers; verl needs a multiple of the {job.answers_each} of a "
            f"prompt that divides the {written} of an iteration."
        )
    if written % (own.data * plan.micro_batch):
        raise BadInput(
            f"an iteration writes {written} answers; verl needs a multiple of data × micro_batch, "
            f"{own.data} × {plan.micro_batch}."
        )


def _lines(start: Start) -> list[str]:
    """Ray on every server, then the trainer on the first."""
    job, here = start.job, nodes(start)
    assert isinstance(job, Align)
    asks = [
        needed("DATA", "the parquet file of prompts"),
        needed("OUTPUT", "the folder for checkpoints, seen by every server"),
        usual("HELD_OUT", "$DATA"),
    ]
    words = ["python3 -m verl.trainer.main_ppo", '--config-path "$PWD"', "--config-name verl"]
    words += [_path("data.train_files", "$DATA"), _path("data.val_files", "$HELD_OUT")]
    words += [_path("trainer.default_local_dir", "$OUTPUT")]
    model = _escaped(start.checkpoint)
    words += [_path("actor_rollout_ref.model.path", model)]
    for name, meaning, keys in _others(job):
        asks += [needed(name, meaning)] if meaning else [usual(name, model)]
        words += [_path(key, f"${name}") for key in keys]
    before = _joined(here.count, here.each, start.plan.chips) if here.count > 1 else []
    return [*asks, *before, "", " \\\n  ".join([*words, '"$@"'])]


def _escaped(text: str) -> str:
    """Inside double quotes of the shell."""
    return "".join(f"\\{letter}" if letter in '\\"$`' else letter for letter in text)


def _path(key: str, value: str) -> str:
    """An override that Hydra takes for text, whatever is in it."""
    return f"\"{key}='{value}'\""


def _others(job: Align) -> list[tuple[str, str, tuple[str, ...]]]:
    """Variables for what stands beside the policy: name, meaning ("": the policy itself), keys."""
    found: list[tuple[str, str, tuple[str, ...]]] = []
    if job.feedback == "rule":
        rule = "the Python file whose compute_score judges an answer"
        found.append(("REWARD", rule, ("reward.custom_reward_function.path",)))
    else:
        said = "the reward model that learnt from the judged pairs"
        found.append(("REWARD_MODEL", said, ("reward.reward_model.model_path",)))
    if job.method == "ppo":
        said = "the model the critic starts from" if job.reward_model else ""
        found.append(("CRITIC", said, ("critic.model.path",)))
    return found


def _joined(count: int, each: int, chips: int) -> list[str]:
    seen = f'import ray; ray.init(address="auto"); assert ray.cluster_resources()["GPU"] >= {chips}'
    return [
        ': "${RANK_OF_SERVER:=${SLURM_NODEID:-}}"',
        needed("RANK_OF_SERVER", f"the number of this server, from 0 to {count - 1}"),
        needed("HEAD", "host:port of the first server"),
        'if [ "$RANK_OF_SERVER" != 0 ]; then',
        '  until ray health-check --address "$HEAD"; do sleep 5; done',
        f'  ray start --address "$HEAD" --num-gpus {each} --block || true  # until the first stops',
        "  exit 0",
        "fi",
        f'ray start --head --port "${{HEAD##*:}}" --num-gpus {each}',
        "trap 'ray stop' EXIT",
        f"until python3 -c '{seen}'; do sleep 5; done",
    ]
