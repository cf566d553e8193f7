"""Names of responses and of their items. An item's name tells which response it came with."""

from __future__ import annotations

import re
from secrets import token_hex

_ITEM = re.compile(r"[a-z]+_([0-9a-f]{48})[0-9a-f]{3,}")


class Ids:
    """Of one response, or of the items that were put into a conversation at once."""

    __slots__ = ("_count", "stamp")

    def __init__(self, stamp: str = "", count: int = 0) -> None:
        self.stamp, self._count = stamp or token_hex(24), count

    @property
    def response(self) -> str:
        """The response's own."""
        return f"resp_{self.stamp}"

    def item(self, prefix: str) -> str:
        """The next item's."""
        self._count += 1
        return f"{prefix}_{self.stamp}{self._count:03x}"


def ids_of(response: str, count: int) -> Ids:
    """Names for more items of a response that has so many."""
    return Ids(response.partition("_")[2], count)


def owner_of(item: str) -> str | None:
    """The response that an item came with; None where its name tells none."""
    match = _ITEM.fullmatch(item)
    return f"resp_{match[1]}" if match else None
