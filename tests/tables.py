"""Invented measurements: rows of the two shared formats, and tables of them on disk."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterable
from pathlib import Path

from eke.calibrate.readers.run import COLUMNS
from eke.calibrate.rows import Row

SERVING = {
    "id": "s",
    "source": "somebody",
    "model": "Llama-3.1-8B",
    "chip": "H100-SXM-80GB",
    "n_chips": "1",
    "tp": "1",
    "precision": "bf16",
    "isl": "1024",
    "osl": "128",
    "batch": "8",
    "scenario": "static_batch",
    "engine": "vLLM",
    "engine_version": "0.10.1",
    "metric": "e2e_latency_s",
    "measured_value": "2",
}
LEARNING = {
    "id": "l",
    "source": "somebody else",
    "model": "Llama-3.1-8B",
    "n_params": "8030000000",
    "seq_len": "8192",
    "chip": "H100-SXM-80GB",
    "n_chips": "64",
    "tp": "2",
    "pp": "1",
    "dp": "32",
    "global_batch_sequences": "128",
    "micro_batch": "1",
    "precision": "bf16",
    "framework": "Megatron-Core",
    "metric": "iteration_time_s",
    "measured_value": "3",
    "notes": "task=pretrain",
}


def serving(**columns: object) -> Row:
    """A row of serving, a static batch of eight where nothing else is said."""
    return _row("inference", SERVING | _texts(columns))


def learning(**columns: object) -> Row:
    """A row of training, 8B parameters on 64 chips where nothing else is said."""
    return _row("training", LEARNING | _texts(columns))


def _texts(columns: dict[str, object]) -> dict[str, str]:
    return {name: str(value) for name, value in columns.items()}


def _row(table: str, given: dict[str, str]) -> Row:
    columns = dict.fromkeys(COLUMNS[table], "") | given
    assert list(columns) == COLUMNS[table], "a column the format does not have"
    try:
        value = float(columns["measured_value"])
    except ValueError:
        value = float("nan")
    return Row(
        id=columns["id"],
        table=table,
        source=columns["source"],
        metric=columns["metric"],
        value=value,
        columns=columns,
    )


def write_table(path: Path, rows: Iterable[Row]) -> Path:
    """The rows as a table of the shared format, packed where the name ends in .gz."""
    kept = list(rows)
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS[kept[0].table], lineterminator="\n")
    writer.writeheader()
    writer.writerows(row.columns for row in kept)
    data = out.getvalue().encode()
    path.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)
    return path


def mixed_rows() -> list[Row]:
    """Rows of many kinds, in no order, some of which nobody can predict."""
    static = [serving(id=f"b{n}", batch=n, measured_value=1 + n / 9) for n in (1, 4, 32, 4096)]
    wide = [serving(id=f"t{n}", n_chips=n, tp=n, measured_value=3 / n) for n in (1, 2, 8)]
    loop = {"scenario": "online", "batch": "", "metric": "tpot_ms"}
    users = [
        serving(**loop, id=f"u{n}", concurrency_or_qps=f"concurrency={n}", measured_value=6 + n)
        for n in (1, 16, 64)
    ]
    offline = {"scenario": "offline_max_throughput", "batch": "", "isl": "512"}
    full = [
        serving(**offline, id=f"o-{metric}", metric=metric, measured_value=value)
        for metric, value in (("output_tokens_per_sec_total", 4000), ("requests_per_sec", 30))
    ]
    amd = serving(id="amd", chip="MI300X", engine="SGLang", engine_version="", measured_value=4)
    rate = serving(
        id="rate",
        scenario="online",
        batch="",
        concurrency_or_qps="qps=2",
        metric="ttft_ms",
        measured_value=80,
    )
    odd = [
        serving(id="p99", notes="p99"),
        serving(id="flag", notes="SUSPECT: twice as fast as the chip"),
        serving(id="none", measured_value="n/a"),
        serving(id="model", model="Nobody-Knows-12Q"),
        serving(id="chip", chip="abacus"),
    ]
    trained = [
        learning(id=f"g{n}", global_batch_sequences=n, measured_value=n / 40) for n in (64, 128)
    ]
    lost = learning(id="lost", chip="")
    return [
        *(users[0], odd[0], trained[0], static[0], full[0], amd, odd[1], wide[2], static[3]),
        *(lost, users[2], full[1], odd[2], wide[0], odd[3], static[1], rate, odd[4], users[1]),
        *(trained[1], wide[1], static[2]),
    ]
