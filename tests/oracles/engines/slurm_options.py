"""Let sbatch read the options of every batch script, and record those it lists.

Run by `make oracles-engines` where sbatch is installed (Debian: slurm-client and
slurm-wlm-basic-plugins). There is no cluster: sbatch reads a script's options before it looks for
its controller, so that it waits for a controller only where it took them all.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from cases import CASES, start
from recording import record

from eke.errors import BadInput
from eke.launch import configuration

CLUSTER = """ClusterName=check
SlurmctldHost=localhost(127.0.0.1)
AuthType=auth/none
CredType=cred/none
GresTypes=gpu
NodeName=n[1-4] CPUs=64 Gres=gpu:8
PartitionName=p Nodes=ALL Default=YES
"""
WAIT = 1.5  # it refuses an option at once [s]
TAKEN = "Unable to contact slurm controller"


def said(folder: Path, *words: str) -> str:
    """What sbatch says."""
    plugins = os.environ.get("SLURM_PLUGINS")
    (folder / "slurm.conf").write_text(CLUSTER + (f"PluginDir={plugins}\n" if plugins else ""))
    environment = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf")}
    asked = ["sbatch", *words]
    try:
        run = subprocess.run(asked, capture_output=True, text=True, env=environment, timeout=WAIT)
    except subprocess.TimeoutExpired:
        return TAKEN
    return run.stdout + run.stderr


def main() -> None:
    if shutil.which("sbatch") is None:
        print("slurm: no sbatch here; install slurm-client", file=sys.stderr)
        return
    found: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        wrong = folder / "wrong.sbatch"
        wrong.write_text("#!/bin/bash\n#SBATCH --gpus-per-nood=8\n")
        assert TAKEN not in said(folder, "--test-only", str(wrong))
        for case in CASES:
            try:
                files = configuration("slurm", start(case))
            except BadInput as refused:
                print(f"slurm refuses {case}: {refused}", file=sys.stderr)
                continue
            script = folder / "slurm.sbatch"
            script.write_text(files["slurm.sbatch"])
            answer = said(folder, "--test-only", str(script))
            assert TAKEN in answer, (case, answer)
            found[case] = re.findall(r"^#SBATCH --([a-z-]+)", files["slurm.sbatch"], re.M)
            print(f"slurm accepts {case}", file=sys.stderr)
        options = sorted(set(re.findall(r"--([a-z][a-z-]+)", said(folder, "--help"))))
        release = said(folder, "--version").split()[-1]
    record("slurm_options", {"release": release, "options": options, "accepted": found})


if __name__ == "__main__":
    main()
