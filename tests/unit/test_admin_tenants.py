"""Tenants by the administration: what it says of them can be put back, and what it deletes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.batching import jsonl
from tests.gateways import Fake, House, Reply, ask, asks, chat, reply_of, run, serving, told

from eke.gateway.limits import limits_of
from eke.gateway.settings import Tenant, TenantFile
from eke.gateway.tenants import hashed
from eke.types.record import defaults

# Of every field of a tenant, something that is not what it is where nobody says.
SAID: dict[str, Any] = {
    "keys": [f"sha256:{hashed('a')}"],
    "key_env": ["A_KEY"],
    "group": "paying",
    "weight": 2.5,
    "floor": "12.5%",
    "ceiling": "33%",
    "context": "32k",
    "service_tiers": ["flex", "default"],
    "limits": ["50M tokens/day", "2 chip-hours/month", "0.3 USD", "1.5k requests/min"],
    "models": ["m", "n"],
    "store": False,
    "retention": "36h",
    "seal_env": "A_SEAL",
}
PUT = [*[{name: value} for name, value in SAID.items()], SAID, {}]
GOLD = Tenant(name="gold", keys=(hashed("of gold"),), limits=limits_of(["500 USD/month"], ""))


def settings(folder: Path, **more: Any) -> dict[str, Any]:
    """Settings of a gateway with an administration."""
    usual = {"state": str(folder / "s.db"), "admin": 0, "admin_key": "secret", "policy": "fair"}
    return {**usual, **more}


async def call(house: House, method: str, path: str, body: Any = None) -> Reply:
    """What the administration answers."""
    _, rest = asks(f"/admin{path}", body, "secret").split(b" ", 1)
    return reply_of(await told(house.service.address(1), b"%b %b" % (method.encode(), rest)))


async def refused(house: House, status: int, *asked: Any) -> str:
    """Why something is refused, as it is told."""
    reply = await call(house, *asked)
    assert reply.status == status, reply.body
    return str(reply.json()["error"]["message"])


async def upload(house: House, key: str) -> None:
    """Somebody stores a file."""
    form = b'--x\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nevals\r\n'
    form += b'--x\r\ncontent-disposition: form-data; name="file"; filename="f"\r\n\r\n'
    form += jsonl([{"a": "b"}]) + b"\r\n--x--\r\n"
    kind = "content-type: multipart/form-data; boundary=x"
    made = reply_of(await told(house.address, asks("/v1/files", form, key, kind)))
    assert made.status == 200


async def files(house: House, key: str) -> int:
    """How many files somebody has."""
    return len((await ask(house, "/v1/files", None, key)).json()["data"])


async def spent(house: House, name: str) -> float:
    """What a tenant used of its only limit, in the window that now is."""
    (budget,) = (await call(house, "GET", f"/tenants/{name}/budgets")).json()["data"]
    return float(budget["spent"])


def test_something_is_said_of_every_field() -> None:
    usual = defaults(TenantFile())
    assert SAID.keys() == usual.keys() and all(SAID[name] != usual[name] for name in SAID)


@pytest.mark.parametrize("said", PUT, ids=lambda said: "+".join(said) or "nothing")
def test_what_is_told_of_a_tenant_can_be_put_back(
    said: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_KEY", "b")
    monkeypatch.setenv("A_SEAL", "RERERERERERERERERERERERERERERERERERERERERCA=")

    async def check() -> None:
        async with serving(Fake(), **settings(tmp_path)) as house:
            first = (await call(house, "PUT", "/tenants/new", said)).json()
            assert {each: first[each] for each in said} == said
            there = house.gateway.tenants.by_name["new"]
            assert (await call(house, "GET", "/tenants/new")).json() == first
            assert (await call(house, "GET", "/tenants")).json()["data"] == [first]
            assert (await call(house, "PUT", "/tenants/new", first)).json() == first
            assert house.gateway.tenants.by_name["new"] == there

    run(check())


def test_what_cannot_be_put_is_told_with_what_can(tmp_path: Path) -> None:
    async def check() -> None:
        async with serving(Fake(), **settings(tmp_path, tenants=(GOLD,))) as house:
            unknown = await refused(house, 400, "PUT", "/tenants/new", {"tiers": ["flex"]})
            assert "'tiers' is no field" in unknown and "service_tiers" in unknown
            other = await refused(house, 400, "PUT", "/tenants/new", {"name": "old"})
            assert "'old'" in other and "'new'" in other
            for name in ("%00", "%20", "a%0Ab"):
                assert "no name of a tenant" in await refused(
                    house, 400, "PUT", f"/tenants/{name}", {}
                )
            missing = await refused(house, 400, "POST", "/tenants/new/keys", {"name": "a"})
            assert "PUT /admin/tenants/new adds it" in missing
            typo = await refused(house, 400, "POST", "/tenants/new/keys", {"nam": 1})
            assert "'nam' is no field; did you mean name?" in typo
            for asked in (("PUT", "/tenants/gold", {}), ("POST", "/tenants/gold/keys", {})):
                assert "is in the gateway's file; change" in await refused(house, 409, *asked)

    run(check())


def test_a_key_is_revoked_by_the_hash_that_its_making_told(tmp_path: Path) -> None:
    async def check() -> None:
        async with serving(Fake(), **settings(tmp_path, open=False)) as house:
            await call(house, "PUT", "/tenants/new", {})
            made = (await call(house, "POST", "/tenants/new/keys", {"name": "a"})).json()
            assert (await ask(house, body=chat(), key=made["key"])).status == 200
            assert (await call(house, "DELETE", f"/keys/{made['hash']}")).status == 200
            assert (await ask(house, body=chat(), key=made["key"])).status == 401

    run(check())


def test_a_tenant_of_the_file_is_not_deleted_and_its_budget_outlives_its_texts(
    tmp_path: Path,
) -> None:
    async def check() -> None:
        facts = {"facts": {"rate": 1.0}, "tenants": (GOLD,)}
        async with serving(Fake(), **settings(tmp_path, **facts)) as house:
            assert (await ask(house, body=chat(), key="of gold")).status == 200
            await upload(house, "of gold")
            keeper = house.gateway.keeper
            assert keeper is not None
            house.gateway.ledger.tell(house.gateway.clock.wall())
            await keeper.flush()
            before = await spent(house, "gold")
            words = await refused(house, 409, "DELETE", "/tenants/gold")
            assert "is in the gateway's file" in words and "/admin/tenants/gold/texts" in words
            assert await files(house, "of gold") == 1
            gone = await call(house, "DELETE", "/tenants/gold/texts")
            assert gone.json() == {"tenant": "gold", "deleted": True}
            assert await files(house, "of gold") == 0
            assert await spent(house, "gold") == before > 0
            again = await call(house, "DELETE", "/tenants/gold/texts")
            assert again.json() == {"tenant": "gold", "deleted": False}

    run(check())


def test_a_tenant_that_was_added_is_deleted_whole(tmp_path: Path) -> None:
    async def check() -> None:
        async with serving(Fake(), **settings(tmp_path, open=True)) as house:
            await call(house, "PUT", "/tenants/new", {"keys": [f"sha256:{hashed('of new')}"]})
            await upload(house, "of new")
            gone = await call(house, "DELETE", "/tenants/new")
            assert gone.json() == {"tenant": "new", "deleted": True}
            assert (await call(house, "GET", "/tenants/new")).status == 404
            assert "texts" in await refused(house, 404, "DELETE", "/tenants/new")
            await call(house, "PUT", "/tenants/new", {"keys": [f"sha256:{hashed('of new')}"]})
            assert await files(house, "of new") == 0

    run(check())


def test_texts_of_whoever_an_open_gateway_answered_can_be_deleted(tmp_path: Path) -> None:
    async def check() -> None:
        async with serving(Fake(), **settings(tmp_path)) as house:
            await upload(house, "somebody")
            assert "somebody/texts" in await refused(house, 404, "DELETE", "/tenants/somebody")
            gone = await call(house, "DELETE", "/tenants/somebody/texts")
            assert gone.json() == {"tenant": "somebody", "deleted": True}
            assert await files(house, "somebody") == 0
            words = await refused(house, 404, "DELETE", "/tenants/somebody/texts")
            assert "nothing is kept" in words

    run(check())


def test_budgets_are_told_in_units_and_of_tenants_that_there_are(tmp_path: Path) -> None:
    limits = ["500 USD/month", "2 chip-hours", "1.5M tokens/min"]
    gold = Tenant(name="gold", limits=limits_of(limits, ""))

    async def check() -> None:
        async with serving(Fake(), **settings(tmp_path, tenants=(gold,))) as house:
            for _ in range(2):  # before anything was used, and then
                found = (await call(house, "GET", "/tenants/gold/budgets")).json()["data"]
                told = {each["limit"]: (each["most"], each["unit"]) for each in found}
                assert told == {
                    "USD/month": (500.0, "USD"),
                    "chip-seconds": (7200.0, "chip-seconds"),
                    "tokens/min": (1.5e6, "tokens"),
                }
                (forever,) = [each for each in found if each["limit"] == "chip-seconds"]
                assert forever["ends"] is None
                assert (await ask(house, body=chat(), key="gold")).status == 200
            assert "no tenant" in await refused(house, 404, "GET", "/tenants/gld/budgets")

    run(check())
