"""`eke calibrate`: how true predictions are on your machine, and truer ones."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click


@click.group()
def command() -> None:
    """Predictions judged by measurements, and truer ones learnt from them."""


SAID = (
    *("model", "on", "tensor", "pipeline", "data", "expert", "engine", "release", "precision"),
    *("cache", "prompt", "answer", "batch", "users", "rate", "sequence", "task"),
)


def _said(function: Any) -> Any:
    """What the user says of files that do not say it themselves."""
    for name in reversed(SAID):
        words = "What a benchmark file or a log does not say." if name == "model" else None
        function = click.option(f"--{name}", default="", help=words, hidden=words is None)(function)
    return function


@command.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--rows", metavar="OUT.csv", type=click.Path(path_type=Path), help="A line per row.")
@click.option(
    "--own",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Your measurements: predictions for the same engine and chips follow them.",
)
@click.option("--by", default="", metavar="GROUPS", help="Such as source,chip,engine,metric.")
@click.option("--picture", metavar="FILE.svg", help="Predicted over measured.")
@_said
def check(files: tuple[Path, ...], **given: Any) -> None:
    """How far eke's predictions are from measurements.

    FILES are tables of the shared format (CSV, also .gz), or what benchmarks and training runs
    write: vllm bench, SGLang, GuideLLM, AIPerf, llama-bench, Megatron, torchtitan, DeepSpeed, HF
    Trainer, MLPerf. What such a file does not say is said with --model, --on 8xh100-sxm, --tensor,
    --pipeline, --data, --expert, --engine, --release, --precision, --cache, --prompt, --answer,
    --batch, --users, --rate, --sequence, --task.
    """
    from eke.calibrate.ledger import check as predict
    from eke.calibrate.ledger import read_all, rows_csv
    from eke.cli.need import write_picture
    from eke.cli.progress import progress
    from eke.report.ledger import GROUPS, ledger_words, picture
    from eke.writing import write_whole

    chosen = [name.strip() for name in given["by"].split(",") if name.strip()] or list(GROUPS)
    _known_groups(chosen)
    said = {name: given[name] for name in SAID if given[name]}
    rows = read_all(files, said)
    own = read_all(given["own"], said)
    with progress() as tell:
        entries = predict(rows, own, lambda share: tell(int(1000 * share), 1000, "predicting"))
    if given["rows"] is not None:
        write_whole(given["rows"], rows_csv(entries))
    if given["picture"] is not None:
        write_picture(given["picture"], picture(entries))
    click.echo(ledger_words(entries, chosen), nl=False)


def _known_groups(names: list[str]) -> None:
    from eke.errors import BadInput, closest
    from eke.report.ledger import GROUPS

    for name in names:
        if name not in (*GROUPS, "publisher"):
            near = closest(name, GROUPS) or ", ".join(GROUPS)
            raise BadInput(f"no grouping {name[:30]!r}; closest: {near}.")


@command.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--out",
    default="efficiency",
    show_default=True,
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Where the tables go.",
)
@click.option(
    "--page",
    type=click.Path(path_type=Path),
    metavar="FILE.md",
    help="What was left out, and the ledger, as a page with a picture beside it.",
)
def fit(files: tuple[Path, ...], out: Path, page: Path | None) -> None:
    """Learn the efficiencies anew from measurements, some minutes.

    Writes one table per chip family and engine; whole publishers, engines and chips are left out
    in turn to see how well those nobody has learnt from are predicted.
    """
    import os

    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # the same bits on any number of cores
    from eke.calibrate.ledger import check as predict
    from eke.calibrate.ledger import read_all
    from eke.calibrate.refit import refit
    from eke.calibrate.tables import write_tables
    from eke.cli.progress import progress
    from eke.report.accuracy import accuracy_page, left_out_words
    from eke.report.ledger import picture
    from eke.writing import write_whole

    rows = read_all(files, {})
    with progress() as tell:
        made = refit(rows, lambda words: tell(0, 1, words))
    written = write_tables(made.fitted, made.over, out, made.does)
    click.echo(left_out_words(made), nl=False)
    click.echo(f"written: {len(written)} tables in {out}", err=True)
    if page is not None:
        entries = predict(rows)
        write_whole(page.with_suffix(".svg"), picture(entries))
        write_whole(page, accuracy_page(made, entries, page.with_suffix(".svg").name))
        click.echo(f"written: {page}", err=True)


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
