"""A short, bounded load on a live engine: one stream at a time, then a few at once."""

from __future__ import annotations

import csv
import threading
from pathlib import Path
from typing import Any

from eke.calibrate.engine_client import Answer, Clock, Engine, models, stream
from eke.errors import BadEngine, BadFile, BadInput
from eke.types.record import Record, replace

LEVELS = (1, 2, 4, 8, 16, 32)  # requests at once
MOST = 10_000  # requests
COLUMNS = (
    *("id", "source", "source_url_or_repo_path", "model", "n_params", "chip", "n_chips", "tp"),
    *("pp", "ep", "precision", "kv_precision", "isl", "osl", "batch", "concurrency_or_qps"),
    *("scenario", "engine", "engine_version", "metric", "measured_value", "unit", "notes"),
)


class Load(Record):
    """What is asked. prompt, answer: lengths, about [tokens].  minutes: at most."""

    model: str
    requests: int = 30
    minutes: float = 2.0
    prompt: int = 200
    answer: int = 64

    def __post_init__(self) -> None:
        if not 1 <= self.requests <= MOST or not 0 < self.minutes <= 60:
            raise BadInput(
                f"{self.requests} requests in {self.minutes:g} minutes: expected 1 to {MOST:,} "
                "requests and at most 60 minutes."
            )
        if not (1 <= self.prompt <= 100_000 and 2 <= self.answer <= 10_000):
            raise BadInput("the prompt must have 1 to 100,000 tokens, the answer 2 to 10,000.")


class Level(Record):
    """What a number of requests at once was like: means over the answers. Times [s].

    wall: from the first request to the last token.  failed, cut: requests without an answer.
    """

    concurrency: int
    answers: int
    ttft: float
    tpot: float
    latency: float
    tokens_per_second: float
    prompt: float
    answer: float
    counted: bool
    failed: int = 0
    cut: int = 0
    failure: str = ""  # what the first of them said


class About(Record):
    """What the table says of the engine; empty where nobody said."""

    model: str
    chip: str = ""
    chips: int = 1
    precision: str = ""
    engine: str = ""
    version: str = ""


def schedule(requests: int) -> list[tuple[int, int]]:
    """How many requests at once, and how many in all, per level.

    At least a third come one at a time; the other levels have at least two rounds each.
    """
    rest = requests - max(requests // 3, 2)
    levels: list[int] = []
    for level in LEVELS[1:]:
        if 2 * sum((*levels, level)) <= rest:
            levels.append(level)
    rounds = rest // sum(levels) if levels else 0
    alone = requests - rounds * sum(levels)
    return [(1, alone), *((level, rounds * level) for level in levels)]


def first_model(engine: Engine, named: str) -> tuple[str, str]:
    """The model to ask, and who runs it as far as the engine says. Raises BadEngine."""
    if named:
        return named, ""
    listed = models(engine)
    if not listed:
        raise BadEngine(f"{engine.address} lists no model; name one with --model.")
    return listed[0]["id"], str(listed[0].get("owned_by", ""))


class _Bench(Record):
    """An engine under a load, until the clock says so."""

    engine: Engine
    load: Load
    clock: Clock
    until: float
    body: dict[str, Any] = {}

    def ask(self, mark: str) -> Answer | None:
        """One answer; None when time is up before it is complete. Raises BadEngine."""
        timeout = max(min(self.engine.timeout, self.until - self.clock()), 0.001)
        engine = replace(self.engine, timeout=timeout)
        asked = {**self.body, "messages": _messages(self.load.prompt, mark)}
        return stream(engine, asked, self.clock, self.until)


def run(engine: Engine, load: Load, clock: Clock) -> list[Level]:
    """The levels that time allowed, the first always. Raises BadEngine when nothing answers."""
    bench = _settled(
        _Bench(engine=engine, load=load, clock=clock, until=clock() + 60 * load.minutes)
    )
    found: list[Level] = []
    for concurrency, count in schedule(load.requests):
        if found and clock() >= bench.until:
            break
        level = _level(bench, concurrency, count)
        if level is not None:
            found.append(level)
    if not found:
        raise BadEngine(f"{engine.address}: no answer was complete within {load.minutes:g} min.")
    return found


EXTRAS = {"stream_options": {"include_usage": True}, "ignore_eos": True}


def _settled(bench: _Bench) -> _Bench:
    """With the request that the engine takes, extras or plain; finding out warms it up."""
    load = bench.load
    plain = {"model": load.model, "max_tokens": load.answer, "temperature": 0, "stream": True}
    rich = replace(bench, body=plain | EXTRAS)
    try:
        rich.ask("first")
        return rich
    except BadEngine as error:
        if " answers 4" not in str(error):
            raise
        first = error
    poor = replace(bench, body=plain)
    try:
        poor.ask("second")
    except BadEngine:
        raise first from None
    return poor


def _messages(tokens: int, mark: str) -> list[dict[str, str]]:
    """A prompt of about so many tokens that shares no beginning with any other."""
    words = " ".join(f"{(7 * i) % 10}" for i in range(max(tokens // 2, 1)))
    return [{"role": "user", "content": f"{mark}: {words}"}]


def _level(bench: _Bench, concurrency: int, count: int) -> Level | None:
    """A closed loop: each of `concurrency` users asks anew as soon as the answer is there."""
    answers: list[Answer | None] = []
    failures: list[BadEngine] = []
    lock = threading.Lock()
    turns = iter(range(count))

    def user() -> None:
        while bench.clock() < bench.until:
            with lock:
                turn = next(turns, None)
            if turn is None:
                return
            try:
                answers.append(bench.ask(f"{concurrency}-{turn}"))
            except BadEngine as error:
                failures.append(error)

    users = [threading.Thread(target=user, daemon=True) for _ in range(concurrency)]
    for each in users:
        each.start()
    for each in users:
        each.join(max(bench.until - bench.clock(), 0) + bench.engine.timeout)
    whole = [answer for answer in answers if answer is not None]
    if not whole and failures:
        raise failures[0]
    if not whole:
        return None
    said = str(failures[0]) if failures else ""
    means = _means(whole, concurrency)
    return replace(means, failed=len(failures), cut=len(answers) - len(whole), failure=said)


def _means(answers: list[Answer], concurrency: int) -> Level:
    many = len(answers)
    wall = max(a.last for a in answers) - min(a.begin for a in answers)
    spoken = [a for a in answers if a.tokens > 1]
    each = [(a.last - a.first) / (a.tokens - 1) for a in spoken]
    return Level(
        concurrency=concurrency,
        answers=many,
        ttft=sum(a.first - a.begin for a in answers) / many,
        tpot=sum(each) / len(each) if each else 0.0,
        latency=sum(a.last - a.begin for a in answers) / many,
        tokens_per_second=sum(a.tokens for a in answers) / max(wall, 1e-9),
        prompt=sum(a.prompt for a in answers) / many,
        answer=sum(a.tokens for a in answers) / many,
        counted=all(a.counted for a in answers),
    )


def table_rows(levels: list[Level], load: Load, about: About, address: str) -> list[dict[str, str]]:
    """The levels in the shared format of measurements: one row per metric."""
    rows = []
    for level in levels:
        shared = _shared(level, load, about, address)
        for metric, value, unit in (
            ("ttft_ms", 1e3 * level.ttft, "ms"),
            ("tpot_ms", 1e3 * level.tpot, "ms"),
            ("e2e_latency_s", level.latency, "s"),
            ("output_tokens_per_sec_total", level.tokens_per_second, "tokens/s"),
        ):
            if value > 0:
                own = {"id": f"own-{level.concurrency}-{metric}", "metric": metric, "unit": unit}
                rows.append({**shared, **own, "measured_value": f"{value:.6g}"})
    return rows


def _shared(level: Level, load: Load, about: About, address: str) -> dict[str, str]:
    """The columns that all metrics of a level share."""
    notes = [f"closed loop of eke calibrate engine, means of {level.answers} requests"]
    notes += [] if level.counted else ["tokens counted as chunks"]
    notes += [] if level.prompt else ["prompt length as asked for"]
    notes += [f"{level.failed} failed"] if level.failed else []
    return dict.fromkeys(COLUMNS, "") | {
        "source": "own",
        "source_url_or_repo_path": address,
        "model": about.model,
        "chip": about.chip,
        "n_chips": str(about.chips),
        "tp": str(about.chips),
        "precision": about.precision,
        "isl": f"{level.prompt or load.prompt:.6g}",
        "osl": f"{level.answer:.6g}",
        "concurrency_or_qps": f"concurrency={level.concurrency}",
        "scenario": "online",
        "engine": about.engine,
        "engine_version": about.version,
        "notes": "; ".join(notes),
    }


def write_table(path: Path, rows: list[dict[str, str]]) -> None:
    """The rows as CSV. Raises BadFile."""
    try:
        with path.open("w", encoding="utf-8", newline="") as file:
            table = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            table.writeheader()
            table.writerows(rows)
    except OSError as error:
        raise BadFile(f"{path}: cannot be written: {error.strerror or error}.") from None
