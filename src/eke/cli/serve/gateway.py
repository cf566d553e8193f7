"""`eke serve gateway`: the gateway, from a file, from flags, or with an engine that stands in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

MODEL, CHIPS = "llama-3.1-8b", "1xh100-sxm"  # of the engine that stands in where nobody says
GATEWAY = ("policy", "tier", "host", "port", "state", "record")
ENGINE = ("on", "pace")

# Ways to start it, by what is given first: the flags that are heeded beside it, and why no others.
WAYS = {
    "file": ((), "with {file} all is as it says, without --{flag}; write it into the file."),
    "stand_in": (
        (*ENGINE, "host", "port", "parent"),
        "--stand-in is an engine alone, without --{flag}; start the gateway with --upstream in "
        "front of it.",
    ),
    "upstream": (
        GATEWAY,
        "--{flag} is of an engine that stands in; what is behind --upstream is said in a "
        "gateway.toml.",
    ),
    "": ((*GATEWAY, *ENGINE), "--{flag} is of --stand-in; give that too."),
}


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
@click.option("--on", metavar="CHIPS", help="Chips of the stand-in.")
@click.option("--pace", type=float, help="So many times as fast as its chips; default 1.")
@click.option("--parent", type=int, hidden=True)
def command(**given: Any) -> None:
    """Serve OpenAI's API in front of engines, and hold their promises.

    With a file, everything is as it says; else flags. Without either, an engine stands in.
    """
    given = {name: value for name, value in given.items() if value not in (None, ())}
    way = _way(given)
    if way == "stand_in":
        _stand_in(**given)
        return
    _extra()
    from eke.gateway.serving import run

    if way == "file":
        again = _of_file(given["file"])
        run(again(), _say, again)
        return
    with _engines(given) as urls:
        run(_of_flags(given, urls), _say)


def _way(given: dict[str, Any]) -> str:
    """Which of the ways to start it is meant. Raises BadInput for a flag that it does not heed."""
    from eke.errors import BadInput

    way = next((name for name in WAYS if name in given), "")
    heeded, why = WAYS[way]
    for name in given:
        if name not in (way, *heeded):
            flag = name.replace("_", "-")
            raise BadInput(why.format(flag=flag, file=given.get("file")))
    return way


def _extra() -> None:
    """Say what to install where something is missing."""
    from importlib.util import find_spec

    from eke.errors import BadInput

    needed = ("uvicorn", "httptools", "python_multipart")
    missing = [name for name in needed if find_spec(name) is None]
    if missing:
        raise BadInput(f"serving needs {', '.join(missing)}: pip install 'eke[gateway]'.")


def _of_file(file: Path) -> Any:
    """A function that reads the settings, each time anew."""
    from eke.cli.serve.beside import prices
    from eke.gateway.configuration import read

    return lambda: read(file, prices())


def _of_flags(given: dict[str, Any], urls: list[str]) -> Any:
    from eke.cli.serve.beside import prices
    from eke.gateway.configuration import EngineFile as Engine
    from eke.gateway.configuration import GatewayFile, settings_of, tiers_of
    from eke.types.record import replace

    chips = "" if "upstream" in given else given.get("on", CHIPS)
    engines = {f"engine-{n}": Engine(url=url, chips=chips) for n, url in enumerate(urls, 1)}
    said = {name: given[name] for name in GATEWAY if name in given and name != "tier"}
    settings = settings_of(GatewayFile(engines=engines, **said), prices(), {})
    return replace(settings, contexts=tiers_of(given["tier"])) if "tier" in given else settings


def _engines(given: dict[str, Any]) -> Any:
    """The addresses of engines; without any, one that stands in is started beside the gateway."""
    from contextlib import nullcontext

    from eke.cli.serve.beside import stand_in

    if "upstream" in given:
        return nullcontext(list(given["upstream"]))
    return stand_in(MODEL, given.get("on", CHIPS), given.get("pace", 1.0), _say)


def _stand_in(*, stand_in: str, on: str = CHIPS, pace: float = 1.0, **where: Any) -> None:
    """The engine alone. where: host, port and parent, where they are said."""
    from eke.standin.manner import Manner
    from eke.standin.run import Settings, main

    main(Settings(model=stand_in, chips=on, manner=Manner(pace=pace), **where))


def _say(words: str) -> None:
    click.echo(f"eke: {words}", err=True)
