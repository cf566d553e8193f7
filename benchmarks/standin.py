"""The stand-in engine on this machine: start-up, requests and streams per second, CPU, memory.

Run by itself: `python benchmarks/standin.py`. CPU is that of the server; the client runs on
the same machine, so rates per CPU second say more than rates per second.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

START = """
from eke.standin.manner import Manner
from eke.standin.run import Settings, main
manner = Manner(pace={pace})
main(Settings(model="llama-3.1-70b", chips="8xh100-sxm", port=0, parent={parent}, manner=manner))
"""
TICK = os.sysconf("SC_CLK_TCK")


class Server(NamedTuple):
    """A running stand-in. started: until it was ready [s]."""

    process: asyncio.subprocess.Process
    port: int
    started: float

    def cpu(self) -> float:
        """CPU time so far [s]."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def memory(self) -> float:
        """Resident [MB]."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024


@asynccontextmanager
async def serving(pace: float) -> AsyncIterator[Server]:
    """A stand-in at some pace, as long as it is needed."""
    begin = time.perf_counter()
    code = START.format(parent=os.getpid(), pace=pace)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, stderr=subprocess.PIPE
    )
    assert process.stderr is not None
    while True:
        line = (await process.stderr.readline()).decode()
        if not line:
            raise RuntimeError("the stand-in did not start")
        if " ready on " in line:
            break
    started = time.perf_counter() - begin
    try:
        yield Server(process, int(line.rpartition(":")[2]), started)
    finally:
        process.send_signal(signal.SIGTERM)
        await process.wait()


def asking(number: int, tokens: int, stream: bool) -> bytes:
    """One request, ready to be sent."""
    said = [{"role": "user", "content": f"Question {number}: how do scarce chips last longer?"}]
    body = {"model": "llama-3.1-70b", "messages": said, "max_tokens": tokens, "stream": stream}
    body |= {"ignore_eos": True}
    data = json.dumps(body).encode()
    head = "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data


async def plain(port: int, count: int, tokens: int) -> list[float]:
    """One connection, one request after another; how long each took [s]."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    took = []
    for number in range(count):
        begin = time.perf_counter()
        writer.write(asking(number, tokens, False))
        head = await reader.readuntil(b"\r\n\r\n")
        assert b" 200 " in head.split(b"\r\n", 1)[0]
        size = head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]
        await reader.readexactly(int(size))
        took.append(time.perf_counter() - begin)
    writer.close()
    return took


class Streamed(asyncio.Protocol):
    """Reads a stream as cheaply as possible: when bytes came, and how many events."""

    def __init__(self, request: bytes) -> None:
        self.request, self.times, self.rest, self.events = request, [], b"", 0
        self.over = asyncio.get_running_loop().create_future()

    def connection_made(self, transport) -> None:
        self.transport, self.begin = transport, time.perf_counter()
        transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self.times.append(time.perf_counter())
        self.events += data.count(b"data: {")
        self.rest = (self.rest + data)[-64:]
        if b"[DONE]" in self.rest and not self.over.done():
            self.over.set_result(None)
            self.transport.close()


async def streams(port: int, many: int, tokens: int) -> list[Streamed]:
    """So many streams at once."""
    loop = asyncio.get_running_loop()
    opened = [
        (
            await loop.create_connection(
                lambda i=i: Streamed(asking(i, tokens, True)), "127.0.0.1", port
            )
        )[1]
        for i in range(many)
    ]
    await asyncio.gather(*(each.over for each in opened))
    return opened


async def plain_rate(connections: int = 32, each: int = 300) -> None:
    """Plain requests of 16 tokens, as fast as it goes."""
    async with serving(1e6) as server:
        await plain(server.port, 50, 16)
        cpu, begin = server.cpu(), time.perf_counter()
        each_took = await asyncio.gather(
            *(plain(server.port, each, 16) for _ in range(connections))
        )
        took = [one for some in each_took for one in some]
        used, seconds = server.cpu() - cpu, time.perf_counter() - begin
        print(
            f"plain, 16 tokens: {len(took) / seconds:,.0f}/s, {len(took) / used:,.0f} per CPU "
            f"second, median {statistics.median(took) * 1e3:.2f} ms, {server.memory():.0f} MB, "
            f"ready in {server.started:.2f} s"
        )


async def stream_cost(many: int = 500, tokens: int = 200) -> None:
    """Streams at the speed of the chips."""
    async with serving(1.0) as server:
        before, cpu, begin = server.memory(), server.cpu(), time.perf_counter()
        opened = await streams(server.port, many, tokens)
        used, seconds = server.cpu() - cpu, time.perf_counter() - begin
        times = [zip(each.times[1:], each.times[2:], strict=False) for each in opened]
        gap = statistics.median(after - one for some in times for one, after in some)
        print(
            f"{many} streams of {tokens} tokens: {seconds:.1f} s, {used / seconds:.0%} of a core, "
            f"{sum(each.events for each in opened) / seconds:,.0f} events/s, gap {gap * 1e3:.1f} "
            f"ms, {before:.0f} MB before, {server.memory():.0f} MB after"
        )


async def stream_rate(many: int = 64, tokens: int = 400) -> None:
    """Streams as fast as they go."""
    async with serving(1e6) as server:
        cpu, begin = server.cpu(), time.perf_counter()
        for _ in range(5):
            await streams(server.port, many, tokens)
        used, seconds = server.cpu() - cpu, time.perf_counter() - begin
        total = 5 * many * tokens
        print(f"streamed: {total / seconds:,.0f} tokens/s, {total / used:,.0f} per CPU second")


async def main() -> None:
    await plain_rate()
    await stream_cost()
    await stream_rate()


if __name__ == "__main__":
    asyncio.run(main())
