"""The command line. Each verb is a module of its own, imported when it is called."""

from __future__ import annotations

import os
import sys
from importlib import import_module

import click

VERBS = {
    "need": "what a model takes to train, fine-tune, align or serve",
    "plan": "the layout that needs least, why, and how to start it",
    "simulate": "what each user sees when traffic meets a plan",
    "serve": "hold the promises in front of live engines",
    "allocate": "who gets which chips, what one more is worth; buy, rent or build",
    "explain": "where every number of an answer comes from",
    "catalog": "chips, systems, models and sources",
    "calibrate": "your own machine and engines, measured",
    "claims": "published claims about AI compute, reproduced",
}


class Verbs(click.Group):
    """Commands found by name; `--help` lists them without importing any."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        command: click.Command = import_module(f"eke.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(VERBS.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in VERBS and not args[0].startswith("-"):
            from eke.errors import closest

            near = closest(args[0], VERBS)
            hint = f" Did you mean {near}?" if near else ""
            ctx.fail(f"no command {args[0][:40]!r}; there are {', '.join(VERBS)}.{hint}")
        return super().resolve_command(ctx, args)


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="eke", prog_name="eke")
@click.option(
    "--catalog",
    "folders",
    multiple=True,
    metavar="FOLDER",
    help="Your own chips/, systems/, models/, efficiency/, prices.csv and sources.toml; they win "
    "over the built-in ones.",
)
def entry(folders: tuple[str, ...]) -> None:
    """eke: what a ChatGPT-class model takes in AI chips."""
    if folders or "EKE_CATALOG" in os.environ:
        from eke.catalog.files import a_folder, named_folders, use_folder

        for folder in named_folders():
            a_folder(folder)
        for folder in folders:
            use_folder(folder)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; mistakes of the user become one line on stderr and exit code 2."""
    from eke.errors import EkeError

    try:
        entry.main(args=arguments, prog_name="eke", standalone_mode=True)
    except EkeError as error:
        click.echo(f"eke: {error}", err=True)
        sys.exit(2)
    except BrokenPipeError:
        sys.exit(1)
