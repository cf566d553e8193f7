"""Let torchtitan build its configuration from the module eke writes, and its meshes' sizes.

Run by `make oracles-engines`. No GPU: the configuration is built and checked, the model is counted
on the meta device, nothing runs.
"""

from __future__ import annotations

import dataclasses
import importlib
import os
import sys
import tempfile
from importlib import metadata
from pathlib import Path

import torch
from cases import CASES, start
from recording import record
from shell import started
from torchtitan.components.quantization import float8
from torchtitan.config.configs import ParallelismConfig, TrainingConfig
from torchtitan.config.manager import ConfigManager
from torchtitan.distributed import ParallelDims
from torchtitan.distributed.pipeline_parallel import _get_pipeline_metadata

from eke.errors import BadInput
from eke.launch import configuration
from eke.launch.torchtitan import FLAVOURS


def check(name: str) -> dict[str, object]:
    """What torchtitan made of a case."""
    given = start(name)
    plan, files = given.plan, configuration("torchtitan", given)
    (saw,) = started(files, "torchtitan.sh", "torchrun")
    words = saw[saw.index("--module") :]
    os.environ |= {"ASSETS": "/", "DATA": "c4", "OUTPUT": "/tmp"}
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "eke_torchtitan.py").write_text(files["eke_torchtitan.py"])
        sys.path.insert(0, folder)
        importlib.invalidate_caches()
        sys.modules.pop("eke_torchtitan", None)
        made = ConfigManager().parse_args(words)
        sys.path.remove(folder)
    sizes = dims(made.parallelism, plan.chips)
    ranks = sizes.dp_replicate * sizes.dp_shard
    local = made.training.local_batch_size * ranks
    assert made.training.global_batch_size == plan.batch
    assert ranks == plan.data
    assert plan.batch % local == 0
    stages = 1
    if plan.pipeline > 1:
        stages = _get_pipeline_metadata(sizes, made.parallelism, made.model_spec.model)[0]
        assert stages == plan.pipeline * plan.virtual
    return {"ranks": ranks, "local": made.training.local_batch_size, "stages": stages}


def dims(own: ParallelismConfig, chips: int) -> ParallelDims:
    """The sizes of the meshes, which it refuses where they are not all ranks."""
    return ParallelDims(
        dp_replicate=own.data_parallel_replicate_degree,
        dp_shard=own.data_parallel_shard_degree,
        cp=own.context_parallel_degree,
        tp=own.tensor_parallel_degree,
        pp=own.pipeline_parallel_degree,
        ep=own.expert_parallel_degree,
        world_size=chips,
    )


def parameters(module: str, size: str) -> int:
    """Of a model that torchtitan ships."""
    spec = importlib.import_module(f"torchtitan.models.{module}").model_registry(size)
    with torch.device("meta"):
        return sum(each.numel() for each in spec.model.build().parameters())


def main() -> None:
    float8.has_cuda_capability = lambda *_: True  # as on the chips of the plans
    found = {}
    for name in CASES:
        try:
            configuration("torchtitan", start(name))
        except BadInput as refused:
            print(f"torchtitan refuses {name}: {refused}", file=sys.stderr)
            continue
        found[name] = check(name)
        print(f"torchtitan accepts {name}", file=sys.stderr)
    counted = {f"{module} {size}": parameters(module, size) for module, size in FLAVOURS.values()}
    kinds = {"training": TrainingConfig, "parallelism": ParallelismConfig}
    options = {name: [f.name for f in dataclasses.fields(kind)] for name, kind in kinds.items()}
    facts = {"release": metadata.version("torchtitan"), "options": options}
    record("torchtitan_configuration", {**facts, "parameters": counted, "accepted": found})


if __name__ == "__main__":
    main()
