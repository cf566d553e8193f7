"""What engines say of themselves: Prometheus text, in the names that engines use."""

from __future__ import annotations

import re
from typing import NamedTuple

# What is wanted → the names that engines give it. Sources: vllm2025, sglang2025, llamacpp2025,
# tgi2024 (their metrics pages).
WAITING = (
    *("vllm:num_requests_waiting", "sglang:num_queue_reqs"),
    *("llamacpp:requests_deferred", "tgi_queue_size"),
)
USED = (
    *("vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc", "sglang:token_usage"),
    "llamacpp:kv_cache_usage_ratio",
)
ROOM = ("sglang:max_total_num_tokens",)
CACHE = "vllm:cache_config_info"
MOST = 2.0**40  # of anything that is counted
_LINE = re.compile(r"^([A-Za-z_:][\w:]*)(\{.*\})?\s+(\S+)", re.M)
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


class Metrics(NamedTuple):
    """What an engine says; None for what it does not.

    waiting: sequences in its own queue.  used: share of the cache.  room: tokens its cache holds.
    """

    waiting: int | None = None
    used: float | None = None
    room: int | None = None


def parsed(text: str) -> Metrics:
    """The metrics of an engine, all its ranks together. Lines that make no sense are left out."""
    sums: dict[str, float] = {}
    counts: dict[str, int] = {}
    room = 0.0
    for name, labels, value in _LINE.findall(text):
        try:
            number = float(value)
        except ValueError:
            continue
        if number != number:  # NaN
            continue
        sums[name] = sums.get(name, 0.0) + min(max(number, 0.0), MOST)
        counts[name] = counts.get(name, 0) + 1
        if name == CACHE:
            room += _room(dict(_LABEL.findall(labels)))
    used = _first(sums, USED)
    if used is not None:
        used = min(used / counts[next(name for name in USED if name in counts)], 1.0)
    return Metrics(
        waiting=_whole(_first(sums, WAITING)),
        used=used,
        room=_whole(room or _first(sums, ROOM)) or None,
    )


def _room(labels: dict[str, str]) -> float:
    """Tokens that the cache of a vLLM holds."""
    blocks, size = labels.get("num_gpu_blocks", ""), labels.get("block_size", "")
    if not (blocks.isdecimal() and size.isdecimal()):
        return 0.0
    return min(float(blocks), MOST) * min(float(size), MOST)


def _first(sums: dict[str, float], names: tuple[str, ...]) -> float | None:
    return next((sums[name] for name in names if name in sums), None)


def _whole(value: float | None) -> int | None:
    return None if value is None else int(min(value, MOST))
