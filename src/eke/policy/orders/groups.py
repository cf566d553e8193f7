"""Whom a share is for: a tenant, a class of priority or a kind of request."""

from __future__ import annotations

from collections.abc import Mapping

from eke.types.request import Request

REST = ""  # the group of all that no share is for


class Groups:
    """Finds the group of a request: its tenant's, else its class's, else its kind's.

    shares: of the engines, by group; a class is written as a number.
    """

    __slots__ = ("classes", "shares")

    def __init__(self, shares: Mapping[str, float]) -> None:
        self.shares = shares
        self.classes = {int(name): name for name in shares if name.lstrip("-").isdecimal()}

    def of(self, request: Request) -> str:
        """Whose share a request counts for; REST for nobody's."""
        if request.tenant in self.shares:
            return request.tenant
        if request.priority in self.classes:
            return self.classes[request.priority]
        return request.kind if request.kind in self.shares else REST
