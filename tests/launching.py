"""What a trainer's files say, read back: ranks and sequences of a step."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping

import yaml


def options(text: str) -> dict[str, str]:
    """Options of the last command of a script, one a line; "" for flags."""
    command = text[text.rindex("\n\n") :].replace(" \\\n", "\n")
    found = re.findall(r"(?:^|\s)--([a-z0-9_-]+)(?: +('[^']*'|\"[^\"]*\"|[^\s'\"-]\S*))?", command)
    return {name: value.strip("'\"") for name, value in found}


def calls(text: str) -> dict[str, dict[str, object]]:
    """Keyword arguments of every call in Python text whose values are plain."""
    found: dict[str, dict[str, object]] = {}
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call):
            plain = [each for each in node.keywords if isinstance(each.value, ast.Constant)]
            name = ast.unparse(node.func)
            found[name] = {str(each.arg): ast.literal_eval(each.value) for each in plain}
            found[name]["arguments"] = [ast.unparse(each) for each in node.args]
    return found


def leaves(values: object, before: str = "") -> list[str]:
    """Dotted names of all leaves of a mapping."""
    if not isinstance(values, Mapping) or not values:
        return [before]
    pairs = ((f"{before}.{name}" if before else str(name), each) for name, each in values.items())
    return [leaf for name, each in pairs for leaf in leaves(each, name)]


def step(engine: str, files: dict[str, str]) -> tuple[int, int]:
    """Ranks, and sequences of one optimizer step, as a trainer is told them."""
    return {
        "megatron": _megatron,
        "torchtitan": _torchtitan,
        "deepspeed": _deepspeed,
        "trl": _trl,
        "verl": _verl,
    }[engine](files)


def _torchrun(text: str) -> int:
    said = options(text)
    return int(said.get("nnodes", "1")) * int(said["nproc-per-node"])


def _megatron(files: dict[str, str]) -> tuple[int, int]:
    text = files["megatron.sh"]
    return _torchrun(text), int(options(text)["global-batch-size"])


def _torchtitan(files: dict[str, str]) -> tuple[int, int]:
    made = calls(files["eke_torchtitan.py"])
    own = made["ParallelismConfig"]
    names = ("data_parallel_replicate", "data_parallel_shard", "tensor_parallel")
    ranks = 1
    for name in (*names, "context_parallel", "pipeline_parallel"):
        ranks *= int(str(own[f"{name}_degree"]))
    assert ranks == _torchrun(files["torchtitan.sh"])
    return ranks, int(str(made["TrainingConfig"]["global_batch_size"]))


def _deepspeed(files: dict[str, str]) -> tuple[int, int]:
    said, told = options(files["deepspeed.sh"]), json.loads(files["deepspeed.json"])
    return int(said["num_nodes"]) * int(said["num_gpus"]), told["train_batch_size"]


def _trl(files: dict[str, str]) -> tuple[int, int]:
    launch = yaml.safe_load(files["accelerate.yaml"])
    (name,) = {"sft.yaml", "reward.yaml", "dpo.yaml", "grpo.yaml"} & set(files)
    told = yaml.safe_load(files[name])
    ranks = launch["num_processes"]
    context = launch.get("parallelism_config", {}).get("parallelism_config_cp_size", 1)
    rows = told["per_device_train_batch_size"] * told["gradient_accumulation_steps"]
    return ranks, rows * ranks // context * (1 if name in ("sft.yaml", "grpo.yaml") else 2)


def _verl(files: dict[str, str]) -> tuple[int, int]:
    told = yaml.safe_load(files["verl.yaml"])
    policy, trainer = told["actor_rollout_ref"], told["trainer"]
    sequences = policy["actor"]["ppo_mini_batch_size"] * policy["rollout"]["n"]
    apart = policy["rollout"].get("nnodes", 0) * policy["rollout"].get("n_gpus_per_node", 0)
    return trainer["nnodes"] * trainer["n_gpus_per_node"] + apart, sequences
