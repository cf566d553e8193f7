"""`eke allocate`: fewer chips than uses for them. Each question is a module of its own."""

from __future__ import annotations

from importlib import import_module

import click

QUESTIONS = {
    "provider": "who gets which chips and when, what is refused, what one more is worth",
    "tiers": "how many users may have a longer context, beside 8k for all",
    "chip": "buy, rent or build: the cost of a useful token, and the risk",
    "design": "a chip of one's own: die area between matrix units, memory and links",
    "forecast": "demand, chips, power and money per quarter, against supply",
}


class Questions(click.Group):
    """Commands found by name; a file stands for `provider FILE`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(QUESTIONS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in QUESTIONS:
            return None
        command: click.Command = import_module(f"eke.cli.allocate.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(QUESTIONS.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in QUESTIONS and not args[0].startswith("-"):
            args = ["provider", *args]
        return super().resolve_command(ctx, args)


@click.group(cls=Questions)
def command() -> None:
    """Scarce chips among competing uses, and what to do about the supply.

    `eke allocate provider.toml` is short for `eke allocate provider provider.toml`.
    """
