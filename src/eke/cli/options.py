"""Options that several verbs share, and how text becomes jobs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from eke.errors import BadQuantity
from eke.units import quantity

COMPUTE = ("fp32", "bf16", "fp16", "fp8", "int8", "fp4", "int4")
WIDTHS = (*COMPUTE, "fp6", "q8_0", "q6_k", "q5_k", "q4_k", "q4_0", "q3_k", "q2_k")


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


TOKENS, NUMBER, RATE, DURATION, DOLLARS, RENT, CARBON = (
    Quantity(unit) for unit in ("token", "1", "1/s", "s", "USD", "USD/s", "kg/J")
)


DEGREE_WORDS = {
    "tensor": "Tensor-parallel degree.",
    "pipeline": "Pipeline stages.",
    "expert": "Chips the routed experts are spread over.",
    "data": "Data-parallel ranks; when serving, ranks of a replica that share experts.",
}


class Several(click.ParamType[Any]):
    """One value, or several separated by commas, of which a search may choose."""

    def __init__(self, inner: Any) -> None:
        self.inner, self.name = inner, f"{inner.name}s"

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str | None:
        """The inner type's, with the comma."""
        words = param.metavar or self.inner.get_metavar(param, ctx) or self.inner.name.upper()
        return f"{words}[,…]"

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        parts = [part for part in str(value).split(",") if part.strip()]
        if not parts:
            self.fail(f"{value!r} names nothing.", param, ctx)
        found = tuple(self.inner.convert(part.strip(), param, ctx) for part in parts)
        return found if len(found) > 1 else found[0]


ONE = ("measured", "acceptance", "prefill_on")  # of which a plan has one value


def several(options: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The same options, each taking several values to choose from; chips to take in prompts are
    found by the search."""

    def decorate(function: Any) -> Any:
        own = options(lambda: None).__click_params__
        for option in own:
            if option.name not in ONE and not option.is_flag:
                option.type = Several(option.type)
                option.metavar = option.type.get_metavar(option, click.Context(click.Command("")))
        kept = [option for option in own if option.name != "prefill_on"]
        function.__click_params__ = [*getattr(function, "__click_params__", []), *kept]
        return function

    return decorate


def stack(*options: Any) -> Callable[[Any], Any]:
    """Several options as one decorator, shown in the order given."""

    def decorate(function: Any) -> Any:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


where = stack(
    click.option(
        "--on",
        "fleets",
        required=True,
        multiple=True,
        metavar="CHIPS",
        help="For example 8xh100-sxm; given several times, answers stand side by side.",
    ),
    click.option("--picture", metavar="FILE.svg", help="Several --on as a picture."),
    click.option(
        "--price", type=RENT, metavar="USD/h", help="Rent of one chip, such as '2.5 USD/h'."
    ),
    click.option(
        "--carbon", type=CARBON, metavar="g/kWh", help="Of the grid, such as '400 g/kWh'."
    ),
    click.option("--own", is_flag=True, help="Bought and written off, energy paid, not rented."),
    click.option("--json", "as_json", is_flag=True, help="The same record as JSON."),
)


def degree(name: str, words: str) -> Any:
    """An option for one parallel degree."""
    return click.option(f"--{name}", type=click.IntRange(1), metavar="N", help=words)


layout = stack(
    *(degree(name, words) for name, words in DEGREE_WORDS.items()),
    click.option(
        "--measured",
        multiple=True,
        metavar="TEXT",
        help="Your own number for this stack, such as 'tpot 31ms @ batch 16', or a file of them.",
    ),
    click.option("--engine", metavar="NAME", help="What runs it, such as vllm or megatron."),
    click.option("--weights", type=click.Choice(WIDTHS), help="Format the weights are kept in."),
    click.option("--compute", type=click.Choice(COMPUTE), help="Format of the matrix units."),
)
learning_layout = stack(
    degree("virtual", "Interleaved stages per pipeline rank."),
    degree("context", "Ranks that share a sequence."),
    click.option("--micro-batch", type=click.IntRange(1), help="Sequences per pass."),
    click.option("--shard", type=click.IntRange(0, 3), help="ZeRO stage; 3 is FSDP."),
    click.option("--recompute", type=click.Choice(["none", "selective", "full"])),
    click.option("--schedule", type=click.Choice(["1f1b", "interleaved", "zero-bubble", "gpipe"])),
    click.option(
        "--optimizer", type=click.Choice(["adam", "adam-8bit", "muon", "adafactor", "sgd"])
    ),
)
serving_layout = stack(
    degree("replicas", "Independent copies."),
    click.option("--cache", type=click.Choice(WIDTHS), help="Format of keys and values."),
    click.option("--max-batch", "batch", type=click.IntRange(1), help="Sequences in flight."),
    click.option("--token-budget", type=click.IntRange(1), help="Tokens of one engine step."),
    click.option("--sparse", is_flag=True, help="2:4 structured sparsity."),
    click.option("--drafts", type=click.IntRange(0), help="Tokens guessed per step."),
    click.option("--acceptance", type=NUMBER, help="Chance that a guess is kept."),
    click.option("--offload", is_flag=True, help="Keep conversations in the host's memory."),
    click.option(
        "--adapter-slots",
        type=click.IntRange(0),
        metavar="N",
        help="Fine-tunes resident on a replica; 0 gives each a copy of the model.",
    ),
    click.option("--prefill-on", metavar="CHIPS", help="Chips that only take in prompts."),
)
