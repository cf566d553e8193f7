"""From one measured run to rows of the shared tables, completed by what the user said of it."""

from __future__ import annotations

import re
from collections.abc import Mapping

from eke.calibrate.rows import Row
from eke.catalog.fleets import fleet
from eke.errors import BadFile, BadInput, closest
from eke.types.record import Record
from eke.units import quantity

_INFERENCE = (
    "id source source_url_or_repo_path model n_params chip n_chips tp pp ep precision kv_precision "
    "isl osl batch concurrency_or_qps scenario engine engine_version metric measured_value unit "
    "notes"
)
_TRAINING = (
    "id source source_url_or_repo_path model n_params layers hidden heads kv_heads ffn vocab "
    "n_experts top_k seq_len chip n_chips tp pp vpp dp cp ep zero_stage_or_fsdp "
    "global_batch_sequences micro_batch precision recompute framework metric measured_value unit "
    "notes"
)
COLUMNS = {"inference": _INFERENCE.split(), "training": _TRAINING.split()}
UNITS = {
    "ttft_ms": "ms",
    "tpot_ms": "ms",
    "itl_ms": "ms",
    "e2e_latency_s": "s",
    "requests_per_sec": "req/s",
    "output_tokens_per_sec_total": "tokens/s",
    "total_tokens_per_sec": "tokens/s",
    "prefill_tokens_per_sec": "tokens/s",
    "decode_tokens_per_sec": "tokens/s",
    "tokens_per_sec_per_chip": "tokens/s",
    "iteration_time_s": "s",
    "tflops_per_chip": "TFLOP/s",
    "mfu": "fraction",
    "time_to_train_h": "h",
}
# How the engine was set up: what the user says wins, a file often has a path or an alias there.
SETUP = {
    "model": "model",
    "tensor": "tp",
    "pipeline": "pp",
    "virtual": "vpp",
    "expert": "ep",
    "data": "dp",
    "context": "cp",
    "shard": "zero_stage_or_fsdp",
    "recompute": "recompute",
    "micro_batch": "micro_batch",
    "precision": "precision",
    "cache": "kv_precision",
}
# What was asked of it: the file wins, it counted.
LOAD = {"prompt": "isl", "answer": "osl", "sequence": "seq_len"}
OTHERS = ("on", "engine", "release", "batch", "users", "rate", "task")
DEGREES = ("tensor", "pipeline", "virtual", "expert", "data", "context", "micro_batch")


class Reading(Record):
    """One number of a run, in the unit of its metric. note: what kind of number it is."""

    metric: str
    value: float
    note: str = ""


class Run(Record):
    """One measured run. columns: what the file says of it, in the words of the table."""

    table: str
    columns: dict[str, str]
    readings: tuple[Reading, ...]
    notes: str


def readings(*found: Reading | None) -> tuple[Reading, ...]:
    """Those that were measured: a tool prints 0 for what it did not see."""
    return tuple(each for each in found if each is not None and each.value > 0)


def reading(metric: str, value: float | None, note: str = "", scale: float = 1.0) -> Reading | None:
    """A reading, or None where there is no value."""
    return None if value is None else Reading(metric=metric, value=value * scale, note=note)


def text(value: float | None) -> str:
    """A number as a column has it."""
    return "" if value is None else f"{value:.10g}"


def chip_name(printed: str) -> str:
    """A chip as a driver prints it, without its maker: "NVIDIA GeForce RTX 4090" → "RTX 4090"."""
    return re.sub(r"^(?:(?:NVIDIA|AMD|Intel|GeForce|Instinct)(?:\(R\))?\s+)+", "", printed.strip())


def load(users: float | None, rate: str, requests: float | None = None) -> dict[str, str]:
    """The columns that say how requests arrived. rate: "inf", requests per second, or unknown."""
    at_once = users is None or (requests is not None and users >= requests > 1)
    if rate not in ("", "inf"):
        return {"scenario": "online", "concurrency_or_qps": f"qps={rate}"}
    if not at_once and users is not None:
        one = users == 1
        alone = {"batch": "1", "scenario": "single_stream"} if one else {"scenario": "online"}
        return {"concurrency_or_qps": f"concurrency={text(users)}", **alone}
    if rate == "inf" or users is not None:
        return {"scenario": "offline_max_throughput", "concurrency_or_qps": "rate=inf"}
    return {}


def checked(given: Mapping[str, str]) -> dict[str, str]:
    """What the user said, with the names and numbers checked. Raises BadInput."""
    found = {name.replace("-", "_"): value.strip() for name, value in given.items() if value}
    known = (*SETUP, *LOAD, *OTHERS)
    for name in found:
        if name not in known:
            near = closest(name, known)
            hint = f" Did you mean {near}?" if near else ""
            raise BadInput(f"{name!r} says nothing of a run; known: {', '.join(known)}.{hint}")
    for name in (*LOAD, "batch", "users"):
        if name in found:
            found[name] = text(_above_zero(name, found[name], "token" if name in LOAD else "1"))
    if found.get("rate") and found["rate"] != "inf":
        found["rate"] = text(_above_zero("rate", found["rate"], "1/s"))
    for name in DEGREES:
        if name in found and not re.fullmatch(r"[1-9]\d{0,6}", found[name]):
            raise BadInput(f"{name} is {found[name][:40]!r}; expected a whole number from 1 up.")
    return found


def _above_zero(name: str, written: str, unit: str) -> float:
    value = quantity(written, unit)
    if value <= 0:
        raise BadInput(f"{name} is {written[:40]!r}; it must be above zero.")
    return value


def rows(path: str, name: str, runs: list[Run], given: Mapping[str, str]) -> list[Row]:
    """The rows of the runs of a file; `name` is the file's, `given` is checked."""
    found = [row for at, run in enumerate(runs, 1) for row in _rows(path, name, at, run, given)]
    if not found:
        raise BadFile(f"{path}: holds no measurement above zero.")
    return found


def _rows(path: str, name: str, at: int, run: Run, given: Mapping[str, str]) -> list[Row]:
    shared = dict.fromkeys(COLUMNS[run.table], "")
    shared |= {"source": name, "source_url_or_repo_path": path}
    shared |= _completed(run, given)
    task = f"task={given.get('task') or shared.pop('task', '') or 'pretrain'}; "
    before = task if run.table == "training" else ""
    shared = {key: shared[key] for key in COLUMNS[run.table]}
    made = []
    for reading in run.readings:
        tail = re.match(r"p\d+", reading.note)
        own = {
            "id": ":".join((name, str(at), reading.metric, *((tail[0],) if tail else ()))),
            "metric": reading.metric,
            "measured_value": text(reading.value),
            "unit": _unit(run.table, reading.metric),
            "notes": before + "; ".join(filter(None, (reading.note, run.notes))),
        }
        made.append(
            Row(
                id=own["id"],
                table=run.table,
                source=name,
                metric=reading.metric,
                value=float(own["measured_value"]),
                columns=shared | own,
            )
        )
    return made


def _unit(table: str, metric: str) -> str:
    per_chip = table == "inference" and metric == "tokens_per_sec_per_chip"
    return "tokens/s/chip" if per_chip else UNITS[metric]


def _completed(run: Run, given: Mapping[str, str]) -> dict[str, str]:
    """The file's columns and the user's words, each where it has the say."""
    found = {name: value for name, value in run.columns.items() if value}
    found |= {SETUP[name]: given[name] for name in SETUP if name in given}
    for name, column in {**LOAD, "batch": _batch(run.table)}.items():
        if name in given:
            found.setdefault(column, given[name])
    if "on" in given:
        found |= _chips(given["on"])
    if "scenario" not in found and run.table == "inference":
        users = float(given["users"]) if "users" in given else None
        found = load(users, given.get("rate", "")) | found
    return found | _software(run.table, found, given)


def _software(table: str, found: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    if table == "inference":
        said = {"engine": given.get("engine", ""), "engine_version": given.get("release", "")}
        return {column: value for column, value in said.items() if value}
    named = given.get("engine") or found.get("framework", "")
    return {"framework": f"{named} {given['release']}" if "release" in given else named}


def _batch(table: str) -> str:
    return "batch" if table == "inference" else "global_batch_sequences"


def _chips(written: str) -> dict[str, str]:
    """Chip and count of a fleet such as "8xh100-sxm" or "2xdgx-h100"."""
    pools = fleet(written).pools
    if len({pool.chip.id for pool in pools}) != 1:
        raise BadInput(f"on is {written[:60]!r}; a measurement is of one kind of chip.")
    return {"chip": pools[0].chip.id, "n_chips": str(sum(pool.chips for pool in pools))}
