"""`eke need`: what a model takes."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from eke.cli import options as opt

MODEL = click.argument("model", metavar="MODEL")


@click.group()
def command() -> None:
    """What a model takes to train, fine-tune, align or serve, on any chip.

    MODEL is a name from `eke catalog models`, a config.json, or a hub id.
    """


@command.command()
@MODEL
@opt.where
@click.option("--rate", type=opt.RATE, default="1/s", show_default=True, help="Requests, at peak.")
@click.option("--prompt", type=opt.TOKENS, default="1000", show_default=True)
@click.option("--answer", type=opt.TOKENS, default="300", show_default=True)
@click.option("--reuse", type=opt.NUMBER, help="Share of the prompt still cached, such as 60%.")
@click.option("--pause", type=opt.DURATION, help="Between turns, while that is kept: 60s.")
@click.option("--adapters", type=click.IntRange(1), metavar="N", help="Fine-tunes asked for.")
@click.option("--adapter-rank", type=click.IntRange(1), metavar="N", help="Of their factors: 16.")
@click.option("--tiers", metavar="TIERS", help="Context tiers, such as 8k:98%,32k:2%.")
@click.option("--ttft", metavar="PROMISE", help="Time to first token, such as 500ms@p99.")
@click.option("--tpot", metavar="PROMISE", help="Time per output token, such as 40ms@p90.")
@click.option("--images", type=opt.NUMBER, help="Images per request.")
@click.option("--sound", type=opt.DURATION, help="Speech per request, such as 30s.")
@click.option("--spread", type=opt.NUMBER, help="Squared variation of the work per request.")
@click.option("--utilisation", type=opt.NUMBER, help="Largest share of throughput planned with.")
@click.option("--confidential", is_flag=True, default=None, help="Confidential computing.")
@opt.layout
@opt.serving_layout
def serve(**given: Any) -> None:
    """Answer requests at a rate."""
    run("serve", given)


@command.command()
@MODEL
@opt.where
@click.option("--tokens", type=opt.TOKENS, required=True, help="To train on, such as 15T.")
@click.option("--sequence", type=opt.TOKENS, help="Length of a training sequence.")
@click.option("--batch-tokens", "batch", type=opt.TOKENS, help="Global batch, such as 4M.")
@opt.layout
@opt.learning_layout
def train(**given: Any) -> None:
    """Train from nothing."""
    run("train", given)


@command.command()
@MODEL
@opt.where
@click.option("--tokens", type=opt.TOKENS, required=True, help="Of the examples, such as 50M.")
@click.option("--epochs", type=opt.NUMBER)
@click.option("--lora", type=click.IntRange(1), metavar="RANK", help="Low-rank factors.")
@click.option("--qlora", type=click.IntRange(1), metavar="RANK", help="The same on 4-bit weights.")
@click.option("--objective", type=click.Choice(["sft", "reward", "dpo"]))
@click.option("--sequence", type=opt.TOKENS, help="Length of a training sequence.")
@click.option("--batch-tokens", "batch", type=opt.TOKENS, help="Global batch, such as 128k.")
@opt.layout
@opt.learning_layout
def tune(**given: Any) -> None:
    """Fine-tune an existing model."""
    run("tune", given)


@command.command()
@MODEL
@opt.where
@click.option("--method", type=click.Choice(["ppo", "grpo", "dpo"]))
@click.option("--prompts", type=opt.NUMBER, help="Such as 100k.")
@click.option("--prompt", type=opt.TOKENS, help="Length of a prompt.")
@click.option("--answer", type=opt.TOKENS, help="Length of an answer.")
@click.option("--longest", type=opt.TOKENS, help="Longest answer, which the others wait for.")
@click.option("--samples", type=click.IntRange(1), help="Answers per prompt.")
@click.option("--epochs", type=opt.NUMBER)
@click.option("--prompts-per-step", "batch", type=opt.NUMBER, help="Prompts per iteration.")
@click.option("--reward-model", metavar="MODEL", help="Default: as large as the model.")
@click.option("--feedback", type=click.Choice(["human", "ai", "rule"]))
@click.option("--labels", type=opt.NUMBER, help="Preference labels, such as 50k.")
@click.option("--label-price", type=opt.DOLLARS, help="Of one human label.")
@click.option("--judge", metavar="MODEL", help="Who gives AI feedback.")
@click.option("--split", type=opt.NUMBER, help="Share of chips that only generate.")
@opt.layout
@opt.learning_layout
def align(**given: Any) -> None:
    """Align with feedback (RLHF, RLAIF, DPO)."""
    run("align", given)


def run(kind: str, given: dict[str, Any]) -> None:
    """Answer on stdout; exit code 3 when it cannot be done."""
    from eke.asking import ask
    from eke.report.json import to_json
    from eke.report.side_by_side import picture, side_by_side
    from eke.report.words import infeasible_words, need_words
    from eke.types.need import Infeasible
    from eke.verbs import need

    as_json, drawn, fleets = given.pop("as_json"), given.pop("picture"), given.pop("fleets")
    measured = given.pop("measured")
    found = []
    for fleet in fleets:
        job, where, decided = ask(kind, {**given, "fleet": fleet})
        found.append(need(job, None, where, choices=decided, measured=own(measured, fleet)))
    if drawn is not None:
        write_picture(drawn, picture(fleets, found))
    if as_json:
        click.echo(to_json(found if len(found) > 1 else found[0]))
    elif len(found) > 1:
        click.echo(side_by_side(fleets, found), nl=False)
    elif isinstance(found[0], Infeasible):
        click.echo(infeasible_words(found[0]), nl=False)
    else:
        click.echo(need_words(found[0], command_words(kind)), nl=False)
    if all(isinstance(each, Infeasible) for each in found):
        sys.exit(3)


def own(texts: Sequence[str], fleet: str) -> list[Any]:
    """The user's own measurements; a file of them is read as of these chips."""
    if not texts:
        return []
    from eke.calibrate.own import measurements

    return list(measurements(texts, {"on": fleet}))


def write_picture(name: str, drawing: str) -> None:
    """Write a drawing whole or not at all."""
    from eke.errors import BadFile

    path = Path(name)
    if path.suffix != ".svg":
        raise BadFile(f"{name}: pictures are SVG; give a name that ends in .svg.")
    write_whole(path, drawing)
    click.echo(f"picture: {path}", err=True)


def write_whole(path: Path, text: str) -> None:
    """Write a file whole or not at all. Raises BadFile where it cannot be written."""
    import os
    import tempfile

    from eke.errors import BadFile

    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with open(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(name, 0o644)
        os.replace(name, path)
    except OSError as error:
        raise BadFile(f"{path}: cannot be written: {error.strerror}.") from None


def command_words(kind: str) -> str:
    """The user's own words with `explain` for `need`, as the suggestion of what to do next."""
    from shlex import join

    arguments = sys.argv[1:]
    if "need" not in arguments:
        return f"eke explain {kind}"
    at = arguments.index("need")
    return join(["eke", *arguments[:at], "explain", *arguments[at + 1 :]])
