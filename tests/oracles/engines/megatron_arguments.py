"""Hand what eke writes for Megatron-LM to its own parser and checks, and record its options.

Run by `make oracles-engines` with a checkout of Megatron-LM, release core_v0.19.0, in the
variable MEGATRON; without one it says so and leaves the record as it is. No GPU is needed: torch
is told of one of the kind a plan has. The shape is checked by building the layers on the meta
device and counting their parameters.
"""

from __future__ import annotations

import argparse
import os
import sys
import typing
from types import SimpleNamespace

import megatron_model
import torch
import typing_extensions
from cases import CASES, start
from recording import record
from shell import started

from eke.errors import BadInput
from eke.launch import configuration
from eke.launch.start import Start

typing.override = typing_extensions.override  # the release asks for Python 3.12 for this alone
RELEASE = "core_v0.19.0"
WHOLE = {"tensor": 1, "pipeline": 1, "virtual": 1, "context": 1, "expert": 1, "data": 1}
WHOLE |= {"shard": 0, "shard_ranks": 0, "batch": 8, "micro_batch": 1, "optimizer": "adam"}
WHOLE |= {"compute": "bf16"}
HOPPER = SimpleNamespace(major=9, minor=0, name="H100", multi_processor_count=132)


def options(parser: argparse.ArgumentParser) -> dict[str, object]:
    """Option → its choices, "flag" or "value"."""
    found: dict[str, object] = {}
    for action in parser._actions:
        kind = (
            "flag"
            if action.nargs == 0
            else [_word(each) for each in action.choices or ()] or "value"
        )
        found |= {name[2:]: kind for name in action.option_strings if name.startswith("--")}
    return dict(sorted(found.items()))


def _word(choice: object) -> str:
    return str(getattr(choice, "name", choice))


def arguments(given: Start) -> list[str]:
    """What the script hands pretrain_gpt.py."""
    (saw,) = started(configuration("megatron", given), "megatron.sh", "torchrun")
    return saw[next(at for at, word in enumerate(saw) if word.endswith("pretrain_gpt.py")) + 1 :]


def check(name: str) -> dict[str, object]:
    """What Megatron made of a case."""
    from megatron.training.arguments import (
        core_transformer_config_from_args,
        parse_args,
        validate_args,
    )

    given = start(name)
    written = arguments(given)
    os.environ["WORLD_SIZE"] = str(given.plan.chips)
    os.environ.pop("CUDA_DEVICE_MAX_CONNECTIONS", None)
    if given.plan.tensor * given.plan.context > 1 and given.plan.shard < 2:
        os.environ["CUDA_DEVICE_MAX_CONNECTIONS"] = "1"
    sys.argv = ["pretrain_gpt.py", *written]
    args = parse_args()
    validate_args(args)
    args.apply_rope_fusion = False  # Transformer Engine's, which needs a GPU
    core_transformer_config_from_args(args)
    made = {
        "data": args.data_parallel_size,
        "batch": args.global_batch_size,
        "micro_batch": args.micro_batch_size,
        "virtual": args.virtual_pipeline_model_parallel_size or 1,
    }
    expected = {field: getattr(given.plan, field) for field in made}
    assert made == expected, (made, expected)
    return {**made, "parameters": megatron_model.parameters(arguments(start(name, **WHOLE)))}


def main() -> None:
    if "MEGATRON" not in os.environ:
        print(f"megatron: set MEGATRON to a checkout of Megatron-LM {RELEASE}", file=sys.stderr)
        return
    sys.path.insert(0, os.environ["MEGATRON"])
    torch.cuda.get_device_properties = lambda *_: HOPPER
    torch.cuda.get_device_capability = lambda *_: (9, 0)
    from megatron.training.arguments import add_megatron_arguments

    megatron_model.prepare()
    found = {}
    for name in CASES:
        try:
            start_of = configuration("megatron", start(name))
        except BadInput as refused:
            print(f"megatron refuses {name}: {refused}", file=sys.stderr)
            continue
        assert start_of
        found[name] = check(name)
        print(f"megatron accepts {name}", file=sys.stderr)
    known = options(add_megatron_arguments(argparse.ArgumentParser(allow_abbrev=False)))
    record("megatron_arguments", {"release": RELEASE, "options": known, "accepted": found})


if __name__ == "__main__":
    main()
