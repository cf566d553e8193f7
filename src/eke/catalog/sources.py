"""Where facts come from: sources*.toml, one table per key."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from eke.catalog.files import folders, read_text, to_record
from eke.errors import BadFile, Unknown, closest
from eke.types.chip import Source
from eke.types.record import Record


class _Sources(Record):
    sources: dict[str, Source]


def sources() -> dict[str, Source]:
    """Every source by its key; the user's own win."""
    found: dict[str, Source] = {}
    for folder in reversed(folders()):
        found |= _read(folder)
    return found


@lru_cache
def _read(folder: Path) -> dict[str, Source]:
    import tomli

    found: dict[str, Source] = {}
    for path in sorted(folder.glob("sources*.toml")):
        try:
            table = tomli.loads(read_text(path))
        except tomli.TOMLDecodeError as error:
            raise BadFile(f"{path}: is not TOML: {error}.") from None
        found |= to_record({"sources": table}, _Sources, str(path)).sources
    return found


def source(key: str) -> Source:
    """The source of that key. Raises Unknown."""
    every = sources()
    if key not in every:
        near = closest(key, every)
        hint = f"; closest: {near}" if near else ""
        raise Unknown(f"no source {key[:60]!r}{hint}. See `eke catalog sources`.")
    return every[key]


def source_kind(key: str, folder: Path) -> str:
    """How well a source is known: its kind, or "assumed" where the key does not resolve.

    folder: of the catalogue the citing file stands in. `eke catalog check` refuses such keys.
    """
    found = _read(folder).get(key)  # most are there
    if found is None:
        elsewhere = (_read(place).get(key) for place in folders())
        found = next((each for each in elsewhere if each is not None), None)
    return found.kind if found is not None else "assumed"
