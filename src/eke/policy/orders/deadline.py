"""Earliest deadline first."""

from __future__ import annotations

from eke.policy.orders.order import Keyed
from eke.policy.says import Says
from eke.types.request import Request


class Deadline(Keyed):
    """Whose promised time runs out first: to the first token, else to the last.

    On one machine it meets all promises whenever any order does. Under overload it spends itself
    on requests that miss anyway: give it an admission by promise. Source: liu1973.

    patience: promise to those that have none, so that nobody waits for ever [s].
    """

    __slots__ = ("patience",)

    def __init__(self, patience: float = 600.0) -> None:
        super().__init__()
        self.patience = patience

    def key(self, request: Request) -> float:
        promised = request.ttft
        if promised is None:
            promised = request.deadline
        return request.arrived + (self.patience if promised is None else promised)

    def says(self) -> Says:
        return Says(key=self.key, patient=self.patience < float("inf"))
