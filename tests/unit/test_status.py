"""The status page and its record: what they say, to whom, and that they stand alone."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import msgspec
import pytest
from tests.gateways import Fake, House, ask, chat, run, serving, talk
from tests.unit.test_page import Reader

from eke.gateway.api import queue, status
from eke.gateway.api.models import ROUTES as MODELS
from eke.gateway.api.routes import Routes
from eke.gateway.pages.charts import HIGH, WIDE, Line, chart, path, round_up
from eke.gateway.pages.status_page import body, lead
from eke.gateway.seeing import history
from eke.gateway.seeing.policy_words import WORDS, policy_words
from eke.gateway.seeing.seeing import Seeing
from eke.gateway.seeing.states import Status
from eke.gateway.settings import Limit, ModelSettings, Price, Tenant
from eke.gateway.tenants import hashed
from eke.policy.naming import names

RECORD = Path(__file__).parents[1] / "oracles" / "record" / "status_in_browser.json"
EVIL = "<em>\"&'</em>"
GOLD = Tenant(
    name="gold",
    keys=(hashed("sk-gold"),),
    group="paying",
    weight=3.0,
    floor=0.1,
    limits=(Limit(what="tokens", amount=1e6), Limit(what="USD", amount=5000.0, period=86400.0)),
)
WICKED = Tenant(name=EVIL, keys=(hashed("sk-evil"),), group="<i>")
SETTINGS: dict[str, Any] = {
    "tenants": (GOLD, WICKED),
    "models": (ModelSettings(name="m", price=Price(prompt=1e-3, cached=1e-4, answer=1e-2)),),
    "contexts": {8192.0: ("paying",), 32768.0: ("<i>",)},
    "policy": "fcfs+queue(most=5)@prefix",
    "open": True,
}
FACTS = {"slots": 1, "rate": 10 / 3600, "power": 700.0}


async def _get(handler: Routes, path: str, tenant: Tenant, house: House | None) -> Any:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request", "body": b""}

    path, _, query = path.partition("?")
    scope = {"method": "GET", "path": path, "query_string": query.encode(), "headers": []}
    gateway: Any = house.gateway if house else None
    await handler(gateway, tenant, scope, receive, send)
    start, body = sent
    return start["status"], dict(start["headers"]), body["body"]


Looked = Callable[[str], Awaitable[bytes]]


def at_work(look: Callable[[House, Looked, Looked], Awaitable[Any]]) -> Any:
    """What is seen of a gateway whose only place is taken, where several wait and one was refused.
    look: is given it, and what asks strangers' pages and the administration's."""

    async def whole() -> Any:
        gate = asyncio.Event()
        async with serving(Fake(talk(gate=gate)), facts=FACTS, **SETTINGS) as house:
            seeing = Seeing(house.gateway)
            house.gateway.write = seeing.over
            handlers = Routes(status.routes(seeing)), Routes(status.admin_routes(seeing))
            tasks = []
            for key in ("sk-gold", "sk-gold", "sk-evil", "sk-evil", "ann", "ann", "ann"):
                there = house.gateway.open_calls
                tasks.append(asyncio.ensure_future(ask(house, body=chat(), key=key)))
                while house.gateway.open_calls == there and not tasks[-1].done():
                    await asyncio.sleep(0.002)
            await tasks.pop()
            seeing.look()

            def asks(handler: Routes) -> Looked:
                async def one(path: str) -> bytes:
                    return (await _get(handler, path, GOLD, house))[2]

                return one

            try:
                return await look(house, asks(handlers[0]), asks(handlers[1]))
            finally:
                gate.set()
                await asyncio.gather(*tasks)

    return run(whole())


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    """Each page's text by its name."""

    async def look(house: House, stranger: Looked, admin: Looked) -> dict[str, str]:
        found = {}
        for name, asks in (("stranger", stranger), ("admin", admin)):
            for where in ("/", "/eke/status", "/eke/status.json", "/eke/status?live=1"):
                found[f"{name} {where}"] = (await asks(where)).decode()
        return found

    told: dict[str, str] = at_work(look)
    return told


@pytest.mark.parametrize("who", ["stranger", "admin"])
def test_a_page_is_whole_and_stands_alone(pages: dict[str, str], who: str) -> None:
    text = pages[f"{who} /"]
    read = Reader(re.sub(r"<link[^>]*>", "", text))
    assert not read.open and [tag for tag, _ in read.tags].count("script") == 1
    assert "src=" not in text and re.findall(r'href="([^"]*)"', text) == ["data:,"]
    for kind in ("style", "script"):
        inside = re.search(f"<{kind}>(.*?)</{kind}>", text, re.S)
        assert inside is not None
        digest = base64.b64encode(hashlib.sha256(inside[1].encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in text
    assert "unsafe" not in text and "default-src 'none'" in text
    assert len(text) < 40_000


@pytest.mark.parametrize("who", ["stranger", "admin"])
def test_charts_stay_inside_and_say_what_they_are(pages: dict[str, str], who: str) -> None:
    charts = re.findall(r"<svg.*?</svg>", pages[f"{who} /"], re.S)
    assert len(charts) == 6
    for each in charts:
        tree = ElementTree.fromstring(each)
        assert tree.find("title") is not None and tree.find("desc") is not None
        for line in tree.iter("path"):
            for x, y in re.findall(r"[ML]([-\d.]+),([-\d.]+)", line.attrib["d"]):
                assert 0 <= float(x) <= WIDE and 0 <= float(y) <= HIGH


def test_what_a_script_brings_up_to_date_is_what_was_there_first(pages: dict[str, str]) -> None:
    for who in ("stranger", "admin"):
        live = re.findall(r'id="([\w-]+)" data-live', pages[f"{who} /eke/status?live=1"])
        assert live == re.findall(r'id="([\w-]+)" data-live', pages[f"{who} /"])
        assert len(live) == len(set(live)) >= 14
        assert "<script" not in pages[f"{who} /eke/status?live=1"]


def test_strangers_see_totals_and_engines_and_nobodys_name(pages: dict[str, str]) -> None:
    for where in ("/", "/eke/status.json", "/eke/status?live=1"):
        text = pages[f"stranger {where}"]
        for secret in ("gold", "paying", "ann", "<em>", "&lt;em&gt;", "cost", "USD", "energy"):
            if secret in ("cost", "energy") and where.endswith("json"):
                continue  # names of fields, which hold nothing
            assert secret not in text, (where, secret)
        assert "e0" in text and "queue full" in text
    record = json.loads(pages["stranger /eke/status.json"])
    assert record["tenants"] is None and record["totals"]["cost"] is None
    assert record["engines"][0]["rate"] is None
    assert sum(each["waiting"] for each in record["queues"]) == record["totals"]["waiting"]


def test_the_administration_sees_everybody(pages: dict[str, str]) -> None:
    record = msgspec.json.decode(pages["admin /eke/status.json"], type=Status)
    tenants = {each.name: each for each in record.tenants or []}
    assert set(tenants) == {"gold", EVIL, "ann"}
    gold = tenants["gold"]
    assert (gold.running, gold.waiting, gold.weight, gold.floor) == (1, 1, 3.0, 0.1)
    assert gold.context == 8192 and gold.due == pytest.approx(3 / 5)
    limits = {each.name: each for each in gold.budgets}
    assert limits["tokens"].again is None and limits["tokens"].left < 1e6
    assert limits["USD/day"].again is not None
    assert tenants["ann"].waiting + tenants[EVIL].waiting == record.totals.waiting - 1
    assert record.engines[0].rate == pytest.approx(10 / 3600)
    assert [each.whose for each in record.tiers] == [["paying"], ["<i>"]]
    reasons = {(each.outcome, each.reason): each.count for each in record.reasons}
    assert set(reasons) == {("refused", "queue full")}


def test_names_are_no_markup(pages: dict[str, str]) -> None:
    text = pages["admin /"]
    assert EVIL not in text and "<i>" not in text
    assert "&lt;em&gt;&quot;&amp;&#x27;&lt;/em&gt;" in text


def test_the_page_says_the_state_in_a_sentence(pages: dict[str, str]) -> None:
    text = Reader(re.sub(r"<link[^>]*>", "", pages["admin /"])).words
    assert "1 under way, 5 waiting." in text
    assert "Who would have too many before it is refused at once (most=5)." in text
    assert "1 of 1 engines take requests" in text
    assert " % of 1,000,000 tokens" in text and " % of 5,000 USD/day" in text


def test_charts_say_beside_their_lines_what_the_first_sentence_says() -> None:
    async def whole() -> str:
        async with serving(Fake()) as house:
            seeing = Seeing(house.gateway)
            for second in range(1, 121):  # more and more
                ended = {"finished": second / 60, "refused": 1.0, "answer": second * 10.0}
                levels = {"running": second / 7, "waiting": second}
                numbers = {**dict.fromkeys(history.COLUMNS, 0.0), **ended, **levels}
                seeing.history.add(
                    second, numbers, {each: [0] * history.WIDE for each in history.SPREADS}
                )
            told = await status.Told(seeing, admin=True).now()
            return body(told, seeing.history)

    text = re.sub("<i [^>]*></i>", "", run(whole()))
    assert "1.51 requests answered a second, 0 under way, nobody waits." in text
    assert "answered <b>1.51</b>" in text and "refused <b>1</b>" in text
    assert "at engines <b>0</b>" in text and "waiting <b>0</b>" in text
    assert "of answers <b>905</b>" in text
    assert "every admitted request was answered" in text


def test_every_part_of_a_policy_has_words() -> None:
    known = names()
    parts = {name for kind in known.values() for name in kind}
    assert parts == set(WORDS)
    assert policy_words("fair(weights=a:2)+queue@sticky") == [
        "The tenant that had least service for its weight goes next, by tokens (weights=a:2).",
        "Who would have too many before it is refused at once.",
        "Each conversation to its engine, unless that is much fuller.",
    ]


def test_without_engines_the_first_sentence_says_so() -> None:
    async def whole() -> tuple[str, str]:
        async with serving(Fake()) as house:
            seeing = Seeing(house.gateway)
            there = lead(await status.Told(seeing, admin=False).now())
            house.gateway.engines[0].draining = True
            return there, lead(await status.Told(seeing, admin=False).now())

    there, gone = run(whole())
    assert there == "0 requests answered a second, 0 under way, nobody waits."
    assert gone == "No engine takes requests."


def test_the_state_is_told_to_many_and_made_once() -> None:
    async def look(house: House, stranger: Looked, admin: Looked) -> None:
        seeing = Seeing(house.gateway)
        told = status.Told(seeing, admin=True)
        first = await told.now()
        assert await told.now() is first
        assert (await told.now()).at == first.at

    at_work(look)


def test_the_page_was_looked_at_in_a_browser() -> None:
    record = json.loads(RECORD.read_text())
    assert len(record["live"]) == 7 and all(record["live"].values())
    assert set(record["pages"]) == {"nobody", "crowd", "public", "administration"}
    for views in record["pages"].values():
        assert len(views) == 6
        assert not [fault for view in views.values() for fault in view["faults"]]


def test_lines_break_where_nothing_is_known() -> None:
    assert path([None, 1.0, None, 2.0, 2.0], 2.0).count("M") == 2
    assert path([None, None], 1.0) == ""
    one = path([None, 1.0, None], 1.0)
    assert one.count("L") == 1  # a point is drawn as a line without length
    assert "none now" in chart("k", "T", [Line("of", [1.0, None])], str)


@pytest.mark.parametrize(
    "value,top", [(0, 1), (0.7, 0.8), (1, 1), (1.01, 1.5), (8.1, 10), (535, 600), (1e-3, 1e-3)]
)
def test_scales_end_at_round_numbers(value: float, top: float) -> None:
    assert round_up(value) == pytest.approx(top)


def test_the_root_and_odd_paths_are_found_or_refused() -> None:
    async def whole() -> list[int]:
        async with serving(Fake()) as house:
            seeing = Seeing(house.gateway)
            app = house.service.servers[0].config.app
            app.rest = Routes((*MODELS, *status.routes(seeing), *queue.routes(seeing)))
            paths = ("/", "/?live=1", "//", "/eke/status", "/eke/status/", "/eke/queue", "/eke")
            odd = ("/v1/models//GET", "/v1/models/", "/eke//status")
            return [(await ask(house, each)).status for each in (*paths, *odd)]

    assert run(whole()) == [200, 200, 200, 200, 200, 200, 404, 404, 200, 404]
