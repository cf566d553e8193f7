"""Compiling where numba is installed, and nothing of the kind where it is not.

What numba compiled is kept beside the code for the next start. It notices a change of the file it
compiled, but not of functions that file calls, so all of it goes when any file here has changed.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PLAIN = os.environ.get("EKE_PLAIN", "") not in ("", "0")  # run it uncompiled, whatever is installed


def _forget_stale() -> None:
    """Drop compiled code that is older than any source file here."""
    kept = [*(HERE / "__pycache__").glob("*.nb[ic]")]
    newest = max(path.stat().st_mtime for path in HERE.glob("*.py"))
    if any(path.stat().st_mtime < newest for path in kept):
        for path in kept:
            path.unlink(missing_ok=True)


def _compiler() -> Callable[[Any], Any] | None:
    if PLAIN:
        return None
    try:
        from numba import njit
    except ImportError:
        return None
    try:
        _forget_stale()
        kept = True
    except OSError:  # a read-only installation
        kept = False
    # arrays are not counted: all of them live as long as the world they belong to
    return lambda function: njit(function, cache=kept, nogil=True, _nrt=False)


_compile = _compiler()
COMPILED = _compile is not None


def to_compile() -> bool:
    """Whether the first steps will be waited for, since nothing compiled is kept."""
    return COMPILED and not any((HERE / "__pycache__").glob("gates.advance*.nbc"))


def jit(function: Any) -> Any:
    """The function compiled, if it can be."""
    return _compile(function) if _compile is not None else function
