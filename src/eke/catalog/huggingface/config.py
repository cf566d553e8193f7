"""A config.json, read so that a missing or absurd value is an error that names it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from eke.catalog.files import read_text
from eke.errors import BadFile

LARGEST = 10_000_000  # bytes of a config.json
MOST = 10**8  # no width, count or vocabulary is larger
MOST_LAYERS = 2000
LAYERS = ("num_hidden_layers", "n_layer", "num_layers", "n_layers")
HIDDEN = ("hidden_size", "n_embd", "d_model", "n_embed")
HEADS = ("num_attention_heads", "n_head", "n_heads", "num_heads", "attention_heads")
_STATED = {*LAYERS, *HIDDEN, "vocab_size", "encoder_layers", "decoder_layers"}
_MISSING = object()


@cache
def _usual() -> dict[str, dict[str, Any]]:
    """By family, what transformers declares; written by tests/oracles/transformers_usual.py."""
    found: dict[str, dict[str, Any]] = json.loads(
        (Path(__file__).parent / "usual.json").read_text()
    )
    return found


class Config:
    """Values of one configuration by name, with the file they come from for messages.

    usual: what transformers assumes for this family where the file is silent. The outermost
    configuration must state its own size: a file without it is damaged, not a default model.
    """

    def __init__(
        self, values: dict[str, Any], where: str, at: str = "", usual: dict[str, Any] | None = None
    ) -> None:
        self.values, self.where, self.at, self.usual = values, where, at, usual or {}

    def __contains__(self, name: str) -> bool:
        return self._find((name,), None)[1] is not None

    def like(self, family: str) -> Config:
        """The same values, with what is usual in a family where they are silent."""
        usual = _usual().get(family, {})
        if not self.at:
            usual = {name: value for name, value in usual.items() if name not in _STATED}
        return Config(self.values, self.where, self.at, usual)

    def changed(self, **values: Any) -> Config:
        """With some values replaced."""
        return Config(self.values | values, self.where, self.at, self.usual)

    def wrong(self, name: str, why: str) -> BadFile:
        """The error that names the file and the field."""
        return BadFile(f"{self.where}: {self.at}{name} {why}")

    def _find(self, names: Iterable[str], default: Any) -> tuple[str, Any]:
        listed = list(names)
        for name in listed:
            if self.values.get(name) is not None:
                return name, self.values[name]
        for name in listed:  # an explicit null says "none", not "as usual"
            if name in self.usual and name not in self.values:
                return name, self.usual[name]
        if default is _MISSING:
            raise self.wrong(" or ".join(listed), "is missing.")
        return listed[0], default

    def whole(self, *names: str, default: Any = _MISSING, least: int = 1) -> int:
        """A whole number from `least` up. Raises BadFile when it is missing or something else."""
        name, found = self._find(names, default)
        value = int(found) if isinstance(found, float) and found.is_integer() else found
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= MOST:
            raise self.wrong(
                name, f"is {_shown(found)}; it must be a whole number between {least} and {MOST:,}."
            )
        return value

    def maybe(self, *names: str, least: int = 0) -> int | None:
        """A whole number, or None where it is missing or null."""
        return self.whole(*names, least=least) if self._find(names, None)[1] is not None else None

    def number(self, *names: str, default: Any = _MISSING) -> float:
        """A finite number above zero."""
        name, value = self._find(names, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e6:
            raise self.wrong(name, f"is {_shown(value)}; it must be a number above 0.")
        return float(value)

    def flag(self, *names: str, default: bool = False) -> bool:
        """True or false."""
        name, value = self._find(names, default)
        if not isinstance(value, bool):
            raise self.wrong(name, f"is {_shown(value)}; it must be true or false.")
        return value

    def text(self, *names: str, default: Any = _MISSING) -> str:
        """A text."""
        name, value = self._find(names, default)
        if not isinstance(value, str):
            raise self.wrong(name, f"is {_shown(value)}; it must be a text.")
        return value

    def items(self, *names: str) -> list[Any] | None:
        """A list, or None where it is missing."""
        name, value = self._find(names, None)
        if value is not None and not isinstance(value, list | tuple):
            raise self.wrong(name, f"is {_shown(value)}; it must be a list.")
        if value is not None and len(value) > 10_000:
            raise self.wrong(name, f"has {len(value):,} entries; no real file has.")
        return None if value is None else list(value)

    def part(self, *names: str) -> Config | None:
        """A configuration inside this one, or None where it is missing."""
        name, value = self._find(names, None)
        if value is None:
            return None
        if not isinstance(value, dict):
            raise self.wrong(name, f"is {_shown(value)}; expected a table.")
        return Config(value, self.where, f"{self.at}{name}.")

    def inside(self, *names: str) -> Config:
        """A configuration inside this one. Raises BadFile where it is missing."""
        found = self.part(*names)
        if found is None:
            raise self.wrong(" or ".join(names), "is missing; expected a table.")
        return found

    def hidden(self) -> int:
        """Width of the residual stream."""
        return self.whole(*HIDDEN)

    def layers(self, *names: str) -> int:
        """How many layers."""
        count = self.whole(*(names or LAYERS))
        if count > MOST_LAYERS:
            name = self._find(names or LAYERS, 0)[0]
            raise self.wrong(name, f"is {count:,}; no model has more than {MOST_LAYERS:,} layers.")
        return count

    def kinds(self, allowed: Iterable[str], *names: str) -> list[str] | None:
        """One word for each layer, or None where the list is missing."""
        found = self.items(*(names or ("layer_types",)))
        if found is None:
            return None
        name, known, layers = self._find(names or ("layer_types",), None)[0], set(allowed), 0
        layers = self.layers()
        if len(found) < layers:
            raise self.wrong(name, f"has {len(found)} entries for {layers} layers.")
        for kind in found[:layers]:
            if not isinstance(kind, str) or kind not in known:
                raise self.wrong(name, f"holds {_shown(kind)}; known: {', '.join(sorted(known))}.")
        return found[:layers]

    def divided(self, value: int, by: int, what: str) -> int:
        """value / by, which must leave no rest."""
        if value % by:
            raise self.wrong(what, f"cannot be: {value} does not divide by {by}.")
        return value // by


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"


def load(path: Path) -> dict[str, Any]:
    """The table in a JSON file. Raises BadFile when it is anything else."""
    text = read_text(path, LARGEST)
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:  # also a number of too many digits
        raise BadFile(f"{path}: is not JSON: {error}.") from None
    if not isinstance(found, dict):
        raise BadFile(f"{path}: holds a {type(found).__name__}; expected a table of settings.")
    return found  # Infinity may stand in fields eke does not read, as in Mamba 2's own file
