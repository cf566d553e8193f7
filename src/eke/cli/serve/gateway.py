"""`eke serve gateway`: the gateway, from a file, from flags, or with an engine that stands in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

MODEL, CHIPS = "llama-3.1-8b", "1xh100-sxm"  # of the engine that stands in where nobody says


@click.command()
@click.argument("file", required=False, type=click.Path(path_type=Path), metavar="[gateway.toml]")
@click.option("--upstream", multiple=True, metavar="URL", help="An engine, up to /v1; several.")
@click.option("--policy", metavar="NAME", help="Who goes next; `eke simulate --policy help`.")
@click.option("--tier", metavar="TEXT", help="Who has which context: 8k:all,32k:gold.")
@click.option("--host", metavar="ADDRESS", help="Where to listen; default 127.0.0.1.")
@click.option("--port", type=click.IntRange(0, 65535), help="Default 8080.")
@click.option("--state", metavar="PATH", help="SQLite file or postgresql://…; default eke.db.")
@click.option("--record", metavar="FILE", help="Every event and action, for `eke serve check`.")
@click.option("--stand-in", metavar="MODEL", help="An engine without chips, alone.")
@click.option("--on", "chips", metavar="CHIPS", help="Chips of the stand-in.")
@click.option("--pace", type=float, default=1.0, help="So many times as fast as its chips.")
@click.option("--parent", type=int, hidden=True)
def command(**given: Any) -> None:
    """Serve OpenAI's API in front of engines, and hold their promises.

    With a file, everything is as it says; else flags. Without either, an engine stands in.
    """
    if given["stand_in"]:
        _stand_in(given)
        return
    _extra()
    from eke.gateway.serving import run

    file = given["file"]
    if file is not None:
        _no_flags(given)
        again = _of_file(file)
        run(again(), _say, again)
        return
    with _engines(given) as urls:
        run(_of_flags(given, urls), _say)


def _extra() -> None:
    """Say what to install where something is missing."""
    from importlib.util import find_spec

    from eke.errors import BadInput

    needed = ("uvicorn", "httptools", "python_multipart")
    missing = [name for name in needed if find_spec(name) is None]
    if missing:
        raise BadInput(f"serving needs {', '.join(missing)}: pip install 'eke[gateway]'.")


def _no_flags(given: dict[str, Any]) -> None:
    from eke.errors import BadInput

    flags = ("upstream", "policy", "tier", "host", "port", "state", "record", "chips")
    if said := next((name for name in flags if given[name]), None):
        raise BadInput(f"--{said} and {given['file']} both say it; write it into the file.")


def _of_file(file: Path) -> Any:
    """A function that reads the settings, each time anew."""
    from eke.cli.serve.beside import priced
    from eke.gateway.configuration import read

    return lambda: read(file, priced)


def _of_flags(given: dict[str, Any], urls: list[str]) -> Any:
    from eke.cli.serve.beside import priced
    from eke.gateway.configuration import EngineFile as Engine
    from eke.gateway.configuration import GatewayFile, settings_of, tiers_of
    from eke.types.record import replace

    chips = "" if given["upstream"] else given["chips"] or CHIPS
    engines = {f"engine-{n}": Engine(url=url, chips=chips) for n, url in enumerate(urls, 1)}
    said = {name: given[name] for name in ("policy", "host", "port", "state", "record")}
    said = {name: value for name, value in said.items() if value is not None}
    settings = settings_of(GatewayFile(engines=engines, **said), priced, {})
    return replace(settings, contexts=tiers_of(given["tier"])) if given["tier"] else settings


def _engines(given: dict[str, Any]) -> Any:
    """The addresses of engines; without any, one that stands in is started beside the gateway."""
    from contextlib import nullcontext

    from eke.cli.serve.beside import stand_in

    if given["upstream"]:
        return nullcontext(list(given["upstream"]))
    return stand_in(MODEL, given["chips"] or CHIPS, given["pace"], _say)


def _stand_in(given: dict[str, Any]) -> None:
    """The engine alone."""
    from eke.errors import BadInput

    if given["upstream"] or given["file"]:
        raise BadInput("--stand-in runs alone; start the gateway with --upstream in front of it.")
    from eke.standin.manner import Manner
    from eke.standin.run import Settings, main

    port = 8000 if given["port"] is None else given["port"]
    main(
        Settings(
            model=given["stand_in"],
            chips=given["chips"] or CHIPS,
            manner=Manner(pace=given["pace"]),
            host=given["host"] or "127.0.0.1",
            port=port,
            parent=given["parent"],
        )
    )


def _say(words: str) -> None:
    click.echo(f"eke: {words}", err=True)
