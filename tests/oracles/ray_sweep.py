"""A sweep on Ray makes the bytes that one process makes: started here, joined, and with workers
killed while they plan.

Run by `make oracles-ray`; nothing is recorded. It kills only workers of the Ray it has started.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import ray

from eke.sweep.cluster import cluster
from eke.sweep.crew import Asked, results
from eke.sweep.rows import Row

GRID = """
[grid]
rate = ["2/s", "5/s", "900/s"]
on = ["4xh100-sxm", "8xl40s", "1xnothing"]
weights = ["bf16", "fp8", "int8"]
"""
WORDS = ["plan", "serve", "llama-3.1-70b", "--prompt", "1500", "--sweep", "sweep.toml"]
EKE = [sys.executable, "-c", "from eke.cli import main; main()", *WORDS]


def table(folder: Path, *words: str) -> bytes:
    """What a sweep wrote, and how long that took."""
    begun = time.monotonic()
    subprocess.run([*EKE, "--out", "out.csv", *words], cwd=folder, check=True)
    print(f"  {time.monotonic() - begun:.1f} s: {' '.join(words) or 'one process'}")
    return (folder / "out.csv").read_bytes()


def with_losses(folder: Path, losses: int) -> bytes:
    """The same on a Ray of its own, of which workers are killed while they plan."""
    process = subprocess.Popen([*EKE, "--out", "out.csv", "--ray", "local"], cwd=folder)
    killed: set[int] = set()
    while process.poll() is None:
        time.sleep(0.02)
        at_work = [each for each in below(process.pid) if name(each) == "ray::planned"]
        if len(killed) < losses and at_work and at_work[0] not in killed:
            os.kill(at_work[0], signal.SIGKILL)
            killed.add(at_work[0])
    assert process.returncode == 0 and len(killed) == losses, (process.returncode, killed)
    print(f"  {losses} workers killed while they planned")
    return (folder / "out.csv").read_bytes()


def below(ancestor: int) -> list[int]:
    """Processes that descend from one."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found, left = [], [ancestor]
    while left:
        above = left.pop()
        children = [each for each, parent in parents.items() if parent == above]
        found += children
        left += children
    return found


def name(process: int) -> str:
    """What a process calls itself."""
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes().split(b"\0")[0].decode().strip()
    except OSError:
        return ""


def deadly(asked: Asked) -> Row:
    """A cell that ends every process that plans it."""
    if asked == "deadly":
        os._exit(1)
    return [str(asked)]


def one_cell_that_kills() -> None:
    """It becomes a row that says so; the others are planned."""
    with cluster("local", deadly, lambda: None) as crew:
        rows = dict(results(crew, enumerate(["one", "deadly", "two"])))
    assert (rows[0], rows[2]) == (["one"], ["two"])
    assert rows[1] == ["lost on Ray, tried 4 times: WorkerCrashedError."], rows[1]


def main() -> None:
    """Four ways to the same table."""
    print(f"ray {ray.__version__}")
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)  # away from folders called ray, which Python would take for it
        (folder / "sweep.toml").write_text(GRID)
        expected = table(folder)
        assert expected.count(b"planned") and expected.count(b"infeasible")
        assert table(folder, "--ray", "local") == expected
        assert with_losses(folder, losses=3) == expected
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
        address = ray.get_runtime_context().gcs_address
        assert table(folder, "--ray", address) == expected
        assert table(folder, "--ray", "auto") == expected
        ray.shutdown()
    one_cell_that_kills()
    print(f"a table of {len(expected):,} bytes, each time the same")


if __name__ == "__main__":
    main()
