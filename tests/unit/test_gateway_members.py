"""Tenants of the administration that a gateway cannot have: they are left out, and stop nothing."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest
from tests.gateways import Fake, House, ask, chat, run, serving

from eke.gateway.membership import Membership
from eke.gateway.reloading import reload
from eke.gateway.settings import Tenant, TenantFile
from eke.gateway.state import members
from eke.gateway.tenants import hashed
from eke.types.record import replace


async def added(house: House, name: str, body: bytes, key: str) -> None:
    """What the administration of another gateway did."""
    state = house.gateway.state
    assert state is not None
    await state.write(members.put, members.Member(name, body))
    await state.write(members.add_key, members.Key(hashed(key), name, "", 0.0))


async def refreshed(house: House) -> Membership:
    membership = house.gateway.membership
    assert membership is not None
    await membership.refresh()
    return membership


async def statuses(house: House, *keys: str) -> list[int]:
    return [(await ask(house, body=chat(), key=key)).status for key in keys]


def file(**fields: object) -> bytes:
    return msgspec.json.encode(TenantFile(**fields))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "body, words",
    [
        (file(seal_env="NOT_SET_HERE"), "NOT_SET_HERE"),
        (file(key_env="NOT_SET_HERE"), "NOT_SET_HERE"),
        (file(floor="95%"), "floors"),
        (file(keys=[f"sha256:{hashed('of the file')}"]), "has a key that"),
        (b'{"of_a_later_eke": 1}', "of_a_later_eke"),
        (b"{", "JSON|truncated"),
    ],
)
def test_a_tenant_that_cannot_be_here_keeps_nothing_from_being_taken_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, body: bytes, words: str
) -> None:
    same = {
        "state": str(tmp_path / "s.db"),
        "tenants": (Tenant(name="file", keys=(hashed("of the file"),)),),
        "policy": "fair",
        "open": False,
    }

    async def work() -> None:
        async with serving(Fake(), **same) as house:
            await added(house, "able", file(floor="20%"), "a")
            await added(house, "bad", body, "b")
            await added(house, "common", file(floor="20%"), "c")
            membership = await refreshed(house)
            assert await statuses(house, "of the file", "a", "b", "c") == [200, 200, 401, 200]
            await membership.revoke(hashed("a"))
            assert await statuses(house, "of the file", "a", "b", "c") == [200, 401, 401, 200]
        async with serving(Fake(), **same) as house:  # and it starts again
            assert await statuses(house, "of the file", "a", "b", "c") == [200, 401, 401, 200]

    run(work())
    assert "tenant bad was added and cannot be here" in caplog.text
    assert re.search(words, caplog.text)


def test_a_tenant_that_could_not_be_is_there_when_the_file_lets_it(tmp_path: Path) -> None:
    async def work() -> None:
        floor = Tenant(name="file", floor=0.6)
        facts = {"tenants": (floor,), "policy": "fair", "open": False}
        async with serving(Fake(), state=str(tmp_path / "s.db"), **facts) as house:
            await added(house, "able", file(floor="50%"), "a")
            await refreshed(house)
            assert await statuses(house, "a") == [401]
            reload(house.gateway, replace(house.gateway.settings, tenants=()))
            await refreshed(house)
            assert await statuses(house, "a") == [200]

    run(work())


def test_what_could_not_be_taken_over_is_tried_again(tmp_path: Path) -> None:
    async def work() -> None:
        async with serving(Fake(), state=str(tmp_path / "s.db"), open=False) as house:
            await refreshed(house)
            take_over, failing = house.gateway.take_over, [True]

            def fallible(*nouns):  # type: ignore[no-untyped-def]
                if failing.pop():
                    raise RuntimeError("oh")
                return take_over(*nouns)

            house.gateway.take_over = fallible  # type: ignore[method-assign]
            await added(house, "able", file(), "a")
            with pytest.raises(RuntimeError):
                await refreshed(house)
            failing.append(False)
            await refreshed(house)
            assert await statuses(house, "a") == [200]

    run(work())
