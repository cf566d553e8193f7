"""Timing all-reduces between processes of this machine: gloo between CPUs, nccl between GPUs."""

from __future__ import annotations

import json
import tempfile
import time
from importlib import import_module
from pathlib import Path
from typing import Any

from eke.calibrate.measure.run import LEAST, Unable


def all_reduce_times(
    device: str, ranks: int, sizes: tuple[int, ...], seconds: float
) -> dict[int, list[float]]:
    """Seconds of each repeat by message size [B]. Raises Unable."""
    spawn = import_module("torch.multiprocessing").spawn
    with tempfile.TemporaryDirectory() as folder:
        try:
            spawn(rank_work, (ranks, device, sizes, seconds, folder), nprocs=ranks)
        except Exception as error:  # torch raises several kinds, each with a long trace
            raise Unable(str(error).strip().splitlines()[-1]) from None
        found = json.loads((Path(folder) / "times.json").read_text())
    return {int(size): times for size, times in found.items()}


def rank_work(
    rank: int, ranks: int, device: str, sizes: tuple[int, ...], seconds: float, folder: str
) -> None:
    """What one process does; the first writes down the times."""
    torch: Any = import_module("torch")
    exchange: Any = import_module("torch.distributed")
    if device == "cuda":
        torch.cuda.set_device(rank)
    else:
        torch.set_num_threads(max(1, torch.get_num_threads() // ranks))
    exchange.init_process_group(
        "nccl" if device == "cuda" else "gloo",
        init_method=f"file://{folder}/meet",
        rank=rank,
        world_size=ranks,
    )
    found = {size: _times(torch, exchange, device, size, seconds) for size in sizes}
    if rank == 0:
        (Path(folder) / "times.json").write_text(json.dumps(found))
    exchange.barrier()
    exchange.destroy_process_group()


def _times(torch: Any, exchange: Any, device: str, size: int, seconds: float) -> list[float]:
    """Every rank makes the same number of repeats: the first says how many."""
    message = torch.ones(size // 4, device=device)

    def once() -> float:
        exchange.barrier()
        begin = time.perf_counter()
        exchange.all_reduce(message)
        if device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - begin

    warm = [once() for _ in range(3)]
    repeats = torch.tensor(
        [max(LEAST, min(50, int(seconds / max(min(warm), 1e-6))))], device=device
    )
    exchange.broadcast(repeats, 0)
    return [once() for _ in range(int(repeats.item()))]
