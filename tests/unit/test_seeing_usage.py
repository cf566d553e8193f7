"""Usage as others read it: FOCUS's columns, and OpenAI's buckets."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable
from typing import Any

import pytest
from openai.types.admin.organization.usage_completions_response import UsageCompletionsResponse
from openai.types.admin.organization.usage_costs_response import UsageCostsResponse

from eke.gateway.refusal import Refusal
from eke.gateway.row import Row
from eke.gateway.seeing.buckets import Completions, Costs, question
from eke.gateway.seeing.focus import COLUMNS, IDLE, LEFT, focus
from eke.gateway.seeing.usage import ATOM, EngineTime, Group, Prices, Sums, add, divided
from eke.gateway.settings import Price

HOUR = 1_790_002_800  # 2026-09-21 15:00 UTC
PRICES = {"m": Price(prompt=1e-3, cached=1e-4, answer=1e-2)}
PLAIN = Row(**dict.fromkeys(Row._fields, 0))._replace(
    arrived_at=float(HOUR), arrived=5.0, started=5.25, first=5.5, finished=6.0, prompt=10,
    asked=100, tokens=20, cached=4, tenant="ann", kind="chat", model="m", tier="flex", engine="e",
    outcome="finished", reason="", session=None, cost=0.02, energy=30.0, seconds=0.5,
    charged=0.2064, saved=0.0036,
)  # fmt: skip
TIME = EngineTime("e", HOUR, HOUR + 60, 2.0, 0.04, 60.0, 10.0, busy=0.5, free=59.5)


def usage(all_of_them: Iterable[Row], prices: Prices) -> dict[Group, Sums]:
    """Sums of rows."""
    groups: dict[Group, Sums] = {}
    for row in all_of_them:
        add(groups, row, prices)
    return groups


def read(*rows: Row, times: tuple[EngineTime, ...] = ()) -> list[dict[str, str]]:
    lines = focus(usage(rows, PRICES), times)
    return list(csv.DictReader("".join(lines).splitlines(keepends=True)))


def test_a_request_is_a_line_for_each_class_of_token() -> None:
    answer, cached, prompt = read(PLAIN)
    assert [each["SkuMeter"] for each in (prompt, cached, answer)] == [
        "Input Tokens", "Cached Input Tokens", "Output Tokens",
    ]  # fmt: skip
    assert [each["ConsumedQuantity"] for each in (prompt, cached, answer)] == ["6", "4", "20"]
    assert [each["BilledCost"] for each in (prompt, cached, answer)] == ["0.006", "0.0004", "0.2"]
    assert cached["ListCost"] == "0.004" and answer["ListCost"] == "0.2"
    assert cached["x_AcceleratorSeconds"] == "0"  # nothing was computed


def test_columns_say_who_used_what_and_when() -> None:
    line = read(PLAIN)[0]
    assert tuple(line) == COLUMNS
    expected = {
        "SubAccountId": "ann", "ResourceId": "m", "ChargeCategory": "Usage", "ChargeClass": "",
        "ServiceCategory": "AI and Machine Learning", "ServiceSubcategory": "Generative AI",
        "ChargePeriodStart": "2026-09-21T15:00:00Z", "ChargePeriodEnd": "2026-09-21T16:00:00Z",
        "BillingPeriodStart": "2026-09-01T00:00:00Z", "BillingPeriodEnd": "2026-10-01T00:00:00Z",
        "PricingUnit": "Tokens", "ConsumedUnit": "Tokens", "BillingCurrency": "USD",
        "SkuId": "m/chat/answer", "InvoiceId": "",
    }  # fmt: skip
    assert {name: line[name] for name in expected} == expected
    assert json.loads(line["Tags"]) == {"kind": "chat"}


def test_the_year_ends_in_its_own_month() -> None:
    december = PLAIN._replace(arrived_at=1_798_750_000.0)
    assert read(december)[0]["BillingPeriodEnd"] == "2027-01-01T00:00:00Z"


def test_lines_are_grouped_by_hour_tenant_model_and_kind() -> None:
    rows = [
        PLAIN, PLAIN._replace(number=1), PLAIN._replace(arrived_at=HOUR + 3600.0),
        PLAIN._replace(tenant="bob"), PLAIN._replace(kind="batch"), PLAIN._replace(model="n"),
    ]  # fmt: skip
    lines = read(*rows)
    assert len(lines) == 5 * 3
    assert {each["ConsumedQuantity"] for each in lines if each["SkuMeter"] == "Output Tokens"} == {
        "20", "40",
    }  # fmt: skip


def test_time_without_requests_is_nobodys_and_told() -> None:
    idle, left = read(PLAIN, times=(TIME,))[-2:]
    assert (idle["SkuMeter"], left["SkuMeter"]) == (IDLE, LEFT)
    assert (idle["SubAccountId"], idle["ResourceId"], idle["BilledCost"]) == ("", "", "0")
    assert (idle["x_AcceleratorSeconds"], left["x_AcceleratorSeconds"]) == ("119", "0.5")
    assert (idle["x_AcceleratorCost"], left["x_AcceleratorCost"]) == ("2.38", "0")
    assert (idle["x_EnergyJoules"], left["x_EnergyJoules"]) == ("595", "0")
    assert idle["ChargePeriodEnd"] == "2026-09-21T15:01:00Z"


def test_who_was_refused_used_nothing() -> None:
    refused = PLAIN._replace(
        outcome="refused", started=None, first=None, tokens=0, cached=0, charged=0.0, cost=0.0,
        saved=0.0, seconds=0.0, energy=0.0,
    )  # fmt: skip
    assert read(refused) == []


def test_what_weighs_nothing_is_the_prompts() -> None:
    assert divided(7, (0.0, 0.0, 0.0)) == (7, 0, 0)
    assert divided(10, (1.0, 1.0, 1.0)) == (4, 3, 3)
    assert sum(divided(ATOM, (0.1, 0.7, 1e-9))) == ATOM


def asked(query: str, costs: bool = False) -> Any:
    return question(query, float(HOUR + 7200), costs)


def completions(rows: list[Row], query: str) -> Any:
    sums = Completions(asked(query))
    for row in rows:
        sums.add(row)
    return sums.page()


def test_openais_client_reads_the_buckets() -> None:
    rows = [PLAIN, PLAIN._replace(tenant="bob", kind="batch", arrived_at=HOUR + 3600.0)]
    page = completions(
        rows, f"start_time={HOUR}&bucket_width=1h&group_by[]=project_id&group_by[]=batch"
    )
    read = UsageCompletionsResponse.model_validate(json.loads(json.dumps(page)), strict=True)
    assert [len(bucket.results) for bucket in read.data] == [1, 1, 0]
    first: Any = read.data[0].results[0]
    assert type(first).__name__.endswith("OrganizationUsageCompletionsResult")
    assert (first.project_id, first.batch, first.model) == ("ann", False, None)
    assert (first.num_model_requests, first.input_tokens, first.output_tokens) == (1, 10, 20)
    assert (first.input_cached_tokens, first.input_uncached_tokens) == (4, 6)
    assert read.data[0].start_time == HOUR and read.data[0].end_time == HOUR + 3600
    assert not read.has_more and read.next_page is None


def test_openais_client_reads_the_costs() -> None:
    rows = [PLAIN, PLAIN._replace(tenant="bob")]
    day = HOUR // 86400 * 86400
    sums = Costs(asked(f"start_time={day}&group_by=line_item", costs=True), PRICES)
    for row in rows:
        sums.add(row)
    page = sums.page()
    read = UsageCostsResponse.model_validate(json.loads(json.dumps(page)), strict=True)
    found: list[Any] = read.data[0].results
    assert [each.line_item for each in found] == ["m, cached input", "m, input", "m, output"]
    assert [each.amount.value for each in found] == pytest.approx([0.0008, 0.012, 0.4])
    assert [each.quantity for each in found] == [8, 12, 40]
    assert {each.amount.currency for each in found} == {"usd"}


def test_pages_follow_each_other() -> None:
    query = f"start_time={HOUR - 7200}&bucket_width=1h&limit=2"
    first = completions([PLAIN], query)
    assert first["has_more"] and not any(each["results"] for each in first["data"])
    second = completions([PLAIN], f"{query}&page={first['next_page']}")
    assert [each["start_time"] for each in second["data"]] == [HOUR, HOUR + 3600]
    assert second["data"][0]["results"][0]["num_model_requests"] == 1


def test_only_what_was_asked_for_is_counted() -> None:
    rows = [PLAIN, PLAIN._replace(tenant="bob"), PLAIN._replace(model="n", kind="batch")]

    def count(more: str) -> int:
        page = completions(rows, f"start_time={HOUR}&{more}")
        return sum(x["num_model_requests"] for each in page["data"] for x in each["results"])

    assert [count(more) for more in ("", "models=n", "project_ids=bob", "batch=false")] == [
        3, 1, 1, 2,
    ]  # fmt: skip
    assert count(f"end_time={HOUR + 1}") == 0  # it ended a second later


def test_what_wants_no_tokens_is_no_completion() -> None:
    rows = [
        PLAIN,
        PLAIN._replace(kind="tune", tier="batch", asked=0, tokens=0),
        PLAIN._replace(kind="embedding", asked=0, tokens=0),
        PLAIN._replace(kind="batch", asked=0, tokens=0),  # a line that wants embeddings
    ]
    (bucket,) = completions(rows, f"start_time={HOUR}&limit=1")["data"]
    assert [each["num_model_requests"] for each in bucket["results"]] == [1]


@pytest.mark.parametrize(
    "query,param",
    [
        ("", "start_time"),
        ("start_time=soon", "start_time"),
        ("start_time=5&bucket_width=1w", "bucket_width"),
        ("start_time=5&group_by=colour", "group_by"),
        ("start_time=5&limit=32", "limit"),
        ("start_time=5&page=next", "page"),
        (f"start_time={'9' * 5000}", "start_time"),  # more digits than Python reads
        (f"start_time=5&end_time={'9' * 400}", "end_time"),
        (f"start_time=5&page=page_{'9' * 400}", "page"),
        (f"start_time=5&page=page_{'9' * 5000}", "page"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused_by_name(query: str, param: str) -> None:
    with pytest.raises(Refusal) as refusal:
        asked(query)
    assert (refusal.value.status, refusal.value.param) == (400, param)


def test_costs_come_by_the_day() -> None:
    with pytest.raises(Refusal, match=re.escape("'1h'")):
        asked("start_time=5&bucket_width=1h", costs=True)
    assert asked("start_time=5&limit=180", costs=True).limit == 180
