"""Write every golden anew, the README's answers among them: run by `make golden` after a change
that is meant."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

from click.testing import CliRunner

from eke.cli import entry

COMMANDS = {
    "serve-70b": "need serve llama-3.1-70b --on 8xh100-sxm --rate 5/s --prompt 2000 --answer 500",
    "train-gpt-3": "need train gpt-3 --tokens 300B --on 10000xv100-sxm2-32",
    "tune-lora": "need tune examples/qwen3-32b/config.json --tokens 50M --lora 16 --on 2xh100",
    "align-ppo": "need align llama-3.1-8b --method ppo --prompts 100k --on 16xa100-sxm-80",
    "infeasible": "need serve llama-3.1-405b --on 4xh100-sxm",
    "explain-8b": "explain serve llama-3.1-8b --on 1xl40s --rate 1/s",
    "claims": "claims",
    "claim-12": "claims 12",
    "json-8b": "need serve llama-3.1-8b --on 1xl40s --rate 1/s --json",
    "plan-serve": (
        "plan serve llama-3.1-70b --on 16xh100-sxm --on 16xh200 --rate 10/s --prompt 2000 "
        "--answer 300 --ttft 1500ms@p99 --tpot 50ms@p90 --least cost"
    ),
    "plan-train": (
        "plan train llama-3.1-70b --tokens 2T --within 30d --least chips "
        "--among h100-sxm,mi300x,tpu-v5p"
    ),
    "plan-infeasible": (
        "plan serve llama-3.1-70b --on 16xh100-sxm --rate 20/s --prompt 2000 --answer 300 "
        "--ttft 500ms@p99 --tpot 40ms@p90 --least cost"
    ),
    "plan-frontier": (
        "plan serve llama-3.1-70b --on 16xh100-sxm --rate 5/s --prompt 2000 --answer 300 "
        "--frontier cost,ttft"
    ),
    "plan-check": (
        "plan serve llama-3.1-8b --on 4xh100-sxm --rate 8/s --prompt 1200 --answer 200 "
        "--ttft 500ms@p99 --check 'chat, 8/s, 10min'"
    ),
    "simulate": (
        "simulate serve llama-3.1-8b --on 1xh100-sxm "
        "--traffic 'chat, 8/s, 10min, ttft 300ms, seed 7' --policy fcfs+promise"
    ),
    "allocate-forecast": "allocate forecast examples/allocate/forecast.toml",
    "allocate-published": "allocate forecast --published",
    "allocate-published-pair": (
        "allocate forecast --published bernstein-2023 semianalysis-google-2023"
    ),
    "chip": "catalog chips wse-2",
    "allocate-short-of-gpus": "allocate examples/allocate/short-of-gpus.toml",
    "allocate-ten-thousand": "allocate examples/allocate/ten-thousand-gpus.toml",
    "allocate-azure-2020": "allocate examples/allocate/azure-2020.toml",
    "allocate-cloud-and-edge": (
        "allocate examples/allocate/cloud-and-edge.toml --set pools.factory.chips=30"
    ),
    "allocate-tiers": (
        "allocate tiers llama-3.1-405b --on 512xh100-sxm --demand "
        "examples/allocate/longer-context.toml"
    ),
    "allocate-chip-athena": "allocate chip examples/allocate/athena.toml",
    "allocate-chip-wafer": "allocate chip examples/allocate/wafer.toml",
    "allocate-my-chip": (
        "allocate chip --build examples/allocate/my-chip.toml --volume 200k/yr "
        "--against buy:h100-sxm,rent:h200,own:maia-100"
    ),
    "allocate-design": (
        "allocate design examples/allocate/design.toml --shapes systolic,wafer --area 400mm2 "
        "--references h100-sxm,b200-sxm,wse-3"
    ),
}


README = Path(__file__).parent.parent.parent / "README.md"


def said(words: str) -> str:
    """A command and what eke answers."""
    sys.argv = ["eke", *shlex.split(words)]
    return f"$ eke {words}\n{CliRunner().invoke(entry, shlex.split(words)).stdout}"


def main() -> None:
    for name, words in COMMANDS.items():
        (Path(__file__).parent / f"{name}.out").write_text(said(words))
    shown = r"^\$ eke (.+)\n(?:(?!\$ |```).*\n)*"
    README.write_text(re.sub(shown, lambda found: said(found[1]), README.read_text(), flags=re.M))


if __name__ == "__main__":
    main()
