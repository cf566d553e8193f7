"""Option names and values of an argument parser, as a record; and the record read again."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

RECORD = Path(__file__).parent / "record"


def options(parser: argparse.ArgumentParser) -> dict[str, Any]:
    """Every spelling of every option → the values it takes, [] for a switch, None for any."""
    found: dict[str, Any] = {}
    for action in parser._actions:
        values = sorted(map(str, action.choices)) if action.choices else None
        for spelling in action.option_strings:
            if spelling.startswith("--"):
                found[spelling] = [] if action.nargs == 0 else values
    return dict(sorted(found.items()))


def write(name: str, release: str, known: dict[str, Any], **more: Any) -> None:
    """A record: one option per line, so that a new release reads as a diff."""
    lines = [f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in known.items()]
    head = {"release": release, **more}
    text = json.dumps(head, indent=1, ensure_ascii=False)[:-2]
    (RECORD / name).write_text(text + ',\n "options": {\n' + ",\n".join(lines) + "\n }\n}\n")


def read(name: str) -> dict[str, Any]:
    """A record."""
    found: dict[str, Any] = json.loads((RECORD / name).read_text())
    return found
