"""Records of what a release of an engine knows and accepts."""

from __future__ import annotations

import json
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "record"


def record(engine: str, facts: dict[str, object]) -> None:
    """Write the facts of an engine, one entry a line where they are many."""
    lines = [f" {json.dumps(key)}: {_entry(value)}" for key, value in facts.items()]
    (FOLDER / f"{engine}.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


def _entry(value: object) -> str:
    if not isinstance(value, dict):
        return json.dumps(value)
    inner = [f"  {json.dumps(key)}: {json.dumps(each)}" for key, each in value.items()]
    return "{\n" + ",\n".join(inner) + "\n }"


def recorded(engine: str) -> dict:
    """The facts of an engine."""
    return json.loads((FOLDER / f"{engine}.json").read_text())
