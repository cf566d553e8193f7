"""Pages of other sites that use the API from a browser: those that settings name, and no others."""

from __future__ import annotations

from typing import Any

import pytest
from tests.gateways import CHAT, Fake, House, Reply, ask, asks, chat, reply_of, run, serving, told

from eke.gateway.settings import Tenant
from eke.gateway.tenants import hashed

HERE, EVIL = "https://chat.example", "https://evil.example"
SETTINGS: dict[str, Any] = {
    "origins": (HERE,),
    "open": False,
    "tenants": (Tenant(name="gold", keys=(hashed("k"),)),),
}
WANTS = (
    "access-control-request-method: POST",
    "access-control-request-headers: authorization,content-type,x-stainless-os",
)


def told_to_browsers(reply: Reply) -> dict[str, str]:
    """Headers by which a browser decides."""
    return {name: value for name, value in reply.headers.items() if "access-control" in name}


async def before(house: House, *headers: str) -> Reply:
    """What a browser hears before it sends a request."""
    asked = asks(CHAT, None, "", *headers).replace(b"GET", b"OPTIONS", 1)
    return reply_of(await told(house.address, asked))


def test_a_page_that_is_named_may_ask_and_sees_what_it_gets() -> None:
    async def check() -> None:
        async with serving(Fake(), **SETTINGS) as house:
            may = await before(house, f"origin: {HERE}", *WANTS)
            assert (may.status, may.body) == (204, b"")
            told = told_to_browsers(may)
            assert told["access-control-allow-origin"] == HERE
            assert "POST" in told["access-control-allow-methods"]
            assert told["access-control-allow-headers"] == WANTS[1].partition(": ")[2]
            for key, status in (("k", 200), ("", 401)):  # it sees what is wrong too
                for stream in (False, True):
                    body = chat(stream=stream)
                    got = await ask(house, CHAT, body, key, f"origin: {HERE}")
                    assert got.status == status and not got.cut
                    assert told_to_browsers(got) == {
                        "access-control-allow-origin": HERE,
                        "access-control-expose-headers": "*",
                    }
                    assert got.headers["vary"] == "origin"

    run(check())


@pytest.mark.parametrize("origin", [EVIL, "null", HERE + ":8443", HERE.replace("https", "http")])
def test_other_pages_are_told_nothing(origin: str) -> None:
    async def check() -> None:
        async with serving(Fake(), **SETTINGS) as house:
            assert told_to_browsers(await before(house, f"origin: {origin}", *WANTS)) == {}
            got = await ask(house, CHAT, chat(), "k", f"origin: {origin}")
            assert got.status == 200 and told_to_browsers(got) == {}

    run(check())


def test_nobody_is_told_anything_where_no_page_is_named() -> None:
    async def check() -> None:
        async with serving(Fake()) as house:
            asked = await before(house, f"origin: {HERE}", *WANTS)
            assert asked.status == 405 and told_to_browsers(asked) == {}
            assert told_to_browsers(await ask(house, CHAT, chat(), "", f"origin: {HERE}")) == {}

    run(check())


def test_no_page_that_is_named_drives_the_administration() -> None:
    async def check() -> None:
        settings = {**SETTINGS, "admin": 0, "admin_key": "secret"}
        async with serving(Fake(), **settings) as house:
            asked = asks("/admin/engines", None, "secret", f"origin: {HERE}")
            got = reply_of(await told(house.service.address(1), asked))
            assert got.status == 200 and told_to_browsers(got) == {}

    run(check())
