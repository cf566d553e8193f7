"""Rows and samples that gateways keep, as a run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from math import inf
from typing import Any

import numpy as np

from eke.errors import BadInput
from eke.gateway.row import TUNE, Row
from eke.gateway.state import rows
from eke.gateway.state.rows import Kept
from eke.gateway.state.state import State, existing_state
from eke.observing.answers import Answers, answers
from eke.observing.engines import UNSTREAMED
from eke.observing.reasons import Reasons
from eke.observing.samples import timeline
from eke.types.record import Record
from eke.types.run import COLUMNS, OUTCOMES, Run
from eke.units import show

AT_ONCE = 1 << 16  # rows held as Python's objects
LARGEST = np.iinfo(np.int32).max
TOLD = 3  # gateways named in the source
BEGAN = "began"  # fact: the run's zero, UTC [s]

_PLACE = {name: place for place, name in enumerate(Row._fields)}
_MOMENTS = ("arrived_at", "arrived", "started", "first", "finished", "ttft", "deadline")
_COUNTS = ("prompt", "asked", "tokens", "cached", "priority")
_SUMS = ("seconds", "energy", "cost", "charged")
_CODED = ("tenant", "kind", "engine", "model")
FACTS = {"seconds": "chip_seconds"}  # sums whose fact has another name


class Wanted(Record):
    """Which requests: those that came from `since` to before `until`, UTC [s]; of these tenants and
    models alone, all where none is named."""

    since: float = 0.0
    until: float = inf
    tenants: tuple[str, ...] = ()
    models: tuple[str, ...] = ()


class Rows:
    """The columns of rows, a batch after the other. names: code of each name met.  stretches: of
    fine-tuning jobs, which are no requests and left out."""

    def __init__(self) -> None:
        self.names: dict[str, dict[str, int]] = {name: {} for name in (*_CODED, "gateway")}
        self.reasons = Reasons()
        self.stretches = 0
        self._parts: dict[str, list[Any]] = {}

    def add(self, batch: list[Kept]) -> None:
        """More rows."""
        columns = list(zip(*(kept.row for kept in batch), strict=True))
        cells = {name: columns[place] for name, place in _PLACE.items()}
        self._keep("gateway", self._codes("gateway", [kept.gateway for kept in batch]))
        for name in (*_MOMENTS, *_SUMS):
            self._keep(name, np.array(cells[name], dtype=np.float64))
        for name in _COUNTS:
            self._keep(name, np.array(cells[name]).clip(-LARGEST, LARGEST).astype(np.int32))
        for name in _CODED:
            self._keep(name, self._codes(name, cells[name]))
        outcomes = [OUTCOMES.index(each) for each in cells["outcome"]]
        self._keep("outcome", np.array(outcomes, np.int8))
        self._keep("reason", np.array(list(map(self.reasons.code, cells["reason"])), np.int16))
        session = [-1 if each is None else each for each in cells["session"]]
        self._keep("session", np.array(session, np.int64))

    def columns(self) -> dict[str, Any]:
        """All of them."""
        return {name: np.concatenate(parts) for name, parts in self._parts.items()}

    def _keep(self, name: str, values: Any) -> None:
        self._parts.setdefault(name, []).append(values)

    def _codes(self, name: str, words: Any) -> Any:
        known = self.names[name]
        return np.array([known.setdefault(word, len(known)) for word in words], np.int32)


def observed(address: str, wanted: Wanted | None = None) -> Run:
    """What happened, as the state of gateways has it; they may be at work meanwhile.

    address: path of an SQLite file, or postgresql://…  Raises BadFile, BadInput, StateError.
    """
    state = existing_state(address)
    try:
        return asyncio.run(_observed(state, address, wanted or Wanted()))
    finally:
        state.database.shut()


async def _observed(state: State, address: str, wanted: Wanted) -> Run:
    found = Rows()
    async for batch in _batches(state, wanted, found):
        found.add(batch)
    if not found.names["gateway"]:
        raise BadInput(f"{address} has no request of that time, and of those tenants and models.")
    columns = found.columns()
    engines = _in_order(found.names["engine"], columns)
    began = float(columns["arrived_at"][0])
    times = _times(columns, began)
    end = began + float(times["finished"].max())
    samples = [
        await state.read(rows.samples, gateway, began, end) for gateway in found.names["gateway"]
    ]
    line = timeline(samples, engines, began)
    return _run(found, {**columns, **times}, line, _remarks(found, engines, wanted))


async def _batches(state: State, wanted: Wanted, found: Rows) -> AsyncIterator[list[Kept]]:
    """The requests that are wanted, many at a time."""
    batch: list[Kept] = []
    async for kept in state.rows(wanted.since, wanted.until):
        row = kept.row
        if wanted.tenants and row.tenant not in wanted.tenants:
            continue
        if wanted.models and row.model not in wanted.models:
            continue
        if row.kind == TUNE:
            found.stretches += 1
            continue
        batch.append(kept)
        if len(batch) == AT_ONCE:
            yield batch
            batch = []
    if batch:
        yield batch


def _times(columns: dict[str, Any], began: float) -> dict[str, Any]:
    """When things happened to each request, from `began` on [s]: by its gateway's own clock, put
    where the calendar says that the request came."""
    came = columns["arrived_at"] - began
    since = {name: columns[name] - columns["arrived"] for name in ("started", "first", "finished")}
    return {"arrived": came, **{name: came + passed for name, passed in since.items()}}


def _in_order(names: dict[str, int], columns: dict[str, Any]) -> list[str]:
    """Names of engines, whose codes become their places; no engine is -1."""
    engines = sorted(name for name in names if name)
    places = np.array([engines.index(name) if name else -1 for name in names], np.int32)
    columns["engine"] = places[columns["engine"]]
    return engines


def _run(found: Rows, columns: dict[str, Any], line: Any, remarks: list[str]) -> Run:
    end, known = float(columns["finished"].max()), answers(columns)
    sums = {FACTS.get(name, name): float(columns[name].sum()) for name in _SUMS}
    sums[UNSTREAMED] = float(known.unstreamed)
    names = {name: tuple(found.names[name]) for name in ("tenant", "kind")}
    began = float(columns["arrived_at"][0])
    return Run(
        label="observed",
        end=end,
        requests=_requests(columns, known),
        names={**names, "reason": tuple(found.reasons.names)},
        timeline=line,
        facts={"seconds": end, BEGAN: began, **{name: v for name, v in sums.items() if v > 0}},
        source=_source(found, began, began + end),
        remarks=(*known.remarks, *remarks, *_money(sums)),
    )


def _requests(columns: dict[str, Any], known: Answers) -> dict[str, Any]:
    """Requests as `eke.types.run.COLUMNS` says."""
    given = {
        "scheduled": columns["started"],
        "first": known.first,
        "answer": known.answer,
        "most": np.maximum(columns["asked"], known.answer),
        "replica": columns["engine"],
        "preempted": np.zeros(len(known.answer)),
        **{name: _promise(columns[name]) for name in ("ttft", "deadline")},
    }
    return {
        name: np.asarray(given.get(name, columns.get(name)), kind)
        for name, (kind, _, _) in COLUMNS.items()
    }


def _promise(values: Any) -> Any:
    """A promised time, inf for none."""
    return np.where(np.isnan(values), np.inf, values)


def _source(found: Rows, began: float, end: float) -> str:
    """Which gateways, and when."""
    gateways = list(found.names["gateway"])
    more = f" and {len(gateways) - TOLD} more" if len(gateways) > TOLD else ""
    first, last = (datetime.fromtimestamp(at, UTC) for at in (began, end))
    day = "" if first.date() == last.date() else f"{last:%Y-%m-%d} "
    when = f"{first:%Y-%m-%d %H:%M:%S} to {day}{last:%H:%M:%S} UTC"
    return f"gateway {', '.join(gateways[:TOLD])}{more}, {when}"


def _money(sums: dict[str, float]) -> list[str]:
    """What costs are of."""
    if not sums["cost"] and not sums["energy"]:
        return []
    charged = f"; {show(sums['charged'], 'USD')} were charged" if sums["charged"] else ""
    return [f"cost and energy are of engines at work, without the time nobody asked them{charged}"]


def _remarks(found: Rows, engines: list[str], wanted: Wanted) -> list[str]:
    """What one has to know of it."""
    models = sorted(found.names["model"])
    said = ["a request counts as taken into a step when it was handed to its engine"]
    if engines:
        told = ", ".join(f"{place} is {name}" for place, name in enumerate(engines[:16]))
        more = f" and {len(engines) - 16} more" if len(engines) > 16 else ""
        said.append(f"of the replicas, {told}{more}")
    if found.stretches:
        said.append(f"stretches of fine-tuning jobs on engines are left out: {found.stretches:,}")
    if wanted.tenants or wanted.models:
        of = ", ".join([*wanted.tenants, *wanted.models])
        said.append(f"only requests of {of}: engines did more than is told here")
    if len(models) > 1:
        said.append(
            f"several models ({', '.join(models[:8])}) are in it; --model takes one, and only "
            "engines of one model stand in for each other in a replay"
        )
    return said
