"""What tenants weigh beside each other."""

from __future__ import annotations

from collections.abc import Mapping

from eke.errors import BadInput


def checked(weights: Mapping[str, float] | None) -> dict[str, float]:
    """Weights by tenant, none for None. Errors: BadInput for one that is not above 0."""
    for name, weight in (weights or {}).items():
        if not weight > 0:
            raise BadInput(f"weight {weight} of {name!r} must be above 0; whoever has none has 1.")
    return dict(weights or {})
