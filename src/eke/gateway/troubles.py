"""What is done again and again goes on after it failed once."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

log = logging.getLogger("eke.gateway")


@contextlib.contextmanager
def troubles(what: str) -> Iterator[None]:
    """Log what goes wrong, and go on."""
    try:
        yield
    except Exception:
        log.exception("%s failed", what)
