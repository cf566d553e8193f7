"""What the engine counts, under the names that vLLM gives it, as Prometheus reads it."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from eke.standin.driver import Driver

# Upper bounds [s], those of vLLM 0.11 (vllm/v1/metrics/loggers.py).
FIRST = (
    *(0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0),
    *(20.0, 40.0, 80.0, 160.0, 640.0, 2560.0),
)
QUEUED = (
    *(0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0, 120.0),
    *(240.0, 480.0, 960.0, 1920.0, 7680.0),
)


class Histogram:
    """Values counted by how large they are. bounds: upper ones, rising."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        """One more value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value


class Counts:
    """What is counted while requests are served. prompts, generated: tokens.  first, queued: times
    to the first token and in the queue [s]."""

    def __init__(self) -> None:
        self.prompts = self.generated = 0
        self.first, self.queued = Histogram(FIRST), Histogram(QUEUED)


def exposition(driver: Driver, name: str) -> bytes:
    """All of it as Prometheus' text. name: of the model."""
    labels = f'engine="0",model_name="{name}"'
    return "\n".join([*_lines(driver, labels), ""]).encode()


def _lines(driver: Driver, labels: str) -> Iterator[str]:
    engine, counts = driver.engine, driver.counts
    used = 1 - engine.cache.free / engine.cache.blocks
    running = len(engine.decoding) + len(engine.filling)
    yield from _single("gauge", "num_requests_running", labels, running)
    yield from _single("gauge", "num_requests_waiting", labels, driver.waiting)
    yield from _single("gauge", "kv_cache_usage_perc", labels, used)
    yield from _single("counter", "prompt_tokens", labels, counts.prompts)
    yield from _single("counter", "generation_tokens", labels, counts.generated)
    yield from _single("counter", "prefix_cache_queries", labels, engine.looked_up)
    yield from _single("counter", "prefix_cache_hits", labels, engine.found)
    yield from _single("counter", "num_preemptions", labels, engine.preemptions)
    size = f'block_size="{engine.limits.block}",num_gpu_blocks="{engine.cache.blocks}"'
    yield from _single("gauge", "cache_config_info", f'engine="0",{size}', 1)
    yield from _histogram("time_to_first_token_seconds", labels, counts.first)
    yield from _histogram("request_queue_time_seconds", labels, counts.queued)


def _single(kind: str, name: str, labels: str, value: float) -> Iterator[str]:
    full = f"vllm:{name}_total" if kind == "counter" else f"vllm:{name}"
    yield f"# TYPE {full} {kind}"
    yield f"{full}{{{labels}}} {float(value)}"


def _histogram(name: str, labels: str, seen: Histogram) -> Iterator[str]:
    yield f"# TYPE vllm:{name} histogram"
    for bound, below in zip((*seen.bounds, "+Inf"), accumulate(seen.counts), strict=True):
        yield f'vllm:{name}_bucket{{{labels},le="{bound}"}} {float(below)}'
    yield f"vllm:{name}_count{{{labels}}} {float(sum(seen.counts))}"
    yield f"vllm:{name}_sum{{{labels}}} {seen.sum}"
