"""A PostgreSQL server for the tests of one process: private, in a temporary folder, on a socket."""

from __future__ import annotations

import atexit
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

import pytest

USERS = ("postgres", "nobody")  # who runs it where we are root, whom it refuses
_numbers = count()


class Server:
    """One server. Its superuser is "postgres", and anyone on this machine may be."""

    def __init__(self, binaries: Path, folder: Path) -> None:
        self.binaries, self.folder = binaries, folder
        self._as = _other_user()
        if self._as:
            os.chown(folder, *self._as)
        self._call(
            "initdb", "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8", "-D", "data"
        )
        self.start()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = ("--listen_addresses=", f"--unix_socket_directories={self.folder}", "--fsync=off")
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [self.binaries / "postgres", "-D", "data", *options],
                cwd=self.folder,
                stdout=subprocess.DEVNULL,
                stderr=log,
                **self._user(),
            )
        import psycopg

        for _ in range(400):
            try:
                psycopg.connect(self.url("postgres")).close()
                return
            except psycopg.OperationalError:
                time.sleep(0.05)
        raise RuntimeError((self.folder / "log").read_text())

    def stop(self) -> None:
        """Stop it at once; what was not stored is lost, as in a crash."""
        self.process.send_signal(signal.SIGQUIT)
        self.process.wait(20)

    def url(self, database: str) -> str:
        return f"postgresql://postgres@/{database}?host={self.folder}"

    def database(self) -> str:
        """The address of a new database."""
        import psycopg

        name = f"state_{next(_numbers)}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def _call(self, program: str, *words: str) -> None:
        done = subprocess.run(
            [self.binaries / program, *words],
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=60,
            **self._user(),
        )
        if done.returncode:
            raise RuntimeError(done.stderr)

    def _user(self) -> dict[str, Any]:
        return {"user": self._as[0], "group": self._as[1], "extra_groups": []} if self._as else {}


@cache
def server() -> Server:
    """The server of this process, started by whoever asks first. Skips where it cannot be."""
    pytest.importorskip("psycopg")
    binaries = _binaries()
    if binaries is None:
        pytest.skip("no PostgreSQL server on this machine: no initdb on the PATH")
    if os.name == "posix" and os.geteuid() == 0 and _other_user() is None:
        pytest.skip("PostgreSQL refuses to run as root, and there is no other user")
    folder = Path(tempfile.mkdtemp(prefix="eke-pg-", dir="/tmp"))  # short: a socket's name is
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    made = Server(binaries, folder)
    atexit.register(made.stop)
    return made


def _binaries() -> Path | None:
    found = shutil.which("initdb")
    places = [Path(found).resolve().parent] if found else []
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((each for each in places if (each / "postgres").exists()), None)


def _other_user() -> tuple[int, int] | None:
    if os.geteuid() != 0:
        return None
    for name in USERS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return entry.pw_uid, entry.pw_gid
    return None
