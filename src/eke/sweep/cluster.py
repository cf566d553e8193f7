"""A Ray cluster as the crew of a sweep. Its machines need the same release of eke."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from typing import Any

import eke
from eke.errors import BadInput, EkeError
from eke.sweep.crew import Asked, Crew, Ready, Solve
from eke.sweep.rows import Row

TRIES = 3  # of a cell whose worker is lost, beside the first
PATIENCE = 5.0  # for somebody to answer at an address [s]
DEPTH = 4  # cells under way for each processor


@contextmanager
def cluster(address: str, solve: Solve, ready: Ready) -> Iterator[Crew]:
    """The workers at that address. "local" starts a Ray here, "auto" finds one that runs.

    Raises BadInput where there is no ray, nobody answers, or workers have another eke.
    """
    with _ray(address) as ray:
        _check_release(ray, address)

        def planned(asked: Asked) -> Row:
            try:
                ready()
            except EkeError as error:
                return solve(str(error))
            return solve(asked)

        remote = ray.remote(num_cpus=1, max_retries=TRIES)(planned)

        def done(handles: Sequence[Any]) -> list[tuple[Any, Row]]:
            finished, _ = ray.wait(list(handles), num_returns=1)
            return [(handle, _row(ray, handle, solve)) for handle in finished]

        room = DEPTH * max(1, int(ray.cluster_resources().get("CPU", 1)))
        yield Crew(submit=remote.remote, done=done, room=room)


@contextmanager
def _ray(address: str) -> Iterator[Any]:
    """The module ray, connected; what it has to say goes to stderr."""
    with redirect_stdout(sys.stderr):
        ray = _joined(address)
        try:
            yield ray
        finally:
            ray.shutdown()


def _joined(address: str) -> Any:
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


def _row(ray: Any, handle: Any, solve: Solve) -> Row:
    """The row, or that of an error where its worker was lost each time."""
    try:
        found: Row = ray.get(handle)
    except ray.exceptions.RaySystemError as error:
        raise EkeError(f"the Ray cluster was lost: {error}. The same command goes on.") from None
    except ray.exceptions.RayError as error:
        return solve(f"lost on Ray, tried {TRIES + 1} times: {type(error).__name__}.")
    return found
