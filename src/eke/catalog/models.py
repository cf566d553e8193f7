"""Models: catalogue files, which embed a Hugging Face config, or any config.json."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any, cast

import tomli

from eke.catalog.chips import Value
from eke.catalog.files import (
    DATA,
    all_files,
    find,
    folders,
    read_text,
    read_toml,
    refuse_other_id,
    slug,
)
from eke.catalog.huggingface import model_from_config, read_config
from eke.catalog.model_labels import keys, name_key
from eke.catalog.sources import source_kind
from eke.errors import BadFile, BadInput, BadQuantity, UnknownModel, closest
from eke.types.chip import Fact, SourceKind
from eke.types.model import Model
from eke.types.record import Record, replace
from eke.units import quantity

UNITS = {
    "parameters": "1",
    "active": "1",
    "training_tokens": "token",
    "training_flop": "FLOP",
    "training_chips": "1",
    "training_time": "s",
    "training_chip_time": "s",
    "training_cost": "USD",
}


class ModelFile(Record):
    """A model as its file says it. config: as in a config.json; source: where it comes from.
    unpublished: why there is none.  hub: id of its maker's weights on the Hugging Face hub."""

    id: str
    name: str
    organisation: str = ""
    year: int | None = None
    aliases: tuple[str, ...] = ()
    source: str = ""
    kind: SourceKind | None = None  # of the config, where it differs from the source's own
    notes: str = ""
    unpublished: str = ""
    hub: str = ""
    config: dict[str, Any] = {}
    published: dict[str, Value] = {}


def model(name: str) -> Model:
    """The model of that id, alias, config.json or hub id.

    Raises UnknownModel, BadInput for a model whose shape nobody has published, BadFile.
    """
    path = _path(name)
    return read_model(path) if path is not None else read_config(name)


def known_model(name: str) -> Model:
    """The catalogue's model of that label, never asking the hub. Raises UnknownModel."""
    path = _path(name)
    if path is None:
        raise UnknownModel(f"no model {name[:60]!r} in the catalogue. See `eke catalog models`.")
    return read_model(path)


def model_names() -> list[str]:
    """Every id."""
    return list(all_files("models"))


def model_file(name: str) -> ModelFile:
    """What the catalogue's file says. Raises UnknownModel."""
    path = _path(name)
    if path is None:
        raise UnknownModel(f"{name[:60]!r} is not in the catalogue. See `eke catalog models`.")
    return read_toml(path, ModelFile)


def read_model(path: Path) -> Model:
    """A catalogue file as a Model."""
    read = read_toml(path, ModelFile)
    refuse_other_id(path, read.id, "models")
    if not read.config:
        raise BadInput(
            f"the shape of {read.name} is not published ({read.unpublished or 'no config'}), so "
            "nothing can be laid out. Use a model of about its size, or your own config.json."
        )
    return replace(
        model_from_config(read.config, read.id, str(path)),
        name=read.name,
        organisation=read.organisation,
        year=read.year,
        facts=facts(read, path),
        source=read.source,
        notes=read.notes,
        hub=read.hub,
    )


def facts(read: ModelFile, path: Path) -> dict[str, Fact]:
    """Published figures by name. Raises BadFile naming file and field."""
    found: dict[str, Fact] = {}
    for name, each in read.published.items():
        if name not in UNITS:
            near = closest(name, UNITS) or ", ".join(UNITS)
            raise BadFile(f"{path}: published.{name}: no such figure; known: {near}.")
        try:
            value = quantity(str(each.value), UNITS[name])
        except BadQuantity as error:
            raise BadFile(f"{path}: published.{name}: {error}") from None
        kind = each.kind or cast(SourceKind, source_kind(each.source, path.parent.parent))
        found[name] = Fact(
            value=value,
            unit=UNITS[name],
            source=each.source,
            kind=kind,
            written=str(each.value),
            note=each.note,
        )
    return found


def _path(name: str) -> Path | None:
    """The catalogue file of a name; None for a path or a hub id that is no alias."""
    if not name.strip():
        raise BadInput("no model given; expected a name, a config.json or a hub id.")
    if name.endswith(".toml"):
        return Path(name)
    if name.endswith(".json") or name.startswith((".", "/", "~")) or _on_disk(name):
        return None
    words = dict.fromkeys((slug(name), slug(name.rsplit("/", 1)[-1])))
    path = next(filter(None, (find("models", word) for word in words)), None)
    if path is not None:
        return path
    filed = _filed(tuple(folders()))
    path = next((filed[each] for each in keys(name) if each in filed), None)
    if path is not None or "/" in name:
        return path
    near = closest(slug(name), all_files("models"))
    hint = f"; closest: {near}" if near else ""
    raise UnknownModel(
        f"no model {name[:60]!r} in the catalogue{hint}. See `eke catalog models`, or give a "
        "config.json or a hub id."
    )


@cache
def _filed(_: tuple[Path, ...]) -> dict[str, Path]:
    """The file of every id, name and alias, and of every size that only one mixture has."""
    files = all_files("models").values()
    ordered = sorted(files, key=lambda path: path.is_relative_to(DATA))  # a user's own first
    filed: dict[str, Path] = {}
    sizes: dict[str, set[Path]] = {}
    for path in ordered:
        filed.setdefault(name_key(path.stem), path)
        total = re.sub(r"-a\d+(\.\d+)?b$", "", path.stem)
        sizes.setdefault(name_key(total), set()).add(path)
    for path in ordered:
        for name in names(path):
            filed.setdefault(name_key(name), path)
    for total, having in sizes.items():
        if len(having) == 1:
            filed.setdefault(total, *having)
    return filed


def _on_disk(name: str) -> bool:
    """Whether a name is that of a file, or of a folder with a config.json."""
    try:
        return Path(name).is_file() or (Path(name) / "config.json").is_file()
    except (OSError, ValueError):  # longer than a path can be, or with a null character
        return False


def names(path: Path) -> list[str]:
    """The name of a model and its aliases; only the head of the file is read."""
    try:
        head = tomli.loads(read_text(path).partition("\n[")[0])
        found = [head["name"], *head.get("aliases", ())]
    except (tomli.TOMLDecodeError, KeyError, TypeError):
        found = []
    if not found or not all(isinstance(each, str) for each in found):
        read = read_toml(path, ModelFile)  # says what is wrong
        found = [read.name, *read.aliases]
    return found
