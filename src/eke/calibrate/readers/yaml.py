"""The part of YAML that tools write: block mappings and lists, plain and quoted texts.

No anchors, no merges, no documents side by side: nothing here builds objects from what it reads.
"""

from __future__ import annotations

import json
import re
from typing import Any

from eke.errors import BadFile

DEEPEST = 60
_KEY = re.compile(r"""("(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|[^\s\-?\[\]{}&*!|>'"%@`#,][^:]*?|-[^\s:]+?)
    \s*:(?:\s+(.*))?$""", re.X | re.S)  # fmt: skip
_NUMBER = re.compile(r"[-+]?(\d[\d_]*\.?\d*|\.\d+)([eE][-+]?\d+)?\Z")
_WORDS: dict[str, Any] = {"null": None, "~": None, "": None, "true": True, "false": False}
_SPECIAL = {".nan": "nan", ".inf": "inf", "-.inf": "-inf"}


def read_yaml(text: str, where: str) -> Any:
    """The value a YAML text writes. Raises BadFile naming the line."""
    return _Lines(text, where).block(0, 0)


class _Lines:
    """Lines still to be read, each as its indent and what stands behind it."""

    def __init__(self, text: str, where: str) -> None:
        self.where, self.at = where, 0
        self.lines = [
            (len(line) - len(line.lstrip(" ")), line.strip(), line_number)
            for line_number, line in enumerate(text.splitlines(), start=1)
            if line.strip() and not line.lstrip().startswith("#") and line.strip() != "---"
        ]

    def block(self, indent: int, depth: int) -> Any:
        """The mapping, list or text that begins here, indented by at least `indent`."""
        if depth > DEEPEST:
            raise self.wrong("it is nested too deeply")
        if self.at >= len(self.lines) or self.lines[self.at][0] < indent:
            return None
        own, content, _ = self.lines[self.at]
        if content == "-" or content.startswith("- "):
            return self.sequence(own, depth)
        if _KEY.match(content):
            return self.mapping(own, depth)
        self.at += 1
        return self.scalar(content, own - 1)

    def sequence(self, indent: int, depth: int) -> list[Any]:
        found = []
        while self.at < len(self.lines):
            own, content, line = self.lines[self.at]
            if own != indent or not (content == "-" or content.startswith("- ")):
                break
            rest = content[1:].lstrip()
            if rest.startswith("!"):
                rest = rest.partition(" ")[2]
            if rest:  # read on as if the rest stood on a line of its own
                self.lines[self.at] = (own + len(content) - len(rest), rest, line)
            else:
                self.at += 1
            found.append(self.block(own + 1, depth + 1))
        return found

    def mapping(self, indent: int, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while self.at < len(self.lines) and self.lines[self.at][0] == indent:
            match = _KEY.match(self.lines[self.at][1])
            if match is None:
                if self.lines[self.at][1].startswith("-"):
                    break
                raise self.wrong("expected `name: value`")
            self.at += 1
            value = (match[2] or "").strip()
            if value.startswith("!"):
                value = value.partition(" ")[2]
            found[match[1].strip("\"'")] = self.value(value, indent, depth)
        if self.at < len(self.lines) and self.lines[self.at][0] > indent:
            raise self.wrong("its indent fits nothing above it")
        return found

    def value(self, written: str, indent: int, depth: int) -> Any:
        if written:
            return self.scalar(written, indent)
        if self.at < len(self.lines):
            own, content, _ = self.lines[self.at]
            if own > indent or (own == indent and (content == "-" or content.startswith("- "))):
                return self.block(own, depth + 1)
        return None

    def scalar(self, written: str, indent: int) -> Any:
        """A value that may go on over deeper lines."""
        if written[0] in "|>":
            return " ".join(self.deeper(indent))
        if written[0] in "\"'":
            return self.quoted(written)
        if written[0] in "[{":
            written = " ".join([written, *self.deeper(indent)])
            return _flow(written)
        return _plain(" ".join([written, *self.deeper(indent)]))

    def quoted(self, written: str) -> str:
        """A quoted text up to its closing quote, however many lines away."""
        quote, parts = written[0], [written[1:]]
        while not _closes(quote, parts[-1]):
            if self.at >= len(self.lines):
                raise self.wrong("a quoted text has no end")
            parts.append(self.lines[self.at][1])
            self.at += 1
        return " ".join(parts)[:-1]

    def deeper(self, indent: int) -> list[str]:
        found = []
        while self.at < len(self.lines) and self.lines[self.at][0] > indent:
            found.append(self.lines[self.at][1])
            self.at += 1
        return found

    def wrong(self, why: str) -> BadFile:
        line = self.lines[min(self.at, len(self.lines) - 1)][2] if self.lines else 1
        return BadFile(f"{self.where}: is YAML that cannot be read at line {line}: {why}.")


def _closes(quote: str, part: str) -> bool:
    """Whether a line of a quoted text closes it: a quote that is neither escaped nor doubled."""
    if quote == '"':
        return '"' in re.sub(r"\\.", "", part)
    return part.count("'") % 2 == 1


def _flow(written: str) -> Any:
    """`[]`, `{}` and what happens to be JSON; other flow style stays a text."""
    try:
        return json.loads(written)
    except (ValueError, RecursionError):
        return written


def _plain(written: str) -> Any:
    lower = written.casefold()
    if lower in _WORDS:
        return _WORDS[lower]
    if lower in _SPECIAL:
        return float(_SPECIAL[lower])
    if len(written) < 40 and _NUMBER.match(written):
        clean = written.replace("_", "")
        return int(clean) if re.fullmatch(r"[-+]?\d+", clean) else float(clean)
    return written
