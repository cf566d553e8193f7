"""Joining a Ray cluster, whose workers have to have the same release of eke."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any

import eke
from eke.errors import BadInput

PATIENCE = 5.0  # for somebody to answer at an address [s]


@contextmanager
def joined(address: str) -> Iterator[Any]:
    """The module ray, connected to workers with this very eke; what it has to say goes to stderr.

    address: "local" starts a Ray here, "auto" finds one that runs. Raises BadInput where there is
    no ray, nobody answers, or workers have another eke.
    """
    with redirect_stdout(sys.stderr):
        ray = _connected(address)
        try:
            _check_release(ray, address)
            yield ray
        finally:
            ray.shutdown()


def _connected(address: str) -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent to anybody
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # or Ray warns of its future
    try:
        import ray  # type: ignore[import-not-found,unused-ignore]

        join = ray.init
    except (ImportError, AttributeError):  # a mere folder of that name has no init
        raise BadInput("--ray needs ray: pip install 'eke[ray]'.") from None
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if address == "local":
        quiet["include_dashboard"] = False
    try:
        _knock(address)
        join(address=address, **quiet)
    except (RuntimeError, ValueError, OSError, OverflowError, ImportError) as error:
        words = str(error).strip().partition("\n")[0] or type(error).__name__
        raise BadInput(
            f"--ray {address}: no Ray cluster could be joined there ({words[:200]}). Give the "
            "address of a head node such as 10.0.0.5:6379, auto for a cluster this machine is part "
            "of, or local to start one."
        ) from None
    return ray


def _knock(address: str) -> None:
    """Whether anything listens there; Ray itself would try for minutes."""
    import socket

    host, colon, port = address.rpartition("://")[2].rpartition(":")
    if colon:
        socket.create_connection((host.strip("[]"), int(port)), timeout=PATIENCE).close()


def _check_release(ray: Any, address: str) -> None:
    """Refuse workers that would plan with another eke, or none."""

    def release() -> str:  # local, so that it travels whole to where there is no eke
        from importlib import import_module

        try:
            return str(import_module("eke").__version__)
        except ImportError:
            return ""

    theirs = ray.get(ray.remote(num_cpus=1)(release).remote())
    if theirs != eke.__version__:
        has = f"have eke {theirs}" if theirs else "have no eke"
        raise BadInput(
            f"--ray {address}: its workers {has}; they need the same as here: "
            f"pip install eke=={eke.__version__}."
        )
