"""Timings on this machine: start-up, one answer, plans per second. CPU time, one core.

Run by `make bench`; prints one table and exits with 1 when a budget is missed.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

import allocation
import gateway
import simulation
from eke import Serve, Train, fleet, model, need
from eke.catalog.efficiencies import efficiencies
from eke.physics.answer import outcome
from eke.physics.engine import decode_pass
from eke.physics.machine import machine
from eke.physics.scenarios import likely
from eke.physics.train import train
from eke.search.heap import keep_freed_memory
from eke.types.job import Promise
from eke.types.plan import Plan, Plans

EKE = Path(sys.executable).parent / "eke"
BLOCK = 4096  # plans priced at a time: their arrays stay in the cache


def start_up(*words: str) -> float:
    """Median CPU time of a whole process [s]."""
    times = []
    for _ in range(7):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([EKE, *words], check=False, stdout=subprocess.DEVNULL)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return statistics.median(times)


def per_second(work: Callable[[], object], count: int, seconds: float = 2.0) -> float:
    """How many times `count` things get done per CPU second."""
    work()
    begin, rounds = time.process_time(), 0
    while time.process_time() - begin < seconds:
        work()
        rounds += 1
    return rounds * count / (time.process_time() - begin)


def columns(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Random layouts whose degrees are powers of two."""
    power = lambda most: 2 ** rng.integers(0, most + 1, BLOCK)  # noqa: E731
    return {"tensor": power(3), "pipeline": power(4), "data": power(6), "batch": power(10)}


def decode_plans() -> float:
    """Decode steps of a 70B priced per second."""
    pool = fleet("1024xh100-sxm").pools[0]
    job = Serve(model=model("llama-3.1-70b"))
    drawn = columns(np.random.default_rng(1))
    plans = Plans(base=Plan(chip="h100-sxm"), tensor=drawn["tensor"], pipeline=drawn["pipeline"])
    here = machine(pool, plans, likely(efficiencies("hopper")))
    return per_second(lambda: decode_pass(job, plans, here, drawn["batch"]).compute, BLOCK)


def training_plans() -> float:
    """Full training plans of a 70B priced per second: time, memory, failures, energy, money."""
    keep_freed_memory()
    pool = fleet("16384xh100-sxm").pools[0]
    job = Train(model=model("llama-3.1-70b"), tokens=15e12)
    plans = Plans(base=Plan(chip="h100-sxm", shard=1), **columns(np.random.default_rng(2)))
    values = likely(efficiencies("hopper"))
    return per_second(lambda: train(job, plans, pool, values), BLOCK)


def serving_plans() -> float:
    """Full serving plans of a 70B priced per second, with promises at percentiles: latencies,
    throughput, memory, energy, money; as the search does it, layouts down and copies across."""
    keep_freed_memory()
    where = fleet("16384xh100-sxm")
    fast, steady = Promise(limit=0.5, percentile=0.99), Promise(limit=0.04, percentile=0.9)
    job = Serve(
        model=model("llama-3.1-70b"), rate=20, prompt=2000, answer=300, ttft=fast, tpot=steady
    )
    rng = np.random.default_rng(3)
    layouts, copies = 48, 256
    down = {
        name: 2 ** rng.integers(low, high + 1, (layouts, 1))
        for name, low, high in (("tensor", 0, 3), ("pipeline", 0, 4), ("batch", 4, 10))
    }
    across = np.arange(1, copies + 1)[None, :]
    plans = Plans(base=Plan(chip="h100-sxm", engine="vllm-1"), replicas=across, **down)
    values = likely(efficiencies("hopper", "vllm-1"))
    return per_second(lambda: outcome(job, plans, where, values).feasible, layouts * copies)


def search_wall(*words: str) -> float:
    """Median wall time of a whole `eke plan`, start-up included, on one core [s]."""
    times = []
    for _ in range(3):
        begin = time.perf_counter()
        subprocess.run([EKE, "plan", *words], check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - begin)
    return statistics.median(times)


def this_machine() -> float:
    """CPU time of a loop of plain Python, to compare machines and their moods by [s]."""

    def loop() -> int:
        total = 0
        for number in range(1_000_000):
            total += number & 3
        return total

    return 1 / per_second(loop, 1, 1.0)


SERVED = ("serve", "llama-3.1-70b", "--on", "32xh100-sxm", "--rate", "10/s", "--prompt", "2000")
SERVED += ("--answer", "300", "--ttft", "1s@p99", "--tpot", "50ms@p90", "--least", "cost")
TRAINED = ("train", "llama-3.1-70b", "--on", "32xh100-sxm", "--tokens", "100B")


def one_answer() -> float:
    """One `need` with spans and grounds [s]."""
    job = Serve(model=model("llama-3.1-70b"), rate=5, prompt=2000, answer=500)
    where, plan = fleet("8xh100-sxm"), Plan(chip="h100-sxm", tensor=4, replicas=2, batch=256)
    return 1 / per_second(lambda: need(job, plan, where), 1)


def main() -> None:
    divided = allocation.large()
    rows = [
        ("this machine: a million rounds", this_machine() * 1e3, "ms", None, False),
        ("start-up: eke --help", start_up("--help") * 1e3, "ms", 100, False),
        ("start-up: eke catalog chips", start_up("catalog", "chips") * 1e3, "ms", 150, False),
        (
            "start-up: eke need serve",
            start_up("need", "serve", "llama-3.1-70b", "--on", "8xh100-sxm") * 1e3,
            "ms",
            300,
            False,
        ),
        ("one need, plan given", one_answer() * 1e6, "µs", None, False),
        ("decode steps priced", decode_plans() / 1e6, "M plans/s", 1.0, True),
        ("serving plans priced", serving_plans() / 1e6, "M plans/s", 1.0, True),
        ("training plans priced", training_plans() / 1e3, "k plans/s", 200.0, True),
        ("search: serve a 70B on 32 chips", search_wall(*SERVED), "s wall", 2.0, False),
        ("search: train a 70B on 32 chips", search_wall(*TRAINED), "s wall", 2.0, False),
        ("allocate: 52 x 20 x 200 x 10", divided.seconds, "s wall", 60.0, False),
        ("  proven gap", divided.gap * 100, "%", 1.0, False),
        ("simulated requests: fcfs", simulation.speed("fcfs") / 1e3, "k/CPU-s", 200.0, True),
        ("simulated requests: fair", simulation.speed("fair") / 1e3, "k/CPU-s", 100.0, True),
        ("  time of each, 8 x as many", simulation.longer(), "x", 1.15, False),
        ("  memory of each", simulation.memory(), "B", 300.0, False),
        *gateway.rows(),
    ]
    missed = 0
    print(f"{'':32}{'measured':>12}   {'target':>12}")
    for name, value, unit, target, more in rows:
        kept = target is None or (value >= target if more else value <= target)
        missed += not kept
        wanted = "" if target is None else f"{'≥' if more else '≤'} {target:g} {unit}"
        print(f"{name:32}{value:>9.3g} {unit:10}{wanted:>14}{'' if kept else '   missed'}")
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
