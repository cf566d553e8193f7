"""What every way of choosing an engine does."""

from __future__ import annotations

from eke.policy.pool import Pool, View
from eke.types.request import Request


class Router:
    """Chooses an engine with room for a request.

    pool: engines to choose from.
    """

    __slots__ = ("pool",)

    def __init__(self, pool: Pool | None = None) -> None:
        self.pool = pool or Pool()

    def pick(self, request: Request, size: float) -> View | None:
        """The engine to use; None when none has room. size: prompt and likely answer [tokens]."""
        raise NotImplementedError

    def least(self, request: Request, size: float) -> View | None:
        """The engine with most free room, if it is enough."""
        pool = self.pool
        view = pool.only or pool.widest()
        if view is None or view.free < size:
            return None
        if pool.even:
            return view if size <= pool.longest else None
        return next((each for each in pool.by_room() if fits(each, size)), None)


def fits(view: View, size: float) -> bool:
    """Whether an engine has room for a request, and is kept for nobody else."""
    return view.free >= size and size <= view.ceiling < view.pool.barred
