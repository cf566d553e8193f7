"""Usage and costs in buckets of time, as OpenAI's administration gives them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qs

from eke.gateway.refusal import bad
from eke.gateway.row import REFUSED, Row
from eke.gateway.seeing.usage import ATOM, Prices, Sums, parts_of, tokens_of
from eke.gateway.whole import whole
from eke.types.record import Record

WIDTHS = {"1m": (60, 60, 1440), "1h": (3600, 24, 168), "1d": (86400, 7, 31)}  # s, usual, most
DAYS = 180  # most buckets of costs
LATEST = 1 << 40  # time that may be asked for, UTC [s]
ITEMS = {"prompt": "input", "cached": "cached input", "answer": "output"}
USED = ("project_id", "model", "batch", "service_tier")
COST = ("project_id", "line_item")

Key = tuple[int, tuple[Any, ...]]  # beginning of a bucket, UTC [s], and what is told apart in it


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

    @property
    def page(self) -> range:
        """Those that are answered at once."""
        return self.buckets[: self.limit]

    @property
    def until(self) -> int:
        """Where this page ends, UTC [s]."""
        return min(self.page[-1] + self.width, self.end) if self.page else self.start


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
    start = _whole(given, "start_time", None, LATEST)
    if "page" in given:  # next_page of an earlier answer
        start = max(start, whole("page", given["page"][0].removeprefix("page_"), 0, LATEST))
    return Question(
        start=start,
        end=_whole(given, "end_time", int(now) + 1, LATEST),
        width=seconds,
        group=group,
        limit=_whole(given, "limit", usual, DAYS if costs else most),
        models=tuple(given.get("models", ())),
        projects=tuple(given.get("project_ids", ())),
        batch={"true": True, "false": False}.get(given.get("batch", [""])[0]),
    )


class Completions:
    """A page of /v1/organization/usage/completions, added up row by row.

    Requests that were refused are not in it, nor those that wanted no tokens: embeddings, and what
    fine-tuning takes.
    """

    def __init__(self, asked: Question) -> None:
        self.asked = asked
        self._found: dict[Key, list[int]] = {}

    def add(self, row: Row) -> None:
        """One more row."""
        if row.outcome == REFUSED or not row.asked or not _wanted(row, self.asked):
            return
        fields = {
            "project_id": row.tenant,
            "model": row.model,
            "batch": row.kind == "batch",
            "service_tier": row.tier,
        }
        sums = self._found.setdefault(_key(row, self.asked, fields), [0, 0, 0, 0])
        for place, number in enumerate((1, *tokens_of(row))):
            sums[place] += number

    def page(self) -> dict[str, Any]:
        """The answer."""
        asked, found = self.asked, self._found.items()
        return _page(asked, ((key, _used(asked, key[1], sums)) for key, sums in found))


class Costs:
    """A page of /v1/organization/costs, added up row by row."""

    def __init__(self, asked: Question, prices: Prices) -> None:
        self.asked, self.prices = asked, prices
        self._found: dict[Key, Sums] = {}

    def add(self, row: Row) -> None:
        """One more row."""
        if not _wanted(row, self.asked):
            return
        for part, used in parts_of(row, self.prices):
            fields = {"project_id": row.tenant, "line_item": f"{row.model}, {ITEMS[part]}"}
            self._found.setdefault(_key(row, self.asked, fields), Sums()).add(used)

    def page(self) -> dict[str, Any]:
        """The answer."""
        asked, found = self.asked, self._found.items()
        return _page(asked, ((key, _cost(asked, key[1], sums)) for key, sums in found))


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


def _cost(asked: Question, values: tuple[Any, ...], sums: Sums) -> dict[str, Any]:
    alone = "line_item" in asked.group
    return {
        "object": "organization.costs.result",
        "amount": {"value": sums.charged / ATOM, "currency": "usd"},
        "quantity": float(sums.tokens) if alone else None,
        "quantity_unit": "tokens" if alone else None,
        **dict.fromkeys((*COST, "user_id", "api_key_id")),
        **dict(zip(asked.group, values, strict=True)),
    }


def _wanted(row: Row, asked: Question) -> bool:
    return (
        asked.start <= row.ended_at < asked.until
        and (not asked.models or row.model in asked.models)
        and (not asked.projects or row.tenant in asked.projects)
        and (asked.batch is None or (row.kind == "batch") == asked.batch)
    )


def _key(row: Row, asked: Question, fields: dict[str, Any]) -> Key:
    """Where a row belongs: the beginning of its bucket, and the fields that are told apart."""
    at = int(row.ended_at) // asked.width * asked.width
    return at, tuple(fields[name] for name in asked.group)


def _page(asked: Question, results: Iterable[tuple[Key, dict[str, Any]]]) -> dict[str, Any]:
    """Buckets with their results, empty ones too, and where the next page begins."""
    by_start: dict[int, list[dict[str, Any]]] = {at: [] for at in asked.page}
    for (at, _), result in sorted(results, key=lambda each: each[0]):
        by_start[at].append(result)
    data = [
        {
            "object": "bucket",
            "start_time": at,
            "end_time": min(at + asked.width, asked.end),
            "results": found,
        }
        for at, found in by_start.items()
    ]
    more = len(asked.buckets) > asked.limit
    next_page = f"page_{asked.until}" if more else None
    return {"object": "page", "data": data, "has_more": more, "next_page": next_page}


def _whole(given: dict[str, list[str]], name: str, usual: int | None, most: int) -> int:
    """A whole number above 0. Raises Refusal 400."""
    if name in given:
        return whole(name, given[name][0], 1, most)
    if usual is None:
        raise bad(f"Missing required parameter: '{name}'.", name)
    return usual
