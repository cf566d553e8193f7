"""The administration: who may drive it, and what it deletes."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path
from typing import Any

import pytest
from tests.gateways import Fake, House, Reply, ask, asks, chat, reply_of, run, serving, told

from eke.gateway.settings import TenantFile
from eke.gateway.state.members import DAY
from eke.gateway.tenants import hashed

BROWSER = f"authorization: Basic {base64.b64encode(b'anybody:secret').decode()}"
EVIL = "origin: https://evil.example"


def settings(folder: Path) -> dict[str, Any]:
    """Settings of a gateway with an administration."""
    return {"state": str(folder / "s.db"), "admin": 0, "admin_key": "secret"}


async def call(house: House, method: str, path: str, *headers: str) -> Reply:
    """What the administration answers."""
    asked = asks(path, None, "", *headers).replace(b"GET", method.encode(), 1)
    return reply_of(await told(house.service.address(1), asked))


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([], 200),
        (["origin: http://gateway"], 200),
        (["sec-fetch-site: same-origin", "origin: http://behind.a.proxy"], 200),
        (["sec-fetch-site: none"], 200),
        ([EVIL], 403),
        (["origin: null"], 403),
        (["origin: http://gateway:8080"], 403),
        (["sec-fetch-site: cross-site"], 403),
        (["sec-fetch-site: same-site", "origin: http://gateway"], 403),
    ],
)
def test_a_page_of_another_site_cannot_change_anything(
    headers: list[str], status: int, tmp_path: Path
) -> None:
    """A browser adds the key that it remembers to whatever a page makes it send."""

    async def check() -> None:
        async with serving(Fake(), **settings(tmp_path)) as house:
            (engine,) = house.gateway.engines.values()
            got = await call(house, "POST", "/admin/engines/e0/drain", BROWSER, *headers)
            assert got.status == status and engine.resting == (status == 200)
            assert (await call(house, "GET", "/admin/engines", BROWSER, *headers)).status == 200

    run(check())


def test_nothing_is_told_or_done_without_the_key(tmp_path: Path) -> None:
    async def check() -> None:
        async with serving(Fake(), **settings(tmp_path)) as house:
            for method, path in (("GET", "/admin/engines"), ("POST", "/admin/engines/e0/drain")):
                for given in ([], ["authorization: Bearer wrong"], [EVIL]):
                    got = await call(house, method, path, *given)
                    assert got.status == 401 and "Basic" in got.headers["www-authenticate"]
            assert not house.gateway.engines[0].resting
            good = "authorization: Bearer secret"
            assert (await call(house, "POST", "/admin/engines/e0/drain", good)).status == 200

    run(check())


def test_of_each_key_the_day_is_told_on_which_it_was_last_used(tmp_path: Path) -> None:
    async def check() -> None:
        async with serving(Fake(), **settings(tmp_path)) as house:
            membership = house.gateway.membership
            assert membership is not None
            await membership.put("gold", TenantFile())
            used, idle = [await membership.new_key("gold", name) for name in ("used", "idle")]
            taken: Any = house.gateway.tenants
            for _ in range(2):
                assert (await ask(house, body=chat(), key=used)).status == 200
            while not (told := {each.name: each.used for each in await membership.keys()})["used"]:
                await asyncio.sleep(0.01)
            listed = (await call(house, "GET", "/admin/keys", BROWSER)).json()["data"]
            assert {each["name"]: each["used"] for each in listed} == told
            assert told["idle"] is None and told["used"] % DAY == 0
            assert 0 <= house.gateway.clock.wall() - told["used"] < 2 * DAY
            assert house.gateway.tenants is taken  # nobody else's settings begin anew for it
            assert hashed(idle) not in house.gateway.tenants.used

    run(check())
