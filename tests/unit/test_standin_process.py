"""The stand-in as a process: it says when it is ready, and ends when it should."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

pytest.importorskip("uvicorn")
START = """
from eke.standin.manner import Manner
from eke.standin.run import Settings, main
manner = Manner(pace={pace}, faults=True, names=("toy",))
main(Settings(model="llama-3.1-8b", chips="h100-sxm", port=0, parent={parent}, manner=manner))
"""


def begin(parent: int | str | None = None, pace: float = 1000.0) -> subprocess.Popen[str]:
    code = START.format(parent=parent, pace=pace)
    return subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)


def ready(process: subprocess.Popen[str]) -> str:
    """Where it answers, once it does."""
    assert process.stderr is not None
    said = [process.stderr.readline(), process.stderr.readline()]
    assert said[0].startswith("stand-in for llama-3.1-8b on 1xh100-sxm")
    assert " ready on http://127.0.0.1:" in said[1]
    return said[1].split()[-1]


@contextmanager
def serving(pace: float = 1000.0) -> Iterator[tuple[subprocess.Popen[str], str]]:
    process = begin(os.getpid(), pace)
    try:
        yield process, ready(process)
    finally:
        process.kill()
        process.communicate()


def posted(address: str, words: str, **others) -> urllib.request.Request:
    body = {"model": "toy", "messages": [{"role": "user", "content": words}], **others}
    return urllib.request.Request(f"{address}/v1/chat/completions", json.dumps(body).encode())


def test_it_answers_over_http_and_ends_quietly_when_told():
    with serving() as (process, address):
        with urllib.request.urlopen(posted(address, "hello", max_tokens=7), timeout=10) as reply:
            assert json.load(reply)["usage"]["completion_tokens"] == 7
        with urllib.request.urlopen(posted(address, "hello", stream=True), timeout=10) as reply:
            assert reply.read().endswith(b"data: [DONE]\n\n")
        with pytest.raises(urllib.error.HTTPError, match="503"):
            urllib.request.urlopen(posted(address, "!status 503"), timeout=10)
        cut = urllib.request.urlopen(posted(address, "!die 2"), timeout=10)
        with cut, pytest.raises(http.client.IncompleteRead):
            cut.read()
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=10)
        assert process.returncode == 0
        assert said == ""


def test_it_ends_in_the_middle_of_answers():
    with serving(pace=1.0) as (process, address), asking(address, stream=True) as client:
        assert client.recv(15) == b"HTTP/1.1 200 OK"
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=10)
        assert process.returncode == 0
        assert "Traceback" not in said


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_goes_frees_its_place(stream):
    with serving(pace=1.0) as (_, address):
        with asking(address, stream):
            until(address, "vllm:num_requests_running", 1.0)
        until(address, "vllm:num_requests_running", 0.0)
        until(address, "vllm:kv_cache_usage_perc", 0.0)


@contextmanager
def asking(address: str, stream: bool) -> Iterator[socket.socket]:
    """A client with a long request under way, who then goes."""
    host, port = address.removeprefix("http://").split(":")
    body = posted(address, "a long one", stream=stream, max_tokens=100_000, ignore_eos=True).data
    with socket.create_connection((host, int(port))) as client:
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}"
        client.sendall(f"{head}\r\n\r\n".encode() + body)
        yield client


def until(address: str, name: str, value: float) -> None:
    """Wait until a figure of /metrics has a value."""
    for _ in range(500):
        with urllib.request.urlopen(f"{address}/metrics", timeout=10) as reply:
            lines = reply.read().decode().splitlines()
        if next(float(line.split()[-1]) for line in lines if line.startswith(f"{name}{{")) == value:
            return
        time.sleep(0.01)
    raise AssertionError(f"{name} did not become {value}")


def test_it_ends_with_its_parent():
    """Started by a process that ends at once."""
    code = START.format(parent="os.getppid()", pace=1.0)
    between = (
        "import subprocess, sys\n"
        f"child = subprocess.Popen([sys.executable, '-c', {'import os' + code!r}])\n"
        "input()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", between],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    ready(process)
    process.communicate("\n", timeout=10)  # returns once the child has let go of stderr
    assert process.returncode == 0


def test_a_port_that_is_taken_is_refused():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code = START.replace("port=0", f"port={port}").format(parent=None, pace=1.0)
        ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ended.returncode == 1
    assert f"BadInput: 127.0.0.1:{port} cannot be had" in ended.stderr


def test_openais_own_client_understands_it():
    openai = pytest.importorskip("openai")
    with serving() as (_, address), openai.OpenAI(base_url=f"{address}/v1", api_key="x") as client:
        said = [{"role": "user", "content": "Why are chips scarce?"}]
        whole = client.chat.completions.create(model="toy", messages=said)
        assert whole.choices[0].finish_reason == "stop"
        parts = client.chat.completions.create(
            model="toy", messages=said, stream=True, stream_options={"include_usage": True}
        )
        *chunks, last = list(parts)
        text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
        assert text == whole.choices[0].message.content
        assert last.usage.completion_tokens == whole.usage.completion_tokens
        assert client.models.list().data[0].id == "toy"
        vector = client.embeddings.create(model="toy", input="hello").data[0].embedding
        assert sum(each * each for each in vector) == pytest.approx(1, abs=1e-5)
        assert client.completions.create(model="toy", prompt="hello").choices[0].text
        with pytest.raises(openai.NotFoundError) as refused:
            client.chat.completions.create(model="other", messages=said)
        assert refused.value.code == "model_not_found"
