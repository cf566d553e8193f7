"""Plans that every trainer is asked to write; what it cannot do it must refuse."""

from __future__ import annotations

from typing import Any

from eke.catalog.fleets import fleet
from eke.catalog.models import model
from eke.launch.start import Start
from eke.types.job import Align, Job, Train, Tune
from eke.types.plan import Plan

TRAIN = {"tokens": 1e11, "sequence": 8192}
CASES: dict[str, tuple[str, str, str, dict[str, Any], dict[str, Any]]] = {
    # name: verb, model, fleet, job, plan
    "one chip": ("train", "qwen3-0.6b", "1xh100-sxm", {"tokens": 1e9}, {"batch": 8}),
    "one server": (
        "train",
        "llama-3.1-8b",
        "8xh100-sxm",
        TRAIN,
        {"data": 8, "shard": 3, "batch": 64, "recompute": "full"},
    ),
    "no sharding": ("train", "qwen2.5-7b", "8xh100-sxm", TRAIN, {"data": 8, "batch": 64}),
    "gpt-2": ("train", "gpt2", "8xa100-80gb", {"tokens": 1e10}, {"data": 8, "batch": 512}),
    "state sharded": (
        "train",
        "llama-3.1-8b",
        "16xh100-sxm",
        TRAIN,
        {"tensor": 2, "data": 8, "shard": 1, "batch": 64, "micro_batch": 2, "recompute": "none"},
    ),
    "gradients sharded": (
        "train",
        "llama-3.1-8b",
        "16xh100-sxm",
        TRAIN,
        {"data": 16, "shard": 2, "batch": 64, "gradients": "bf16"},
    ),
    "hybrid sharding": (
        "train",
        "llama-3.1-8b",
        "32xh100-sxm",
        TRAIN,
        {"data": 32, "shard": 3, "shard_ranks": 8, "batch": 128},
    ),
    "pipeline": (
        "train",
        "llama-3.1-70b",
        "64xh100-sxm",
        TRAIN,
        {"tensor": 8, "pipeline": 4, "virtual": 5, "data": 2, "shard": 1, "batch": 64}
        | {"schedule": "interleaved"},
    ),
    "uneven pipeline": (
        "train",
        "llama-3.1-405b",
        "512xh100-sxm",
        TRAIN,
        {"tensor": 8, "pipeline": 16, "data": 4, "shard": 1, "batch": 256, "recompute": "full"}
        | {"compute": "fp8"},
    ),
    "uneven interleaved": (
        "train",
        "llama-3.1-70b",
        "64xh100-sxm",
        TRAIN,
        {"tensor": 4, "pipeline": 4, "virtual": 3, "data": 4, "shard": 1, "batch": 64},
    ),
    "sharded pipeline": (
        "train",
        "qwen3-8b",
        "16xh100-sxm",
        TRAIN,
        {"pipeline": 2, "data": 8, "shard": 3, "batch": 64, "gradients": "bf16"},
    ),
    "long context": (
        "train",
        "llama-3.1-8b",
        "32xh100-sxm",
        {"tokens": 1e10, "sequence": 131072},
        {"context": 8, "data": 4, "shard": 3, "batch": 32, "recompute": "full"},
    ),
    "experts": (
        "train",
        "qwen3-30b-a3b",
        "64xh100-sxm",
        TRAIN,
        {"data": 64, "expert": 8, "shard": 1, "batch": 512},
    ),
    "experts cut": (
        "train",
        "mixtral-8x7b",
        "32xh100-sxm",
        TRAIN,
        {"tensor": 4, "data": 8, "expert": 2, "shard": 1, "batch": 256, "optimizer": "adam-8bit"},
    ),
    "latent attention": (
        "train",
        "deepseek-v3",
        "1024xh100-sxm",
        TRAIN,
        {"pipeline": 16, "data": 64, "expert": 64, "shard": 1, "batch": 3840, "compute": "fp8"}
        | {"recompute": "full"},
    ),
    "muon": (
        "train",
        "qwen3-8b",
        "8xh100-sxm",
        TRAIN,
        {"data": 8, "batch": 64, "optimizer": "muon", "shard": 1},
    ),
    "zero bubble": (
        "train",
        "llama-3.1-8b",
        "8xh100-sxm",
        TRAIN,
        {"pipeline": 4, "data": 2, "batch": 64, "schedule": "zero-bubble"},
    ),
    "tune": (
        "tune",
        "llama-3.1-8b",
        "8xh100-sxm",
        {"tokens": 1e8, "sequence": 4096},
        {"data": 8, "shard": 3, "batch": 64, "recompute": "full"},
    ),
    "lora": (
        "tune",
        "llama-3.1-8b",
        "8xh100-sxm",
        {"tokens": 1e8, "method": "lora", "rank": 32},
        {"data": 8, "batch": 64, "micro_batch": 2},
    ),
    "qlora": (
        "tune",
        "qwen2.5-7b",
        "1xrtx-4090",
        {"tokens": 1e7, "method": "qlora", "epochs": 2.0},
        {"batch": 16, "optimizer": "adam-8bit", "recompute": "full"},
    ),
    "preferences": (
        "tune",
        "llama-3.1-8b",
        "16xh100-sxm",
        {"tokens": 1e8, "objective": "dpo", "method": "lora"},
        {"data": 16, "shard": 3, "batch": 64, "micro_batch": 2},
    ),
    "whole norms": (
        "train",
        "llama-3.1-8b",
        "16xh100-sxm",
        TRAIN,
        {"tensor": 2, "data": 8, "shard": 1, "batch": 64, "sequence": False, "recompute": "full"},
    ),
    "experts, all sharded": (
        "train",
        "mixtral-8x7b",
        "64xh100-sxm",
        TRAIN,
        {"data": 64, "expert": 8, "shard": 3, "batch": 128, "recompute": "full"},
    ),
    "everything cut": (
        "train",
        "llama-3.1-405b",
        "512xh100-sxm",
        TRAIN,
        {"tensor": 8, "pipeline": 8, "virtual": 4, "data": 8, "shard": 2, "batch": 256}
        | {"compute": "fp8", "recompute": "full", "schedule": "interleaved"},
    ),
    "one pipeline": (
        "train",
        "llama-3.1-70b",
        "64xh100-sxm",
        TRAIN,
        {"tensor": 4, "pipeline": 4, "data": 4, "shard": 2, "batch": 64, "schedule": "gpipe"},
    ),
    "experts in shards": (
        "train",
        "qwen3-30b-a3b",
        "64xh100-sxm",
        TRAIN,
        {"data": 64, "expert": 8, "shard": 3, "batch": 512, "recompute": "full"},
    ),
    "latent attention in shards": (
        "train",
        "deepseek-v3",
        "512xh100-sxm",
        TRAIN | {"sequence": 4096},
        {"pipeline": 8, "data": 64, "expert": 64, "shard": 3, "batch": 4096, "recompute": "full"},
    ),
    "reward model": (
        "tune",
        "llama-3.1-8b",
        "8xh100-sxm",
        {"tokens": 1e8, "objective": "reward"},
        {"data": 8, "shard": 2, "batch": 64, "micro_batch": 2},
    ),
    "grpo": (
        "align",
        "qwen2.5-7b",
        "8xh100-sxm",
        {"method": "grpo", "feedback": "rule", "batch": 128, "samples": 8},
        {"data": 8, "shard": 3, "batch": 256, "recompute": "full"},
    ),
    "ppo": (
        "align",
        "llama-3.1-8b",
        "16xh100-sxm",
        {"method": "ppo", "batch": 512, "longest": 2048},
        {"tensor": 2, "data": 8, "shard": 1, "batch": 128, "recompute": "full"},
    ),
    "ppo sharded": (
        "align",
        "llama-3.1-8b",
        "16xh100-sxm",
        {"method": "ppo", "batch": 512, "feedback": "human", "answer": 1024},
        {"data": 16, "shard": 3, "batch": 128, "recompute": "full"},
    ),
    "grpo apart": (
        "align",
        "qwen2.5-7b",
        "16xh100-sxm",
        {"method": "grpo", "feedback": "rule", "batch": 128, "samples": 8, "split": 0.5},
        {"data": 16, "shard": 3, "batch": 256, "recompute": "full"},
    ),
    "align by pairs": (
        "align",
        "llama-3.1-8b",
        "8xh100-sxm",
        {"method": "dpo", "prompts": 50_000},
        {"data": 8, "shard": 3, "batch": 64, "micro_batch": 2},
    ),
}
KINDS: dict[str, type] = {"train": Train, "tune": Tune, "align": Align}
TRAINERS = ("megatron", "torchtitan", "deepspeed", "trl", "verl", "slurm")


def start(name: str, **changes: Any) -> Start:
    """The case of that name, some fields of its plan changed."""
    verb, which, chips, fields, layout = CASES[name]
    of, here = model(which), fleet(chips)
    job: Job = KINDS[verb](model=of, **fields)
    plan = Plan(chip=here.pools[0].chip.id, **(layout | changes))
    command = f"eke plan {verb} {which} --on {chips} --write it"
    return Start(job=job, plan=plan, fleet=here, checkpoint=f"org/{which}", command=command)
