"""A config.json, read so that a missing or absurd value is an error that names it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from eke.catalog.files import read_text, refuse_nonsense
from eke.errors import BadFile

LARGEST = 10_000_000  # bytes of a config.json
MOST = 10**8  # no width, count or vocabulary is larger
_MISSING = object()


class Config:
    """Values of one configuration by name, with the file they come from for messages."""

    def __init__(self, values: dict[str, Any], where: str, at: str = "") -> None:
        self.values, self.where, self.at = values, where, at

    def __contains__(self, name: str) -> bool:
        return self.values.get(name) is not None

    def _find(self, names: Iterable[str], default: Any) -> tuple[str, Any]:
        listed = list(names)
        for name in listed:
            if self.values.get(name) is not None:
                return name, self.values[name]
        if default is _MISSING:
            raise BadFile(f"{self.where}: {self.at}{' or '.join(listed)} is missing.")
        return listed[0], default

    def whole(self, *names: str, default: Any = _MISSING, least: int = 1) -> int:
        """A whole number from `least` up. Raises BadFile when it is missing or something else."""
        name, value = self._find(names, default)
        if isinstance(value, float) and value == int(value):
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= MOST:
            raise BadFile(
                f"{self.where}: {self.at}{name} is {_shown(value)}; it must be a whole number "
                f"between {least} and {MOST:,}."
            )
        return value

    def maybe(self, *names: str, least: int = 0) -> int | None:
        """A whole number, or None where it is missing or null."""
        if not any(name in self for name in names):
            return None
        return self.whole(*names, least=least)

    def number(self, *names: str, default: Any = _MISSING) -> float:
        """A finite number above zero."""
        name, value = self._find(names, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e6:
            raise BadFile(
                f"{self.where}: {self.at}{name} is {_shown(value)}; it must be a number above 0."
            )
        return float(value)

    def flag(self, *names: str, default: bool = False) -> bool:
        """True or false."""
        name, value = self._find(names, default)
        if not isinstance(value, bool):
            raise BadFile(
                f"{self.where}: {self.at}{name} is {_shown(value)}; it must be true or false."
            )
        return value

    def text(self, *names: str, default: Any = _MISSING) -> str:
        """A text."""
        name, value = self._find(names, default)
        if not isinstance(value, str):
            raise BadFile(f"{self.where}: {self.at}{name} is {_shown(value)}; it must be a text.")
        return value

    def items(self, *names: str) -> list[Any] | None:
        """A list, or None where it is missing."""
        name, value = self._find(names, None)
        if value is not None and not isinstance(value, list):
            raise BadFile(f"{self.where}: {self.at}{name} is {_shown(value)}; it must be a list.")
        if value is not None and len(value) > 10_000:
            raise BadFile(f"{self.where}: {self.at}{name} has {len(value):,} entries.")
        return value

    def part(self, *names: str) -> Config | None:
        """A configuration inside this one, or None where it is missing."""
        name, value = self._find(names, None)
        if value is None:
            return None
        if not isinstance(value, dict):
            raise BadFile(f"{self.where}: {self.at}{name} is {_shown(value)}; expected a table.")
        return Config(value, self.where, f"{self.at}{name}.")

    def layers(self) -> int:
        """How many layers, at most a thousand."""
        count = self.whole("num_hidden_layers", "n_layer", "num_layers", "n_layers")
        if count > 2000:
            raise BadFile(f"{self.where}: {self.at}num_hidden_layers is {count:,}; that is absurd.")
        return count

    def divided(self, value: int, by: int, what: str) -> int:
        """value / by, which must leave no rest."""
        if value % by:
            raise BadFile(f"{self.where}: {self.at}{what}: {value} does not divide by {by}.")
        return value // by


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"


def load(path: Path) -> dict[str, Any]:
    """The table in a JSON file. Raises BadFile when it is anything else."""
    try:
        found = json.loads(read_text(path, LARGEST))
    except (json.JSONDecodeError, RecursionError) as error:
        raise BadFile(f"{path}: is not JSON: {error}.") from None
    except ValueError as error:  # a number of too many digits
        raise BadFile(f"{path}: {error}.") from None
    if not isinstance(found, dict):
        raise BadFile(f"{path}: holds a {type(found).__name__}; expected a table of settings.")
    refuse_nonsense(found, str(path))
    return found
