"""Where an engine is, and what it is told to know who asks."""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit

from eke.errors import BadInput


def address(url: str) -> SplitResult:
    """An engine's address in parts. Raises BadInput."""
    try:
        parts = urlsplit(url)
        found = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        (parts.hostname or "").encode("idna")  # as names are looked up
    except ValueError:
        found = None
    if not found:
        raise BadInput(f"{url!r:.80} is no address of an engine; write http://host:port/v1.")
    if parts.query or parts.fragment or parts.username is not None:
        raise BadInput(
            f"the address of an engine at {parts.hostname} has more than a host and a path; its "
            "key goes into a variable that key_env names."
        )
    return parts


def bearer(key: str) -> str:
    """The header that carries a key. Raises BadInput."""
    if any(letter <= " " or letter > "~" for letter in key):
        raise BadInput("it has characters that no header may carry.")
    return f"Authorization: Bearer {key}"
