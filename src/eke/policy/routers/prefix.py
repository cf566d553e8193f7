"""Where the head of the prompt is cached."""

from __future__ import annotations

from eke.policy.routers.affine import Affine
from eke.types.request import Request


class Prefix(Affine):
    """Where the same conversation, else the same shared head of prompts, went last.

    Its keys and values are likely still in that engine's cache. Source: srivatsa2024 (prefix
    affinity with a guard against overload).
    """

    __slots__ = ()

    def key(self, request: Request) -> int | None:
        if request.session is not None:
            return request.session << 1
        return None if request.stem is None else request.stem << 1 | 1
