"""Parse what eke writes with SGLang's own parser of `sglang.launch_server`, and record its names.

Run by `make oracles-engines` where SGLang is installed, if without its kernels.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import arguments
import starting
from launch_cases import cases
from sglang.srt.server_args import ServerArgs
from sglang.srt.utils.server_args_config_parser import ConfigArgumentMerger

from eke.errors import BadInput
from eke.launch import configuration

SERVER = ["python", "-m", "sglang.launch_server"]


def parser() -> argparse.ArgumentParser:
    """As `sglang.launch_server` makes it."""
    made = argparse.ArgumentParser(allow_abbrev=False)
    ServerArgs.add_cli_args(made)
    return made


def accept(words: list[str], folder: Path) -> set[str]:
    """Parse the words of a server; the options they and their file hold."""
    assert words[:3] == SERVER
    placed = [str(folder / word) if word.endswith(".yaml") else word for word in words[3:]]
    merged = ConfigArgumentMerger(parser()).merge_config_with_args(placed)
    read = parser().parse_args(merged)
    check_ranks(read)
    return {word for word in merged if word.startswith("--")}


def check_ranks(read: argparse.Namespace) -> None:
    """What SGLang asserts of degrees once it knows the machine."""
    assert read.tp_size % read.attn_dp_size == 0
    assert read.ep_size == 1 or read.tp_size % read.ep_size == 0
    assert (read.tp_size * read.pp_size) % read.nnodes == 0
    if read.enable_lora:
        assert read.max_lora_rank and read.lora_target_modules
        assert read.max_loaded_loras >= read.max_loras_per_batch


def main() -> None:
    accepted: dict[str, Any] = {}
    for name, start in cases().items():
        try:
            files = configuration("sglang", start)
        except BadInput as error:
            print(f"{name:28} not for SGLang: {error}", file=sys.stderr)
            continue
        used: set[str] = set()
        with tempfile.TemporaryDirectory() as place:
            for script in (each for each in files if each.startswith("start-")):
                for call in starting.run(Path(place), files, script, "0", "10.0.0.1"):
                    if "sglang.launch_server" in call.words:
                        used |= accept(call.words, Path(place))
        accepted[name] = sorted(used)
        print(f"{name:28} accepted", file=sys.stderr)
    known = arguments.options(parser())
    release = f"sglang {version('sglang')}"
    arguments.write("sglang_arguments.json", release, known, accepted=accepted)


if __name__ == "__main__":
    main()
