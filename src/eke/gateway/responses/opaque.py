"""Text handed to clients to be handed back: summaries, and reasoning that is stored nowhere.

It is packed, not secret: the client may read all of its own conversation anyway.
"""

from __future__ import annotations

import zlib
from base64 import urlsafe_b64decode, urlsafe_b64encode

from eke.gateway.refusal import Refusal

MARK = "eke1."
MOST = 1 << 24  # bytes of all texts of one request, where nobody says


def packed(text: str) -> str:
    """A text as it is handed out."""
    return MARK + urlsafe_b64encode(zlib.compress(text.encode(errors="replace"))).decode()


class Unpacking:
    """Gets back the texts of one request, which may be a thousand times as long as what was sent.

    most: bytes of all of them.
    """

    def __init__(self, most: int = MOST) -> None:
        self.most = self._left = most

    def text(self, given: str) -> str | None:
        """A text; None where it was not handed out by a gateway of eke. Raises Refusal 413 where
        there is more than there may be."""
        if not given.startswith(MARK):
            return None
        try:
            whole = zlib.decompressobj()
            data = whole.decompress(urlsafe_b64decode(given[len(MARK) :].encode()), self._left + 1)
            self._left -= len(data)
            if self._left < 0:
                raise self._too_long()
            return data.decode() if whole.eof else None
        except (ValueError, zlib.error):
            return None

    def _too_long(self) -> Refusal:
        words = f"'encrypted_content' stands for more than the {self.most:,} bytes there may be."
        return Refusal(413, words, code="request_too_large", param="input")
