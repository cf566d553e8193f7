"""A conversation stays where it began."""

from __future__ import annotations

from eke.policy.pool import Pool
from eke.policy.routers.affine import Affine
from eke.types.request import Request


class Sticky(Affine):
    """Where the same conversation went last, as long as the request fits there."""

    __slots__ = ()

    def __init__(self, pool: Pool | None = None, slack: float = 0.0) -> None:
        super().__init__(pool, slack)

    def key(self, request: Request) -> int | None:
        return request.session
