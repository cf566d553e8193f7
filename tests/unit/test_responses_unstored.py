"""Background responses over which the state fails: made later, not for ever, and charged once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.gateways import Fake, run, until
from tests.responding import echoes, over, responding, state_of
from tests.states import address

from eke.errors import Sealed, StateError, StateFull, StateUnsure
from eke.gateway.responses import kept, makings
from eke.gateway.state import works
from eke.gateway.state.state import State

BODY: Any = {"model": "m", "input": "x", "background": True}


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(makings, "LOOK", 0.02)
    return address("sqlite", tmp_path)


def test_what_can_never_be_stored_is_made_a_few_times_and_fails(
    state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> bool:
        raise StateFull("too long for this state")

    async def work() -> None:
        monkeypatch.setattr(makings, "LATER", 0.01)
        monkeypatch.setattr(kept, "finish", full)
        fake = Fake(echoes())
        async with responding(fake, state=state) as home:
            made = await home.client.responses.create(**BODY)
            failed = await over(home, made.id)
            assert failed.status == "failed" and failed.error is not None
            assert failed.error.message == makings.NEVER
            assert len(fake.got) == makings.ATTEMPTS
            rows = [(row.outcome, row.reason, row.charged) for row in home.house.rows]
            assert rows == [("failed", "it could not be stored", 0.0)] * makings.ATTEMPTS

    run(work())


def test_what_could_not_be_stored_is_not_made_again_at_once(
    state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> bool:
        raise StateFull("no room")

    async def work() -> None:
        monkeypatch.setattr(kept, "finish", full)
        async with responding(Fake(echoes()), state=state) as home:
            made = await home.client.responses.create(**BODY)
            begun = home.gateway.clock.wall()
            await until(lambda: home.makings.dropped)
            await until(lambda: not home.makings.dropped)
            found = await state_of(home).read(works.get, made.id, "alice")
            assert found is not None and (found.state, found.attempts) == (works.QUEUED, 1)
            assert found.due >= begun + 2 * makings.LATER

    run(work())


@pytest.mark.parametrize("where", ("its own", "of another"))
def test_what_cannot_be_opened_fails_at_once(
    where: str, state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = []

    def sealed(*_: Any) -> Any:
        tries.append(1)
        raise Sealed("It is sealed with a key that is not there.")

    async def sealed_too(*_: Any) -> Any:
        sealed()

    async def work() -> None:
        monkeypatch.setattr(makings, "AT_ONCE", 0)
        async with responding(Fake(echoes()), state=state) as home:
            made = await home.client.responses.create(**BODY)
            if where == "its own":
                monkeypatch.setattr(kept, "again", sealed)
            else:
                monkeypatch.setattr(makings, "turn_of", sealed_too)
            monkeypatch.setattr(makings, "AT_ONCE", 9)
            failed = await over(home, made.id)
            assert failed.status == "failed" and failed.error is not None
            assert "a key that is not there" in failed.error.message
            assert tries == [1] and not home.makings.dropped

    run(work())


@pytest.mark.parametrize("stored", (True, False))
def test_an_answer_that_is_stored_is_charged_though_the_state_was_lost_meanwhile(
    stored: bool, state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, read, losses = State.write, State.read, [works.ended, kept.finish]

    async def unsure(self: State, verb: Any, *given: Any) -> Any:
        if verb not in losses:
            return await write(self, verb, *given)
        losses.remove(verb)
        if stored:
            await write(self, verb, *given)
        raise StateUnsure("lost while it stored")

    async def gone(self: State, verb: Any, *given: Any) -> Any:
        if verb in losses:
            losses.remove(verb)
            raise StateError("it does not answer yet")
        return await read(self, verb, *given)

    async def work() -> None:
        monkeypatch.setattr(makings, "LATER", 0.01)
        monkeypatch.setattr(State, "write", unsure)
        monkeypatch.setattr(State, "read", gone)
        fake = Fake(echoes())
        async with responding(fake, state=state) as home:
            made = await home.client.responses.create(**BODY)
            assert (await over(home, made.id)).status == "completed"
            await until(lambda: not home.makings.live and not losses)
            rows = [(row.outcome, row.tokens) for row in home.house.rows]
            assert rows == [("failed", 0), ("finished", 3)][stored:]
            assert len(fake.got) == len(rows)

    run(work())
