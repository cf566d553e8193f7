"""Text handed to clients to be handed back: summaries, and reasoning that is stored nowhere.

It is packed, not secret: the client may read all of its own conversation anyway.
"""

from __future__ import annotations

import zlib
from base64 import urlsafe_b64decode, urlsafe_b64encode

MARK = "eke1."
MOST = 1 << 24  # bytes of a text; what claims to be longer is not unpacked


def packed(text: str) -> str:
    """A text as it is handed out."""
    return MARK + urlsafe_b64encode(zlib.compress(text.encode(errors="replace"))).decode()


def unpacked(given: str) -> str | None:
    """The text; None where it was not handed out by a gateway of eke."""
    if not given.startswith(MARK):
        return None
    try:
        whole = zlib.decompressobj()
        text = whole.decompress(urlsafe_b64decode(given[len(MARK) :].encode()), MOST)
        return text.decode() if whole.eof else None
    except (ValueError, zlib.error):
        return None
