"""Who asks for what, in which way."""

from __future__ import annotations

from msgspec import Raw

from eke.gateway.asked import Asked, Endpoint, tier_of
from eke.gateway.parts import Size, size_of
from eke.gateway.settings import Tenant

EMPTY = Raw()


class Asker:
    """A request's own side: its tenant and its terms.

    tier: service tier it is served by; None takes what the request says.  kind: what it counts as,
    such as "chat" or "batch"; "" takes the endpoint's.  deadline: promised time to the last token
    [s].  size: how long its prompt looks.  copies: answers it wants.
    Raises Refusal 400 where its tenant may not have the tier that it wants.
    """

    __slots__ = ("asked", "copies", "deadline", "endpoint", "kind", "size", "tenant", "tier")

    def __init__(
        self,
        tenant: Tenant,
        endpoint: Endpoint,
        asked: Asked,
        tier: str | None = None,
        kind: str = "",
        deadline: float | None = None,
    ) -> None:
        self.tenant, self.endpoint, self.asked = tenant, endpoint, asked
        self.tier = tier or tier_of(asked, tenant.tiers)
        self.kind, self.deadline = kind or endpoint.kind, deadline
        self.size: Size = size_of(asked, endpoint)
        self.copies = max(asked.n or 1, asked.best_of or 1) * self.size.prompts

    @property
    def bound(self) -> int | None:
        """Longest answer that the client wants [tokens]."""
        for name in self.endpoint.bounds:
            said: int | None = getattr(self.asked, name)
            if said is not None:
                return said
        return None

    def forget(self) -> None:
        """Let go of the texts, which are parts of the body."""
        asked = self.asked
        asked.tools = asked.functions = asked.response_format = EMPTY
        setattr(asked, self.endpoint.text, EMPTY)
