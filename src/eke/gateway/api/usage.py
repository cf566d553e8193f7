"""What was used and charged: OpenAI's shapes, and FOCUS for tools that read bills."""

from __future__ import annotations

from asyncio import sleep
from collections.abc import Callable
from itertools import islice
from typing import Any

from eke.gateway.api.routes import Asking, Route
from eke.gateway.refusal import Refusal
from eke.gateway.row import Row
from eke.gateway.seeing.buckets import LATEST, Completions, Costs, Question, question
from eke.gateway.seeing.focus import focus
from eke.gateway.seeing.usage import Group, Prices, Sums, add

SLICE = 64  # rows that are added up, and lines that are sent, before others have their turn
CSV = (b"content-type", b"text/csv; charset=utf-8")


async def completions(asking: Asking) -> None:
    """GET /v1/organization/usage/completions."""
    await _page(asking, Completions(_question(asking, costs=False)))


async def costs(asking: Asking) -> None:
    """GET /v1/organization/costs."""
    await _page(asking, Costs(_question(asking, costs=True), _prices(asking)))


async def bill(asking: Asking) -> None:
    """GET /admin/usage.csv?start_time=…&end_time=…: FOCUS 1.2, of requests that ended from the
    one to before the other."""
    now = asking.gateway.clock.wall()
    start = asking.number("start_time", 0, 0, LATEST)
    end = asking.number("end_time", int(now) + 1, 0, LATEST)
    groups: dict[Group, Sums] = {}
    prices = _prices(asking)
    await _each(asking, start, end, lambda row: add(groups, row, prices))
    lines = focus(groups)
    await asking.send({"type": "http.response.start", "status": 200, "headers": [CSV]})
    while part := list(islice(lines, SLICE)):
        data = "".join(part).encode()
        await asking.send({"type": "http.response.body", "body": data, "more_body": True})
        await sleep(0)
    await asking.send({"type": "http.response.body", "body": b""})


async def _page(asking: Asking, sums: Completions | Costs) -> None:
    await _each(asking, sums.asked.start, sums.asked.until, sums.add)
    await asking.reply(200, sums.page())


async def _each(asking: Asking, start: float, end: float, add: Callable[[Row], Any]) -> None:
    """Every row of a request that ended in a time, one by one. Raises Refusal."""
    state = asking.gateway.state
    if state is None:
        raise Refusal(501, 'Usage is kept in the state; give one, such as state = "eke.db".')
    number = 0
    async for kept in state.rows(start, end, "ended_at"):
        add(kept.row)
        number += 1
        if number % SLICE == 0:
            await sleep(0)


def _question(asking: Asking, costs: bool) -> Question:
    query = asking.scope["query_string"].decode("latin-1")
    return question(query, asking.gateway.clock.wall(), costs)


def _prices(asking: Asking) -> Prices:
    return {name: model.price for name, model in asking.gateway.models.items()}


ROUTES = (
    Route("GET", "/v1/organization/usage/completions", completions),
    Route("GET", "/v1/organization/costs", costs),
    Route("GET", "/admin/usage.csv", bill),
)
