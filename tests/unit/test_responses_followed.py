"""Who follows a response hears how it goes on, also where it goes on no more."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.gateways import Fake, run
from tests.responding import BODY, all_of, responding, state_of

from eke.gateway.api import following
from eke.gateway.responses import makings
from eke.gateway.state import standing


def test_who_follows_what_is_deleted_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(makings, "AT_ONCE", 0)  # as if another gateway had it
    monkeypatch.setattr(following, "LOOK", 0.01)

    async def work() -> None:
        async with responding(Fake(), state=str(tmp_path / "s.db")) as home:
            follows = asyncio.ensure_future(all_of(await home.client.responses.create(**BODY)))
            (made,) = await state_of(home).read(standing.open_ones, "response", ["queued"])
            await home.client.responses.delete(made.id)
            (told,) = await follows
            assert told.type == "error" and made.id in told.message
            assert told.sequence_number == 0

    run(work())
