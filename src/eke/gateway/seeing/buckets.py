"""Usage and costs in buckets of time, as OpenAI's administration gives them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import parse_qs

from eke.gateway.refusal import bad
from eke.gateway.row import Row
from eke.gateway.seeing.usage import ATOM, ended, tokens_of, usage
from eke.gateway.settings import Price
from eke.types.record import Record

WIDTHS = {"1m": (60, 60, 1440), "1h": (3600, 24, 168), "1d": (86400, 7, 31)}  # s, usual, most
DAYS = 180  # most buckets of costs
ITEMS = {"prompt": "input", "cached": "cached input", "answer": "output"}
USED = ("project_id", "model", "batch", "service_tier")
COST = ("project_id", "line_item")


class Question(Record):
    """What is asked for. start, end: UTC [s]; the end is not in it.  width: of a bucket [s].
    group: fields to tell apart.  limit: buckets at most.  models, projects: only these; empty for
    all.  batch: only batches, or none of them."""

    start: int
    end: int
    width: int = 86400
    group: tuple[str, ...] = ()
    limit: int = 7
    models: tuple[str, ...] = ()
    projects: tuple[str, ...] = ()
    batch: bool | None = None

    @property
    def buckets(self) -> range:
        """Beginnings of all buckets, of which the first is whole."""
        return range(self.start // self.width * self.width, self.end, self.width)


def question(query: str, now: float, costs: bool = False) -> Question:
    """The question in an address. now: UTC [s].  Raises Refusal 400 naming the parameter."""
    given = {name.removesuffix("[]"): values for name, values in parse_qs(query).items()}
    width = given.get("bucket_width", ["1d"])[0]
    if width not in WIDTHS or (costs and width != "1d"):
        raise bad(f"Invalid 'bucket_width': {width!r:.40}.", "bucket_width")
    seconds, usual, most = WIDTHS[width]
    group = tuple(given.get("group_by", ()))
    for each in group:
        if each not in (COST if costs else USED):
            words = ", ".join(COST if costs else USED)
            raise bad(f"Invalid 'group_by': {each!r:.40}; use {words}.", "group_by")
    start = _whole(given, "start_time", None, 1 << 40)
    if "page" in given:
        page = given["page"][0].removeprefix("page_")
        if not page.isdecimal():
            raise bad("Invalid 'page': use next_page of an earlier answer.", "page")
        start = max(start, int(page))
    return Question(
        start=start,
        end=_whole(given, "end_time", int(now) + 1, 1 << 40),
        width=seconds,
        group=group,
        limit=_whole(given, "limit", usual, DAYS if costs else most),
        models=tuple(given.get("models", ())),
        projects=tuple(given.get("project_ids", ())),
        batch={"true": True, "false": False}.get(given.get("batch", [""])[0]),
    )


def completions(rows: Iterable[Row], asked: Question) -> dict[str, Any]:
    """A page of /v1/organization/usage/completions. Requests that were refused are not in it."""
    found: dict[tuple[int, tuple[Any, ...]], list[int]] = {}
    for at, row in _within(rows, asked):
        if row.kind == "embedding" or row.outcome == "refused":
            continue
        fields = {
            "project_id": row.tenant,
            "model": row.model,
            "batch": row.kind == "batch",
            "service_tier": row.tier,
        }
        key = (at, tuple(fields[name] for name in asked.group))
        sums = found.setdefault(key, [0, 0, 0, 0])
        for place, number in enumerate((1, *tokens_of(row))):
            sums[place] += number
    return _page(asked, ((key, _used(asked, key[1], sums)) for key, sums in found.items()))


def costs(
    rows: Iterable[Row], prices: Mapping[str, Price | None], asked: Question
) -> dict[str, Any]:
    """A page of /v1/organization/costs."""
    found: dict[tuple[int, tuple[Any, ...]], tuple[int, int]] = {}
    within = (row for _, row in _within(rows, asked))
    for group, sums in usage(within, prices).items():
        fields = {"project_id": group.tenant, "line_item": f"{group.model}, {ITEMS[group.part]}"}
        day = group.hour // asked.width * asked.width
        key = (day, tuple(fields[name] for name in asked.group))
        charged, tokens = found.get(key, (0, 0))
        found[key] = charged + sums.charged, tokens + sums.tokens
    return _page(asked, ((key, _cost(asked, key[1], sums)) for key, sums in found.items()))


def _used(asked: Question, values: tuple[Any, ...], sums: list[int]) -> dict[str, Any]:
    requests, fresh, cached, answer = sums
    result: dict[str, Any] = {
        "object": "organization.usage.completions.result",
        "num_model_requests": requests,
        "input_tokens": fresh + cached,
        "input_cached_tokens": cached,
        "input_uncached_tokens": fresh,
        "output_tokens": answer,
    }
    empty = dict.fromkeys((*USED, "user_id", "api_key_id"))
    return {**result, **empty, **dict(zip(asked.group, values, strict=True))}


def _cost(asked: Question, values: tuple[Any, ...], sums: tuple[int, int]) -> dict[str, Any]:
    charged, tokens = sums
    alone = "line_item" in asked.group
    return {
        "object": "organization.costs.result",
        "amount": {"value": charged / ATOM, "currency": "usd"},
        "quantity": float(tokens) if alone else None,
        "quantity_unit": "tokens" if alone else None,
        **dict.fromkeys((*COST, "user_id", "api_key_id")),
        **dict(zip(asked.group, values, strict=True)),
    }


def _within(rows: Iterable[Row], asked: Question) -> Iterator[tuple[int, Row]]:
    """Rows that are asked for, with the beginnings of their buckets."""
    begin, end = asked.start, min(asked.end, _until(asked))
    for row in rows:
        at = ended(row)
        if not begin <= at < end:
            continue
        if asked.models and row.model not in asked.models:
            continue
        if asked.projects and row.tenant not in asked.projects:
            continue
        if asked.batch is not None and (row.kind == "batch") != asked.batch:
            continue
        yield int(at) // asked.width * asked.width, row


def _until(asked: Question) -> int:
    """Where this page ends, UTC [s]."""
    buckets = asked.buckets[: asked.limit]
    return buckets[-1] + asked.width if buckets else asked.start


def _page(
    asked: Question, results: Iterable[tuple[tuple[int, tuple[Any, ...]], dict[str, Any]]]
) -> dict[str, Any]:
    """Buckets with their results, empty ones too, and where the next page begins."""
    by_start: dict[int, list[dict[str, Any]]] = {at: [] for at in asked.buckets[: asked.limit]}
    for (at, _), result in sorted(results, key=lambda each: each[0]):
        by_start[at].append(result)
    more = len(asked.buckets) > asked.limit
    data = [
        {
            "object": "bucket",
            "start_time": at,
            "end_time": min(at + asked.width, asked.end),
            "results": found,
        }
        for at, found in by_start.items()
    ]
    page = f"page_{_until(asked)}" if more else None
    return {"object": "page", "data": data, "has_more": more, "next_page": page}


def _whole(given: dict[str, list[str]], name: str, usual: int | None, most: int) -> int:
    """A whole number above 0. Raises Refusal 400."""
    if name not in given:
        if usual is None:
            raise bad(f"Missing required parameter: '{name}'.", name)
        return usual
    text = given[name][0]
    if not text.isdecimal() or not 0 < int(text) <= most:
        raise bad(f"Invalid '{name}': expected a number from 1 to {most}.", name)
    return int(text)
