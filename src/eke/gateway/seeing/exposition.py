"""Prometheus's text format, written by hand. Source: its exposition formats, version 0.0.4."""

from __future__ import annotations

from collections.abc import Iterable
from math import inf, isfinite

from eke.gateway.seeing.histogram import Histogram
from eke.gateway.seeing.labels import escaped

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"

Labels = tuple[str, ...]  # values, in the order of their family's names
Sample = tuple[Labels, float]


def counter(name: str, words: str, names: Labels, samples: Iterable[Sample]) -> str:
    """A family of numbers that only grow; its name ends in _total."""
    return _family("counter", name, words, names, samples)


def gauge(name: str, words: str, names: Labels, samples: Iterable[Sample]) -> str:
    """A family of numbers that go up and down."""
    return _family("gauge", name, words, names, samples)


def histogram(
    name: str, words: str, names: Labels, samples: Iterable[tuple[Labels, Histogram]]
) -> str:
    """A family of histograms."""
    lines = _head("histogram", name, words)
    for labels, each in samples:
        pairs = _pairs(names, labels)
        before = pairs + "," if pairs else ""
        below = each.below()
        for edge, count in zip((*each.edges, inf), below, strict=True):
            lines.append(f'{name}_bucket{{{before}le="{number(edge)}"}} {count}')
        tail = f"{{{pairs}}}" if pairs else ""
        lines += [f"{name}_sum{tail} {number(each.total)}", f"{name}_count{tail} {below[-1]}"]
    return "\n".join(lines) + "\n"


def number(value: float) -> str:
    """A number as Prometheus reads it."""
    if isfinite(value):
        return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(float(value))
    return "NaN" if value != value else ("+Inf" if value > 0 else "-Inf")


def _family(kind: str, name: str, words: str, names: Labels, samples: Iterable[Sample]) -> str:
    lines = _head(kind, name, words)
    for labels, value in samples:
        pairs = _pairs(names, labels)
        lines.append(f"{name}{{{pairs}}} {number(value)}" if pairs else f"{name} {number(value)}")
    return "\n".join(lines) + "\n"


def _head(kind: str, name: str, words: str) -> list[str]:
    words = words.replace("\\", r"\\").replace("\n", r"\n")
    return [f"# HELP {name} {words}", f"# TYPE {name} {kind}"]


def _pairs(names: Labels, values: Labels) -> str:
    return ",".join(
        [f'{name}="{escaped(value)}"' for name, value in zip(names, values, strict=True)]
    )
