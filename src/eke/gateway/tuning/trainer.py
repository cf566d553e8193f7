"""The user's own trainer as a process: started, told to stop, found again.

It is started without a shell in a session of its own, so that all it starts can be stopped with
it. Its output goes to files: a gateway that dies takes nothing from it, and the next one finds it
by the number of its process and the time at which that began, which no other process has both.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import suppress

from eke.gateway.tuning.folder import Folder

LOOK = 0.05  # between looks at a process that is not our child [s]

# Writes who it is before it becomes the trainer, so that no trainer is without a name.
_BEGIN = """
import os, sys
try:
    began = open("/proc/self/stat").read().rpartition(")")[2].split()[19]
except OSError:
    began = ""
with open(sys.argv[1] + ".new", "w") as file:
    file.write(f"{os.getpid()} {began}")
os.replace(sys.argv[1] + ".new", sys.argv[1])
try:
    os.execvp(sys.argv[2], sys.argv[2:])
except OSError as error:
    sys.exit(f"It cannot be started: {error.strerror}.")
"""


class Trainer:
    """A child of this gateway."""

    def __init__(self, process: asyncio.subprocess.Process, over: asyncio.Task[int]) -> None:
        self._process, self._over = process, over

    @property
    def code(self) -> int | None:
        """How it ended; None while it runs."""
        return self._over.result() if self._over.done() else None

    async def stop(self, seconds: float) -> None:
        """Tell it to write a checkpoint and end; after so long it is killed, with all it began."""
        _signal(self._process.pid, signal.SIGTERM)
        await asyncio.wait({self._over}, timeout=seconds)
        await self.end()

    async def end(self) -> None:
        """Kill what is left of it."""
        self.kill()
        await asyncio.wait({self._over})

    def kill(self) -> None:
        """Kill it, without waiting until it is gone."""
        _signal(self._process.pid, signal.SIGKILL)


async def start(folder: Folder, command: list[str], environment: dict[str, str]) -> Trainer:
    """Start it. Raises OSError."""
    with folder.out.open("ab") as out, folder.errors.open("ab") as errors:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", "-c", _BEGIN, str(folder.pid), *command),
            cwd=folder.path,
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=out,
            stderr=errors,
            start_new_session=True,
        )
    return Trainer(process, asyncio.ensure_future(process.wait()))


async def stop_orphan(folder: Folder, seconds: float) -> bool:
    """Stop a trainer whose gateway is gone; whether there was one."""
    pid = orphan(folder)
    if pid is None:
        return False
    _signal(pid, signal.SIGTERM)
    for _ in range(int(seconds / LOOK) + 1):
        if orphan(folder) is None:
            break
        await asyncio.sleep(LOOK)
    _signal(pid, signal.SIGKILL)
    while orphan(folder) is not None:
        await asyncio.sleep(LOOK)
    folder.pid.unlink(missing_ok=True)
    return True


def orphan(folder: Folder) -> int | None:
    """The process of a trainer that was started in a folder; None where it is over."""
    try:
        words = folder.pid.read_text().split()
        pid = int(words[0])
        group = os.getpgid(pid)
    except (OSError, ValueError, IndexError):
        return None
    began = words[1] if len(words) > 1 else ""
    return pid if group == pid and began == _began(pid) else None


def _began(pid: int) -> str | None:
    """When a process began, in the kernel's ticks; "" where nobody says, None where it is over."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):  # the latter where it ends meanwhile
        return None if os.path.exists("/proc/self") else ""
    return None if fields[0] in "ZX" else fields[19]


def _signal(pid: int, which: signal.Signals) -> None:
    """To a process and all of its session's group."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, which)
