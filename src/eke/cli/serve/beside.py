"""What needs NumPy, in processes beside the gateway, which stays free of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from threading import Thread
from typing import IO

from eke.errors import BadInput
from eke.gateway.settings import Chips

PROGRAM = "from eke.cli import main; main()"
READY = " ready on "
PATIENCE = 5.0  # for an engine that was told to end [s]
PRICE = """
import json, sys
from eke.errors import EkeError
from eke.pricing import held
try:
    print(json.dumps(held(sys.argv[1])))
except EkeError as error:
    sys.exit(str(error))
"""

Say = Callable[[str], None]


def prices() -> Callable[[str], Chips]:
    """Something that prices chips, the same ones once: each new kind starts a process."""
    return cache(priced)


def priced(chips: str) -> Chips:
    """What chips such as "8xh100-sxm" cost and draw. Raises BadInput for unknown ones."""
    done = subprocess.run(
        [sys.executable, "-c", PRICE, chips], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise BadInput(done.stderr.strip() or f"{chips!r} cannot be priced.")
    return Chips(*json.loads(done.stdout))


@contextmanager
def stand_in(model: str, chips: str, pace: float, say: Say) -> Iterator[list[str]]:
    """Start it on a free port; its address. It ends with this process."""
    words = ["serve", "--stand-in", model, "--on", chips, "--port", "0", "--pace", str(pace)]
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *words, "--parent", str(os.getpid())],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # an interrupt from the keyboard is the gateway's to act on
    )
    assert process.stderr is not None
    telling = Thread(target=_tell, args=(process.stderr, say), daemon=True)
    try:
        address = _ready(process.stderr, say)
        telling.start()
        yield [f"{address}/v1"]
    finally:
        _end(process)
        if telling.is_alive():
            telling.join(PATIENCE)


def _ready(errors: IO[str], say: Say) -> str:
    """Where it listens, once it does. Raises BadInput with its own words where it does not."""
    last = ""
    for line in errors:
        if last:
            say(last)
        last = line.strip()
        if READY in last:
            return last.rpartition(READY)[2]
    raise BadInput(last.removeprefix("eke: ") or "the engine that stands in did not start.")


def _tell(errors: IO[str], say: Say) -> None:
    """Say what it says, to the end: one that nobody listens to stops when its pipe is full."""
    with errors:
        for line in errors:
            say(line.rstrip())


def _end(process: subprocess.Popen[str]) -> None:
    """Tell it to end, and see to it that it does."""
    process.terminate()
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
