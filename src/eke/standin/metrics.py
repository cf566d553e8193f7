"""What the engine counts, under the names that vLLM gives it, as Prometheus reads it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from eke.gateway.seeing.exposition import counter, gauge, histogram
from eke.gateway.seeing.histogram import Histogram

if TYPE_CHECKING:
    from eke.standin.driver import Driver

LABELS = ("engine", "model_name")
# Upper bounds [s], those of vLLM 0.11 (vllm/v1/metrics/loggers.py).
FIRST = (
    *(0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0),
    *(20.0, 40.0, 80.0, 160.0, 640.0, 2560.0),
)
QUEUED = (
    *(0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0, 120.0),
    *(240.0, 480.0, 960.0, 1920.0, 7680.0),
)


class Counts:
    """What is counted while requests are served. prompts, generated: tokens.  first, queued: times
    to the first token and in the queue [s]."""

    def __init__(self) -> None:
        self.prompts = self.generated = 0
        self.first, self.queued = Histogram(FIRST), Histogram(QUEUED)


def exposition(driver: Driver, name: str) -> bytes:
    """All of it as Prometheus' text. name: of the model."""
    return "".join([*_engine(driver, name), *_requests(driver.counts, name)]).encode()


def _engine(driver: Driver, name: str) -> Iterator[str]:
    """What the engine holds and has looked up."""
    engine = driver.engine
    running = len(engine.decoding) + len(engine.filling)
    used = 1 - engine.cache.free / engine.cache.blocks
    for family, words, value in (
        ("num_requests_running", "Requests in steps.", running),
        ("num_requests_waiting", "Requests in no step yet.", driver.waiting),
        ("kv_cache_usage_perc", "Share of the cache that is held.", used),
    ):
        yield gauge(f"vllm:{family}", words, LABELS, [(("0", name), value)])
    for family, words, value in (
        ("prefix_cache_queries", "Tokens of prompts looked up in the cache.", engine.looked_up),
        ("prefix_cache_hits", "Tokens of prompts found in it.", engine.found),
        ("num_preemptions", "Places that sequences lost.", engine.preemptions),
    ):
        yield counter(f"vllm:{family}_total", words, LABELS, [(("0", name), value)])
    size = (f"{engine.limits.block}", f"{engine.cache.blocks}")
    names = ("engine", "block_size", "num_gpu_blocks")
    yield gauge("vllm:cache_config_info", "Size of the cache.", names, [(("0", *size), 1)])


def _requests(counts: Counts, name: str) -> Iterator[str]:
    """What requests took."""
    for family, words, value in (
        ("prompt_tokens", "Tokens of prompts.", counts.prompts),
        ("generation_tokens", "Tokens of answers.", counts.generated),
    ):
        yield counter(f"vllm:{family}_total", words, LABELS, [(("0", name), value)])
    for family, words, seen in (
        ("time_to_first_token_seconds", "Until the first token.", counts.first),
        ("request_queue_time_seconds", "In the queue.", counts.queued),
    ):
        yield histogram(f"vllm:{family}", words, LABELS, [(("0", name), seen)])
