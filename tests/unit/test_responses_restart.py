"""Background responses after gateways were killed, stopped, robbed or left without a state."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from tests.gateways import Fake, http, run, says, until
from tests.responding import BODY, Home, all_of, echoes, over, responding, state_of, steps
from tests.states import KINDS, address

from eke.errors import StateFull
from eke.gateway.responses import kept, makings
from eke.gateway.responses.makings import Makings
from eke.gateway.settings import Limit, Patience, Tenant
from eke.gateway.state import works
from eke.gateway.state.transaction import Transaction


@pytest.fixture
def state(tmp_path: Path) -> str:
    return address("sqlite", tmp_path)


@pytest.fixture(params=KINDS)
def either(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A state in each kind of database."""
    return address(request.param, tmp_path)


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks are often, and claims are short."""
    monkeypatch.setattr(makings, "LOOK", 0.02)
    monkeypatch.setattr(makings, "LEASE", 0.3)


@pytest.mark.parametrize("how", ("killed", "stopped"))
def test_it_is_made_after_a_restart(how: str, either: str) -> None:
    async def work() -> None:
        fake = Fake(steps(asyncio.Event()))
        async with responding(fake, state=either) as home:
            talked = await home.client.conversations.create(items=[])
            body: Any = {**BODY, "conversation": talked.id}
            events = []
            async for each in await home.client.responses.create(**body):
                events.append(each)
                if each.type == "response.output_text.delta":
                    break
            id = events[0].response.id  # type: ignore[union-attr]
            if how == "killed":
                await kill(home)
        fake = Fake(echoes())
        async with responding(fake, state=either) as home:
            made = await over(home, id)
            assert made.status == "completed" and made.output_text == "1: x"
            assert made.created_at == events[0].response.created_at  # type: ignore[union-attr]
            items = await all_of(home.client.conversations.items.list(talked.id, order="asc"))
            assert [item.content[0].text for item in items] == ["x", "1: x"]
            again = await home.client.responses.retrieve(id, stream=True, starting_after=3)
            rest = await all_of(again)
            assert rest[0].type == "response.created" and rest[-1].type == "response.completed"
            numbers = [each.sequence_number for each in rest]
            assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
            assert numbers[0] > events[-1].sequence_number

    run(work())


async def kill(home: Home) -> None:
    """End all at once, as a gateway ends that is killed: nothing is given back."""
    for task in list(home.makings._tasks):
        task.cancel()
    await until(lambda: not home.makings.live)


def test_who_lost_its_claim_stores_nothing(either: str) -> None:
    async def work() -> None:
        gate = asyncio.Event()
        slow, quick = Fake(steps(asyncio.Event())), Fake(steps(gate))
        async with responding(slow, state=either) as home, responding(quick, state=either) as other:
            talked = await home.client.conversations.create()
            made = await home.client.responses.create(
                model="m", input="x", background=True, conversation=talked.id
            )
            await until(lambda: slow.running == 1)
            there = state_of(other)
            (taken,) = await there.write(stolen, other.makings.owner)
            await other.makings._resume(there, taken, other.gateway.clock.wall())
            await until(lambda: slow.left == 1 and not home.makings.live)
            assert (await home.client.responses.retrieve(made.id)).status == "in_progress"
            gate.set()
            assert (await over(home, made.id)).output_text == "0 "
            assert len(await all_of(other.client.conversations.items.list(talked.id))) == 2

    run(work())


def test_a_claim_that_ran_out_and_came_back_is_made_anew(state: str) -> None:
    async def work() -> None:
        gate = asyncio.Event()
        fake = Fake(steps(gate))
        async with responding(fake, state=state) as home:
            stream = aiter(await home.client.responses.create(**BODY))
            id = (await anext(stream)).response.id  # type: ignore[union-attr]
            await until(lambda: fake.running == 1)
            await state_of(home).write(works.requeue, 1e12, 9)
            await until(lambda: fake.left == 1 and fake.running == 1)
            gate.set()
            last = [each async for each in stream][-1]
            assert last.type == "response.completed" and last.response.id == id
            assert (await over(home, id)).output_text == "0 "
            assert len(fake.got) == 2

    run(work())


def stolen(transaction: Transaction, owner: str) -> list[works.Work]:
    """The claims of all others, which count as run out."""
    works.requeue(transaction, 1e12, 9)
    wanted = works.Claim(owner=owner, kinds=("background",), most=9, now=1e12, until=2e12)
    return works.claim(transaction, wanted)


def test_what_ends_its_gateways_again_and_again_fails(state: str) -> None:
    async def work() -> None:
        id = ""
        for _ in range(makings.ATTEMPTS):
            fake = Fake(steps(asyncio.Event()))
            async with responding(fake, state=state) as home:
                if not id:
                    made = await home.client.responses.create(model="m", input="x", background=True)
                    id = made.id
                await until(lambda: fake.running == 1)  # noqa: B023
                await kill(home)
        async with responding(Fake(echoes()), state=state) as home:
            made = await over(home, id)
            assert made.status == "failed" and made.error is not None
            assert made.error.code == "server_error" and "several times" in made.error.message

    run(work())


def test_what_could_not_be_stored_is_made_again(
    state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work() -> None:
        finish, full = kept.finish, iter((True, True, False))

        def sometimes(*given: Any) -> bool:
            if next(full, False):
                raise StateFull("no room")
            return finish(*given)

        monkeypatch.setattr(kept, "finish", sometimes)
        monkeypatch.setattr(makings, "LATER", 0.01)
        fake = Fake(echoes())
        async with responding(fake, state=state) as home:
            events = await all_of(await home.client.responses.create(**BODY))
            assert events[-1].type == "error" and "state" in events[-1].message
            made = await over(home, events[0].response.id)
            assert made.status == "completed" and len(fake.got) == 3

    run(work())


def test_what_it_went_on_from_is_gone_after_a_restart(state: str) -> None:
    async def work() -> None:
        fake = Fake(echoes())
        async with responding(fake, state=state) as home:
            first = await home.client.responses.create(model="m", input="a")
            fake.script = steps(asyncio.Event())
            made = await home.client.responses.create(
                model="m", input="b", background=True, previous_response_id=first.id
            )
            await until(lambda: fake.running == 1)
            await home.client.responses.delete(first.id)
        async with responding(Fake(echoes()), state=state) as home:
            failed = await over(home, made.id)
            assert failed.status == "failed" and failed.error is not None
            assert first.id in failed.error.message

    run(work())


def test_one_that_cannot_be_gone_on_with_keeps_no_other_waiting(
    state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    turn_of = makings.turn_of

    async def fails(gateway: Any, tenant: Tenant, *rest: Any) -> Any:
        if tenant.name == "alice":
            raise AttributeError("of a mistake in the gateway")
        return await turn_of(gateway, tenant, *rest)

    async def work() -> None:
        fake = Fake(steps(asyncio.Event()))
        async with responding(fake, state=state) as home:
            clients = [home.client, home.client.with_options(api_key="bob")]
            body: Any = {"model": "m", "input": "x", "background": True}
            first, second = [await each.responses.create(**body) for each in clients]
            await until(lambda: fake.running == 2)
            await kill(home)
        monkeypatch.setattr(makings, "turn_of", fails)
        async with responding(Fake(echoes()), state=state) as home:
            failed = await over(home, first.id)
            assert failed.status == "failed" and failed.error is not None
            assert failed.error.message == "The gateway failed."
            bob = Home(home.house, home.client.with_options(api_key="bob"))
            assert (await over(bob, second.id)).output_text == "1: x"

    run(work())


def test_a_look_that_fails_is_not_the_last(state: str, monkeypatch: pytest.MonkeyPatch) -> None:
    look, mistakes = Makings._look, [RuntimeError("of a mistake in the gateway")]

    async def sometimes(self: Makings, there: Any) -> None:
        if mistakes:
            raise mistakes.pop()
        await look(self, there)

    async def work() -> None:
        monkeypatch.setattr(Makings, "_look", sometimes)
        monkeypatch.setattr(makings, "AT_ONCE", 0)
        async with responding(Fake(echoes()), state=state) as home:
            made = await home.client.responses.create(model="m", input="x", background=True)
            await until(lambda: not mistakes)
            monkeypatch.setattr(makings, "AT_ONCE", 9)
            assert (await over(home, made.id)).output_text == "1: x"

    run(work())


def test_who_is_refused_for_now_is_asked_for_later(
    state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work() -> None:
        monkeypatch.setattr(makings, "LATER", 0.01)
        fake = Fake(steps(asyncio.Event()))
        async with responding(fake, state=state) as home:
            events = await home.client.responses.create(**BODY)
            id = (await anext(aiter(events))).response.id
            await until(lambda: fake.running == 1)
            await kill(home)
        busy = says(http(503, {"error": {"message": "full"}}))
        fake = Fake(busy)
        patience = Patience(retries=0)
        async with responding(fake, state=state, patience=patience) as home:
            await until(lambda: len(fake.got) > 1)
            assert (await home.client.responses.retrieve(id)).status in ("queued", "in_progress")
            fake.script = echoes()
            assert (await over(home, id)).output_text == "1: x"

    run(work())


def test_whose_budget_is_spent_after_a_restart_is_told(state: str) -> None:
    async def work() -> None:
        fake = Fake(steps(asyncio.Event()))
        async with responding(fake, state=state) as home:
            made = await home.client.responses.create(model="m", input="x", background=True)
            await until(lambda: fake.running == 1)
            await kill(home)
        poor = Tenant(name="alice", limits=(Limit(what="requests", amount=0.0),))
        async with responding(Fake(echoes()), state=state, tenants=(poor,)) as home:
            failed = await over(home, made.id)
            assert failed.status == "failed" and failed.error is not None
            assert failed.error.code == "rate_limit_exceeded"
            assert "limit of 0 requests" in failed.error.message

    run(work())
