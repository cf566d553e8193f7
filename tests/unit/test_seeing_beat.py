"""What is looked at once a second, the event loop's lag and the calendar among it."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import Any

import pytest
from tests.gateways import run
from tests.unit.test_seeing_logs import PLAIN

from eke.gateway.clock import Clock
from eke.gateway.gateway import Gateway
from eke.gateway.seeing import seeing as module
from eke.gateway.seeing.logs import RequestLog
from eke.gateway.seeing.seeing import Seeing
from eke.gateway.settings import EngineSettings, Settings

ENGINE = EngineSettings(name="e", url="http://127.0.0.1:9/v1", models={"m": "m"}, slots=2)


class Times:
    """Clocks that go as they are told to."""

    def __init__(self) -> None:
        self.now, self.calendar = 100.0, 1.79e9

    def clock(self) -> Clock:
        return Clock(lambda: self.now, lambda: self.calendar)

    def go(self, seconds: float, jump: float = 0.0) -> None:
        self.now += seconds
        self.calendar += seconds + jump


def looked(times: Times, work: Any, **more: Any) -> Seeing:
    """Somebody who sees a gateway, after some work."""

    async def whole() -> Seeing:
        settings = Settings(engines=(ENGINE,))
        gateway = Gateway(settings, asyncio.get_running_loop(), times.clock())
        seeing = Seeing(gateway, **more)
        await work(seeing)
        return seeing

    return run(whole())


def test_a_sample_has_what_ended_since_the_last() -> None:
    times = Times()

    async def work(seeing: Seeing) -> None:
        for ended in (3, 0, 2):
            times.go(1.0)
            for _ in range(ended):
                seeing.over(PLAIN)
            seeing.over(PLAIN._replace(outcome="refused", started=None, first=None, reason="no"))
            seeing.look()

    seeing = looked(times, work)
    assert [seeing.history.total("finished", each) for each in (1, 2, 3)] == [2, 2, 5]
    assert seeing.history.total("refused") == 3
    assert seeing.history.total("answer") == 5 * PLAIN.tokens
    assert seeing.history.percentile("wait", 1.0) == pytest.approx(0.25, rel=0.25)
    assert seeing.history.percentile("first", 1.0) == pytest.approx(0.5, rel=0.25)


def test_what_waits_by_its_own_will_is_in_no_chart_of_waits() -> None:
    """Hours of a job that is out of the way, or a line in the night, say nothing of the queue."""
    times = Times()

    async def work(seeing: Seeing) -> None:
        times.go(1.0)
        late = {"started": PLAIN.arrived + 7200, "tier": "batch"}
        seeing.over(PLAIN._replace(kind="tune", first=None, tokens=0, finished=1e4, **late))
        seeing.over(PLAIN._replace(kind="batch", first=8000.0, finished=9000.0, **late))
        seeing.look()
        assert seeing.history.percentile("wait", 0.5) is None
        assert seeing.history.percentile("first", 0.5) is None
        seeing.over(PLAIN)
        times.go(1.0)
        seeing.look()

    seeing = looked(times, work)
    assert seeing.history.percentile("wait", 1.0) == pytest.approx(0.25, rel=0.25)
    told = {tier: sum(each.wait.counts) for (_, tier), each in seeing.meters.times.items()}
    assert told["batch"] == 2  # the metrics tell it by its tier


def test_a_share_of_tokens_fades() -> None:
    times = Times()

    async def work(seeing: Seeing) -> None:
        seeing.over(PLAIN)
        seeing.look()
        work = seeing.meters.work["ann"]
        assert work.lately == 6 + 2 * 20
        times.go(120.0)
        seeing.look()
        assert work.lately == pytest.approx(46 / 2.71828, rel=1e-4)
        times.go(3600.0)
        seeing.look()
        assert work.lately == 0.0 and work.tokens == 46

    looked(times, work)


def test_a_jump_of_the_calendar_is_believed_at_the_second_look_and_counted() -> None:
    times = Times()

    async def work(seeing: Seeing) -> None:
        times.go(1.0, jump=3600.0)
        seeing.look()
        assert seeing.jumps == 0
        times.go(1.0)
        seeing.look()
        assert seeing.jumps == 1
        assert seeing.gateway.clock.wall() == times.calendar

    looked(times, work)


def test_beats_go_on_until_the_end_and_nothing_is_left_unwritten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "BEAT", 0.005)
    log = RequestLog(str)
    written: list[int] = []
    monkeypatch.setattr(RequestLog, "_write", lambda self, most: written.append(len(self._rows)))

    async def work(seeing: Seeing) -> None:
        lags: list[float] = []
        seeing.look = lambda: lags.append(seeing.lag)  # type: ignore[method-assign]
        task = asyncio.ensure_future(seeing.beat())
        while len(lags) < 3:
            await asyncio.sleep(0.001)
        time.sleep(0.03)  # the loop is held up
        beats = len(lags)
        while len(lags) == beats:
            await asyncio.sleep(0)
        assert lags[-1] >= 0.02
        seeing.over(PLAIN)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    looked(Times(), work, log=log)
    assert written[-1] == 1


def test_a_look_that_fails_is_not_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BEAT", 0.001)

    async def work(seeing: Seeing) -> None:
        looks = 0

        def look() -> None:
            nonlocal looks
            looks += 1
            raise KeyError("a mistake")

        seeing.look = look  # type: ignore[method-assign]
        task = asyncio.ensure_future(seeing.beat())
        while looks < 3:
            await asyncio.sleep(0.001)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    looked(Times(), work)


def test_memory_of_samples_does_not_grow() -> None:
    times = Times()

    async def work(seeing: Seeing) -> None:
        seeing.look()
        before = size(seeing)
        for _ in range(1500):
            times.go(1.0)
            seeing.over(PLAIN)
            seeing.look()
        assert size(seeing) == before

    looked(times, work)


def size(seeing: Seeing) -> int:
    """Elements that the history holds."""
    history = seeing.history
    both = [*history._columns.values(), *history._spreads.values()]
    return sum(len(each) for each in both)
