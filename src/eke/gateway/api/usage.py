"""What was used and charged: OpenAI's shapes, and FOCUS for tools that read bills."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Any

from eke.gateway.api.routes import Asking, Route
from eke.gateway.refusal import Refusal, bad
from eke.gateway.row import Row
from eke.gateway.seeing import buckets
from eke.gateway.seeing.focus import focus
from eke.gateway.seeing.usage import usage
from eke.gateway.settings import Price

LONGEST = 3600.0  # a request that ended within a time may have come so much earlier [s]
MOST = 200_000  # rows that are added up while others are served
SLICE = 64  # lines of CSV that are sent at once
CSV = (b"content-type", b"text/csv; charset=utf-8")


async def completions(asking: Asking) -> None:
    """GET /v1/organization/usage/completions."""
    await _page(asking, False, lambda rows, prices, asked: buckets.completions(rows, asked))


async def costs(asking: Asking) -> None:
    """GET /v1/organization/costs."""
    await _page(asking, True, buckets.costs)


async def bill(asking: Asking) -> None:
    """GET /admin/usage.csv?start_time=…&end_time=…: FOCUS 1.2."""
    now = asking.gateway.clock.wall()
    start = asking.number("start_time", 0, 0, 1 << 40)
    end = asking.number("end_time", int(now) + 1, 0, 1 << 40)
    rows = await _rows(asking, start, end)
    lines = focus(usage(rows, _prices(asking)))
    await asking.send({"type": "http.response.start", "status": 200, "headers": [CSV]})
    while part := list(islice(lines, SLICE)):
        data = "".join(part).encode()
        await asking.send({"type": "http.response.body", "body": data, "more_body": True})
    await asking.send({"type": "http.response.body", "body": b""})


Told = Callable[[list[Row], dict[str, Price | None], buckets.Question], dict[str, Any]]


async def _page(asking: Asking, money: bool, told: Told) -> None:
    query = asking.scope["query_string"].decode("latin-1")
    asked = buckets.question(query, asking.gateway.clock.wall(), money)
    rows = await _rows(asking, asked.start, asked.end)
    await asking.reply(200, told(rows, _prices(asking), asked))


async def _rows(asking: Asking, start: float, end: float) -> list[Row]:
    """Rows of requests that may have ended in a time. Raises Refusal where there are too many."""
    state = asking.gateway.state
    if state is None:
        raise Refusal(501, 'Usage is kept in the state; give one, such as state = "eke.db".')
    found: list[Row] = []
    async for kept in state.rows(start - LONGEST, end):
        found.append(kept.row)
        if len(found) > MOST:
            raise bad(
                f"More than {MOST:,} requests in this time; ask for a shorter one, or use "
                "`eke serve usage`, which keeps nobody waiting.",
                "start_time",
            )
    return found


def _prices(asking: Asking) -> dict[str, Price | None]:
    return {name: model.price for name, model in asking.gateway.models.items()}


ROUTES = (
    Route("GET", "/v1/organization/usage/completions", completions),
    Route("GET", "/v1/organization/costs", costs),
    Route("GET", "/admin/usage.csv", bill),
)
