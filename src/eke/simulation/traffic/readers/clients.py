"""The models of clients in a ServeGen archive: how often each asks, and for how much.

Clients of which no lengths were published borrow them.  Source: xiang2025servegen.
"""

from __future__ import annotations

import math
import re
import tarfile
import zlib
from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np

from eke.errors import BadFile, BadInput
from eke.simulation.traffic.readers.rows import LONGEST
from eke.simulation.traffic.readers.source import Source
from eke.types.record import Record, replace

WINDOW = 600.0  # seconds of one rate
FILES = re.compile(r"(?:.*/)?([^/]+)/chunk-(\d+)-(trace\.csv|dataset\.json)$")
FASTEST = 100_000  # requests a second of one client; nothing published comes near
LARGEST = 1 << 28  # bytes of one file inside


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
    if not np.array_equal(start, np.arange(len(start)) * WINDOW):
        raise BadFile(f"{source.path}, chunk-{number}-trace.csv: windows must be {WINDOW:g} s.")
    if not ((rate >= 0) & (rate <= FASTEST) & (shape > 0) & (shape < FASTEST)).all():
        raise BadFile(
            f"{source.path}, chunk-{number}-trace.csv: rates must be from 0 to {FASTEST:,}/s and "
            "shapes above 0."
        )
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
    fine = (numbers >= 0) & (numbers <= LONGEST)
    if not (fine.all() and numbers[:, 1].any()):
        raise ValueError(f"lengths and chances must be numbers from 0 to {LONGEST:,}")
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
