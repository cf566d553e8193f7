"""Speed and memory of the simulator; `python benchmarks/simulation.py week` plays a whole week."""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

from eke import Serve, fleet, model
from eke.catalog.efficiencies import efficiencies
from eke.physics.scenarios import likely
from eke.policy.naming import make
from eke.sharding import sharded, shards_of
from eke.simulation.deployment import Deployment, Settings, deployment
from eke.simulation.simulator import run
from eke.simulation.traffic import traffic
from eke.simulation.watch import Watch
from eke.types.plan import Plan
from eke.types.run import FINISHED

ASKED = "chat, {rate}/s, {seconds}s, turns 1, prompt 1000, answer 200, tenants 10"
WEEK = "chat, 73/s, 168h, diurnal, turns 1, prompt 600, answer 150"


def replicas(name: str, chips: int, tensor: int) -> Deployment:
    """A model on H100s, every chip in use."""
    where = fleet(f"{chips}xh100-sxm")
    job = Serve(model=model(name), rate=5, prompt=1000, answer=200)
    plan = Plan(
        chip="h100-sxm",
        tensor=tensor,
        replicas=chips // tensor,
        batch=256,
        token_budget=8192,
        engine="vllm-1",
    )
    values = likely(efficiencies("hopper", "vllm-1"))
    return deployment(job, plan, where, values, Settings(), 131_072)


def one_run(policy: str, many: int, rate: float = 5.0) -> float:
    """CPU time per request of some `many` through one replica, a record kept of each [s]."""
    coming = traffic(ASKED.format(rate=rate, seconds=many / rate), seed=1)
    ready, begin = replicas("llama-3.1-70b", 4, 4), time.process_time()
    found = run(ready, coming, make(policy), Watch())
    assert (found.requests["outcome"] == FINISHED).all()
    return (time.process_time() - begin) / len(found)


def speed(policy: str, many: int = 300_000) -> float:
    """Requests per CPU second, the median of five."""
    one_run(policy, 1000)  # compiles, where that was not done before
    return 1 / statistics.median(one_run(policy, many) for _ in range(5))


def longer() -> float:
    """Time per request of eight times as many requests, over that of the fewer."""
    few, many = 200_000, 1_600_000
    return one_run("fcfs", many) / one_run("fcfs", few)


def memory() -> float:
    """Peak memory that each request adds [B]."""
    few, many = 500_000, 2_500_000
    words = "import simulation; simulation.peak({})"

    def peak_of(requests: int) -> float:
        found = subprocess.run(
            [sys.executable, "-c", words.format(requests)],
            cwd=Path(__file__).parent,
            check=True,
            capture_output=True,
            text=True,
        )
        return float(found.stdout)

    return (peak_of(many) - peak_of(few)) / (many - few)


def peak(requests: int) -> None:
    """Print the most memory that a run of so many requests took [B]."""
    one_run("fcfs", requests)
    said = Path("/proc/self/status").read_text()  # getrusage would count the parent's too
    print(1024.0 * float(said.partition("VmHWM:")[2].split()[0]))


def week() -> None:
    """44 million requests over 64 replicas in two shards on two cores; prints what it took."""
    ready = replicas("llama-3.1-8b", 64, 1)
    begin = time.perf_counter()
    shards = shards_of(ready, WEEK, "fcfs", Watch(report=30.0), 2, seed=1)
    found = sharded(shards, 2)
    took = time.perf_counter() - begin
    done = (found.requests["outcome"] == FINISHED).sum()
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    shard = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    print(
        f"a week: {len(found):,} requests, {done:,} answered, 64 replicas, {took:.0f} s wall "
        f"(target 600 s); at most {rss:.1f} GiB, {shard:.1f} GiB in each of two shards"
    )


if __name__ == "__main__":
    {"week": week}[sys.argv[1]]()
