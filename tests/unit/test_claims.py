"""Claims: each says who, where and what, and its verdict is worked out, never stored."""

from __future__ import annotations

import shlex

import pytest

from eke.claims.claim import Claim, claim, claim_names
from eke.claims.work import verdict
from eke.cli import entry
from eke.errors import BadFile
from eke.types.record import replace


def test_they_are_numbered_without_gaps() -> None:
    numbers = [claim(name).number for name in claim_names()]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) >= 26


@pytest.mark.parametrize("name", claim_names())
def test_each_is_told_in_full(name: str) -> None:
    found = claim(name)
    assert found.id == name
    assert all((found.title, found.who, found.where, found.when, found.says, found.figures))
    steps = {step.name for step in found.steps}
    for figure in found.figures:
        assert (figure.step in steps) != bool(figure.unknown), figure.name


@pytest.mark.parametrize("name", claim_names())
def test_each_is_worked_and_what_is_off_has_a_reason(name: str) -> None:
    found = verdict(claim(name))
    assert found.words
    for figure, checked in zip(found.claim.figures, found.checked, strict=True):
        if checked.verdict == "off":
            assert figure.because, f"{figure.name}: {checked.words}"
        else:
            assert not figure.because, f"{figure.name} has a reason but {checked.words}"


@pytest.mark.parametrize("name", claim_names())
def test_the_questions_shown_can_be_typed(name: str) -> None:
    for worked in verdict(claim(name)).worked:
        if worked.how.startswith("eke need"):
            _, *words = shlex.split(worked.how.rsplit(": ", 1)[0])
            _, command, rest = entry.resolve_command(entry.make_context("eke", list(words)), words)
            assert command is not None
            kind = command.commands[rest[0]]  # type: ignore[attr-defined]
            assert kind.make_context(rest[0], rest[1:]).params["model"]


def test_the_verdict_follows_the_numbers() -> None:
    right = claim("gpt-3-compute")
    wrong = replace(right, figures=(replace(right.figures[0], quoted="1e23 FLOP"),))
    assert verdict(wrong).verdict == "off"
    assert "off by ×3.14 (too low)" in verdict(wrong).words


def test_a_claim_without_figures_is_refused() -> None:
    empty: Claim = replace(claim("citi"), figures=())
    with pytest.raises(BadFile, match="quotes no figure"):
        verdict(empty)
