"""POST /v1/responses and what belongs to it, on engines that know chat completions only."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from eke.gateway.api.following import Follower
from eke.gateway.api.listing import SLICE, listed, slice_of
from eke.gateway.api.reading import Departed
from eke.gateway.api.routes import Asking, Route, Sending, decoded
from eke.gateway.api.telling import costs, told
from eke.gateway.api.watching import Watch
from eke.gateway.refusal import Refusal, bad
from eke.gateway.refusing import may_use
from eke.gateway.responses import kept
from eke.gateway.responses.answer import CANCELLED, ENDED, Answer
from eke.gateway.responses.ask import Ask, read
from eke.gateway.responses.compacting import Compact, compacted, making_of
from eke.gateway.responses.counting import input_tokens
from eke.gateway.responses.ids import Ids
from eke.gateway.responses.making import Making, nobody
from eke.gateway.responses.makings import Makings
from eke.gateway.responses.turn import turn_of
from eke.gateway.state.state import State


async def create(asking: Asking) -> None:
    """POST /v1/responses."""
    body = await asking.body()
    ask = read(body)
    makings = asking.gateway.one(Makings)
    if ask.background:
        making = await makings.start(asking.tenant, ask, body)
        if ask.stream:
            await Follower(asking, making.id, -1).follow()
        else:
            await asking.reply(200, _standing(making))
        return
    making = await makings.new(asking.tenant, ask)
    with _watched(asking, making):
        await (_stream if ask.stream else _answer)(asking, makings, making)


async def _answer(asking: Asking, makings: Makings, making: Making) -> None:
    """A response at once."""
    await makings.make(making, nobody)
    if making.answer["status"] == CANCELLED:
        raise Departed
    took = making.answer["eke"]
    headers = [*told(making.errand), *costs(took["cost_usd"], took["energy_j"])]
    await asking.reply(200, making.answer, headers)


async def _stream(asking: Asking, makings: Makings, making: Making) -> None:
    """A response as it comes."""
    sending: Sending | None = None

    async def tell(events: list[bytes]) -> None:
        nonlocal sending
        if sending is None:
            sending = await asking.stream(told(making.errand))
        await sending.send(b"".join(events))

    last = await makings.make(making, tell)
    if sending is not None:
        await sending.end(last)


@contextmanager
def _watched(asking: Asking, making: Making) -> Iterator[None]:
    """While a client waits for a response: it is left when the client leaves, and an error has the
    headers of every answer."""
    watch = Watch(asking.gateway.loop, asking.receive, making.leave)
    try:
        yield
    except Refusal as refusal:
        refusal.more = (*refusal.more, *told(making.errand))
        raise
    finally:
        watch.end()


async def retrieve(asking: Asking) -> None:
    """GET /v1/responses/{id}."""
    id = asking.parts["id"]
    if asking.query.get("stream") == "true":
        after = asking.number("starting_after", -1, 0, 1 << 53)
        await Follower(asking, id, after).follow()
        return
    making = await _live(asking)
    await asking.reply(200, _standing(making) if making else await _stored(asking))


async def cancel(asking: Asking) -> None:
    """POST /v1/responses/{id}/cancel. Twice is as once; what is over stays as it is."""
    making = await _live(asking)
    if making is not None and making.ask.background:
        await asking.gateway.one(Makings).cancel(making)
    elif making is not None:
        raise _not_background()
    answer = await _stored(asking)
    if not answer["background"]:
        raise _not_background()
    if answer["status"] not in ENDED:
        now = asking.gateway.clock.wall()
        verb, given = kept.cancel, (asking.parts["id"], asking.tenant.name, now)
        _, body = await _state(asking).write(verb, *given)
        answer = body.answer
    await asking.reply(200, answer)


async def delete(asking: Asking) -> None:
    """DELETE /v1/responses/{id}: it, its items and its events, wiped off the disk."""
    id, making = asking.parts["id"], await _live(asking)
    if making is not None:
        making.stored = making.stored and bool(making.ask.background)
        await asking.gateway.one(Makings).cancel(making)
    state = _state(asking)
    if not await state.write(kept.delete, id, asking.tenant.name) and making is None:
        raise kept.unknown(id)
    await state.scrub()
    await asking.reply(200, {"id": id, "object": "response", "deleted": True})


async def input_items(asking: Asking) -> None:
    """GET /v1/responses/{id}/input_items."""
    wanted = slice_of(asking, asking.parts["id"], kept.INPUT)
    now = asking.gateway.clock.wall()
    page = await _state(asking).read(kept.input_page, wanted, now)
    await asking.reply(200, listed(asking, page))


async def count(asking: Asking) -> None:
    """POST /v1/responses/input_tokens: about as many as an engine will count."""
    gateway, tenant = asking.gateway, asking.tenant
    fields = decoded(await asking.body() or b"{}", dict[str, msgspec.Raw])
    usual = next((name for name in gateway.names() if may_use(tenant, name)), "")
    fields = {"model": msgspec.Raw(msgspec.json.encode(usual)), **fields}
    ask = read(msgspec.json.encode(fields))
    turn = await turn_of(gateway, tenant, ask, Ids())
    tokens = input_tokens(gateway, ask.model, turn.messages, ask.tools)
    await asking.reply(200, {"object": "response.input_tokens", "input_tokens": tokens})


async def compact(asking: Asking) -> None:
    """POST /v1/responses/compact."""
    making = await making_of(asking.gateway, asking.tenant, await asking.json(Compact))
    with _watched(asking, making):
        await making.make(nobody)
        if making.answer["status"] == CANCELLED:
            raise Departed
        await asking.reply(200, compacted(making), told(making.errand))


async def _live(asking: Asking) -> Making | None:
    """The response that is asked about, where it is being made here and is known to clients. One
    that just ended is found in the state, a moment later."""
    making = asking.gateway.one(Makings).live.get(asking.parts["id"])
    if making is None or making.tenant.name != asking.tenant.name:
        return None
    if not (making.stored or making.ask.background):
        return None
    if making.answer["status"] in ENDED:
        await making.over.wait()
        return None
    return making


def _not_background() -> Refusal:
    words = "Only responses created with 'background' can be cancelled; leave the others."
    return bad(words, "response_id")


def _standing(making: Making) -> Answer:
    """A response that is being made, as it stands, with its place in the queue."""
    place = making.place()
    return {**making.answer, "eke": place} if place else making.answer


async def _stored(asking: Asking) -> Answer:
    """A response as it is stored. Raises Refusal 404."""
    now = asking.gateway.clock.wall()
    found = await _state(asking).read(kept.get, asking.parts["id"], asking.tenant.name, now)
    return found[1].answer


def _state(asking: Asking) -> State:
    """Where responses are kept. Raises Refusal 404 where nothing is."""
    state = asking.gateway.state
    if state is None:
        raise kept.unknown(asking.parts["id"])
    return state


ROUTES = (
    Route("POST", "/v1/responses", create, Ask),
    Route("POST", "/v1/responses/input_tokens", count, Ask),
    Route("POST", "/v1/responses/compact", compact, Compact),
    Route("GET", "/v1/responses/{id}", retrieve, None, ("stream", "starting_after", "include")),
    Route("DELETE", "/v1/responses/{id}", delete),
    Route("POST", "/v1/responses/{id}/cancel", cancel),
    Route("GET", "/v1/responses/{id}/input_items", input_items, None, SLICE),
)
