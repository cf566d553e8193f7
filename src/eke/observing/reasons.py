"""Codes of the reasons for which requests were not answered."""

from __future__ import annotations

from eke.gateway.row import NOT_ADMITTED

OTHERS = "other reasons"
MOST = 256  # told apart
LONGEST = 80  # characters


class Reasons:
    """Codes of reasons, the commonest few apart. names: by code; 0 is none."""

    def __init__(self) -> None:
        self.names: dict[str, int] = {"": 0}

    def code(self, reason: str) -> int:
        """The code of a row's reason."""
        reason = reason[:LONGEST]
        if reason not in self.names and len(self.names) >= MOST:
            turned = reason.startswith(NOT_ADMITTED)
            reason = f"{NOT_ADMITTED}{OTHERS}" if turned else OTHERS
        return self.names.setdefault(reason, len(self.names))
