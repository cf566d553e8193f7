"""Why requests were not answered, in a few words each: what policies say, and nothing of texts."""

from __future__ import annotations

import re

TURNED_AWAY = "not admitted: "  # before what no policy decides: budgets, rates and contexts
OTHERS = "other reasons"
MOST = 256  # told apart
LONGEST = 80  # characters

# How the gateway says to clients what a policy said to it (eke.gateway.errand).
_POLICY = (
    re.compile(r"The engines are overloaded: (?P<reason>[^.]+)\."),
    re.compile(r"Resource Unavailable: (?P<reason>[^.]+)\."),
)
_TOO_LONG = re.compile(r".* maximum(?: of your plan's)? context length is ", re.S)


def reason_of(outcome: str, told: str) -> str:
    """The reason of a row. told: what its client was told.

    Numbers are left out, and so is what follows a colon, where words of an engine may stand.
    """
    if outcome != "refused":
        return _short(told.partition(":")[0])
    for pattern in _POLICY:
        if (match := pattern.match(told)) is not None:
            return _short(match["reason"])
    said = "too long" if _TOO_LONG.match(told) else told.partition(":")[0]
    return TURNED_AWAY + _short(said)


def _short(words: str) -> str:
    return re.sub(r"\d[\d.,]*", "…", " ".join(words.split())[:LONGEST]).rstrip(". ")


class Reasons:
    """Codes of reasons, the commonest few apart. names: by code; 0 is none."""

    def __init__(self) -> None:
        self.names: dict[str, int] = {"": 0}
        self._known: dict[tuple[str, str], int] = {}

    def code(self, outcome: str, told: str) -> int:
        """The code of what a client was told."""
        key = outcome, told
        found = self._known.get(key)
        if found is None:
            found = self._code(reason_of(outcome, told) if told else "")
            if len(self._known) < 100 * MOST:
                self._known[key] = found
        return found

    def _code(self, reason: str) -> int:
        if reason not in self.names and len(self.names) >= MOST:
            turned = reason.startswith(TURNED_AWAY)
            reason = f"{TURNED_AWAY}{OTHERS}" if turned else OTHERS
        return self.names.setdefault(reason, len(self.names))
