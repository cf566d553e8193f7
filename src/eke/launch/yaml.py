"""YAML that every reader reads back as it was meant: what is not plainly a word is quoted."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*(:[A-Za-z0-9_./-]+)*\Z")
_TAKEN = {"true", "false", "yes", "no", "on", "off", "null", "y", "n"}  # words that are no text
_SHORT = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t"}


def text(value: Any, header: Iterable[str] = ()) -> str:
    """One document of mappings, lists and scalars, after its comments."""
    body = "\n".join(_block(value, 0))
    return comments(header) + body + "\n"


def documents(values: Iterable[Any], header: Iterable[str] = ()) -> str:
    """Several documents in one file."""
    return comments(header) + "---\n".join(text(value) for value in values)


def comments(lines: Iterable[str]) -> str:
    """Lines as comments, without the line breaks that would end them and what nobody can see."""
    words = (" ".join(line.split()) for line in lines)
    seen = (
        "".join(c if c.isprintable() and c != "\ufeff" else "?" for c in line) for line in words
    )
    return "".join(f"# {line}".rstrip() + "\n" for line in seen)


def _block(value: Any, depth: int) -> list[str]:
    """The lines of a value, indented; an empty or scalar one is a single line."""
    pad = "  " * depth
    if isinstance(value, Mapping) and value:
        return [line for key, each in value.items() for line in _entry(key, each, depth)]
    if _is_list(value) and value:
        return [line for each in value for line in _item(each, depth)]
    return [pad + scalar(value)]


def _entry(key: Any, value: Any, depth: int) -> list[str]:
    pad = "  " * depth
    if _nests(value):
        return [f"{pad}{scalar(key)}:", *_block(value, depth + (not _is_list(value)))]
    return [f"{pad}{scalar(key)}: {scalar(value)}"]


def _item(value: Any, depth: int) -> list[str]:
    pad = "  " * depth
    if not _nests(value):
        return [f"{pad}- {scalar(value)}"]
    first, *rest = _block(value, depth + 1)
    return [f"{pad}- {first.lstrip()}", *rest]


def _nests(value: Any) -> bool:
    return bool(value) and (isinstance(value, Mapping) or _is_list(value))


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def scalar(value: Any) -> str:
    """A number, a text, a yes or no, nothing, or an empty collection, on one line."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, str):
        plain = _PLAIN.match(value) and value.lower() not in _TAKEN
        return value if plain else '"' + "".join(map(_escaped, value)) + '"'
    return "{}" if isinstance(value, Mapping) else "[]"


def _number(value: float) -> str:
    """A float with a point in it, without which YAML 1.1 takes an exponent for text."""
    if not math.isfinite(value):
        return ".nan" if math.isnan(value) else ".inf" if value > 0 else "-.inf"
    shown = repr(value)
    return shown if "." in shown else shown.replace("e", ".0e")


def _escaped(letter: str) -> str:
    if letter in _SHORT:
        return _SHORT[letter]
    if letter.isprintable() and letter != "\ufeff":
        return letter
    code = ord(letter)
    return (
        f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 65536 else f"\\U{code:08x}"
    )
