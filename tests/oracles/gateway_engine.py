"""The gateway before a real engine, vLLM on this CPU with a tiny random model, recorded.

Run by `make oracles-gateway`, in the environment of the engines. What the stand-in takes for
granted of engines is looked at here: what they answer, what their metrics say, how many requests
they take, and that they stop when a client leaves.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

HERE = Path(__file__).parent
RECORD = HERE / "record" / "gateway_engine.json"
BIN = Path(sys.executable).parent
ENGINE, GATEWAY = 8311, 8312
SLOTS = 4
SETTLED = 12.0  # time to find out how many requests it takes [s]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "tiny"
        subprocess.run([sys.executable, HERE / "tiny_model.py", model], check=True)
        with engine(model), gateway(Path(folder)):
            found = {"engine": version(), **asyncio.run(looked_at())}
    RECORD.write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))


async def looked_at() -> dict[str, Any]:
    """All that is found out."""
    plain = await asyncio.to_thread(ask, chat("say something", max_tokens=16))
    events = await asyncio.to_thread(stream, chat("say more", max_tokens=16, stream=True))
    bad = await asyncio.to_thread(ask, chat("x", max_tokens=16, temperature=-3))
    usage = plain["body"]["usage"]
    return {
        "plain": [plain["status"], usage["completion_tokens"]],
        "streamed": [len(events), events[-1], "usage" in json.loads(events[-2])],
        "its own refusal": [bad["status"], sorted(bad["body"]["error"])],
        "light beside 32": await alone_and_beside(),
        "limit found": limit(),
        "left": await left(),
        "response": await asyncio.to_thread(response),
    }


async def alone_and_beside() -> dict[str, float]:
    """Median time of one client alone, and beside 32 of another tenant [s]."""
    alone = await client("light", 20)
    heavy = [asyncio.ensure_future(client("heavy", 10_000)) for _ in range(32)]
    await asyncio.sleep(SETTLED)
    beside = await client("light", 40)
    for task in heavy:
        task.cancel()
    await asyncio.gather(*heavy, return_exceptions=True)
    ratio = statistics.median(beside) / statistics.median(alone)
    return {"slower": round(ratio, 2)}


async def client(key: str, rounds: int) -> list[float]:
    """Times of requests one after another [s]."""
    body = json.dumps(chat("hello there", max_tokens=16, ignore_eos=True)).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n"
    data = head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body
    reader, writer = await asyncio.open_connection("127.0.0.1", GATEWAY)
    times = []
    try:
        for _ in range(rounds):
            begun = time.perf_counter()
            writer.write(data)
            answer = await reader.readuntil(b"\r\n\r\n")
            length = int(answer.lower().split(b"content-length:")[1].split()[0])
            await reader.readexactly(length)
            times.append(time.perf_counter() - begun)
    finally:
        writer.close()
    return times


async def left() -> dict[str, Any]:
    """Whether the engine stops when clients leave, streaming or not."""
    found = {}
    for kind in (True, False):
        body = json.dumps(chat("go on", max_tokens=400, ignore_eos=True, stream=kind)).encode()
        head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
        writers = []
        for _ in range(3):
            _, writer = await asyncio.open_connection("127.0.0.1", GATEWAY)
            writer.write(head % len(body) + body)
            writers.append(writer)
        await asyncio.sleep(0.3)
        running = gauge("vllm:num_requests_running")
        for writer in writers:
            writer.transport.abort()
        await asyncio.sleep(0.5)
        name = "streaming" if kind else "plain"
        found[name] = [running, gauge("vllm:num_requests_running")]
    return found


def response() -> list[Any]:
    """A stored response, and one that follows it."""
    first = post("/v1/responses", {"model": "tiny", "input": "hello", "max_output_tokens": 8})
    then = post(
        "/v1/responses",
        {"model": "tiny", "input": "and", "previous_response_id": first["id"]},
    )
    return [first["status"], then["previous_response_id"] == first["id"]]


def limit() -> int:
    """Requests at once that the gateway found to be right."""
    found = json.loads(get(f"http://127.0.0.1:{GATEWAY + 1}/admin/engines", "Bearer admin"))
    return int(found["data"][0]["limit"])


def gauge(name: str) -> float:
    """A figure of the engine's own metrics."""
    for line in get(f"http://127.0.0.1:{ENGINE}/metrics").splitlines():
        if line.startswith(name):
            return float(line.split()[-1])
    raise KeyError(name)


def version() -> str:
    return "vllm " + json.loads(get(f"http://127.0.0.1:{ENGINE}/version"))["version"]


def chat(text: str, **fields: Any) -> dict[str, Any]:
    return {"model": "tiny", "messages": [{"role": "user", "content": text}], **fields}


def ask(body: Any) -> dict[str, Any]:
    """Status and body of an answer."""
    request = Request(f"http://127.0.0.1:{GATEWAY}/v1/chat/completions", json.dumps(body).encode())
    try:
        with urlopen(request) as answer:
            return {"status": answer.status, "body": json.load(answer)}
    except OSError as error:
        return {"status": error.code, "body": json.load(error)}  # type: ignore[attr-defined]


def post(path: str, body: Any) -> Any:
    with urlopen(Request(f"http://127.0.0.1:{GATEWAY}{path}", json.dumps(body).encode())) as answer:
        return json.load(answer)


def stream(body: Any) -> list[str]:
    """The events of a stream."""
    request = Request(f"http://127.0.0.1:{GATEWAY}/v1/chat/completions", json.dumps(body).encode())
    with urlopen(request) as answer:
        return [line.decode()[6:].strip() for line in answer if line.startswith(b"data: ")]


def get(url: str, authorization: str = "") -> str:
    with urlopen(Request(url, headers={"Authorization": authorization})) as answer:
        return str(answer.read().decode())


@contextmanager
def engine(model: Path) -> Iterator[None]:
    """vLLM on this CPU."""
    words = ["serve", str(model), "--served-model-name", "tiny", "--port", str(ENGINE)]
    words += ["--dtype", "float32", "--enforce-eager", "--max-model-len", "512"]
    words += ["--max-num-seqs", str(SLOTS), "--scheduling-policy", "priority"]
    environment = {"VLLM_TARGET_DEVICE": "cpu", "VLLM_CPU_KVCACHE_SPACE": "1"}
    environment |= {"HF_HUB_OFFLINE": "1", "VLLM_LOGGING_LEVEL": "ERROR"}
    with process([str(BIN / "vllm"), *words], environment, f"http://127.0.0.1:{ENGINE}/health"):
        yield


@contextmanager
def gateway(folder: Path) -> Iterator[None]:
    """The gateway, which is told nothing of the engine but where it is."""
    file = folder / "gateway.toml"
    file.write_text(
        f'policy = "fair+queue+anticipate"\nport = {GATEWAY}\nstate = "{folder}/eke.db"\n'
        f"admin = {{ port = {GATEWAY + 1} }}\n"
        f'[engines.vllm]\nurl = "http://127.0.0.1:{ENGINE}/v1"\nordered = true\n'
    )
    url = f"http://127.0.0.1:{GATEWAY}/v1/models"
    with process([str(BIN / "eke"), "serve", str(file)], {"EKE_ADMIN_KEY": "admin"}, url):
        time.sleep(1)
        yield


@contextmanager
def process(words: list[str], environment: dict[str, str], url: str) -> Iterator[None]:
    """A process, once it answers at an address; its own group ends with it."""
    started = subprocess.Popen(
        words, env={**os.environ, **environment}, stdout=subprocess.DEVNULL, start_new_session=True
    )
    try:
        for _ in range(1200):
            try:
                urlopen(url).close()
                break
            except OSError:
                if started.poll() is not None:
                    raise RuntimeError(f"{words[0]} ended") from None
                time.sleep(0.25)
        yield
    finally:
        os.killpg(started.pid, signal.SIGTERM)
        started.wait(60)


if __name__ == "__main__":
    main()
