"""Logs: a line per request, and nothing in them that was sent or answered."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.gateways import (
    Fake,
    ask,
    asks,
    chat,
    reply_of,
    run,
    says,
    serving,
    talk,
    told,
)

from eke.errors import BadFile, BadInput
from eke.gateway.row import Row
from eke.gateway.seeing.logs import MOST, NAME, OTHERS, RequestLog, Words, about, begin_logging
from eke.gateway.seeing.seeing import Seeing
from eke.gateway.settings import LEVELS

PLAIN = Row(**dict.fromkeys(Row._fields, 0))._replace(
    number=7, arrived_at=1.79e9, arrived=5.0, started=5.25, first=5.5, finished=6.0, prompt=10,
    tokens=20, cached=4, tenant="ann", kind="chat", model="m", tier="flex", engine="e",
    outcome="finished", reason="", session=None, cost=0.001, energy=3.0,
)  # fmt: skip


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """The loggers as they were."""
    loggers = [logging.getLogger(name) for name in (NAME, *OTHERS)]
    before = [(each.handlers[:], each.level, each.propagate) for each in loggers]
    yield
    for logger, then in zip(loggers, before, strict=True):
        for handler in logger.handlers:
            handler.close()
        logger.handlers, logger.level, logger.propagate = then


def log() -> RequestLog:
    return RequestLog(lambda number: f"req_{number}")


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


@pytest.mark.parametrize("level", LEVELS)
def test_what_makes_no_sense_leaves_no_line(
    level: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever reaches the gateway could fill the log, with lines that are none of its own."""
    path = tmp_path / "log"
    upgrade = ("connection: upgrade, close", "upgrade: websocket", "sec-websocket-key: x")
    form = "content-type: multipart/form-data; boundary=x"

    async def check() -> None:
        async with serving(Fake(), state=str(tmp_path / "s.db")) as house:
            begin_logging(level, "json", str(path))
            assert reply_of(await told(house.address, b"nonsense\r\n\r\n")).status == 400
            await told(house.address, asks("/v1/models", None, "", *upgrade, close=False))
            assert (await ask(house, "/v1/files", b"--y\r\n\r\n--x", "", form)).status == 400

    run(check())
    assert all(each["logger"].startswith(NAME) for each in lines(path))
    assert level == "debug" or not lines(path)
    assert capsys.readouterr().err == ""


def test_errors_of_libraries_are_lines_like_others(tmp_path: Path) -> None:
    path = tmp_path / "log"
    begin_logging("warning", "json", str(path))
    for name in OTHERS:
        logging.getLogger(name).error("oh")
    assert [(each["logger"], each["level"]) for each in lines(path)] == [
        (name, "error") for name in OTHERS
    ]


def test_nothing_that_was_sent_or_answered_is_in_a_log(tmp_path: Path) -> None:
    """Whatever becomes of a request: answered, streamed, refused, broken off, failed inside."""
    path = tmp_path / "log"
    secrets = ("SECRETPROMPT", "sk-SECRETKEY", "SECRETMODEL", "SECRETUSER", "SECRETANSWER")

    async def whole() -> None:
        answer = says(b"HTTP/1.1 200 x\r\ncontent-length: 12\r\n\r\nSECRETANSWER")
        async with serving(Fake(talk()), Fake(answer, models=("broken",))) as house:
            seeing = Seeing(house.gateway, log())
            house.gateway.write = seeing.over
            begin_logging("debug", "json", str(path))
            body = chat("SECRETPROMPT", user="SECRETUSER")
            for more in (
                {},
                {"stream": True},
                {"service_tier": "SECRETMODEL"},
                {"model": "SECRETMODEL"},
                {"model": "broken"},
                {"max_tokens": "SECRETPROMPT"},
            ):
                await ask(house, body={**body, **more}, key="sk-SECRETKEY")
            house.gateway.lengths_of = None  # type: ignore[assignment,method-assign]
            await ask(house, body=body, key="sk-SECRETKEY")
            seeing.log.close()  # type: ignore[union-attr]

    run(whole())
    text = path.read_text("utf-8")
    told = lines(path)
    assert not [secret for secret in secrets if secret in text]
    assert [each["message"] for each in told if "request" in each] == ["finished"] * 2 + ["failed"]
    assert "TypeError" in text and "key-" in text  # the failure is told, and who asked


def test_a_line_tells_what_a_request_took() -> None:
    told = about(PLAIN, lambda number: f"req_{number}")
    assert told == {
        "time": "2026-09-21T14:13:21.000Z", "level": "info", "logger": "eke.gateway.requests",
        "message": "finished", "request": "req_7", "tenant": "ann", "model": "m", "kind": "chat",
        "tier": "flex", "prompt_tokens": 10, "cached_tokens": 4, "answer_tokens": 20,
        "seconds": 1.0, "wait_seconds": 0.25, "engine": "e", "first_seconds": 0.5,
        "cost_usd": 0.001, "energy_joules": 3.0,
    }  # fmt: skip


def test_lines_are_written_between_beats_all_of_them(tmp_path: Path) -> None:
    path = tmp_path / "log"
    begin_logging("info", "auto", str(path))
    kept = log()
    for number in range(200):
        kept.over(PLAIN._replace(number=number))
    assert path.read_text() == ""  # nobody who waits for an answer pays for it
    asyncio.run(kept.write())
    assert [each["request"] for each in lines(path)] == [f"req_{each}" for each in range(200)]


def test_what_is_too_much_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "log"
    begin_logging("info", "json", str(path))
    kept = log()
    for _ in range(MOST + 3):
        kept.over(PLAIN)
    kept.close()
    told = lines(path)
    assert len(told) == MOST + 1
    assert told[-1]["level"] == "warning" and told[-1]["message"].startswith("3 more requests")


def test_a_level_leaves_lines_out(tmp_path: Path) -> None:
    path = tmp_path / "log"
    begin_logging("warning", "json", str(path))
    kept = log()
    kept.over(PLAIN)
    kept.close()
    logging.getLogger(NAME).warning("the calendar jumped by %g s", 7.0)
    assert [each["message"] for each in lines(path)] == ["the calendar jumped by 7 s"]


def test_people_are_told_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    handler = begin_logging("info", "words")
    assert isinstance(handler.formatter, Words)
    kept = log()
    kept.over(PLAIN)
    kept.over(PLAIN._replace(outcome="refused", reason="queue full"))
    kept.close()
    logging.getLogger(NAME).error("the state does not answer")
    first, second, third = capsys.readouterr().err.splitlines()
    assert first == (
        "14:13:21 finished ann m chat flex 10→20 tokens (4 cached) in 1 s after 0.25 s in the queue"
    )
    assert second.endswith("· queue full")
    assert third.endswith("error: the state does not answer")


def test_an_error_is_told_by_kind_and_place_not_in_its_words(tmp_path: Path) -> None:
    path = tmp_path / "log"
    begin_logging("info", "json", str(path))
    try:
        json.loads("SECRET")
    except ValueError:
        logging.getLogger(NAME).exception("a request failed inside the gateway")
    (told,) = lines(path)
    assert told["error"].startswith("JSONDecodeError at decoder.py:")
    assert "test_seeing_logs.py" in told["error"] and "SECRET" not in path.read_text()


def test_what_makes_no_sense_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"'loud'; there are debug, info, warning, error"):
        begin_logging("loud")
    with pytest.raises(BadFile, match=r"no logs can be written there"):
        begin_logging("info", "json", str(tmp_path / "no" / "log"))
