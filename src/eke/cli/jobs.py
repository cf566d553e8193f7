"""The four jobs as command lines: what is wanted, and what of the plan is decided."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import click

from eke.cli import options as opt

Decorator = Callable[[Any], Any]


class Kind(NamedTuple):
    """A job's words: what it does, its own options, and those of its layout."""

    says: str
    job: Decorator
    layout: Decorator


MODEL = click.argument("model", metavar="MODEL")
_SEQUENCE = click.option("--sequence", type=opt.TOKENS, help="Length of a training sequence.")
_BATCH = click.option("--batch-tokens", "batch", type=opt.TOKENS, help="Global batch, such as 4M.")
_WITHIN = click.option("--within", type=opt.DURATION, help="Deadline, such as 30d.")

KINDS = {
    "serve": Kind(
        "Answer requests at a rate.",
        opt.stack(
            click.option(
                "--rate", type=opt.RATE, default="1/s", show_default=True, help="At peak."
            ),
            click.option("--prompt", type=opt.TOKENS, default="1000", show_default=True),
            click.option("--answer", type=opt.TOKENS, default="300", show_default=True),
            click.option("--reuse", type=opt.NUMBER, help="Share of the prompt still cached: 60%."),
            click.option("--pause", type=opt.DURATION, help="Between turns, while that is kept."),
            click.option("--adapters", type=click.IntRange(1), metavar="N", help="Fine-tunes."),
            click.option(
                "--adapter-rank", type=click.IntRange(1), metavar="N", help="Of their factors."
            ),
            click.option("--tiers", metavar="TIERS", help="Context tiers, such as 8k:98%,32k:2%."),
            click.option("--ttft", metavar="PROMISE", help="Time to first token: 500ms@p99."),
            click.option("--tpot", metavar="PROMISE", help="Time per output token: 40ms@p90."),
            click.option("--images", type=opt.NUMBER, help="Images per request."),
            click.option("--sound", type=opt.DURATION, help="Speech per request, such as 30s."),
            click.option("--spread", type=opt.NUMBER, help="Squared variation of the work."),
            click.option("--utilisation", type=opt.NUMBER, help="Largest share planned with."),
            click.option(
                "--confidential", is_flag=True, default=None, help="Confidential computing."
            ),
        ),
        opt.stack(opt.layout, opt.serving_layout),
    ),
    "train": Kind(
        "Train from nothing.",
        opt.stack(
            click.option("--tokens", type=opt.TOKENS, required=True, help="Such as 15T."),
            _SEQUENCE,
            _BATCH,
            _WITHIN,
        ),
        opt.stack(opt.layout, opt.learning_layout),
    ),
    "tune": Kind(
        "Fine-tune an existing model.",
        opt.stack(
            click.option("--tokens", type=opt.TOKENS, required=True, help="Such as 50M."),
            click.option("--epochs", type=opt.NUMBER),
            click.option("--lora", type=click.IntRange(1), metavar="RANK", help="Low-rank."),
            click.option("--qlora", type=click.IntRange(1), metavar="RANK", help="On 4 bits."),
            click.option("--objective", type=click.Choice(["sft", "reward", "dpo"])),
            _SEQUENCE,
            _BATCH,
            _WITHIN,
        ),
        opt.stack(opt.layout, opt.learning_layout),
    ),
    "align": Kind(
        "Align with feedback (RLHF, RLAIF, DPO).",
        opt.stack(
            click.option("--method", type=click.Choice(["ppo", "grpo", "dpo"])),
            click.option("--prompts", type=opt.NUMBER, help="Such as 100k."),
            click.option("--prompt", type=opt.TOKENS, help="Length of a prompt."),
            click.option("--answer", type=opt.TOKENS, help="Length of an answer."),
            click.option("--longest", type=opt.TOKENS, help="Longest, which the others wait for."),
            click.option("--samples", type=click.IntRange(1), help="Answers per prompt."),
            click.option("--epochs", type=opt.NUMBER),
            click.option(
                "--prompts-per-step", "batch", type=opt.NUMBER, help="Prompts per iteration."
            ),
            click.option("--reward-model", metavar="MODEL", help="Default: as large as MODEL."),
            click.option("--feedback", type=click.Choice(["human", "ai", "rule"])),
            click.option("--labels", type=opt.NUMBER, help="Preference labels, such as 50k."),
            click.option("--label-price", type=opt.DOLLARS, help="Of one human label."),
            click.option("--judge", metavar="MODEL", help="Who gives AI feedback."),
            click.option("--split", type=opt.NUMBER, help="Share of chips that only generate."),
            _WITHIN,
        ),
        opt.stack(opt.layout, opt.learning_layout),
    ),
}


def commands(
    run: Callable[[str, dict[str, Any]], None],
    own: Decorator,
    layout: Decorator | None = None,
    made: type[click.Command] = click.Command,
) -> list[click.Command]:
    """One command per job. own: the verb's options.  layout: changes those of the layout.
    made: what the commands are."""
    found = []
    for name, kind in KINDS.items():
        called = _called(run, name, kind.says)
        decided = layout(kind.layout) if layout is not None else kind.layout
        decorated = opt.stack(MODEL, own, kind.job, decided)(called)
        found.append(click.command(name, cls=made)(decorated))
    return found


def _called(run: Callable[[str, dict[str, Any]], None], name: str, says: str) -> Any:
    def called(**given: Any) -> None:
        run(name, given)

    called.__doc__ = says
    return called
