"""GET /metrics: what Prometheus reads is what happened."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Coroutine
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.gateways import Fake, House, ask, chat, run, serving, talk

from eke.gateway.seeing.exposition import counter, gauge, histogram, number
from eke.gateway.seeing.histogram import Histogram
from eke.gateway.seeing.labels import OTHER, STRANGERS
from eke.gateway.seeing.metrics import metrics
from eke.gateway.seeing.seeing import Seeing
from eke.gateway.settings import Limit, ModelSettings, Price, Tenant
from eke.gateway.tenants import hashed

SAMPLE = re.compile(
    r'([a-zA-Z_:][\w:]*)(?:\{((?:[a-zA-Z_]\w*="(?:[^"\\\n]|\\["\\n])*",?)*)\})? (\S+)'
)
LABEL = re.compile(r'([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"')


def read(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Samples by name and labels; every line must be one, or a comment about a family."""
    found = {}
    for line in text.splitlines():
        if line.startswith(("# HELP ", "# TYPE ")):
            continue
        match = SAMPLE.fullmatch(line)
        assert match is not None, line
        pairs = [(key, _plain(value)) for key, value in LABEL.findall(match[2] or "")]
        key = (match[1], tuple(sorted(pairs)))
        assert key not in found
        found[key] = float(match[3])
    return found


def _plain(value: str) -> str:
    return re.sub(r"\\(.)", lambda each: {"n": "\n"}.get(each[1], each[1]), value)


def of(found: dict[Any, float], name: str, **labels: str) -> float:
    """The sum of samples with these labels."""
    return sum(
        value
        for (each, pairs), value in found.items()
        if each == name and labels.items() <= dict(pairs).items()
    )


def seen(house: House) -> Seeing:
    """Somebody who sees the requests of a gateway."""
    seeing = Seeing(house.gateway)
    write = house.gateway.write
    house.gateway.write = lambda row: (write(row), seeing.over(row))[0]
    return seeing


GOLD = Tenant(
    name="gold",
    keys=(hashed("sk-gold"),),
    limits=(Limit(what="requests", amount=3.0),),
)
PRICED = ModelSettings(name="m", price=Price(prompt=1e-3, cached=1e-4, answer=1e-2))


def worked(work: Any) -> Any:
    """What a gateway says of itself after some work."""

    async def whole() -> Any:
        facts = {"rate": 2.0, "power": 100.0, "chips": 4.0}
        settings = {"tenants": (GOLD,), "models": (PRICED,), "open": True}
        async with serving(Fake(talk(tokens=5, prompt=7, cached=2)), facts=facts, **settings) as h:
            seeing = seen(h)
            await work(h)
            seeing.look()
            return (await metrics(seeing)).decode()

    return run(whole())


@pytest.fixture(scope="module")
def text() -> str:
    """After four requests of one tenant, one of which was too many, and one of a stranger."""

    async def work(house: House) -> None:
        for first in (True, False, False, False):
            await ask(house, body=chat(stream=first), key="sk-gold")
        await ask(house, body=chat(service_tier="flex"), key="ann")

    found: str = worked(work)
    return found


def test_requests_are_counted_by_what_they_have_in_common(text: str) -> None:
    found = read(text)
    name = "eke_requests_total"
    assert of(found, name) == 5
    assert of(found, name, tenant="gold", outcome="finished", tier="default", kind="chat") == 3
    assert of(found, name, tenant="gold", outcome="refused") == 1
    assert of(found, name, tenant="ann", outcome="finished", tier="flex", model="m") == 1
    assert of(found, "eke_refusals_total") == 1
    assert of(found, "eke_refusals_total", reason="not admitted: limit of requests") == 1


def test_tokens_and_money_are_added_up(text: str) -> None:
    found = read(text)
    assert of(found, "eke_prompt_tokens_total") == 4 * 7
    assert of(found, "eke_cached_tokens_total") == 4 * 2
    assert of(found, "eke_answer_tokens_total", tenant="gold") == 3 * 5
    charged = 4 * (5 * 1e-3 + 2 * 1e-4 + 5 * 1e-2)
    assert of(found, "eke_charged_usd_total") == pytest.approx(charged)
    assert of(found, "eke_saved_usd_total") == pytest.approx(4 * 2 * 9e-4)
    seconds = of(found, "eke_accelerator_seconds_total")
    assert seconds == pytest.approx(4 * of(found, "eke_engine_busy_seconds_total"))
    assert of(found, "eke_energy_joules_total") == pytest.approx(seconds / 4 * 100)
    assert of(found, "eke_cost_usd_total") == pytest.approx(seconds / 4 * 2)


def test_times_are_histograms(text: str) -> None:
    found = read(text)
    assert of(found, "eke_request_duration_seconds_count") == 4
    assert of(found, "eke_request_duration_seconds_bucket", le="+Inf") == 4
    assert of(found, "eke_queue_wait_seconds_count", tier="flex", model="m") == 1
    for tier in ("default", "flex"):
        name = "eke_queue_wait_seconds_bucket"
        below = [
            value for key, value in found.items() if key[0] == name and ("tier", tier) in key[1]
        ]
        assert below == sorted(below) and below[-1] == (3 if tier == "default" else 1)


def test_engines_and_budgets_stand_as_they_are(text: str) -> None:
    found = read(text)
    assert of(found, "eke_engine_up", engine="e0") == 1
    assert of(found, "eke_engine_running", engine="e0") == 0
    assert of(found, "eke_engine_finished_total") == 4
    assert of(found, "eke_budget_limit", tenant="gold", limit="requests") == 3
    assert of(found, "eke_budget_used", tenant="gold") == 3
    assert of(found, "eke_budget_reserved", tenant="gold") == 0
    assert of(found, "eke_waiting_requests") == 0
    assert of(found, "eke_resident_memory_bytes") > 1e6
    assert of(found, "eke_cpu_seconds_total") > 0
    assert of(found, "eke_info") == 1


def test_every_family_is_described_once_and_ends_as_its_kind_does(text: str) -> None:
    kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M))
    helps = re.findall(r"^# HELP (\S+) .+\.$", text, re.M)
    assert sorted(kinds) == sorted(helps) and len(helps) == len(set(helps)) >= 30
    for name, kind in kinds.items():
        assert name.startswith("eke_") and name.endswith("_total") == (kind == "counter")
    names = {re.sub(r"_(bucket|sum|count)$", "", name) for name, _ in read(text)}
    assert names <= set(kinds)


def test_the_official_client_reads_the_same(text: str) -> None:
    parser = pytest.importorskip("prometheus_client.parser")
    theirs = {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in parser.text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert theirs == read(text)


@pytest.mark.skipif(shutil.which("promtool") is None, reason="there is no promtool here")
def test_prometheus_own_check_is_content(text: str) -> None:
    told = subprocess.run(
        ["promtool", "check", "metrics"], input=text, text=True, capture_output=True, check=False
    )
    assert (told.returncode, told.stdout, told.stderr) == (0, "", "")


def test_too_many_strangers_are_counted_as_one() -> None:
    async def whole() -> str:
        async with serving(Fake()) as house:
            seeing = seen(house)
            await ask(house, body=chat())
            plain = house.rows[0]
            for number in range(STRANGERS + 50):
                seeing.over(plain._replace(tenant=f"stranger-{number}"))
            return (await metrics(seeing)).decode()

    found = read(run(whole()))
    tenants = {dict(pairs).get("tenant") for name, pairs in found if name == "eke_requests_total"}
    assert len(tenants) == STRANGERS + 1 and OTHER in tenants
    assert of(found, "eke_requests_total") == STRANGERS + 51
    assert of(found, "eke_requests_total", tenant=OTHER) == 51


def test_who_waits_is_counted_by_tenant() -> None:
    import asyncio

    async def whole() -> str:
        gate = asyncio.Event()
        async with serving(Fake(talk(gate=gate)), facts={"slots": 1}) as house:
            seeing = seen(house)
            asked: list[Coroutine[Any, Any, Any]] = [
                ask(house, body=chat(), key=key) for key in ("ann", "bob", "bob")
            ]
            tasks = [asyncio.ensure_future(each) for each in asked]
            while sum(desk.waiting for desk in house.gateway.all_desks()) < 2:
                await asyncio.sleep(0.002)
            told = (await metrics(seeing)).decode()
            gate.set()
            await asyncio.gather(*tasks)
            return told

    found = read(run(whole()))
    assert of(found, "eke_waiting_requests", models="m") == 2
    assert of(found, "eke_open_calls") == 3
    assert of(found, "eke_engine_running") == 1


@given(st.lists(st.tuples(st.text(), st.floats(allow_nan=False)), max_size=5, unique_by=str))
def test_any_label_and_any_number_are_read_back(pairs: list[tuple[str, float]]) -> None:
    pairs = list({name.replace("\r", ""): value for name, value in pairs}.items())
    pairs = [(" ".join(name.splitlines(keepends=False)), value) for name, value in pairs]
    pairs = list(dict(pairs).items())
    found = read(gauge("eke_x", "Words.", ("who",), [((name,), value) for name, value in pairs]))
    assert found == {("eke_x", (("who", name),)): value for name, value in pairs}


def test_lines_are_as_the_format_has_them() -> None:
    assert counter("eke_a_total", "One\nline.", (), [((), 2)]) == (
        "# HELP eke_a_total One\\nline.\n# TYPE eke_a_total counter\neke_a_total 2\n"
    )
    few = Histogram((0.5, 1.0))
    few.add(0.5)
    few.add(3.0)
    assert histogram("eke_s", "S.", ("m",), [(('q"\\\n',), few)]).splitlines()[2:] == [
        'eke_s_bucket{m="q\\"\\\\\\n",le="0.5"} 1',
        'eke_s_bucket{m="q\\"\\\\\\n",le="1"} 1',
        'eke_s_bucket{m="q\\"\\\\\\n",le="+Inf"} 2',
        'eke_s_sum{m="q\\"\\\\\\n"} 3.5',
        'eke_s_count{m="q\\"\\\\\\n"} 2',
    ]
    assert [number(each) for each in (1.5, 1e20, float("inf"), float("nan"))] == [
        "1.5", "1e+20", "+Inf", "NaN",
    ]  # fmt: skip
