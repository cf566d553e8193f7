"""Models: catalogue files, which embed a Hugging Face config, or any config.json."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, cast

from eke.catalog.chips import Value
from eke.catalog.files import all_files, find, read_toml, refuse_other_id, slug
from eke.catalog.huggingface import model_from_config, read_config
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
    unpublished: why there is none."""

    id: str
    name: str
    organisation: str = ""
    year: int | None = None
    aliases: tuple[str, ...] = ()
    source: str = ""
    kind: SourceKind | None = None  # of the config, where it differs from the source's own
    notes: str = ""
    unpublished: str = ""
    config: dict[str, Any] = {}
    published: dict[str, Value] = {}


def model(name: str) -> Model:
    """The model of that id, alias, config.json or hub id.

    Raises UnknownModel, BadInput for a model whose shape nobody has published, BadFile.
    """
    path = _path(name)
    return read_model(path) if path is not None else read_config(name)


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
    spelt = spellings(name)
    path = next(filter(None, (find("models", word) for word in spelt)), None)
    if path is not None:
        return path
    files = all_files("models")
    for each in files.values():
        if not aliases(each).isdisjoint(spelt):
            return each
    if "/" in name:
        return None
    near = closest(spelt[0], files)
    hint = f"; closest: {near}" if near else ""
    raise UnknownModel(
        f"no model {name[:60]!r} in the catalogue{hint}. See `eke catalog models`, or give a "
        "config.json or a hub id."
    )


_SAME_SHAPE = re.compile(r"-(hf|instruct|chat|it|base|preview|fp8|awq|gptq|bf16)(-v?\d[\d.]*)?$")


def spellings(name: str) -> list[str]:
    """Ways to write a name: as given, without its organisation, without words such as
    "instruct" that do not change the shape."""
    found = [slug(name), slug(name.rsplit("/", 1)[-1]).removeprefix("meta-")]
    for word in list(found):
        while (shorter := _SAME_SHAPE.sub("", word)) != word:
            found.append(shorter)
            word = shorter
    return list(dict.fromkeys(found))


def _on_disk(name: str) -> bool:
    """Whether a name is that of a file, or of a folder with a config.json."""
    try:
        return Path(name).is_file() or (Path(name) / "config.json").is_file()
    except (OSError, ValueError):  # longer than a path can be, or with a null character
        return False


def aliases(path: Path) -> set[str]:
    """Other names of a model."""
    read = read_toml(path, ModelFile)
    return {slug(read.name), *map(slug, read.aliases)}
