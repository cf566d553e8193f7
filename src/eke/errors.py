"""Every error eke raises on purpose.

EkeError                 a mistake in what was given; the command line exits with code 2
├── BadQuantity          "4.8 TB per s" is not a quantity, or has the wrong dimension
├── BadFile              a file that cannot be read as what it should be; names file and field
├── BadInput             an option, field or combination that makes no sense
├── BadEngine            an engine that does not answer as an OpenAI-compatible one does
├── StateError           a database of the gateway that does not answer, or is not its own
│   ├── StateFull        there is no room for what was to be stored
│   ├── StateUnsure      it was lost while it stored something, which is there or not
│   └── Sealed           what is stored cannot be opened with the keys that are there
└── Unknown              a name the catalogue does not hold
    ├── UnknownChip
    ├── UnknownSystem
    ├── UnknownModel
    └── UnknownArchitecture   a config.json whose architecture eke cannot count exactly

That something cannot be done is an answer, not an error: see `eke.types.Infeasible`.
"""

from __future__ import annotations

from collections.abc import Iterable


class EkeError(ValueError):
    """A mistake in the input. The message says what was given, what is allowed, what to do."""


class BadQuantity(EkeError):
    """A text that is not a quantity of the dimension asked for."""


class BadFile(EkeError):
    """A file that cannot be read as what it should be."""


class BadInput(EkeError):
    """An option, field or combination that makes no sense."""


class BadEngine(EkeError):
    """An engine that does not answer as an OpenAI-compatible one does."""


class StateError(EkeError):
    """A database of the gateway that does not answer, or is not its own."""


class StateFull(StateError):
    """There is no room for what was to be stored; nothing of it was."""


class StateUnsure(StateError):
    """The database was lost while it stored something; nobody can say whether it did."""


class Sealed(StateError):
    """What is stored cannot be opened with the keys that are there."""


class Unknown(EkeError):
    """A name the catalogue does not hold."""


class UnknownChip(Unknown):
    """No such chip."""


class UnknownSystem(Unknown):
    """No such system."""


class UnknownModel(Unknown):
    """No such model."""


class UnknownArchitecture(Unknown):
    """A configuration whose architecture eke cannot count exactly."""


def closest(name: str, names: Iterable[str], most: int = 3) -> str:
    """The names most like `name`, as words for an error message: ``"a, b or c"``."""
    from difflib import get_close_matches  # rarely needed: only when something is wrong

    known = sorted(set(names))
    by_key = {key.casefold(): key for key in known}
    found = [by_key[k] for k in get_close_matches(name.casefold(), by_key, n=most, cutoff=0.5)]
    return " or ".join([", ".join(found[:-1]), found[-1]] if len(found) > 1 else found)
