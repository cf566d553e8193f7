"""Hand what eke writes for DeepSpeed to its own configuration reader, and record its keys.

Run by `make oracles-engines`. No GPU and no process group: DeepSpeed is told how many ranks share
the data.
"""

from __future__ import annotations

import inspect
import json
import re
import sys

import deepspeed
from cases import CASES, start
from deepspeed.launcher.runner import parse_args
from deepspeed.module_inject.auto_ep_config import validate_autoep_config
from deepspeed.runtime import config as reader
from deepspeed.runtime.zero.config import DeepSpeedZeroConfig
from recording import record
from shell import started

from eke.errors import BadInput
from eke.launch import configuration


class Ranks:
    """What DeepSpeed asks a model-parallel unit."""

    def __init__(self, data: int) -> None:
        self.get_data_parallel_world_size = lambda: data


class Noting(dict):
    """A mapping that notes which keys it was asked for."""

    asked: set[str] = set()

    def __contains__(self, key: object) -> bool:
        self.asked.add(str(key))
        return super().__contains__(key)

    def keys(self) -> Noting:
        return self

    def __getitem__(self, key: str) -> object:
        self.asked.add(key)
        return super().__getitem__(key)

    def get(self, key: str, default: object = None) -> object:
        self.asked.add(key)
        return super().get(key, default)


def check(name: str) -> dict[str, object]:
    """What DeepSpeed made of a case."""
    given = start(name)
    files = configuration("deepspeed", given)
    written = json.loads(files["deepspeed.json"])
    reader.dist.get_rank = lambda: 0
    read = reader.DeepSpeedConfig(Noting(written), mpu=Ranks(given.plan.data))
    assert read.train_batch_size == given.plan.batch
    assert read.zero_optimization_stage == given.plan.shard
    if read.expert_parallel_config.enabled:
        validate_autoep_config(
            read.expert_parallel_config,
            world_size=given.plan.chips,
            pp_size=1,
            tp_size=given.plan.tensor,
            sp_size=given.plan.context,
            zero_stage=given.plan.shard,
        )
    (saw,) = started(files, "deepspeed.sh", "deepspeed")
    args = parse_args(saw[1:])
    assert max(args.num_nodes, 1) * args.num_gpus == given.plan.chips
    return {"batch": read.train_batch_size, "keys": sorted(written)}


def main() -> None:
    found = {}
    for name in CASES:
        try:
            configuration("deepspeed", start(name))
        except BadInput as refused:
            print(f"deepspeed refuses {name}: {refused}", file=sys.stderr)
            continue
        found[name] = check(name)
        print(f"deepspeed accepts {name}", file=sys.stderr)
    zero = sorted({field.alias or name for name, field in DeepSpeedZeroConfig.model_fields.items()})
    meshes = re.findall(r'config\["(\w+)"\]', inspect.getsource(deepspeed))  # of its initialize
    known = {"keys": sorted(Noting.asked | set(meshes)), "zero_optimization": zero}
    record(
        "deepspeed_configuration",
        {"release": deepspeed.__version__, "options": known, "accepted": found},
    )


if __name__ == "__main__":
    main()
