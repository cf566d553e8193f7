"""Gateways that run batches, for tests: quick looks, a client of OpenAI's for every tenant."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from openai import AsyncOpenAI

from eke.gateway.batches.runner import Runner
from tests.gateways import CHAT, Fake, House, chat, serving

ENDED = ("completed", "failed", "expired", "cancelled")
QUICK = 0.02  # between looks [s]


class Bench(NamedTuple):
    """A gateway that runs batches, and its clients. house: of one in this process."""

    url: str
    clients: dict[str, AsyncOpenAI]
    house: House = None  # type: ignore[assignment]

    def client(self, key: str = "alice") -> AsyncOpenAI:
        """The client of a tenant."""
        if key not in self.clients:
            self.clients[key] = AsyncOpenAI(base_url=self.url, api_key=key, max_retries=0)
        return self.clients[key]

    async def close(self) -> None:
        """Close its clients."""
        for client in self.clients.values():
            await client.close()

    async def batch(self, lines: Iterable[Any], key: str = "alice", **fields: Any) -> Any:
        """A batch of some lines, as it is when it was just made."""
        client = self.client(key)
        file = await client.files.create(file=("in.jsonl", jsonl(lines)), purpose="batch")
        asked = {"endpoint": CHAT, "completion_window": "24h", **fields}
        return await client.batches.create(input_file_id=file.id, **asked)

    async def came_to(self, batch: Any, *statuses: str, key: str = "alice") -> Any:
        """The batch when it has come to one of some statuses, or to its end."""
        client = self.client(key)
        while batch.status not in (*ENDED, *statuses):
            await asyncio.sleep(0.005)
            batch = await client.batches.retrieve(batch.id)
        return batch

    async def lines_of(self, file: str | None, key: str = "alice") -> list[Any]:
        """The lines of a file; none where there is none."""
        if file is None:
            return []
        text = (await self.client(key).files.content(file)).text
        return [json.loads(line) for line in text.splitlines()]


def line(name: str, text: str = "hello", **fields: Any) -> dict[str, Any]:
    """A line of a batch. fields: that are not as usual; of the body with `body_` before."""
    body = {name[5:]: value for name, value in fields.items() if name.startswith("body_")}
    rest = {name: value for name, value in fields.items() if not name.startswith("body_")}
    return {"custom_id": name, "method": "POST", "url": CHAT, "body": chat(text, **body), **rest}


def jsonl(lines: Iterable[Any]) -> bytes:
    """Lines as a file has them; bytes as they are."""
    return b"".join(
        (each if isinstance(each, bytes) else json.dumps(each).encode()) + b"\n" for each in lines
    )


@asynccontextmanager
async def batching(*fakes: Fake, **settings: Any) -> AsyncIterator[Bench]:
    """A gateway that runs batches before some engines. settings: as `serving` takes them."""
    settings = {"policy": "classes+queue", **settings}
    Runner.look, before = QUICK, Runner.look
    try:
        async with serving(*fakes, **settings) as house:
            bench = Bench(house.url, {}, house)
            try:
                yield bench
            finally:
                await bench.close()
    finally:
        Runner.look = before
