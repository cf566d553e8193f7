"""Hand what eke writes for TRL to its own parsers, and record their options.

Run by `make oracles-engines`. The commands' own parsers read the file as `trl` would, accelerate
reads its file and builds what it hands the processes, DeepSpeed reads its own.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
import tempfile
from pathlib import Path

import accelerate
import transformers
import trl
from accelerate.commands.config.config_args import load_config_from_file
from accelerate.commands.launch import _validate_launch_command, launch_command_parser
from accelerate.parallelism_config import ParallelismConfig
from accelerate.utils import FullyShardedDataParallelPlugin
from cases import CASES, start
from deepspeed.runtime import config as reader
from recording import record
from shell import started

from eke.errors import BadInput
from eke.launch import configuration

COMMANDS = ("sft", "reward", "dpo", "grpo")


def parser(verb: str) -> argparse.ArgumentParser:
    """Of `trl` and the command."""
    return importlib.import_module(f"trl.scripts.{verb}").make_parser(prog=f"trl {verb}")


def check(name: str, folder: Path) -> dict[str, object]:
    """What TRL and accelerate made of a case."""
    given = start(name)
    files = configuration("trl", given)
    for file, text in files.items():
        (folder / file).write_text(text)
    os.chdir(folder)
    (saw,) = started(files, "trl.sh", "trl")
    verb = saw[1]
    words = [word.replace("REWARD_MODEL", "x") for word in saw[2:]]
    words = ["accuracy_reward" if word == "/REWARD" else word for word in words]
    at = words.index("--accelerate_config")
    launch, words = ["--config_file", words[at + 1]], words[:at] + words[at + 2 :]
    if "--machine_rank" in words:
        at = words.index("--machine_rank")
        launch, words = [*launch, *words[at:]], words[:at]
    for prefix in ("WORLD_SIZE", "RANK", "LOCAL_RANK"):
        os.environ.pop(prefix, None)
    parsed = parser(verb).parse_args_and_config([*words, "--use_cpu"], fail_with_unknown_args=True)
    own = next(each for each in parsed if hasattr(each, "per_device_train_batch_size"))
    rows = own.per_device_train_batch_size * own.gradient_accumulation_steps * given.plan.data
    pairs = verb in ("dpo", "reward")
    assert rows * (2 if pairs else 1) == given.plan.batch, (rows, given.plan.batch)
    processes(launch, given)
    if "deepspeed.json" in files:
        reader.dist.get_rank, reader.dist.get_world_size = lambda: 0, lambda *_: given.plan.chips
        reader.DeepSpeedConfig(json.loads(files["deepspeed.json"]))
    return {"command": verb, "rows": rows, "processes": given.plan.chips}


def processes(words: list[str], given) -> None:
    """What accelerate hands its processes."""
    args = launch_command_parser().parse_args([*words, "script.py"])
    args, _, _ = _validate_launch_command(args)
    assert int(args.num_processes) == given.plan.chips, args.num_processes
    written = load_config_from_file(words[1])
    assert bool(args.use_fsdp) == (given.plan.shard == 3 and given.plan.chips > 1)
    assert bool(args.use_deepspeed) == (given.plan.shard in (1, 2) and given.plan.chips > 1)
    if args.use_fsdp:
        FullyShardedDataParallelPlugin(
            fsdp_version=args.fsdp_version,
            reshard_after_forward=True,
            state_dict_type=args.fsdp_state_dict_type,
            auto_wrap_policy=args.fsdp_auto_wrap_policy.lower(),
        )
    if written.parallelism_config:
        sizes = {name: value for name, value in vars(args).items() if name.endswith("_size")}
        prefix = "parallelism_config_"
        named = {
            name.removeprefix(prefix): int(value)
            for name, value in sizes.items()
            if name.startswith(prefix) and name.removeprefix(prefix) in PARTS
        }
        assert ParallelismConfig(**named).total_size == given.plan.chips, named


PARTS = ("dp_replicate_size", "dp_shard_size", "tp_size", "cp_size")


def options(verb: str) -> dict[str, object]:
    """Option → its choices or "value"."""
    return {
        name[2:]: [str(each) for each in action.choices] if action.choices else "value"
        for action in parser(verb)._actions
        for name in action.option_strings
        if name.startswith("--") and not name.startswith("--no_") and "-" not in name[2:]
    }


def main() -> None:
    found = {}
    for name in CASES:
        try:
            configuration("trl", start(name))
        except BadInput as refused:
            print(f"trl refuses {name}: {refused}", file=sys.stderr)
            continue
        with tempfile.TemporaryDirectory() as folder:
            found[name] = check(name, Path(folder))
            os.chdir("/")
        print(f"trl accepts {name}", file=sys.stderr)
    launch = launch_command_parser()._actions
    names = sorted(
        {name[2:] for action in launch for name in action.option_strings if "--" in name}
    )
    release = {"trl": trl.__version__, "transformers": transformers.__version__}
    release["accelerate"] = accelerate.__version__
    known = {verb: options(verb) for verb in COMMANDS} | {"accelerate": names}
    record("trl_arguments", {"release": release, "options": known, "accepted": found})


if __name__ == "__main__":
    main()
