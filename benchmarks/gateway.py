"""The gateway on one core, by the harness of ../shared/serving/gateway_bench and its mock engine.

Client and engine run on the first core, the gateway on the second, as the rivals were measured.
Without the harness there is nothing to compare with, and nothing is measured.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

HARNESS = Path(__file__).resolve().parents[2] / "shared/serving/gateway_bench"
EKE = Path(sys.executable).parent / "eke"
USUAL = "classes+promise+queue+backfill(spare=5%)+anticipate@prefix"
ENGINE, GATEWAY, MODEL = 9100, 9200, "mock"
SLOTS = 6000  # of the engine where its own limits are not what is measured
STREAMS = 5000
CORES = os.cpu_count() or 1

Row = tuple[str, float, str, float | None, bool]  # what, figure, unit, budget, more is better


def rows() -> list[Row]:
    """Figures beside what they are to be."""
    if not (HARNESS / "bench.py").exists():
        print("gateway: not measured, there is no ../shared/serving/gateway_bench", file=sys.stderr)
        return []
    with running("--tokens", "16"), gateway(slots=SLOTS) as pid:
        added = harness("overhead", "--direct", at(ENGINE), "--secs", "5")
        plain = peak(pid)
        streaming = peak(pid, "--stream")
        left = [leaving(*words) for words in (("--stream",), ())]
    base, per_stream = memory()
    with running("--capacity", "4", "--itl-ms", "10"), gateway("fair+queue+anticipate"):
        fair = harness("fairness", "--key-a", "heavy", "--key-b", "light", "--secs", "12")
    with running("--capacity", "4", "--itl-ms", "10"), gateway("fair+queue"):
        over = harness("open", "--rate", "75", "--secs", "15")
    return [
        ("gateway: added to a request", added["plain"]["added_p50_ms"], "ms", 0.6, False),
        ("gateway: added to a first token", added["stream"]["added_ttft_p50_ms"], "ms", 0.6, False),
        ("gateway: plain", plain / 1e3, "k/CPU-s", 3.0, True),
        ("gateway: streams of 16 tokens", streaming / 1e3, "k/CPU-s", 1.0, True),
        ("gateway: memory, idle", base, "MB", 80.0, False),
        ("gateway: memory of each stream", per_stream, "KB", 20.0, False),
        ("gateway: light beside 64 greedy", fair["slowdown_p50"], "x", 1.5, False),
        ("gateway: goodput at 3 x its load", 100 * over["rps"] / 25, "%", 95.0, True),
        ("gateway: wasted after leaving", 100 * max(left), "%", 2.0, False),
    ]


@contextmanager
def running(*words: str) -> Iterator[None]:
    """The harness's engine."""
    with process([sys.executable, str(HARNESS / "mock_upstream.py"), *words], 0):
        wait(ENGINE)
        yield


@contextmanager
def gateway(policy: str = USUAL, slots: int | None = None) -> Iterator[int]:
    """The gateway in front of it; its process."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "gateway.toml"
        said = f"slots = {slots}\n" if slots else ""
        file.write_text(
            f'policy = "{policy}"\nport = {GATEWAY}\nstate = "{folder}/eke.db"\n'
            f'[engines.mock]\nurl = "{at(ENGINE)}"\nmodels = ["{MODEL}"]\n{said}'
        )
        with process([str(EKE), "serve", str(file)], 1) as pid:
            wait(GATEWAY)
            time.sleep(0.5)
            yield pid


@contextmanager
def process(words: list[str], core: int) -> Iterator[int]:
    """A process on a core of its own."""
    pinned = ["taskset", "-c", str(core % CORES), *words]
    started = subprocess.Popen(pinned, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield started.pid
    finally:
        started.send_signal(signal.SIGTERM)
        started.wait()


def harness(mode: str, *words: str) -> Any:
    """What one mode of the harness found."""
    done = subprocess.run(
        [
            *("taskset", "-c", "0", sys.executable, str(HARNESS / "bench.py"), mode),
            *("--base", at(GATEWAY), *words),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)["result"]


def peak(pid: int, *words: str) -> float:
    """Requests per second of the gateway's own time, 32 connections: what one core does that has
    nothing else to do, also where others use it meanwhile."""
    before = spent(pid)
    found = harness("wrk", "--conc", "32", "--secs", "6", *words)
    if "rps" not in found:  # wrk is a package of Debian's
        found = harness("load", "--conc", "32", "--secs", "6", *words)
    return float(found["rps"]) * 6 / (spent(pid) - before)


def spent(pid: int) -> float:
    """Processor time of a process [s]."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def leaving(*words: str) -> float:
    """Tokens computed after clients left, of those asked for. Who stays a second, or for five
    events, has had so many: 50 tokens a second are sent, or four of the events are tokens."""
    found = harness("disconnect", "--mock", f"http://127.0.0.1:{ENGINE}", "--n", "20", *words)
    had = 20 * (4 if words else 50)
    return max(found["tokens_emitted"] - had, 0) / float(found["tokens_if_never_cancelled"])


def memory() -> tuple[float, float]:
    """Memory with nothing to do [MB], and what each open stream takes [KB]."""
    with running("--tokens", "100", "--itl-ms", "1000"), gateway(slots=SLOTS) as pid:
        before = resident(pid)
        asyncio.run(streams(STREAMS, lambda: during.append(resident(pid))))
        return before / 1e6, (max(during) - before) / STREAMS / 1e3


during: list[int] = []


async def streams(count: int, look: Any) -> None:
    """Open that many streams, look when each has sent something, and leave."""
    body = json.dumps({"model": MODEL, "messages": [{"role": "user", "content": "x" * 200}]})
    body = body[:-1] + ', "stream": true}'
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    open_ = asyncio.Semaphore(200)

    async def one() -> asyncio.StreamWriter:
        async with open_:
            reader, writer = await asyncio.open_connection("127.0.0.1", GATEWAY)
            writer.write((head + body).encode())
            await reader.readuntil(b"data: ")
            return writer

    writers = await asyncio.gather(*(one() for _ in range(count)))
    look()
    for writer in writers:
        writer.close()


def resident(pid: int) -> int:
    """Memory of a process [B]."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise OSError(f"process {pid} has no memory")


def at(port: int) -> str:
    return f"http://127.0.0.1:{port}/v1"


def wait(port: int) -> None:
    """Until somebody listens there."""
    import socket

    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise OSError(f"nobody listens on port {port}")


if __name__ == "__main__":
    for name, value, unit, target, _ in rows():
        print(f"{name:34}{value:>9.3g} {unit:10}{target:>9g}")
