"""Claims as data: what was said, the scenario that should give it, and what that gives."""

from __future__ import annotations

from typing import Literal

from eke.catalog.files import all_files, find, read_toml
from eke.errors import Unknown, closest
from eke.types.need import Span
from eke.types.record import Record


class Step(Record):
    """One step of a scenario; exactly one of value, formula, expression and need is set.

    value: a quantity in text.  formula: a name in `eke.physics`, with inputs `with_`: quantities,
    or names of earlier steps.  expression: arithmetic over earlier steps.  need: a question as
    fields, of which `figure` is taken.  hidden: an input the claim does not state.
    """

    name: str
    value: str | None = None
    formula: str | None = None
    inputs: dict[str, str] = {}
    expression: str | None = None
    need: dict[str, str | int | float | bool] = {}
    figure: str = ""
    unit: str = "1"
    hidden: bool = False
    source: str = ""
    note: str = ""


class Quoted(Record):
    """A number the claim states, and the step that should give it.

    because: the reason, for a figure that does not come out.  unknown: what is missing, for one
    that cannot be checked.
    """

    name: str
    quoted: str
    unit: str = "1"
    step: str = ""
    tolerance: float = 0.01
    because: str = ""
    unknown: str = ""


class Claim(Record):
    """Who said what, where and when."""

    id: str
    number: int
    title: str
    who: str
    where: str
    when: str
    seen: str = ""  # in which form the source was read
    says: str = ""
    steps: tuple[Step, ...] = ()
    figures: tuple[Quoted, ...] = ()
    notes: tuple[str, ...] = ()


class Checked(Record):
    """A quoted number beside the computed one."""

    name: str
    quoted: float | None
    computed: float | None
    span: Span | None
    unit: str
    verdict: Literal["reproduces", "off", "cannot be checked"]
    words: str


class Worked(Record):
    """A step and what it gave. how: the working with its numbers."""

    step: Step
    value: float
    unit: str
    how: str
    span: Span | None = None


class Verdict(Record):
    """A claim, its working and its verdict."""

    claim: Claim
    worked: tuple[Worked, ...]
    checked: tuple[Checked, ...]
    verdict: Literal["reproduces", "off", "cannot be checked"]
    words: str


def claim_names() -> list[str]:
    """Every id, in the order of their numbers."""
    return sorted(all_files("claims"), key=lambda name: claim(name).number)


def claim(name: str) -> Claim:
    """The claim of that id or number. Raises Unknown, or BadFile for a bad file."""
    path = find("claims", name)
    files = all_files("claims")
    if path is None and name.strip().isdigit():
        path = next((p for p in files.values() if read_toml(p, Claim).number == int(name)), None)
    if path is None:
        near = closest(name, files)
        hint = f"; closest: {near}" if near else ""
        raise Unknown(f"no claim {name[:60]!r}{hint}. See `eke claims`.")
    return read_toml(path, Claim)
