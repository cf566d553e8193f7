"""The load on a live engine, against a tiny server in this process; no test looks at the time."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from eke.calibrate.engine_load import Load, schedule
from eke.calibrate.rows import read_rows
from eke.cli import entry
from eke.errors import BadEngine, BadInput

TOKENS = 5


class Fake(BaseHTTPRequestHandler):
    """An engine that says five words; `how` says what goes wrong."""

    how = ""
    asked: list[dict[str, Any]] = []

    def log_message(self, *words: object) -> None:
        pass

    def do_GET(self) -> None:
        listed = {"data": [{"id": "tiny", "owned_by": "vllm"}]}
        self._say(
            "application/json", b"<html>" if self.how == "html" else json.dumps(listed).encode()
        )

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append(body)
        if self.how == "strict" and "ignore_eos" in body:
            self._say("application/json", b'{"error": "unknown field ignore_eos"}', 400)
        elif self.how == "gone":
            self._say("application/json", b"{}", 404)
        elif self.how == "whole":
            self._say("application/json", b'{"choices": []}')
        elif self.how == "busy" and len(self.asked) % 2 == 0:
            self._say("application/json", b"full", 503)
        elif self.how == "silent":
            threading.Event().wait(5)
        else:
            self._say("text/event-stream", b"".join(self._events("stream_options" in body)))

    def _events(self, usage: bool) -> Iterator[bytes]:
        words = 0 if self.how == "mute" else TOKENS
        yield b'data: {"choices": [{"delta": {"role": "assistant", "content": ""}}]}\n\n'
        for index in range(words):
            text = b"" if self.how == "special" else b"w%d" % index
            yield b'data: {"choices": [{"delta": {"content": "%s"}}]}\n\n' % text
        if self.how == "half":
            return
        if self.how == "junk":
            yield b"data: not json\n\n"
        yield b'data: {"choices": [{"delta": {}, "finish_reason": "length"}]}\n\n'
        if usage:
            told = b'{"prompt_tokens": 9, "completion_tokens": 5}'
            yield b'data: {"choices": [], "usage": ' + told + b"}\n\n"
        if self.how != "open":
            yield b"data: [DONE]\n\n"

    def _say(self, kind: str, data: bytes, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@pytest.fixture
def server() -> Iterator[Any]:
    """Starts the fake engine the way a test wants it."""
    started = []

    def start(how: str = "") -> tuple[str, list[dict[str, Any]]]:
        handler = type("Handler", (Fake,), {"how": how, "asked": []})
        made = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        made.daemon_threads = True
        threading.Thread(target=made.serve_forever, daemon=True).start()
        started.append(made)
        return f"http://127.0.0.1:{made.server_port}", handler.asked

    yield start
    for made in started:
        made.shutdown()
        made.server_close()


def engine(url: str, out: Path, *more: str) -> Any:
    return CliRunner().invoke(entry, ["calibrate", "engine", url, "--out", str(out), *more])


def test_a_load_becomes_rows_of_the_shared_format(server: Any, tmp_path: Path) -> None:
    url, asked = server()
    out = tmp_path / "engine.csv"
    result = engine(url, out, "--requests", "30", "--chip", "h100-sxm", "--precision", "bf16")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("tiny: ")
    assert len(asked) == 31  # one of them to warm up
    assert len({each["messages"][0]["content"] for each in asked}) == 31
    rows = read_rows(out)
    assert {row["concurrency_or_qps"] for row in rows} == {f"concurrency={n}" for n in (1, 2, 4)}
    assert {row.metric for row in rows} == {
        "ttft_ms", "tpot_ms", "e2e_latency_s", "output_tokens_per_sec_total",
    }  # fmt: skip
    assert all(row.value > 0 and not row.flag for row in rows)
    assert all((row["isl"], row["osl"], row["engine"]) == ("9", "5", "vllm") for row in rows)


@pytest.mark.parametrize("how", ["strict", "open", "special"])
def test_engines_that_know_less_are_measured_too(how: str, server: Any, tmp_path: Path) -> None:
    url, _ = server(how)
    result = engine(f"{url}/v1/", tmp_path / "e.csv", "--requests", "2", "--model", "tiny")
    assert result.exit_code == 0, result.output
    assert {row["osl"] for row in read_rows(tmp_path / "e.csv")} == {"5"}


def test_refused_requests_are_counted(server: Any, tmp_path: Path) -> None:
    url, _ = server("busy")
    result = engine(url, tmp_path / "e.csv", "--requests", "8")
    assert result.exit_code == 0, result.output
    assert "503" in result.stdout
    assert any("failed" in row.notes for row in read_rows(tmp_path / "e.csv"))


@pytest.mark.parametrize(
    "how,words",
    [
        ("gone", "answers 404 (is it an OpenAI-compatible engine?)"),
        ("whole", "answers application/json, not text/event-stream"),
        ("half", "the stream broke off after 5 chunks"),
        ("junk", "streams 'not json', which is no chunk"),
        ("mute", "without a single token"),
        ("html", "does not list models"),
    ],
)
def test_what_is_no_engine_is_a_clear_error(
    how: str, words: str, server: Any, tmp_path: Path
) -> None:
    url, _ = server(how)
    result = engine(url, tmp_path / "e.csv", "--requests", "2")
    assert isinstance(result.exception, BadEngine) and words in str(result.exception)
    assert not (tmp_path / "e.csv").exists()


def test_silence_ends(server: Any, tmp_path: Path) -> None:
    url, _ = server("silent")
    result = engine(url, tmp_path / "e.csv", "--minutes", "0.01")
    assert isinstance(result.exception, BadEngine) and "said nothing" in str(result.exception)


def test_nobody_there(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    result = engine(f"127.0.0.1:{port}", tmp_path / "e.csv")
    assert isinstance(result.exception, BadEngine) and "nothing listens" in str(result.exception)
    for address in ("ftp://x", "http://", "http://x:y"):
        assert isinstance(engine(address, tmp_path / "e.csv").exception, BadEngine)


def test_the_load_is_bounded() -> None:
    for requests in (1, 2, 5, 30, 31, 1000):
        planned = schedule(requests)
        assert sum(count for _, count in planned) == requests
        assert all(count >= 2 * level for level, count in planned) or requests == 1
        assert planned[0][1] >= requests // 3
        assert planned[0][0] == 1
    for wrong in ({"requests": 0}, {"minutes": 0}, {"minutes": 1e9}, {"answer": 1}):
        with pytest.raises(BadInput):
            Load(model="m", **wrong)  # type: ignore[arg-type]
