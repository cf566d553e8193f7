"""Who asks for what, in which way."""

from __future__ import annotations

from eke.gateway.asked import Asked, Endpoint, tier_of
from eke.gateway.settings import Tenant


class Asker:
    """A request's own side: its tenant and its terms.

    tier: service tier it is served by; None takes what the request says.  kind: what it counts as,
    such as "chat" or "batch"; "" takes the endpoint's.  deadline: promised time to the last token
    [s].  Raises Refusal 400 where its tenant may not have the tier that it wants.
    """

    __slots__ = ("asked", "deadline", "endpoint", "kind", "tenant", "tier")

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
