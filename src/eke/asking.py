"""From words to jobs: what the command line, the claims and the web page ask of the verbs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eke.catalog.engines import engine_id
from eke.catalog.fleets import fleet
from eke.catalog.models import model
from eke.errors import BadInput
from eke.search.simple import prefill_plan
from eke.types.chip import Fact
from eke.types.fleet import Fleet
from eke.types.goal import AtMost, Goal, figure_of, usual_goal
from eke.types.job import Align, Job, Promise, Serve, Tier, Train, Tune
from eke.types.model import Model
from eke.types.plan import DEGREES
from eke.types.record import replace
from eke.units import quantity

JOB_FIELDS = {
    "serve": (
        *("rate", "prompt", "answer", "reuse", "tiers", "ttft", "tpot", "images", "sound"),
        *("spread", "utilisation", "confidential", "pause", "adapters", "adapter_rank"),
    ),
    "train": ("tokens", "sequence", "batch", "within"),
    "tune": ("tokens", "epochs", "lora", "qlora", "objective", "sequence", "batch", "within"),
    "align": (
        *("method", "prompts", "prompt", "answer", "longest", "samples", "epochs", "batch"),
        *("within",),
        *("reward_model", "feedback", "labels", "label_price", "judge", "split"),
    ),
}


# The dimension of each field that is a quantity, for callers that hold text.
FIELD_UNITS = {
    "rate": "1/s",
    **dict.fromkeys(("prompt", "answer", "longest", "tokens", "sequence"), "token"),
    **dict.fromkeys(("reuse", "images", "spread", "utilisation", "split", "acceptance"), "1"),
    **dict.fromkeys(("epochs", "prompts", "labels", "batch"), "1"),
    **dict.fromkeys(("sound", "within", "pause"), "s"),
    "label_price": "USD",
    "price": "USD/s",
    "carbon": "kg/J",
}
PLAN_FIELDS = (
    *(*DEGREES, "micro_batch", "weights", "compute", "shard", "recompute", "schedule"),
    *("optimizer", "cache", "batch", "token_budget", "sparse", "drafts", "acceptance", "engine"),
    *("offload", "adapter_slots"),
)


def choices(given: Mapping[str, Any], kind: str = "serve") -> dict[str, Any]:
    """The fields of a plan among the options given, for a kind of job."""
    does = "serve" if kind == "serve" else "train"
    found = {name: given.get(name) for name in PLAN_FIELDS}
    kept = {
        name: value for name, value in found.items() if value is not None and value is not False
    }
    engine = kept.get("engine")
    if isinstance(engine, tuple):
        return kept | {"engine": tuple(engine_id(name, does) for name in engine)}
    return kept | ({"engine": engine_id(engine, does)} if engine else {})


_FIGURES = {  # figures that may be limited, by the unit people give them in
    **dict.fromkeys(("cost", "money", "cost_per_million_tokens"), "USD"),
    **dict.fromkeys(("time", "ttft", "tpot", "step_time", "ttft_promised", "tpot_promised"), "s"),
    "energy": "J",
    "carbon": "kg",
    "memory": "B",
    "chips": "1",
    "energy_per_token": "J",
}


def goal_of(given: Mapping[str, Any], job: Job, fleet: Fleet) -> Goal:
    """What is to be made least, and within which limits."""
    usual = usual_goal(job, fleet)
    wanted = {name: given[name] for name in ("least", "headroom", "sure") if given.get(name)}
    within = tuple(_at_most(text, job) for text in given.get("at_most") or ())
    return replace(usual, within=within, **wanted)


def _at_most(text: str, job: Job) -> AtMost:
    """ "cost=500 USD/h" as a limit; of serving, costs per time are those of the whole fleet."""
    name, equals, value = text.partition("=")
    name = name.strip()
    if not equals:
        raise BadInput(f"{text[:40]!r} is no limit; expected WHAT=VALUE, such as chips=64.")
    if name == "cost" and isinstance(job, Serve) and "/" in value:
        return AtMost(figure="cost_per_hour", most=quantity(value, "USD/s") * 3600.0)
    return AtMost(figure=figure_of(name), most=quantity(value, _FIGURES.get(name, "1")))


def make_job(kind: str, model: Any, given: dict[str, Any]) -> Job:
    """The job that a command's options describe; raises BadInput for what makes no sense."""
    makers: dict[str, Any] = {"serve": _serve, "train": Train, "tune": _tune, "align": _align}
    fields = {name: value for name, value in given.items() if value is not None}
    made: Job = makers[kind](model=model, **fields)
    return made


def _serve(**given: Any) -> Serve:
    for name in ("ttft", "tpot"):
        if name in given:
            given[name] = promise(given[name])
    if "tiers" in given:
        given["tiers"] = tiers(given["tiers"])
    return Serve(**given)


def _tune(**given: Any) -> Tune:
    rank, quantised = given.pop("lora", None), given.pop("qlora", None)
    if rank and quantised:
        raise BadInput("--lora and --qlora exclude each other; give one of them.")
    if rank or quantised:
        given |= {"method": "qlora" if quantised else "lora", "rank": quantised or rank}
    return Tune(**given)


def _align(**given: Any) -> Align:
    for name in ("reward_model", "judge"):
        if name in given:
            given[name] = model(given[name])
    return Align(**given)


def promise(text: str) -> Promise:
    """ "500ms@p99" as a promise; without a percentile, the median."""
    limit, _, percentile = text.partition("@")
    share = 0.5
    if percentile:
        try:
            share = float(percentile.lower().removeprefix("p")) / 100
        except ValueError:
            share = -1.0
        if not 0 < share < 1:
            raise BadInput(f"{percentile[:20]!r} is no percentile; expected @p50 … @p99.9.")
    return Promise(limit=quantity(limit, "s"), percentile=share)


def tiers(text: str) -> tuple[Tier, ...]:
    """ "8k:98%,32k:2%" as context tiers; ":all" is 100 %."""
    found = []
    for part in text.split(","):
        context, colon, share = part.partition(":")
        whole = 1.0 if share.strip() in ("all", "") else quantity(share, "1")
        found.append(Tier(context=int(_context(context)), share=whole))
        if not colon and "," in text:
            raise BadInput(f"{part!r}: expected CONTEXT:SHARE, such as 32k:2%.")
    return tuple(found)


def _context(text: str) -> float:
    """Contexts are powers of two: 8k is 8,192 tokens."""
    word = text.strip().lower()
    if word.endswith("k") and word[:-1].isdigit():
        return 1024.0 * int(word[:-1])
    return quantity(text, "token")


def ask(kind: str, given: Mapping[str, Any]) -> tuple[Job, Fleet, dict[str, Any]]:
    """What the words of a question describe: the job, the fleet, and decided plan fields.

    kind: "serve", "train", "tune" or "align".  given: the fields of the job and of the plan,
    "model" and "fleet" by name or as records, quantities in base units. Raises EkeError.
    """
    where, what = given["fleet"], given["model"]
    where = where if isinstance(where, Fleet) else fleet(where)
    if given.get("own") and given.get("price") is not None:
        raise BadInput("--own and --price exclude each other: bought chips pay no rent.")
    if given.get("price") is not None:
        where = _priced(where, given["price"])
    if given.get("own"):
        where = _owned(where)
    if given.get("carbon") is not None:
        where = _on_grid(where, given["carbon"])
    mine = {name: given[name] for name in JOB_FIELDS[kind] if given.get(name) is not None}
    if "sequence" in mine:
        mine["sequence"] = int(mine["sequence"])
    rest = {name: value for name, value in given.items() if name not in mine}
    job = make_job(kind, what if isinstance(what, Model) else model(what), mine)
    decided = choices(given if kind == "serve" else rest, kind)
    if given.get("prefill_on") and isinstance(job, Serve):
        other = fleet(given["prefill_on"])
        where = replace(where, pools=(*where.pools, *other.pools))
        decided["prefill"] = prefill_plan(job, other.pools[0], decided)
    return job, where, decided


def _on_grid(where: Fleet, carbon: float) -> Fleet:
    """The fleet on the user's own grid."""
    note = "given with --carbon"
    fact = Fact(value=carbon, unit="kg/J", source="you", kind="assumed", note=note)
    pools = tuple(
        replace(pool, carbon=carbon, facts={**pool.facts, "carbon": fact}) for pool in where.pools
    )
    return replace(where, pools=pools)


def _owned(where: Fleet) -> Fleet:
    """The fleet bought instead of rented: written off over its life, its energy paid."""
    for pool in where.pools:
        if pool.buy is None:
            raise BadInput(f"nobody has published what {pool.chip.id} costs to buy; drop --own.")
    return replace(where, pools=tuple(replace(pool, rent=None) for pool in where.pools))


def _priced(where: Fleet, rent: float) -> Fleet:
    """The fleet at the user's own price."""
    note = "given with --price"
    fact = Fact(value=rent, unit="USD/s", source="you", kind="assumed", note=note)
    pools = tuple(
        replace(pool, rent=rent, quoted=True, facts={**pool.facts, "rent": fact})
        for pool in where.pools
    )
    return replace(where, pools=pools)
