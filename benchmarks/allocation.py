"""Time and proven gap of a large division: 52 weeks, 20 pools, 200 uses, 10 options in each pool.

`python benchmarks/allocation.py` tells how far it is, and what one changed number moves.
"""

from __future__ import annotations

import sys
import time
from typing import Any

import numpy as np

from eke.allocating.sharing.read import provider_of
from eke.allocating.sharing.verb import again, allocate
from eke.types.record import Record
from eke.types.share import Allocation

CHIPS = ("h100-sxm", "a100-sxm-80", "mi300x", "l40s", "tpu-v5p")
HOURLY = 2.5  # what a chip is about worth [USD/h]


class Measured(Record):
    """seconds: of the whole answer.  gap: share by which it may be worse than the best."""

    seconds: float
    gap: float


def words(periods: int = 52, pools: int = 20, uses: int = 200, ways: int = 10) -> dict[str, Any]:
    """A provider's file as tables: twice as much is asked for as the chips can do."""
    rng = np.random.default_rng(1)
    count = rng.integers(500, 20_000, size=pools)
    speed = rng.lognormal(0, 0.4, size=pools)
    many: dict[str, Any] = {}
    for i in range(pools):
        coming = {"date": "2026-06-29", "chips": int(count[i] // 4)}
        many[f"p{i}"] = {
            "chip": CHIPS[i % len(CHIPS)],
            "chips": int(count[i]),
            "site": f"s{i % 3}",
            "coming": [coming] if i % 2 else [],
        }
    many["spot"] = {"chip": "h100-sxm", "more": {"chips": 2000, "price": "3 USD/h", "lost": "5%"}}
    return {
        "name": "large",
        "start": "2026-01-05",
        "periods": periods,
        "budget": "20 MUSD",
        "sites": {f"s{i}": {"power": f"{count.sum() * 0.4:.0f} kW"} for i in range(3)},
        "pools": many,
        "uses": {f"u{i}": _use(rng, count, speed, uses, ways, i % 10) for i in range(uses)},
    }


def _use(
    rng: np.random.Generator, count: Any, speed: Any, uses: int, ways: int, kind: int
) -> dict[str, Any]:
    """Seven of ten serve, two are queues of jobs, one is a run with a date."""
    of_chip = rng.lognormal(0, 1)  # work of a chip [1/s]
    chips_wanted = count.sum() * 2 / uses * rng.lognormal(0, 1)
    weeks = rng.uniform(4, 20)
    work = chips_wanted * 7 * 86400 * weeks * of_chip  # of a run
    options = []
    for pool, (number, fast) in enumerate(zip(count.tolist(), speed.tolist(), strict=True)):
        sizes = rng.choice([1, 2, 4, 8, 16, 32], size=ways)
        if kind == 9:
            sizes = np.maximum((number * rng.choice([0.5, 0.25, 0.1], ways)).astype(int), 1)
        rates = sizes * of_chip * fast * rng.lognormal(0, 0.3, size=ways)
        for size, rate in zip(sizes.tolist(), rates.tolist(), strict=True):
            way = {"pool": f"p{pool}", "chips": size}
            if kind == 9:
                options.append({**way, "time": f"{work / rate:.6g} s"})
            else:
                worth = f"{rng.uniform(60, 100):.1f}%"
                options.append({**way, "rate": f"{rate:.6g}/s", "worth": worth})
    each = HOURLY / 3600 / of_chip * rng.lognormal(0, 0.7)
    use: dict[str, Any] = {"model": "llama-3.1-8b", "options": options}
    if kind == 9:
        by = f"2026-{rng.integers(6, 12):02d}-15"
        later = [{"later": "8 weeks", "worth": "60%"}]
        worth = f"{work * each:.6g} USD"
        return {**use, "job": "train", "tokens": "1T", "by": by, "worth": worth, "degrade": later}
    if kind >= 7:
        late = [{"later": "3 weeks", "worth": "70%"}]
        jobs = {"jobs": f"{chips_wanted * of_chip:.6g}/s", "within": "1 week", "degrade": late}
        return {**use, **jobs, "job": "tune", "tokens": "10M", "worth": f"{each:.6g} USD"}
    floor = {"floor": "30%"} if kind == 0 else {}
    rate = {"rate": f"{chips_wanted * of_chip:.6g}/s", "growth": "2%/month"}
    return {**use, **rate, **floor, "job": "serve", "worth": f"{each:.6g} USD"}


def large() -> Measured:
    """Reading, dividing and answering, planning apart: every option is given."""
    tables = words()
    begin = time.perf_counter()
    found = allocate(provider_of(tables, "large.toml"))
    assert isinstance(found, Allocation)
    return Measured(seconds=time.perf_counter() - begin, gap=found.gap)


def main() -> None:
    begin = time.perf_counter()

    def told(what: str, far: float) -> None:
        print(f"{time.perf_counter() - begin:7.1f} s  {what} {far:.2g}", file=sys.stderr)

    tables = words()
    found = allocate(provider_of(tables, "large.toml"), told=told)
    assert isinstance(found, Allocation)
    print(f"{time.perf_counter() - begin:.1f} s, within {found.gap:.3%} of the best")
    tables["pools"]["p3"]["chips"] //= 2
    other, moved = again(found, provider_of(tables, "large.toml"), told=told)
    assert isinstance(other, Allocation) and moved is not None
    print(f"{time.perf_counter() - begin:.1f} s, p3 halved: {len(moved.moved)} moves")


if __name__ == "__main__":
    main()
