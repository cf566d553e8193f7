"""Whether a gateway takes requests, for those who divide them; and by which method it is asked."""

from __future__ import annotations

import pytest
from tests.gateways import Fake, House, Reply, ask, asks, reply_of, run, serving, told

from eke.gateway.asked import ENDPOINTS
from eke.gateway.settings import Tenant
from eke.gateway.tenants import hashed

CLOSED = {"open": False, "tenants": (Tenant(name="gold", keys=(hashed("k"),)),)}


async def call(house: House, method: str, path: str, key: str = "") -> Reply:
    asked = asks(path, None, key).replace(b"GET", method.encode(), 1)
    return reply_of(await told(house.address, asked))


def test_a_gateway_that_takes_requests_says_so_to_whoever_has_no_key() -> None:
    async def check() -> None:
        async with serving(Fake(), **CLOSED) as house:
            got = await ask(house, "/health")
            assert (got.status, got.json()) == (200, {"status": "ok"})
            assert got.headers["content-type"] == "application/json"
            assert (await ask(house, "/v1/models")).status == 401
            refused = await call(house, "POST", "/health")
            assert (refused.status, refused.headers["allow"]) == (405, "GET")
            house.gateway.closing = True
            got = await ask(house, "/health")
            assert (got.status, got.json()) == (503, {"status": "stopping"})

    run(check())


def test_the_administration_tells_nothing_without_its_key() -> None:
    async def check() -> None:
        async with serving(Fake(), admin=0, admin_key="secret") as house:
            reply = reply_of(await told(house.service.address(1), asks("/health")))
            assert reply.status == 401

    run(check())


@pytest.mark.parametrize("path", [*ENDPOINTS])
def test_engines_are_only_posted_to(path: str) -> None:
    async def check() -> None:
        async with serving(Fake(), **CLOSED) as house:
            for method in ("GET", "PUT", "DELETE", "OPTIONS"):
                assert (await call(house, method, path)).status == 401
                got = await call(house, method, path, "k")
                assert (got.status, got.headers["allow"]) == (405, "POST")
                assert method in got.json()["error"]["message"]

    run(check())
