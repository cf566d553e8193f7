"""Small stand-ins do what the containers do that they stand in for."""

from __future__ import annotations

import asyncio
from collections import deque

from tests.gateways import run

from eke.gateway.small import Gate, Line


def test_a_gate_lets_through_who_waits_at_it() -> None:
    async def work() -> None:
        gate = Gate()
        assert not gate.is_set() and Gate(is_open=True).is_set()
        waiting = [asyncio.ensure_future(gate.wait()) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[1].cancel()
        await asyncio.sleep(0)
        gate.set()
        done = await asyncio.gather(*waiting, return_exceptions=True)
        assert done[0] is True and done[2] is True
        assert isinstance(done[1], asyncio.CancelledError)
        assert await gate.wait()
        gate.clear()
        again = asyncio.ensure_future(gate.wait())
        await asyncio.sleep(0)
        assert not again.done()
        gate.set()
        assert await again

    run(work())


def test_a_line_is_a_deque() -> None:
    line, usual = Line(), deque[int]()
    for each in (line, usual):
        each.appendleft(1)
        each.appendleft(2)
        each.append(3)
        assert each.pop() == 3 and len(each) == 2 and list(each) == [2, 1]
        each.clear()
        assert not each
