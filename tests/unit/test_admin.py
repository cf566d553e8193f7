"""The administration: who may drive it, and what it deletes."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
from tests.batching import jsonl
from tests.gateways import Fake, House, Reply, asks, reply_of, run, serving, told

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


def test_texts_of_whoever_an_open_gateway_answered_can_be_deleted(tmp_path: Path) -> None:
    async def check() -> None:
        async with serving(Fake(), **settings(tmp_path)) as house:
            form = b'--x\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nevals\r\n'
            form += b'--x\r\ncontent-disposition: form-data; name="file"; filename="f"\r\n\r\n'
            form += jsonl([{"a": "b"}]) + b"\r\n--x--\r\n"
            kind = "content-type: multipart/form-data; boundary=x"
            made = reply_of(await told(house.address, asks("/v1/files", form, "somebody", kind)))
            assert made.status == 200
            gone = await call(house, "DELETE", "/admin/tenants/somebody", BROWSER)
            assert gone.json() == {"tenant": "somebody", "deleted": True}
            listed = reply_of(await told(house.address, asks("/v1/files", None, "somebody")))
            assert listed.json()["data"] == []
            again = await call(house, "DELETE", "/admin/tenants/somebody", BROWSER)
            assert again.status == 404 and "nothing is kept" in again.json()["error"]["message"]

    run(check())
