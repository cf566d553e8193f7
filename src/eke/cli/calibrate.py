"""`eke calibrate`: how true predictions are on your machine, and truer ones."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click


@click.group()
def command() -> None:
    """Measure your own machine and engines, so that predictions rest on them."""


@command.command()
@click.option("--out", default="eke-measured", show_default=True, metavar="FOLDER")
@click.option("--device", default="", help="As torch names it; default cuda, or else cpu.")
@click.option("--minutes", type=float, default=3.0, show_default=True, help="About so long.")
@click.option(
    "--processes",
    type=click.IntRange(0, 64),
    default=0,
    help="That exchange; default one per device, and on a CPU none.",
)
@click.option("--chip", default="", help="Which chip of the catalogue this is.")
def measure(out: str, device: str, minutes: float, processes: int, chip: str) -> None:
    """Time this machine and write a catalogue folder that `eke --catalog FOLDER` prefers.

    Matrix multiplications, attention, memory streams, launches and, between several processes or
    devices, all-reduces. Stopped and started again, it goes on where it stopped.
    """
    from datetime import date

    from eke.calibrate.measure.fit import fit
    from eke.calibrate.measure.folder import catalogue_chip, prior, promised, write_folder
    from eke.calibrate.measure.run import measure as run
    from eke.calibrate.measure.torch_device import busy, open_device
    from eke.cli.progress import progress
    from eke.report.measured import measured_words

    opened = open_device(device, processes)
    known = catalogue_chip(opened.host, chip)
    folder = Path(out)
    if opened.host.kind == "cpu" and busy() > 0.5:
        click.echo(
            "other programs are busy on this machine: what is measured is what they leave over, "
            "and OMP_NUM_THREADS below the number of cores may measure it better.",
            err=True,
        )
    try:
        with progress() as tell:
            timings = run(opened, folder, minutes, tell)
    except KeyboardInterrupt:
        click.echo(f"stopped; {folder} keeps what is timed, the same command goes on.", err=True)
        sys.exit(130)
    fitted = fit(timings, promised(known), prior(opened.host, known))
    name, files = write_folder(folder, opened.host, known, fitted, date.today().isoformat())
    click.echo(measured_words(name, fitted))
    click.echo(f"  next       eke --catalog {out} need serve MODEL --on 1x{name}")
    click.echo("written: " + ", ".join(map(str, files)), err=True)


@command.command()
@click.argument("url")
@click.option("--model", default="", help="As the engine calls it; default the first it lists.")
@click.option("--requests", type=click.IntRange(1), default=30, show_default=True)
@click.option("--minutes", type=float, default=2.0, show_default=True, help="At most so long.")
@click.option("--prompt", type=int, default=200, show_default=True, help="Tokens, about.")
@click.option("--answer", type=int, default=64, show_default=True, help="Tokens, at most.")
@click.option("--as", "known", default="", metavar="MODEL", help="What eke calls the model.")
@click.option("--chip", default="", help="What it runs on, as eke calls it.")
@click.option("--chips", type=click.IntRange(1), default=1, help="How many, tensor parallel.")
@click.option("--precision", default="", help="Of the weights, such as bf16.")
@click.option("--engine", default="", help="What runs it, such as 'vllm 0.32.0'.")
@click.option("--out", default="engine.csv", show_default=True, metavar="FILE.csv")
def engine(url: str, **given: Any) -> None:
    """Put a short load on a live engine and write what was seen as a table of measurements.

    URL is an OpenAI-compatible address such as http://127.0.0.1:8000/v1. One stream at a time,
    then a few at once. A key goes into EKE_API_KEY.
    """
    from time import perf_counter

    from eke.calibrate import engine_load as loading
    from eke.calibrate.engine_client import engine_at
    from eke.report.measured import engine_words

    at = engine_at(url)
    name, owner = loading.first_model(at, given["model"])
    lengths = {key: given[key] for key in ("requests", "minutes", "prompt", "answer")}
    load = loading.Load(model=name, **lengths)
    levels = loading.run(at, load, perf_counter)
    runs, _, version = (given["engine"] or owner).partition(" ")
    about = loading.About(
        model=given["known"] or name,
        chip=given["chip"],
        chips=given["chips"],
        precision=given["precision"],
        engine=runs,
        version=version,
    )
    loading.write_table(Path(given["out"]), loading.table_rows(levels, load, about, at.address))
    click.echo(engine_words(name, levels))
    click.echo(f"  next       eke calibrate check {given['out']}")
    click.echo(f"written: {given['out']}", err=True)
