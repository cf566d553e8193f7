"""A line of a batch: one request, as its file has it."""

from __future__ import annotations

import msgspec

from eke.gateway.asked import ENDPOINTS
from eke.gateway.files.lines import Mistake, object_of

NAME = 512  # characters of a custom_id
RESPONSES = "/v1/responses"
URLS = (*ENDPOINTS, RESPONSES)


class Line(msgspec.Struct):
    """One request. custom_id: its name in the files.  body: as it is sent to the endpoint."""

    custom_id: str
    method: str
    url: str
    body: msgspec.Raw


class Wanted(msgspec.Struct):
    """What of a body decides whether it can stand in a batch."""

    model: str
    stream: bool | None = None


class Checked(msgspec.Struct, frozen=True):
    """A line that makes sense, and the model it asks."""

    line: Line
    model: str


_line = msgspec.json.Decoder(Line)
_wanted = msgspec.json.Decoder(Wanted)


def read(text: bytes) -> Line:
    """A line that was checked before."""
    return _line.decode(text)


def checked(number: int, text: bytes) -> Checked | Mistake:
    """A line that is read for the first time, or what is wrong with it."""
    try:
        line = _line.decode(text)
        wanted = _wanted.decode(line.body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        return _unreadable(number, text, error)
    if not 0 < len(line.custom_id) <= NAME:
        words = f"'custom_id' has {len(line.custom_id)} characters; 1 to {NAME} are allowed."
        return Mistake("invalid_custom_id", number, words, "custom_id")
    if line.method != "POST":
        words = f"Invalid method {line.method!r:.20}; only POST is allowed."
        return Mistake("invalid_method", number, words, "method")
    if line.url not in URLS:
        words = f"Invalid url {line.url!r:.60}; allowed are {', '.join(URLS)}."
        return Mistake("invalid_url", number, words, "url")
    if wanted.stream:
        words = "Lines of a batch are not streamed; leave 'stream' out."
        return Mistake("invalid_request", number, words, "body.stream")
    return Checked(line, wanted.model)


class Names:
    """Checks the lines of a file, and that no two have one name."""

    def __init__(self) -> None:
        self._lines: dict[str, int] = {}

    def twice(self, number: int, line: Line) -> Mistake | None:
        """What is wrong where another line has its name."""
        before = self._lines.setdefault(line.custom_id, number)
        if before == number:
            return None
        words = f"The custom_id for this request is a duplicate of line {before}'s."
        return Mistake("duplicate_custom_id", number, words, "custom_id")

    def check(self, number: int, text: bytes) -> Mistake | None:
        """What is wrong with a line of an uploaded file."""
        found = checked(number, text)
        return found if isinstance(found, Mistake) else self.twice(number, found.line)


def _unreadable(number: int, text: bytes, error: Exception) -> Mistake:
    """Why a line is none."""
    found = object_of(number, text)
    if isinstance(found, Mistake):
        return found
    words = str(error).partition(" - at ")[0]
    where = next((name for name in ("custom_id", "method", "url", "body") if name not in found), "")
    param = where or ("body.model" if "`model`" in words else None)
    return Mistake("missing_required_parameter" if where else "invalid_request", number,
                   f"{words}.", param)  # fmt: skip
