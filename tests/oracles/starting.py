"""Run the scripts eke writes, with programs that only say how they were called."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

PROGRAMS = ("vllm", "python", "llama-server", "trtllm-serve", "vllm-router", "mpirun")
SHOWN = ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES")
STUB = """#!{python} -S
import json, os, sys
words = [sys.argv[0].rsplit("/", 1)[-1], *sys.argv[1:]]
chips = {{name: os.environ[name] for name in {shown} if name in os.environ}}
line = json.dumps({{"words": words, "chips": chips}})
log = os.open({log!r}, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
os.write(log, (line + "\\n").encode())
"""


class Call(NamedTuple):
    """One program: its words, and the chips it was shown; None for all."""

    words: list[str]
    chips: list[int] | None


def run(folder: Path, files: dict[str, str], script: str, *words: str) -> list[Call]:
    """The programs that a script starts, in a folder with all files."""
    log = folder / "log.jsonl"
    log.unlink(missing_ok=True)
    _install(folder, files, log)
    path = f"{folder / 'bin'}:{os.environ['PATH']}"
    ran = subprocess.run(
        ["bash", script, *words],
        cwd=folder,
        env={"PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return [_call(line) for line in log.read_text().splitlines()]


def _install(folder: Path, files: dict[str, str], log: Path) -> None:
    for name, text in files.items():
        (folder / name).write_text(text)
    (folder / "bin").mkdir(exist_ok=True)
    for program in PROGRAMS:
        stub = folder / "bin" / program
        stub.write_text(STUB.format(python=sys.executable, shown=SHOWN, log=str(log)))
        stub.chmod(0o755)


def _call(line: str) -> Call:
    read = json.loads(line)
    shown = next(iter(read["chips"].values()), None)
    return Call(read["words"], [int(n) for n in shown.split(",")] if shown else None)
