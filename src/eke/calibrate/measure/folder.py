"""A user's catalogue folder out of what was measured: a chip, its efficiencies, their source."""

from __future__ import annotations

import csv
import io
import math
import re
from pathlib import Path

from eke.calibrate.measure.fit import Fitted, Promised
from eke.calibrate.measure.journal import Host
from eke.catalog.chips import PEAKS, chip, chip_names
from eke.catalog.efficiencies import BEATEN, COLUMNS, built_in, efficiencies, read_efficiencies
from eke.catalog.files import read_text, slug
from eke.errors import BadFile, BadInput
from eke.physics.scenarios import likely
from eke.types.chip import FORMATS, Chip
from eke.types.efficiency import Efficiency, Knobs
from eke.types.need import Span
from eke.units import show

UNITS = {  # shares have none
    "matmul_rows": "1",
    "matmul_columns": "1",
    "attention_tokens": "1",
    "launch": "s",
    "collective": "s",
}
SOURCES = "sources-measured.toml"


def catalogue_chip(host: Host, named: str = "") -> Chip | None:
    """The chip of the catalogue that a machine is; None for one that it does not hold.

    named: what the user says it is. Raises UnknownChip for a name nobody knows.
    """
    if named:
        return chip(named)
    if host.kind == "cpu":
        return None
    words = _words(host.name)
    scored = []
    for each in map(chip, chip_names()):
        own = set(each.id.split("-"))
        letters = {part for part in own if re.search(r"\d", part) and not part.isdigit()}
        numbers = {part for part in own if len(part) == 4 and part.isdigit()}
        if not (letters | numbers) & words or not _near(each.memory_size, host.memory):
            continue
        kind = _words(each.memory_type)
        unsaid = own - words - {"sxm"}  # the makers name the other boards only: "H200", "H200 NVL"
        scored.append((len(own & words), len(kind & words), -len(unsaid), each.id))
    scored.sort(reverse=True)
    if not scored or (len(scored) > 1 and scored[0][:3] == scored[1][:3]):
        return None
    return chip(scored[0][3])


def _words(name: str) -> set[str]:
    """The words of a name; "SXM4" also counts as "sxm"."""
    found = set(slug(name).replace(".", "-").split("-"))
    return found | {re.sub(r"\d+$", "", word) for word in found if word.startswith("sxm")}


def _near(size: float | None, measured: float) -> bool:
    """Whether a memory is as large as the maker says, who may mean GB or GiB."""
    return size is not None and any(abs(measured / s - 1) < 0.06 for s in (size, GIBI * size))


GIBI = 2**30 / 1e9


def promised(known: Chip | None) -> Promised | None:
    """The published figures that shares are shares of; None for a machine of one's own."""
    if known is None or not known.peak or not known.memory_speed:
        return None
    return Promised(
        peak={str(form): value for form, value in known.peak.items()},
        memory=known.memory_speed,
        link=known.link_speed,
    )


def prior(host: Host, known: Chip | None) -> Knobs:
    """The values eke has for a machine without measuring it: what a user's folder holds may be the
    last fit of the same timings."""
    return likely(built_in(host.kind, known.family if known else ""))


def write_folder(
    folder: Path, host: Host, known: Chip | None, fitted: Fitted, day: str
) -> tuple[str, list[Path]]:
    """Write what `eke --catalog FOLDER` reads. Returns the chip's id and the files.

    known: the chip of the catalogue the machine is; None writes a chip of its own.  day: ISO date.
    Raises BadInput for a machine far faster than the chip it is taken for.
    """
    far = [name for name in fitted.above if fitted.values[name].likely > BEATEN]
    if known is not None and far and not fitted.promised.own:
        raise BadInput(
            f"{', '.join(far)}: {BEATEN:g} times what is published of {known.id}, or more; this "
            "must be another chip. Say which with --chip."
        )
    source = f"measured-{known.id if known else slug(host.name)}"
    files = [_write(folder / SOURCES, _source(source, host, day))]
    name = family = known.id if known else slug(host.name)
    if known is None or fitted.promised.own:
        files.append(
            _write(folder / "chips" / f"{name}.toml", _chip(name, host, fitted, source, day))
        )
    else:
        family = known.family
    path = folder / "efficiency" / f"{family}.csv"
    files.append(_write(path, _table(path, host, known, fitted, source)))
    return name, files


def _write(path: Path, text: str) -> Path:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise BadFile(f"{path}: cannot be written: {error.strerror or error}.") from None
    return path


def _source(key: str, host: Host, day: str) -> str:
    return (
        f"[{_quoted(key)}]\n"
        f"title = {_quoted(f'eke calibrate measure on {host.name}')}\n"
        'kind = "measured"\n'
        f"read = {_quoted(day)}\n"
        f"note = {_quoted(host.software + ', points.jsonl in this folder')}\n"
    )


BEST = "best matrix multiplication, not a data sheet"


def _chip(name: str, host: Host, fitted: Fitted, source: str, day: str) -> str:
    """A chip file whose figures are the best of what was measured."""

    def value(number: float, unit: str, note: str) -> str:
        written = show(number, unit, digits=4)
        return (
            f"{{ value = {_quoted(written)}, source = {_quoted(source)}, note = {_quoted(note)} }}"
        )

    peak = fitted.promised.peak
    lines = [
        f"id = {_quoted(name)}",
        f"name = {_quoted(host.name)}",
        f"vendor = {_quoted(host.vendor)}",
        f"kind = {_quoted(host.kind)}",
        f"family = {_quoted(name)}",
        f"year = {day[:4]}",
        f"notes = {_quoted(f'by eke calibrate measure on {day}; the year is that of measuring')}",
        "\n[peak]",
        *(
            f"{form} = {value(peak[form], 'FLOP/s', BEST)}"
            for form in FORMATS
            if form in peak and PEAKS[0] <= peak[form] <= PEAKS[1]
        ),
        "\n[memory]",
        f"size = {value(host.memory, 'B', 'as the system says')}",
        f"speed = {value(fitted.promised.memory, 'B/s', 'best long stream')}",
    ]
    if fitted.promised.link and host.ranks > 1:
        note = f"best all-reduce between {host.ranks} " + (
            "processes of this machine" if host.kind == "cpu" else "devices"
        )
        lines += ["\n[link]", 'name = "measured"']
        lines += [f"speed = {value(fitted.promised.link, 'B/s', note)}"]
        lines += [f"domain = {value(host.ranks, '1', 'measured together')}"]
    return "\n".join(lines) + "\n"


def _table(path: Path, host: Host, known: Chip | None, fitted: Fitted, source: str) -> str:
    """The efficiency table: rows measured now, then those the user had, then the kind's own."""
    rows = {name: _measured(name, span, fitted, source) for name, span in fitted.values.items()}
    if path.is_file():
        read_efficiencies(path, path.stem)  # refuses what is no such table
        for row in csv.DictReader(io.StringIO(read_text(path))):
            if row["source"] != source:  # of an earlier fit of this machine
                rows.setdefault(row["name"], row)
    if known is None and host.kind == "cpu":
        for name, found in efficiencies("cpu").items():
            if found.family == "cpu":
                rows.setdefault(name, _copied(found))
    written = io.StringIO()
    table = csv.DictWriter(written, COLUMNS, lineterminator="\n", extrasaction="ignore")
    table.writeheader()
    table.writerows(rows.values())
    return written.getvalue()


def _measured(name: str, span: Span, fitted: Fitted, source: str) -> dict[str, str]:
    unit = UNITS.get(name, "1")
    note = "share of the best measured here" if fitted.promised.own else ""
    if name in UNITS:
        note = ""
    if name in fitted.above:
        note = "above the published figure: that is too low for this machine, or of another chip"
    most = math.inf if name in UNITS else BEATEN
    ends = {end: _number(min(getattr(span, end), most), unit) for end in ("low", "likely", "high")}
    return {"name": name, **ends, "unit": unit, "kind": "measured", "source": source, "note": note}


def _copied(found: Efficiency) -> dict[str, str]:
    ends = {end: _number(getattr(found, end), found.unit) for end in ("low", "likely", "high")}
    plain = {"name": found.name, "unit": found.unit, "kind": found.kind, "source": found.source}
    return {**plain, **ends, "note": found.note}


def _number(value: float, unit: str) -> str:
    return f"{value * 1e6:.4g}us" if unit == "s" else f"{value:.4g}"


def _quoted(text: str) -> str:
    """A TOML string."""
    plain = re.sub(r"[\x00-\x1f\x7f]", " ", text)
    return '"' + plain.replace("\\", "\\\\").replace('"', '\\"') + '"'
