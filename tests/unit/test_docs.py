"""The documentation tells the truth: sources resolve, words are explained, examples run."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from eke.cli import entry
from eke.physics import answer, compute, ownership, silicon  # noqa: F401  registers every formula
from eke.physics import demand as _demand  # noqa: F401
from eke.physics import retention as _retention  # noqa: F401
from eke.physics.formula import FORMULAS
from eke.types.efficiency import Knobs

ROOT = Path(__file__).parents[2]
KEYS = set(re.findall(r"^@\w+\{([\w-]+),", (ROOT / "docs" / "sources.bib").read_text(), re.M))
WORDS = (ROOT / "docs" / "words.md").read_text()


@pytest.mark.parametrize("name", sorted(FORMULAS))
def test_every_formula_cites_a_known_source(name: str) -> None:
    formula = FORMULAS[name]
    assert formula.source and set(formula.source) <= KEYS
    assert formula.equation and formula.words


def test_every_value_is_explained() -> None:
    for field in msgspec.structs.fields(Knobs):
        if not field.name.endswith("_change"):
            assert re.search(rf"\b{field.name}\b", WORDS), field.name


def test_every_letter_is_explained() -> None:
    letters = set(re.findall(r"^\| ([^|]+) \|", WORDS, re.M))
    known = {letter.strip() for row in letters for letter in row.split(",")}
    used = {
        letter
        for formula in FORMULAS.values()
        for letter in re.findall(r"(?<![\w])[a-zA-Zα-ω](?![\w′₀])", formula.equation)
    }
    assert used <= known | set("enPtrLuckiso"), used - known


def blocks(path: Path) -> list[tuple[str, str]]:
    """Every "$ eke …" in a file and what is printed below it."""
    found = re.findall(r"^\$ eke (.+)\n((?:(?!\$ |```).*\n)*)", path.read_text(), re.M)
    return [(words, output) for words, output in found]


def live(words: str) -> str:
    return CliRunner().invoke(entry, shlex.split(words)).stdout


@pytest.mark.parametrize("words,output", blocks(ROOT / "README.md"))
def test_readme_shows_what_eke_says(
    words: str, output: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("sys.argv", ["eke", *shlex.split(words)])
    assert live(words).strip() == output.strip()


GOLDENS = sorted((ROOT / "tests" / "golden").glob("*.out"))


@pytest.mark.parametrize("path", GOLDENS, ids=lambda path: path.stem)
def test_golden(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run `make golden` after a change that is meant."""
    first, _, rest = path.read_text().partition("\n")
    words = first.removeprefix("$ eke ")
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("sys.argv", ["eke", *shlex.split(words)])
    if "--json" in words:
        assert same(json.loads(live(words)), json.loads(rest))
    else:
        assert live(words) == rest


def same(one: Any, other: Any) -> bool:
    """Equal records; numbers up to what another processor may round otherwise."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float):
        return bool(one == pytest.approx(other, rel=1e-9))
    return bool(one == other)
