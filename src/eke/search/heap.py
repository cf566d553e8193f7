"""Memory of the process while it searches."""

from __future__ import annotations

import ctypes
from functools import cache

TRIM, PAD, MAPPED = -1, -2, -3  # parameters of glibc's mallopt
KEPT, STEP, LARGEST = 256 << 20, 16 << 20, 32 << 20


@cache
def keep_freed_memory() -> None:
    """Let the process keep what it frees, where the C library is glibc.

    Pricing a block makes and frees hundreds of arrays. By default glibc gives the top of the heap
    back to the kernel in between and has every page cleared again, which takes as long as the
    arithmetic itself.
    """
    try:
        set_parameter = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return  # another C library, which has its own ways
    for parameter, value in ((TRIM, KEPT), (PAD, STEP), (MAPPED, LARGEST)):
        set_parameter(parameter, value)
