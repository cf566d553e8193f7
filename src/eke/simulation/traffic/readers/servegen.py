"""ServeGen: no requests but models of clients, from which requests are drawn.

Each client has a rate and a spread of gaps in each window of ten minutes, and, where published, how
long its prompts and answers are in each window of six hours. The model of all clients is held; the
requests stream.

A client's gaps are drawn for a rate of one and stretched to the rate of the windows they fall in,
so that its mean rate is right however bursty it is.  Source: xiang2025servegen.
"""

from __future__ import annotations

import math
import re
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import numpy as np

from eke.errors import BadFile, BadInput
from eke.simulation.traffic.chance import stream
from eke.simulation.traffic.profiles import Figure
from eke.simulation.traffic.profiles import tokens as about
from eke.simulation.traffic.readers.source import Source
from eke.types.arrivals import Arrivals, arrivals
from eke.types.record import Record, replace

WINDOW = 600.0  # seconds of one rate
FILES = re.compile(r"(?:.*/)?([^/]+)/chunk-(\d+)-(trace\.csv|dataset\.json)$")
LARGEST = 1 << 28  # bytes of one file inside
SPREAD = 1.13  # mean over median of lengths nobody published; as for prompts set by hand


class Spread(Record):
    """Lengths [tokens], and how likely one is at most each."""

    lengths: Any
    chance: Any


class Client(Record):
    """One client. rate: of each window [1/s].  shape, weibull: of its gaps.
    prompts, answers: start of a window [s] → lengths.
    """

    number: int
    rate: Any
    shape: Any
    weibull: Any
    prompts: dict[float, Spread]
    answers: dict[float, Spread]


class Service(Record):
    """All clients of one model, in order; which borrowed its lengths from whom, by number."""

    model: str
    clients: tuple[Client, ...]
    borrowed: dict[int, int]


def is_archive(first: bytes) -> bool:
    """Whether these are the first bytes of a tar archive."""
    return first[257:262] == b"ustar"


def service(source: Source, said: Mapping[str, Any]) -> Service:
    """The clients of one model of the archive. Raises BadFile, BadInput."""
    found = _members(source)
    wanted = said.get("only")
    model = wanted if wanted in found else next(iter(found), None)
    if model is None:
        raise BadFile(f"{source.path}: an archive without ServeGen's chunk-0-trace.csv files.")
    if len(found) > 1 and wanted not in found:
        known = " or ".join(f"only {name}" for name in sorted(found))
        raise BadInput(f"{source.path}: holds several models; say {known}.")
    clients = [_client(source, number, files) for number, files in sorted(found[model].items())]
    clients = [client for client in clients if client.rate.any()]
    if not clients:
        raise BadFile(f"{source.path}: no client of {model} ever asks for anything.")
    if "prompt" in said and "answer" in said:
        return Service(model=model, clients=tuple(clients), borrowed={})
    return _with_lengths(source, model, clients)


def _members(source: Source) -> dict[str, dict[int, dict[str, bytes]]]:
    """Model → client → file → content."""
    found: dict[str, dict[int, dict[str, bytes]]] = {}
    try:
        with tarfile.open(source.path, "r:*") as archive:
            for member in archive:
                match = FILES.match(member.name)
                if match and member.isfile() and member.size <= LARGEST:
                    file = archive.extractfile(member)
                    content = file.read() if file else b""
                    files = found.setdefault(match[1], {}).setdefault(int(match[2]), {})
                    files[match[3]] = content
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        clients = sum(map(len, found.values()))
        source.bad(clients, f"the archive ends or breaks after so many clients: {error}")
    return found


def _client(source: Source, number: int, files: Mapping[str, bytes]) -> Client:
    """One client. Raises BadFile naming file and row."""
    rows = [row.split(b",") for row in files.get("trace.csv", b"").splitlines()]
    try:
        start = np.array([float(row[0]) for row in rows])
        rate = np.array([float(row[1]) for row in rows])
        shape = np.array([float(row[4]) if float(row[1]) > 0 else 1.0 for row in rows])
    except (ValueError, IndexError):
        raise BadFile(
            f"{source.path}, chunk-{number}-trace.csv: expected rows of start, rate, cv, pattern "
            "and two parameters."
        ) from None
    if not (np.array_equal(start, np.arange(len(start)) * WINDOW) and (rate >= 0).all()):
        raise BadFile(f"{source.path}, chunk-{number}-trace.csv: windows must be {WINDOW:g} s.")
    return Client(
        number=number,
        rate=rate,
        shape=np.maximum(shape, 0.02),
        weibull=np.array([row[3].strip() == b"Weibull" for row in rows]),
        **_lengths(source, number, files.get("dataset.json", b"{}")),
    )


def _lengths(source: Source, number: int, text: bytes) -> dict[str, dict[float, Spread]]:
    try:
        windows = msgspec.json.decode(text, type=dict[str, dict[str, str]])
        return {
            name: {
                float(start): _spread(window[field])
                for start, window in windows.items()
                if window.get(field, "{}") != "{}"
            }
            for name, field in (("prompts", "input_tokens"), ("answers", "output_tokens"))
        }
    except (msgspec.DecodeError, ValueError) as error:
        raise BadFile(f"{source.path}, chunk-{number}-dataset.json: {str(error)[:200]}.") from None


def _spread(text: str) -> Spread:
    """The lengths that a text such as "{45: 0.01, 46: 0.02}" says."""
    pairs = text.strip("{} ").replace(":", ",").split(",")
    numbers = np.array(pairs, np.float64).reshape(-1, 2)
    if not (np.isfinite(numbers).all() and (numbers >= 0).all() and numbers[:, 1].any()):
        raise ValueError("lengths and chances must be numbers from 0 up")
    chance = np.cumsum(numbers[:, 1])
    return Spread(lengths=np.maximum(numbers[:, 0], 1), chance=chance / chance[-1])


def _with_lengths(source: Source, model: str, clients: list[Client]) -> Service:
    """Clients of which no lengths were published borrow those of the one that asks about as
    often.
    """
    full = [client for client in clients if client.prompts and client.answers]
    if not full:
        raise BadInput(
            f"{source.path}: has rates of {model} and no lengths; say both, such as "
            "'prompt 1000, answer 300'."
        )
    borrowed = {}
    found = []
    for client in clients:
        if not (client.prompts and client.answers):
            load = client.rate.sum()
            donor = min(full, key=lambda other: abs(math.log(other.rate.sum() / load)))
            borrowed[client.number] = donor.number
            client = replace(client, prompts=donor.prompts, answers=donor.answers)
        found.append(client)
    return Service(model=model, clients=tuple(found), borrowed=borrowed)


def remarks(found: Service) -> tuple[str, ...]:
    """What was assumed, in words."""
    drawn = f"ServeGen: requests drawn from models of {len(found.clients)} clients of {found.model}"
    if not found.borrowed:
        return (drawn, "ServeGen: lengths of prompt and answer drawn apart")
    pairs = ", ".join(f"{client} from {donor}" for client, donor in found.borrowed.items())
    load = {client.number: client.rate.sum() for client in found.clients}
    share = sum(load[number] for number in found.borrowed) / sum(load.values())
    lengths = (
        f"{len(found.borrowed)} clients without lengths, {share:.0%} of requests, borrow them "
        f"from one as busy: {pairs}"
    )
    return (drawn, "ServeGen: lengths of prompt and answer drawn apart", f"ServeGen: {lengths}")


def seconds(found: Service) -> float:
    """How long the models say anything [s]."""
    return max(len(client.rate) for client in found.clients) * WINDOW


def requests(found: Service, said: Mapping[str, Any], seed: int, part: int) -> Iterator[Arrivals]:
    """The requests of all clients in order of time, a window at a time."""
    rest = stream(seed, part, "lengths").random(len(found.clients))
    names = tuple(f"client {client.number}" for client in found.clients)
    for window in range(int(seconds(found) / WINDOW)):
        draw = stream(seed, part, "clients", window)
        parts = [
            _window(client, rank, window, rest, draw, said)
            for rank, client in enumerate(found.clients)
            if window < len(client.rate) and client.rate[window] > 0
        ]
        if not parts:
            continue
        times, prompts, answers, tenants = (np.concatenate(c) for c in zip(*parts, strict=True))
        order = np.argsort(times, kind="stable")
        if len(order):
            yield arrivals(
                times[order],
                prompts[order],
                answers[order],
                tenant=tenants[order],
                tenants=names,
                kinds=(found.model,),
            )


def _window(
    client: Client,
    rank: int,
    window: int,
    rest: Any,
    draw: np.random.Generator,
    said: Mapping[str, Any],
) -> tuple[Any, Any, Any, Any]:
    """Times, prompts, answers and ranks of one client's requests in one window.

    rest: of each client, expected requests until its next one; moved on.
    """
    rate = float(client.rate[window])
    expected = rate * WINDOW
    steps = _steps(client, window, float(rest[rank]), expected, draw)
    rest[rank] = steps[-1] - expected
    steps = steps[:-1]
    lengths = (
        _drawn(spreads, window * WINDOW, said.get(name), draw, len(steps))
        for spreads, name in ((client.prompts, "prompt"), (client.answers, "answer"))
    )
    return (window * WINDOW + steps / rate, *lengths, np.full(len(steps), rank, np.int32))


def _steps(client: Client, window: int, now: float, end: float, draw: np.random.Generator) -> Any:
    """Where requests come on a clock that runs at the client's rate, up to the first past `end`."""
    shape = float(client.shape[window])
    found = [np.array([now])]
    while now <= end:
        count = int(end - now) + 16
        if client.weibull[window]:
            gaps = draw.weibull(shape, count) / math.gamma(1 + 1 / shape)
        else:
            gaps = draw.standard_gamma(shape, count) / shape
        found.append(now + np.cumsum(gaps))
        now = float(found[-1][-1])
    steps = np.concatenate(found)
    return steps[: int(np.searchsorted(steps, end, side="right")) + 1]


def _drawn(
    spreads: dict[float, Spread],
    time: float,
    given: int | None,
    draw: np.random.Generator,
    count: int,
) -> Any:
    """Lengths at that time, from the nearest window that has some [tokens]."""
    if given is not None:
        figure = Figure(mean=given, median=given / SPREAD, source="given", ground="given")
        return about(figure, draw, count)
    spread = spreads[min(spreads, key=lambda start: abs(start - time))]
    places = np.searchsorted(spread.chance, draw.random(count), side="right")
    return spread.lengths[np.minimum(places, len(spread.lengths) - 1)].astype(np.int64)
