"""What needs NumPy, in processes beside the gateway, which stays free of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from eke.errors import BadInput
from eke.gateway.settings import Chips

PROGRAM = "from eke.cli import main; main()"
READY = " ready on "
PRICE = "import sys, json; from eke.pricing import held; print(json.dumps(held(sys.argv[1])))"


def priced(chips: str) -> Chips:
    """What chips such as "8xh100-sxm" cost and draw. Raises BadInput for unknown ones."""
    done = subprocess.run(
        [sys.executable, "-c", PRICE, chips], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise BadInput(done.stderr.strip().rpartition(": ")[2] or f"{chips!r} cannot be priced.")
    return Chips(*json.loads(done.stdout))


@contextmanager
def stand_in(
    model: str, chips: str, pace: float, say: Callable[[str], None]
) -> Iterator[list[str]]:
    """Start it on a free port; its address. It ends with this process."""
    words = ["serve", "--stand-in", model, "--on", chips, "--port", "0", "--pace", str(pace)]
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *words, "--parent", str(os.getpid())],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # an interrupt from the keyboard is the gateway's to act on
    )
    try:
        yield [f"{_ready(process, say)}/v1"]
    finally:
        process.terminate()
        process.wait()


def _ready(process: subprocess.Popen[str], say: Callable[[str], None]) -> str:
    """Where it listens, once it does. Raises BadInput with its own words where it does not."""
    assert process.stderr is not None
    last = ""
    for line in process.stderr:
        if last:
            say(last)
        last = line.strip()
        if READY in last:
            return last.rpartition(READY)[2]
    raise BadInput(last.removeprefix("eke: ") or "the engine that stands in did not start.")
