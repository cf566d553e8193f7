"""A plan as a file: the words of its job and fleet, and the fields of its layout.

People may edit it; `read_plan` reads it again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from eke.asking import FIELD_UNITS, JOB_FIELDS, ask
from eke.catalog.engines import engine_named, engines
from eke.catalog.files import read_toml
from eke.errors import BadFile, EkeError
from eke.types.fleet import Fleet
from eke.types.job import Job
from eke.types.plan import Plan
from eke.types.record import Record, defaults, fields
from eke.units import quantity
from eke.verbs import check_fits, check_uses

ABOUT = ("model", "fleet", "price", "own", "carbon")  # words that are no field of the job


class SavedPlan(Record):
    """The file. ask: the kind of job and its words, quantities with their units.  plan: its fields
    where they differ from the usual ones."""

    ask: dict[str, Any]
    plan: Plan


def saved_plan(kind: str, words: Mapping[str, Any], plan: Plan, command: str) -> str:
    """The file's text. words: as `asking.ask` takes them, quantities in base units."""
    known = {"job": kind} | {
        name: _with_unit(name, words[name])
        for name in (*ABOUT, *JOB_FIELDS[kind])
        if words.get(name) not in (None, False)
    }
    lines = [f"# found by: {command}", "", "[ask]", *_table(known)]
    return "\n".join([*lines, *_plan_lines("plan", plan)]) + "\n"


def _with_unit(name: str, value: Any) -> Any:
    unit = FIELD_UNITS.get(name)
    if unit is None or isinstance(value, str | bool):
        return value
    number = f"{value:.17g}"
    return number if unit == "1" else f"{number} {unit.removeprefix('1')}"


def _plan_lines(name: str, plan: Plan) -> list[str]:
    usual = defaults(plan)
    own = {key: value for key, value in fields(plan).items() if value != usual[key]}
    parts = {key: value for key, value in own.items() if isinstance(value, Plan)}
    lines = ["", f"[{name}]", *_table({k: v for k, v in own.items() if k not in parts})]
    for key, part in parts.items():
        lines += _plan_lines(f"{name}.{key}", part)
    return lines


def _table(values: Mapping[str, Any]) -> list[str]:
    """Lines of a TOML table of texts, numbers and truth values, all of which JSON writes alike."""
    return [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in values.items()]


def read_plan(path: str | Path) -> tuple[Job, Fleet, Plan]:
    """The job, the fleet and the plan of a file. Raises BadFile naming the file and the field."""
    found = read_toml(Path(path), SavedPlan)
    words = dict(found.ask)
    kind = words.pop("job", None)
    if kind not in JOB_FIELDS:
        raise BadFile(f"{path}: ask.job is {kind!r}; expected one of {', '.join(JOB_FIELDS)}.")
    known = {*ABOUT, *JOB_FIELDS[kind]}
    for name in ("model", "fleet"):
        if not isinstance(words.get(name), str):
            raise BadFile(f"{path}: ask.{name} is {words.get(name)!r}; it must be a text.")
    if found.plan.engine and engine_named(found.plan.engine) is None:
        known_ones = ", ".join(each.id for each in engines())
        raise BadFile(f"{path}: plan.engine is {found.plan.engine!r}; there are {known_ones}.")
    unknown = next((name for name in words if name not in known), None)
    if unknown is not None:
        raise BadFile(f"{path}: ask.{unknown}: a {kind} job has no such word.")
    try:
        job, fleet, _ = ask(kind, {name: _base(name, value) for name, value in words.items()})
        check_fits(found.plan, job, fleet)
        check_uses(job, found.plan)
    except BadFile:
        raise
    except EkeError as error:
        raise BadFile(f"{path}: {error}") from None
    return job, fleet, found.plan


def _base(name: str, value: Any) -> Any:
    """A quantity in its base unit."""
    unit = FIELD_UNITS.get(name)
    return quantity(value, unit) if unit is not None and isinstance(value, str) else value
