"""Who is known, and what is said of them: a gateway with keys is closed, and nothing that somebody
wrote of a tenant is dropped without a word."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.gateways import Fake, House, ask, chat, run, serving, until

from eke.errors import BadInput
from eke.gateway.membership import Membership
from eke.gateway.reloading import reload
from eke.gateway.settings import Tenant, TenantFile
from eke.gateway.shares import shares_of
from eke.gateway.tenants import hashed
from eke.policy.naming import ORDERS, takes
from eke.types.record import replace

FILE = Tenant(name="gold", keys=(hashed("of the file"),), weight=3.0)
PAYING = Tenant(name="gold", group="paying")


def membership(house: House) -> Membership:
    assert house.gateway.membership is not None
    return house.gateway.membership


async def statuses(house: House, *keys: str) -> list[int]:
    """What requests with some keys are answered, "" for none."""
    return [(await ask(house, body=chat(), key=key)).status for key in keys]


def test_a_key_closes_a_gateway_and_no_revoking_opens_it(tmp_path: Path) -> None:
    state = str(tmp_path / "s.db")

    async def given() -> str:
        async with serving(Fake(), state=state, open=None) as house:
            await membership(house).put("gold", TenantFile(weight=2.0))
            assert await statuses(house, "", "sk-anybody") == [200, 200]  # as with one in the file
            key = await membership(house).new_key("gold", "")
            assert await statuses(house, "", "sk-anybody", key) == [401, 401, 200]
            return key

    async def revoked(key: str) -> None:
        async with serving(Fake(), state=state, open=None) as house:
            assert await statuses(house, "", key) == [401, 200]
            await membership(house).revoke(hashed(key))
            assert await statuses(house, "", key) == [401, 401]

    async def again(key: str) -> None:
        async with serving(Fake(), state=state, open=None) as house:
            assert await statuses(house, "", key) == [401, 401]
            await membership(house).remove("gold")

    key = run(given())
    run(revoked(key))
    run(again(key))
    run(again(key))  # nor does removing who had it


def test_a_key_of_the_file_closes_a_gateway_when_it_is_read_anew(tmp_path: Path) -> None:
    async def work() -> None:
        async with serving(Fake(), open=None) as house:
            assert await statuses(house, "") == [200]
            reload(house.gateway, replace(house.gateway.settings, tenants=(FILE,)))
            assert await statuses(house, "", "of the file") == [401, 200]

    run(work())


@pytest.mark.parametrize("said", [True, False])
def test_what_is_said_of_open_counts(said: bool) -> None:
    async def work() -> None:
        tenants = (FILE,) if said else ()
        async with serving(Fake(), tenants=tenants, open=said) as house:
            assert await statuses(house, "") == [200 if said else 401]

    run(work())


def test_names_of_tiers_that_nobody_has_are_told(tmp_path: Path) -> None:
    tiers: dict[float, tuple[str, ...]] = {8192.0: ("al",), 32768.0: ("godl", "gold", "paying")}
    words = ["no tenant or group is called 'al'", "called 'godl'; closest: gold"]

    def told(house: House) -> list[str]:
        return [each for each in house.said if each.startswith("[tiers]")]

    async def work() -> None:
        async with serving(Fake(), contexts=tiers) as house:
            assert told(house) == []  # anybody may come with such a key
            house.service.again = lambda: replace(house.gateway.settings, tenants=(PAYING,))
            house.service.reload()
            await until(lambda: len(told(house)) == 2)
        kept = {"contexts": tiers, "tenants": (PAYING,), "state": str(tmp_path / "s.db")}
        async with serving(Fake(), **kept) as other:
            assert all(each in said for each, said in zip(words, told(other), strict=True))
            await membership(other).put("godl", TenantFile())
        async with serving(Fake(), **kept) as other:
            (only,) = told(other)
            assert "'al'" in only

    run(work())


def test_of_two_tenants_of_one_name_the_file_s_counts_and_it_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    same: dict[str, Any] = {"state": str(tmp_path / "s.db"), "policy": "fair", "open": None}

    async def added() -> str:
        async with serving(Fake(), **same) as house:
            await membership(house).put("gold", TenantFile(weight=2.0))
            return await membership(house).new_key("gold", "")

    async def both(key: str) -> None:
        async with serving(Fake(), tenants=(FILE,), **same) as house:
            assert await statuses(house, "of the file", key) == [200, 401]
            assert house.gateway.shares() == {"weights": {"gold": 3.0}}
            with pytest.raises(BadInput, match="is in the gateway's file"):
                await membership(house).new_key("gold", "")

    run(both(run(added())))
    assert "tenant gold is in the gateway's file and was added too" in caplog.text


def test_shares_for_which_a_policy_has_no_setting_are_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def work() -> None:
        async with serving(Fake(), tenants=(FILE,), policy="deadline") as house:
            assert "policy deadline has no weights: those of gold do nothing" in caplog.text
            caplog.clear()
            settings = replace(house.gateway.settings, tenants=(FILE,), policy="fair+promise")
            reload(house.gateway, settings)
            assert not caplog.text
            reload(house.gateway, replace(settings, policy="tiers(8k:90%)"))
            assert "no weights: those of gold" in caplog.text

    run(work())


def test_what_an_order_takes_is_asked_of_who_reads_policies() -> None:
    for order, part in ORDERS.items():
        text = f"{order}(8k:50%)" if part.bare else f" {order} (floors=a:10%)+promise @ prefix"
        known = {*part.settings, *(() if part.bare else ("floors", "ceilings"))}
        asked = {"weights", "floors", "ceilings", "ageing", "tenants"}
        assert {each for each in asked if takes(text, each)} == known & asked
    assert not takes("direct", "floors") and not takes("nonsense", "weights")
    with pytest.raises(BadInput):
        takes("fair(", "weights")


def test_a_ceiling_of_nothing_is_a_ceiling() -> None:
    assert shares_of("fair", [Tenant(name="a", ceiling=0.0)]) == {"ceilings": {"a": 0.0}}
