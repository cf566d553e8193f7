"""The status page of a gateway in a real browser: at three widths, light and dark, with nobody and
with many there, and live before a gateway at work, without a script, and when the gateway is gone.

Run and recorded as `page_in_browser` is; `--pictures FOLDER` keeps a picture of every view.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1]))

import browser  # noqa: E402
from page_in_browser import check_the_check, faults, looked_at, picture  # noqa: E402
from tests.gateways import Fake, ask, chat, serving, talk  # noqa: E402

from eke.gateway.api import status  # noqa: E402
from eke.gateway.api.routes import Routes  # noqa: E402
from eke.gateway.pages.status_page import page  # noqa: E402
from eke.gateway.seeing.history import COLUMNS, SPREADS, WIDE, History  # noqa: E402
from eke.gateway.seeing.seeing import Seeing  # noqa: E402
from eke.gateway.seeing.states import (  # noqa: E402
    BudgetState,
    EngineState,
    QueueState,
    Reason,
    Status,
    TenantState,
    TierState,
    Totals,
    Waits,
)
from eke.gateway.settings import Limit, Tenant  # noqa: E402
from eke.types.record import replace  # noqa: E402

RECORD = HERE / "record" / "status_in_browser.json"
WIDTHS, SCHEMES = (1400, 800, 390), ("light", "dark")
LIVE = 4.0  # how long a live page is watched [s]
LONG = "a-tenant-with-a-rather-long-name-that-goes-on"
TROUBLE = "no connection: [Errno 111] Connect call failed ('10.20.30.40', 8000)"
ABOUT = 'document.getElementById("about").innerText'
LATE = 'document.getElementById("late").innerText'
BOX = 'document.querySelector("#live input")'
NARROW = ("h-queues", "h-reasons", "h-used")  # tables that fit into any page
SCROLLS = """[...document.querySelectorAll(".scroll")]
  .filter((each) => each.scrollWidth > each.clientWidth)
  .map((each) => each.getAttribute("aria-labelledby"))"""


def nobody() -> tuple[Status, History]:
    """A gateway that has just begun, without engines."""
    waits = Waits(median=None, p95=None)
    counts = ("finished", "refused", "stopped", "failed", "prompt", "cached", "answer")
    totals = Totals(
        per_second=0.0, tokens_per_second=0.0, waiting=0, running=0, first=waits, wait=waits,
        **dict.fromkeys(counts, 0),
    )  # fmt: skip
    return Status(
        at=1.79e9, since=1.79e9, version="0.1.0", policy="fcfs",
        rules=["First come, first served."], closing=False, totals=totals,
        queues=[], engines=[], reasons=[], tiers=[], tenants=[], lag=0.0, memory=4e7, processor=0.4,
        trouble="",
    ), History()  # fmt: skip


def crowd() -> tuple[Status, History]:
    """Fifty tenants with names that are markup or long, and engines in every kind of trouble."""
    told, history = nobody()
    names = [LONG, '<script>alert("no")</script>', *[f"tenant-{number}" for number in range(48)]]
    text = "1.5B tokens/month"
    budget = BudgetState(name="tokens/month", text=text, amount=1.5e9, left=3e7, again=1.2e6)
    text = "40 chip-hours"
    spent = BudgetState(name="seconds", text=text, amount=1.44e5, left=900.0, again=None)
    tenants = [
        TenantState(
            name=name, group="research" if number % 2 else "", weight=1.0 + number, running=number,
            waiting=number * 1000, share=1 / 50, due=0.02, context=1048576.0, floor=0.05,
            ceiling=0.5, budgets=[budget, spent] if number % 3 == 0 else [],
        )
        for number, name in enumerate(names)
    ]  # fmt: skip
    queues = [
        QueueState(
            models="a-model-70b, a-model-70b-instruct", tier=tier, tenant=name, waiting=123456,
            oldest=86000.0,
        )
        for tier in ("priority", "default", "flex", "batch") for name in names[:12]
    ]  # fmt: skip
    engines = [
        EngineState(
            name=f"engine-{number}.rack-7.example.net", models=["a-model-70b"],
            alive=number % 3 > 0, draining=number % 3 == 2, limit=4096, running=4095,
            inside=128, cache=0.987, pace=1.2e-5, busy=0.9999, finished=123456789, failed=number,
            trouble=TROUBLE if number % 3 == 0 else "", rate=0.0272, energy=3.6e12,
        )
        for number in range(12)
    ]  # fmt: skip
    for second in range(700):
        numbers = dict.fromkeys(COLUMNS, 1e5 * (1.2 + second % 50))
        history.add(second, {**numbers, "lag": 2.5}, {each: [3] * WIDE for each in SPREADS})
    waits = Waits(median=83.0, p95=1234.0)
    totals = replace(
        told.totals, per_second=123456.0, waiting=123456, running=49140, first=waits, wait=waits,
        finished=10**12, prompt=10**15, cached=10**14, answer=10**14, seconds=1e9, energy=1e15,
        cost=1e9, charged=1e9, saved=1e8,
    )  # fmt: skip
    reasons = [Reason(outcome="failed", reason="broke off: " + "words " * 11, count=10**9)] * 20
    tiers = [TierState(context=8192.0 * 2**step, whose=names[:8]) for step in range(5)]
    return replace(
        told, totals=totals, queues=queues, engines=engines, reasons=reasons, tiers=tiers,
        tenants=tenants, rules=["A rule in words that go on for a while. " * 4] * 6, lag=2.5,
        closing=True,
    ), history  # fmt: skip


class AtWork:
    """A gateway with two engines and four tenants who ask all the time, in a thread of its own."""

    def __init__(self) -> None:
        self.ports: tuple[int, int] = (0, 0)
        self._ready, self._gone = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._work()))
        self._thread.start()
        self._ready.wait(30)

    def end(self) -> None:
        self._gone.set()
        self._thread.join()

    async def _work(self) -> None:
        tenants = (
            Tenant(name="gold", weight=4.0, limits=(Limit(what="tokens", amount=1e7),)),
            Tenant(name="silver", weight=2.0),
        )
        engines = Fake(slow), Fake(slow)
        policy = "classes+queue(most=9)@prefix"
        settings = {"tenants": tenants, "policy": policy, "admin": 0, "admin_key": "open"}
        async with serving(*engines, facts={"slots": 3, "rate": 0.001}, **settings) as house:
            seeing = Seeing(house.gateway)
            house.gateway.write = seeing.over
            public, admin = (server.config.app for server in house.service.servers)
            public.rest = Routes(status.routes(seeing))
            admin.rest = Routes(status.admin_routes(seeing))
            tasks = [asyncio.ensure_future(seeing.beat())]
            tasks += [
                asyncio.ensure_future(asks(house, key))
                for key in ("gold", "silver", "ann", "bob") * 4
            ]
            self.ports = (house.address[1], house.service.address(1)[1])
            self._ready.set()
            while not self._gone.is_set():
                await asyncio.sleep(0.05)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def slow(got: Any, line: Any) -> None:
    """An engine that thinks for a while."""
    await asyncio.sleep(0.15)
    await talk(tokens=12, prompt=40, cached=10)(got, line)


async def asks(house: Any, key: str) -> None:
    """A client who asks again and again."""
    while True:
        await ask(house, body=chat(stream=key != "bob"), key=key)
        await asyncio.sleep(0.02)


def seen_of(tab: browser.Browser, address: str, name: str, pictures: Path | None) -> dict[str, Any]:
    """What is seen of a page at every width, light and dark."""
    views = {}
    for wide in WIDTHS:
        for scheme in SCHEMES:
            seen = looked_at(tab, address, wide, scheme)
            seen["fetched"] = [each for each in seen["fetched"] if "?live=1" not in each]
            if pictures:
                picture(tab, pictures / f"{name}-{wide}-{scheme}.png")
            views[f"{wide} {scheme}"] = {**seen, "faults": [*faults(seen), *scrolls(tab, wide)]}
    return views


def scrolls(tab: browser.Browser, wide: int) -> list[str]:
    """Tables that have to be scrolled though there is room for them."""
    found = tab.evaluate(SCROLLS)
    return [f"scrolls: {each}" for each in found if wide == max(WIDTHS) or each in NARROW]


def live(tab: browser.Browser, house: AtWork) -> dict[str, bool]:
    """What becomes of a page as time goes by; the gateway is gone afterwards."""
    public, admin = (f"127.0.0.1:{port}" for port in house.ports)
    found = {}
    for name, address in (("public", public), ("administration", f"x:open@{admin}")):
        tab.open(f"http://{address}/")
        found[f"{name}: numbers change"] = waited(changed(tab))
        found[f"{name}: nothing failed"] = not failures(tab)
    tab.evaluate(f"{BOX}.click()")
    time.sleep(1.5)
    still = changed(tab)
    time.sleep(2.5)
    found["who does not want it live has it still"] = not still()
    tab.ask("Emulation.setScriptExecutionDisabled", value=True)
    tab.open(f"http://{public}/eke/status")
    tab.ask("Emulation.setScriptExecutionDisabled", value=False)
    words = tab.evaluate("document.body.innerText")
    found["numbers are there without a script"] = "requests answered" in words and "e0" in words
    tab.open(f"http://{public}/")
    house.end()
    found["who looks is told that the gateway is gone"] = waited(
        lambda: "does not answer" in str(tab.evaluate(LATE))
    )
    return found


def changed(tab: browser.Browser) -> Callable[[], bool]:
    """Whether what a page says of the time is another than now."""
    before = tab.evaluate(ABOUT)
    return lambda: bool(tab.evaluate(ABOUT) != before)


def waited(true: Callable[[], bool]) -> bool:
    """Whether something becomes so in a while."""
    until = time.monotonic() + 3 * LIVE
    while time.monotonic() < until:
        if true():
            return True
        time.sleep(0.1)
    return False


def failures(tab: browser.Browser) -> list[Any]:
    """What a page complained of since it was opened."""
    bad = ("Runtime.exceptionThrown", "Log.entryAdded", "Runtime.consoleAPICalled")
    return [each for each in tab.events if each.get("method") in bad]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=Path)
    pictures = parser.parse_args().pictures
    program = browser.found()
    if program is None:
        print("skipped: there is no Chromium here; apt-get install chromium", file=sys.stderr)
        return
    release = subprocess.run([program, "--version"], capture_output=True, text=True).stdout
    tab, views = browser.Browser(program), {}
    with tempfile.TemporaryDirectory() as folder:
        check_the_check(tab, Path(folder) / "control.html")
        for name, made in {"nobody": nobody, "crowd": crowd}.items():
            path = Path(folder) / f"{name}.html"
            path.write_text(re.sub("<script>.*</script>", "", page(*made()).decode(), flags=re.S))
            views[name] = seen_of(tab, path.as_uri(), name, pictures)
    house = AtWork()
    time.sleep(LIVE)
    for name, where in (("public", "127.0.0.1"), ("administration", "x:open@127.0.0.1")):
        port = house.ports[name != "public"]
        views[name] = seen_of(tab, f"http://{where}:{port}/", name, pictures)
    told = live(tab, house)
    tab.close()
    wrong = [
        f"{name} {view}: {fault}"
        for name, page_views in views.items()
        for view, each in page_views.items()
        for fault in each["faults"]
    ]
    wrong += [name for name, so in told.items() if not so]
    kept = {
        name: {view: {"faults": each["faults"]} for view, each in page_views.items()}
        for name, page_views in views.items()
    }
    known = {"release": " ".join(release.split()[:2]), "live": told, "pages": kept}
    RECORD.write_text(json.dumps(known, indent=1, ensure_ascii=False) + "\n")
    print("\n".join([*wrong, f"{len(views)} pages, {len(wrong)} faults"]), file=sys.stderr)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
