"""The example of a gateway's file says what it is meant to."""

from __future__ import annotations

from pathlib import Path

from eke.gateway.configuration import read
from eke.gateway.settings import POLICY, Chips

FILE = Path(__file__).parents[2] / "examples" / "gateway.toml"


def test_the_example_is_read_with_tenants_tiers_and_prices() -> None:
    asked: list[str] = []

    def priced(chips: str) -> Chips:
        asked.append(chips)
        return Chips(8.0, 0.006, 9000.0, 2700.0)

    settings = read(FILE, priced)
    assert settings.policy == POLICY
    assert asked == ["8xh100-sxm"] * 2
    assert settings.contexts == {8000.0: ("all",), 32000.0: ("gold",)}
    gold, silver, free = settings.tenants
    assert (gold.weight, gold.floor, [limit.name for limit in gold.limits]) == (
        4.0,
        0.2,
        ["tokens/day", "USD/month"],
    )
    assert silver.tiers == ("default", "flex")
    assert free.limits[1].amount == 2 * 3600 and not free.store
    (model,) = settings.models
    assert model.price is not None and model.price.answer == 0.9e-6
