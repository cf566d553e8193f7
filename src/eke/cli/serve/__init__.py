"""`eke serve`: promises held in front of live engines. Each task is a module of its own."""

from __future__ import annotations

from importlib import import_module

import click

TASKS = {
    "gateway": "the gateway itself; `eke serve`, `eke serve gateway.toml` are short for it",
    "key": "a key for a tenant, and what to write of it into gateway.toml",
    "run": "what happened, as the table that `eke simulate --replay` reads",
    "usage": "what was used and charged, as a bill in the columns of FOCUS",
    "check": "what was recorded, told again to a fresh policy",
}


class Tasks(click.Group):
    """Commands found by name; anything else is of the gateway."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(TASKS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in TASKS:
            return None
        command: click.Command = import_module(f"eke.cli.serve.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(TASKS.items()))

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or args[0] not in (*TASKS, "--help", "-h"):
            args = ["gateway", *args]
        return super().parse_args(ctx, args)


@click.group(cls=Tasks)
def command() -> None:
    """Hold the promises in front of live engines: a gateway that speaks OpenAI's API.

    `eke serve` alone starts one on this machine, with an engine that stands in for real ones;
    `eke serve gateway --help` lists what it takes.
    """
