"""Reading data files so that a bad one is always a clear error, never a traceback."""

from __future__ import annotations

import csv
import io
import math
import os
import re
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin

import msgspec
import tomli

from eke.errors import BadFile, closest
from eke.types.record import Record

T = TypeVar("T", bound=Record)
DATA = Path(__file__).parent / "data"
LARGEST = 2_000_000  # bytes; no catalogue file comes near
PARTS = (
    *("chips", "systems", "models", "efficiency", "claims", "forecasts"),
    *("prices.csv", "benchmarks.toml", "engines.toml", "nodes.toml", "sources.toml"),
)
_added: list[Path] = []


def use_folder(path: str | Path) -> None:
    """Put a user's folder before the built-in catalogue. Raises BadFile if it is none."""
    folder = a_folder(path)
    if folder not in _added:
        _added.insert(0, folder)


def a_folder(path: str | Path) -> Path:
    """The path, if it is a catalogue's. Raises BadFile."""
    folder = Path(path)
    if not folder.is_dir():
        raise BadFile(f"{folder}: no such folder; expected chips/, systems/, models/ inside it.")
    if not any((folder / part).exists() for part in PARTS):
        raise BadFile(f"{folder}: holds nothing eke reads; expected any of {', '.join(PARTS)}.")
    return folder


def folders() -> list[Path]:
    """Where catalogue files are looked for, the user's own first."""
    return [*_added, *map(Path, named_folders()), DATA]


def named_folders() -> list[str]:
    """Those the environment names."""
    return [part for part in os.environ.get("EKE_CATALOG", "").split(os.pathsep) if part]


def read_bytes(path: Path, largest: int = LARGEST) -> bytes:
    """The file's bytes. Raises BadFile when it is missing, no file, or too large."""
    try:
        if path.is_dir():
            raise BadFile(f"{path}: is a folder; expected a file.")
        size = path.stat().st_size
        if size > largest:
            raise BadFile(f"{path}: {size:,} bytes; such files have at most {largest:,}.")
        if size == 0:
            raise BadFile(f"{path}: is empty.")
        return path.read_bytes()
    except (OSError, ValueError) as error:
        if isinstance(error, BadFile):
            raise
        reason = getattr(error, "strerror", None) or str(error)
        raise BadFile(f"{path}: cannot be read: {reason}.") from None


def read_text(path: Path, largest: int = LARGEST) -> str:
    """The file's text. Raises BadFile when it is no UTF-8."""
    try:
        return read_bytes(path, largest).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadFile(f"{path}: is not text (UTF-8) from byte {error.start} on.") from None


def read_toml(path: Path, kind: type[T]) -> T:
    """A TOML file as a record. Raises BadFile naming file and field."""
    try:
        found = tomli.loads(read_text(path))
    except (tomli.TOMLDecodeError, RecursionError) as error:
        raise BadFile(f"{path}: is not TOML: {error}.") from None
    return to_record(found, kind, str(path))


def read_everywhere(name: str, kind: type[T]) -> list[T]:
    """That TOML file of every folder that has one, a user's own first."""
    paths = [folder / name for folder in folders()]
    return [read_toml(path, kind) for path in paths if path.is_file()]


def read_rows(path: Path, columns: tuple[str, ...]) -> list[tuple[int, dict[str, str]]]:
    """The rows of a CSV file with their line numbers. Raises BadFile naming file and line."""
    rows = csv.DictReader(io.StringIO(read_text(path), newline=""))
    found = []
    try:
        if tuple(rows.fieldnames or ()) != columns:
            raise BadFile(f"{path}: the columns must be {','.join(columns)}.")
        for row in rows:
            if None in row.values() or None in row:
                raise BadFile(f"{path}, line {rows.line_num}: expected {len(columns)} cells.")
            found.append((rows.line_num, row))
    except csv.Error as error:
        raise BadFile(f"{path}, line {rows.line_num}: is not CSV: {error}.") from None
    return found


def to_record(found: Any, kind: type[T], where: str) -> T:
    """Plain data as a record, strictly. Raises BadFile naming the file and the field."""
    refuse_nonsense(found, where)
    try:
        return msgspec.convert(found, kind, strict=True)
    except msgspec.ValidationError as error:
        message = _placed(found, kind, str(error))
        raise BadFile(f"{where}: {_explained(message, kind)}") from None


def _placed(found: Any, kind: type[Record], message: str) -> str:
    """The library's message with the names of tables, for which it has "[...]"."""
    place = re.search(r"`\$([^`]*)`", message)
    if place is None or "[...]" not in place[1]:
        return message
    way: list[Any] = []
    for name, index, some in re.findall(r"\.([^.\[]+)|\[(\d+)\]|(\[\.\.\.\])", place[1]):
        way.append(_refused(found, way, kind, message) if some else name or int(index))
    named = "".join(f"[{each}]" if isinstance(each, int) else f".{each}" for each in way)
    return message.replace(place[0], f"`${named}`")


def _refused(found: Any, way: list[Any], kind: type[Record], message: str) -> str:
    """The first entry of a table that is refused without the others beside it."""
    table = found
    for each in way:
        table = table[each]
    for name, value in table.items():
        try:
            msgspec.convert(_with(found, way, {name: value}), kind, strict=True)
        except msgspec.ValidationError as error:
            if str(error) == message:
                return str(name)
    return "…"


def _with(found: Any, way: list[Any], value: Any) -> Any:
    """The same data with another value in one place."""
    if not way:
        return value
    inner = _with(found[way[0]], way[1:], value)
    if isinstance(found, list):
        return [inner if at == way[0] else each for at, each in enumerate(found)]
    return {**found, way[0]: inner}


def refuse_nonsense(found: Any, where: str, at: str = "$", depth: int = 0) -> None:
    """Refuse NaN and infinity anywhere, and nesting no real file has."""
    if depth > 40:
        raise BadFile(f"{where}: {at}: nested too deeply.")
    if isinstance(found, float) and not math.isfinite(found):
        raise BadFile(f"{where}: {at[2:]} is {found}; it must be a finite number.")
    items: Any = ()
    if isinstance(found, dict):
        items = found.items()
    elif isinstance(found, list):
        items = enumerate(found)
    for key, value in items:
        if isinstance(value, dict | list | float):
            refuse_nonsense(value, where, f"{at}.{key}", depth + 1)


def _explained(message: str, kind: type[Record]) -> str:
    """The library's message, with the closest field where a name is wrong."""
    wrong = re.search(r"Invalid enum value '([^']*)'.*\$(.*?)`", message)
    if wrong is not None:
        allowed = _allowed(kind, re.findall(r"\w+", wrong[2])[-1])
        near = closest(wrong[1], allowed)
        hint = f". Did you mean {near}?" if near else ""
        return message + f"; allowed: {', '.join(allowed)}{hint}"
    unknown = re.search(r"unknown field `([^`]*)`", message)
    if unknown is None:
        return message
    known = {field.name for each in _records(kind) for field in msgspec.structs.fields(each)}  # type: ignore[arg-type]
    near = closest(unknown[1], known)
    return message + (f". Did you mean {near}?" if near else f". Known: {', '.join(sorted(known))}")


def _allowed(kind: type[Record], name: str) -> list[str]:
    """The words a field may be, or the keys it may have."""
    for each in _records(kind):
        for field in msgspec.structs.fields(each):  # type: ignore[arg-type]
            if field.name == name:
                options = (field.type, *get_args(field.type))
                return [str(w) for t in options if get_origin(t) is Literal for w in get_args(t)]
    return []


def _records(kind: type[Record]) -> list[type[Record]]:
    """A record and the records its fields hold."""
    found = [kind]
    for field in msgspec.structs.fields(kind):  # type: ignore[arg-type]
        for part in (field.type, *getattr(field.type, "__args__", ())):
            if isinstance(part, type) and issubclass(part, Record) and part not in found:
                found.append(part)
    return found


def slug(name: str) -> str:
    """A name as ids are written: "RTX 4090" → "rtx-4090"."""
    return re.sub(r"[^a-z0-9.]+", "-", name.casefold()).strip("-")


def refuse_other_id(path: Path, id: str, kind: str) -> None:
    """In a catalogue a file bears the name of its id, by which it is found. Raises BadFile."""
    if path.parent.name == kind and path.stem != id:
        raise BadFile(
            f"{path}: id is {id!r}; in a catalogue it must be {path.stem!r}, as the file."
        )


def find(kind: str, name: str) -> Path | None:
    """The file of an exact id in the first folder that has it."""
    word = slug(name)
    for folder in folders():
        path = folder / kind / f"{word}.toml"
        if word and len(word) < 120 and path.is_file():
            return path
    return None


def all_files(kind: str) -> dict[str, Path]:
    """Every id and its file, the user's own first."""
    found: dict[str, Path] = {}
    for folder in folders():
        for path in sorted((folder / kind).glob("*.toml")):
            found.setdefault(path.stem, path)
    return dict(sorted(found.items()))
