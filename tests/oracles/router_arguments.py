"""Parse the routers' command lines with their own parsers, and record their options.

Run by `make oracles-engines` where vllm-router and sglang-router are installed.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import arguments
import sglang_router.router_args
import starting
import vllm_router.router_args
from launch_cases import cases

from eke.launch import configuration

HEADS = {"vllm": ["vllm-router"], "sglang": ["python", "-m", "sglang_router.launch_router"]}
MAKERS = {
    "vllm": vllm_router.router_args.RouterArgs,
    "sglang": sglang_router.router_args.RouterArgs,
}


def parser(engine: str) -> argparse.ArgumentParser:
    """As the router makes it."""
    made = argparse.ArgumentParser(allow_abbrev=False)
    MAKERS[engine].add_cli_args(made)
    return made


def accept(engine: str, words: list[str]) -> tuple[int, int]:
    """Parse the words; how many prefill and decode servers the router then has."""
    head = HEADS[engine]
    assert words[: len(head)] == head
    read = MAKERS[engine].from_cli_args(parser(engine).parse_args(words[len(head) :]))
    return len(read.prefill_urls), len(read.decode_urls)


def main() -> None:
    for engine in HEADS:
        accepted: dict[str, Any] = {}
        for name, start in cases().items():
            if start.plan.prefill is None:
                continue
            files = configuration(engine, start)
            addresses = ",".join(f"10.0.0.{n}" for n in range(64))
            with tempfile.TemporaryDirectory() as place:
                (call,) = starting.run(Path(place), files, "start-router.sh", addresses, addresses)
            counts = accept(engine, call.words)
            assert counts == (start.plan.prefill.replicas, start.plan.replicas), (name, counts)
            accepted[name] = counts
            print(f"{engine:8} {name:28} accepted", file=sys.stderr)
        release = f"{engine}-router {version(f'{engine}-router')}"
        known = arguments.options(parser(engine))
        arguments.write(f"{engine}_router_arguments.json", release, known, accepted=accepted)


if __name__ == "__main__":
    main()
