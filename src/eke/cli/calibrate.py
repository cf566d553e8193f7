"""`eke calibrate`: how true predictions are on your machine, and truer ones."""

from __future__ import annotations

import sys
from pathlib import Path

import click


@click.group()
def command() -> None:
    """Measure your own machine and engines, so that predictions rest on them."""


@command.command()
@click.option("--out", default="eke-measured", show_default=True, metavar="FOLDER")
@click.option("--device", default="", help="As torch names it; default cuda, or else cpu.")
@click.option("--minutes", type=float, default=3.0, show_default=True, help="About so long.")
@click.option("--processes", type=click.IntRange(1, 64), default=1, help="Time all-reduces too.")
@click.option("--chip", default="", help="Which chip of the catalogue this is.")
def measure(out: str, device: str, minutes: float, processes: int, chip: str) -> None:
    """Time this machine and write a catalogue folder that `eke --catalog FOLDER` prefers.

    Matrix multiplications, attention, memory streams, launches and, between several processes or
    devices, all-reduces. Stopped and started again, it goes on where it stopped.
    """
    from datetime import date

    from eke.calibrate.measure.fit import fit
    from eke.calibrate.measure.folder import catalogue_chip, promised, write_folder
    from eke.calibrate.measure.run import measure as run
    from eke.calibrate.measure.torch_device import open_device
    from eke.cli.progress import progress
    from eke.report.measured import measured_words

    opened = open_device(device, processes)
    known = catalogue_chip(opened.host, chip)
    folder = Path(out)
    try:
        with progress() as tell:
            timings = run(opened, folder, minutes, tell)
    except KeyboardInterrupt:
        click.echo(f"stopped; {folder} keeps what is timed, the same command goes on.", err=True)
        sys.exit(130)
    fitted = fit(timings, promised(known))
    name, files = write_folder(folder, opened.host, known, fitted, date.today().isoformat())
    click.echo(measured_words(name, fitted))
    click.echo(f"  next       eke --catalog {out} need serve MODEL --on 1x{name}")
    click.echo("written: " + ", ".join(map(str, files)), err=True)
