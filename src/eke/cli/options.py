"""Options that several verbs share, and how text becomes jobs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from eke.errors import BadInput, BadQuantity
from eke.types.job import Align, Job, Promise, Serve, Tier, Train, Tune
from eke.units import quantity

DEGREES = ("tensor", "pipeline", "virtual", "context", "expert", "data", "replicas")
WIDTHS = ("fp32", "bf16", "fp16", "fp8", "int8", "fp4", "int4")


class Quantity(click.ParamType[float]):
    """An option whose text carries its unit."""

    def __init__(self, unit: str) -> None:
        self.unit = unit
        self.name = {"1": "number", "s": "duration", "token": "tokens", "1/s": "rate"}.get(
            unit, unit
        )

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        if isinstance(value, float):
            return value
        try:
            found = quantity(str(value), self.unit)
        except BadQuantity as error:
            self.fail(str(error), param, ctx)
        if found < 0:
            self.fail(f"{value!r} is negative.", param, ctx)
        return found


TOKENS, NUMBER, RATE, DURATION, DOLLARS, RENT = (
    Quantity(unit) for unit in ("token", "1", "1/s", "s", "USD", "USD/s")
)


def stack(*options: Any) -> Callable[[Any], Any]:
    """Several options as one decorator, shown in the order given."""

    def decorate(function: Any) -> Any:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


where = stack(
    click.option("--on", "fleet", required=True, metavar="CHIPS", help="For example 8xh100-sxm."),
    click.option(
        "--price", type=RENT, metavar="USD/h", help="Rent of one chip, such as '2.5 USD/h'."
    ),
    click.option("--json", "as_json", is_flag=True, help="The same record as JSON."),
)
layout = stack(
    *(click.option(f"--{name}", type=click.IntRange(1)) for name in DEGREES),
    click.option("--micro-batch", type=click.IntRange(1), help="Sequences per pass."),
    click.option("--weights", type=click.Choice(WIDTHS), help="Format the weights are kept in."),
    click.option("--compute", type=click.Choice(WIDTHS), help="Format of the matrix units."),
)
learning_layout = stack(
    click.option("--shard", type=click.IntRange(0, 3), help="ZeRO stage; 3 is FSDP."),
    click.option("--recompute", type=click.Choice(["none", "selective", "full"])),
    click.option("--schedule", type=click.Choice(["1f1b", "interleaved", "zero-bubble", "gpipe"])),
    click.option(
        "--optimizer", type=click.Choice(["adam", "adam-8bit", "muon", "adafactor", "sgd"])
    ),
    click.option("--within", type=DURATION, help="Deadline, such as 30d."),
)
serving_layout = stack(
    click.option("--cache", type=click.Choice(WIDTHS), help="Format of keys and values."),
    click.option("--max-batch", "batch", type=click.IntRange(1), help="Sequences in flight."),
    click.option("--token-budget", type=click.IntRange(1), help="Tokens of one engine step."),
    click.option("--sparse", is_flag=True, help="2:4 structured sparsity."),
    click.option("--drafts", type=click.IntRange(0), help="Tokens guessed per step."),
    click.option("--acceptance", type=NUMBER, help="Chance that a guess is kept."),
    click.option("--prefill-on", metavar="CHIPS", help="Chips that only take in prompts."),
)
_PLAN = (
    *(*DEGREES, "micro_batch", "weights", "compute", "shard", "recompute", "schedule"),
    *("optimizer", "cache", "batch", "token_budget", "sparse", "drafts", "acceptance"),
)


def choices(given: dict[str, Any]) -> dict[str, Any]:
    """The fields of a plan among the options given."""
    return {name: given[name] for name in _PLAN if given.get(name) not in (None, False)}


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
    from eke.catalog.models import model

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
