"""From the options of a command to the answer of the verb."""

from __future__ import annotations

from typing import Any

from eke.catalog.fleets import fleet
from eke.catalog.models import model
from eke.cli.options import choices, make_job
from eke.types.fleet import Fleet
from eke.types.job import Job
from eke.types.need import Infeasible, Need
from eke.types.record import replace
from eke.verbs import need

JOB_FIELDS = {
    "serve": (
        *("rate", "prompt", "answer", "reuse", "tiers", "ttft", "tpot", "images", "sound"),
        *("spread", "utilisation", "confidential"),
    ),
    "train": ("tokens", "sequence", "batch", "within"),
    "tune": ("tokens", "epochs", "lora", "qlora", "objective", "sequence", "batch", "within"),
    "align": (
        *("method", "prompts", "prompt", "answer", "samples", "epochs", "batch", "within"),
        *("reward_model", "feedback", "labels", "label_price", "judge", "split"),
    ),
}


def job_and_fleet(kind: str, given: dict[str, Any]) -> tuple[Job, Fleet, dict[str, Any]]:
    """What the options of one command describe: the job, the fleet, and decided plan fields."""
    where = fleet(given["fleet"])
    if given.get("price") is not None:
        where = _priced(where, given["price"])
    mine = {name: given[name] for name in JOB_FIELDS[kind] if given.get(name) is not None}
    if "sequence" in mine:
        mine["sequence"] = int(mine["sequence"])
    rest = {name: value for name, value in given.items() if name not in mine}
    job = make_job(kind, model(given["model"]), mine)
    return job, where, choices(given if kind == "serve" else rest)


def answer_of(kind: str, given: dict[str, Any]) -> Need | Infeasible:
    """The answer to one command."""
    job, where, decided = job_and_fleet(kind, given)
    return need(job, None, where, choices=decided)


def _priced(where: Fleet, rent: float) -> Fleet:
    """The fleet at the user's own price."""
    from eke.types.chip import Fact

    note = "given with --price"
    fact = Fact(value=rent, unit="USD/s", source="you", kind="assumed", note=note)
    pools = tuple(
        replace(pool, rent=rent, facts={**pool.facts, "rent": fact}) for pool in where.pools
    )
    return replace(where, pools=pools)


def command_words(kind: str, arguments: list[str]) -> str:
    """The user's own words after `eke need`, for the suggestion of what to do next."""
    from shlex import join

    after = arguments[arguments.index("need") + 1 :] if "need" in arguments else [kind]
    return join(after)
