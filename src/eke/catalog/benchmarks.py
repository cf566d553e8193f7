"""Benchmarks whose rules say what a published result of theirs leaves out."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from eke.catalog.files import read_everywhere
from eke.catalog.model_labels import keys, name_key
from eke.types.record import Record
from eke.units import quantity


class Figure(Record):
    """One number of a benchmark and who says so; low and high where it is assumed."""

    value: float
    source: str
    low: float | None = None
    high: float | None = None
    note: str = ""


class Limits(Record):
    """What most requests must keep, with the unit: until the first token, per token after it, or
    of the whole request. "" is no limit."""

    source: str
    ttft: str = ""
    tpot: str = ""
    whole: str = ""

    @property
    def seconds(self) -> tuple[float, float, float]:
        """Until the first token, per token, of the whole request [s]."""
        ttft, tpot, whole = (
            quantity(text, "s") if text else float("inf")
            for text in (self.ttft, self.tpot, self.whole)
        )
        return ttft, tpot, whole


class Benchmark(Record):
    """prompt, answer: mean lengths [tokens].  spread: squared variation of the answers.
    samples: of the data set.  beams: answers that are followed at once for each.
    open: who says that other models answer the same questions in the open division, or ""."""

    id: str
    prompt: Figure
    answer: Figure
    spread: Figure
    samples: Figure
    server: Limits
    interactive: Limits | None = None
    beams: Figure | None = None
    open: str = ""
    notes: str = ""

    @property
    def sources(self) -> Iterator[str]:
        """Keys of all that is cited."""
        figures = (self.prompt, self.answer, self.spread, self.samples, self.beams)
        for each in (*figures, self.server, self.interactive):
            if each is not None:
                yield each.source
        if self.open:
            yield self.open


class BenchmarkFile(Record):
    """`benchmarks.toml`: one table per benchmark."""

    benchmark: tuple[Benchmark, ...]


@cache
def benchmarks() -> tuple[Benchmark, ...]:
    """All of them, a user's own first."""
    files = read_everywhere("benchmarks.toml", BenchmarkFile)
    return tuple(each for file in files for each in file.benchmark)


def benchmark(label: str) -> Benchmark | None:
    """The benchmark that a label such as "llama3_1-405b-interactive-99.9" names; None where it is
    none."""
    names = keys(label)
    return next((each for each in benchmarks() if name_key(each.id) in names), None)


def open_benchmark() -> Benchmark | None:
    """The one that other models answer in the open division."""
    return next((each for each in benchmarks() if each.open), None)
