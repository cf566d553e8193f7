"""Run a script with a stand-in for the program it starts, to see what that would be given."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from pathlib import Path

STAND_IN = (
    '#!/bin/sh\nprintf "%s\\0" "$(basename "$0")" "$@" >> "$EKE_SAW"\nprintf "\\n" >> "$EKE_SAW"\n'
)
NEEDED = re.compile(r"^: \"\$\{(\w+):\?", re.M)
VALUES = {"HEAD": "first:29500", "ROTARY_BASE": "500000", "RANK_OF_SERVER": "0"}


def started(
    files: dict[str, str], script: str, *programs: str, **variables: str
) -> list[list[str]]:
    """The arguments of every start of one of the programs, as the shell hands them over."""
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        for name, text in files.items():
            (here / name).write_text(text)
        (here / "stand-in").mkdir()
        for program in programs:
            file = here / "stand-in" / program
            file.write_text(STAND_IN)
            file.chmod(0o755)
        asked = {name: VALUES.get(name, f"/{name}") for name in NEEDED.findall(files[script])}
        path = f"{here / 'stand-in'}:{os.environ['PATH']}"
        environment = {**os.environ, **asked, **variables, "PATH": path, "EKE_SAW": f"{here}/saw"}
        subprocess.run(["bash", script], cwd=here, env=environment, check=True)
        lines = (here / "saw").read_text().split("\0\n")
        return [line.split("\0") for line in lines if line]
