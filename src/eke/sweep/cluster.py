"""A Ray cluster as the crew of a sweep. Its machines need the same release of eke."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from eke.errors import EkeError
from eke.joining import joined
from eke.sweep.crew import Asked, Crew, Ready, Solve
from eke.sweep.rows import Row

TRIES = 3  # of a cell whose worker is lost, beside the first
DEPTH = 4  # cells under way for each processor


@contextmanager
def cluster(address: str, solve: Solve, ready: Ready) -> Iterator[Crew]:
    """The workers at that address. "local" starts a Ray here, "auto" finds one that runs.

    Raises BadInput where there is no ray, nobody answers, or workers have another eke.
    """
    with joined(address) as ray:

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


def _row(ray: Any, handle: Any, solve: Solve) -> Row:
    """The row, or that of an error where its worker was lost each time."""
    try:
        found: Row = ray.get(handle)
    except ray.exceptions.RaySystemError as error:
        raise EkeError(f"the Ray cluster was lost: {error}. The same command goes on.") from None
    except ray.exceptions.RayError as error:
        return solve(f"lost on Ray, tried {TRIES + 1} times: {type(error).__name__}.")
    return found
