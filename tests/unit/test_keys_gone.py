"""What is stored under a key that is gone keeps nobody from what is not."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("cryptography")

from tests.gateways import Fake, ask, run, serving
from tests.states import opened, write

from eke.gateway.state import documents
from eke.gateway.state.documents import Document
from eke.gateway.state.sealing import OPEN, Sealer

LOST = Sealer(keys={"lost": bytes(32)}, current="lost")
BODY = b'{"name":"a.jsonl","size":3}'


def test_lists_pass_it_over_and_who_asks_for_it_is_told_not_to_ask_again(tmp_path: Path) -> None:
    path = str(tmp_path / "state.db")
    for id, sealer in (("file-1", OPEN), ("file-2", LOST)):
        with opened(path, sealers=lambda tenant, sealer=sealer: sealer) as state:
            write(state, documents.create, Document(id, "file", "ann", 1.0, "processed", BODY))

    async def work() -> None:
        async with serving(Fake(), state=path) as house:
            listed = await ask(house, "/v1/files", key="ann")
            assert [each["id"] for each in listed.json()["data"]] == ["file-1"]
            gone = await ask(house, "/v1/files/file-2", key="ann")
            assert (gone.status, gone.json()["error"]["code"]) == (500, "sealed")
            assert gone.headers["x-should-retry"] == "false" and "retry-after" not in gone.headers

    run(work())
