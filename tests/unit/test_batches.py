"""Batches: checked, run, cancelled, expired, charged at half the price, each line exactly once."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from openai import BadRequestError, NotFoundError
from tests.batching import batching, line
from tests.gateways import Fake, Got, Line, http, run, talk, until

from eke.gateway.settings import Limit, ModelSettings, Price, Tenant
from eke.gateway.tenants import hashed

EMBED = "/v1/embeddings"


def test_a_batch_is_answered_line_by_line(tmp_path: Path) -> None:
    async def check() -> None:
        fake = Fake(talk(tokens=3, prompt=7, cached=2))
        async with batching(fake, state=str(tmp_path / "s.db"), facts={"slots": 4}) as bench:
            made = await bench.batch([line(f"n{i}") for i in range(20)], metadata={"a": "b"})
            assert made.status == "validating" and made.metadata == {"a": "b"}
            assert made.expires_at == made.created_at + 86400 and made.request_counts.total == 0
            done = await bench.came_to(made)
            assert done.status == "completed" and done.model == "m" and done.errors is None
            assert dict(done.request_counts) == {"total": 20, "completed": 20, "failed": 0}
            assert (done.usage.input_tokens, done.usage.output_tokens) == (140, 60)
            assert done.usage.input_tokens_details.cached_tokens == 40
            stamps = (done.created_at, done.in_progress_at, done.finalizing_at, done.completed_at)
            assert all(a <= b for a, b in pairwise(stamps))
            assert done.error_file_id is None and done.failed_at is None
            lines = await bench.lines_of(done.output_file_id)
            assert [each["custom_id"] for each in lines] == [f"n{i}" for i in range(20)]
            assert len({each["id"] for each in lines}) == 20
            for each in lines:
                assert each["id"].startswith("batch_req_") and each["error"] is None
                answer = each["response"]
                assert answer["status_code"] == 200 and answer["request_id"].startswith("req_")
                assert answer["body"]["choices"][0]["message"]["content"] == " word word word"
            file = await bench.client().files.retrieve(done.output_file_id)
            assert (file.purpose, file.filename) == ("batch_output", f"{done.id}_output.jsonl")
            assert [each.id async for each in bench.client().batches.list()] == [done.id]
            rows = [row for row in bench.house.rows if row.kind == "batch"]
            assert len(rows) == 20 and {(row.tier, row.priority) for row in rows} == {("batch", 2)}
            assert all(row.outcome == "finished" and row.tenant == "alice" for row in rows)

    run(check())


def test_embeddings_can_be_asked_too(tmp_path: Path) -> None:
    async def check() -> None:
        async with batching(Fake(), state=str(tmp_path / "s.db")) as bench:
            body = {"model": "m", "input": "x"}
            made = await bench.batch([line("a", url=EMBED, body=body)], endpoint=EMBED)
            done = await bench.came_to(made)
            (found,) = await bench.lines_of(done.output_file_id)
            assert found["response"]["body"]["data"][0]["embedding"] == [0.5, 0.25]

    run(check())


def test_responses_can_be_asked_too_and_are_not_stored(tmp_path: Path) -> None:
    url = "/v1/responses"

    def asks(name: str, **fields: Any) -> dict[str, Any]:
        return line(name, url=url, body={"model": "m", "input": "hello", **fields})

    async def check() -> None:
        fake = Fake(talk(tokens=3, prompt=7))
        async with batching(fake, state=str(tmp_path / "s.db"), facts={"slots": 1}) as bench:
            client = bench.client()
            before = await client.responses.create(model="m", input="I am Ann.")
            lines = [
                asks("a"),
                asks("b", previous_response_id=before.id),
                asks("c", background=True),
                asks("d", previous_response_id="resp_none"),
            ]
            done = await bench.came_to(await bench.batch(lines, endpoint=url))
            assert dict(done.request_counts) == {"total": 4, "completed": 2, "failed": 2}
            assert done.usage.total_tokens == 20
            found = await bench.lines_of(done.output_file_id)
            bodies = [each["response"]["body"] for each in found]
            assert [each["custom_id"] for each in found] == ["a", "b"]
            for body in bodies:
                assert body["object"] == "response" and body["status"] == "completed"
                assert body["service_tier"] == "batch" and body["store"] is False
                assert body["output"][0]["content"][0]["text"] == " word word word"
                with pytest.raises(NotFoundError):
                    await client.responses.retrieve(body["id"])
            assert any(b"I am Ann." in got.body for got in fake.got[1:])
            errors = await bench.lines_of(done.error_file_id)
            statuses = {each["custom_id"]: each["response"]["status_code"] for each in errors}
            assert statuses["c"] == 400 and statuses["d"] in (400, 404)
            numbers = {each["response"]["request_id"] for each in (*found, *errors)}
            assert len(numbers) == 4  # also of those that no engine was asked for
            rows = [row for row in bench.house.rows if row.kind == "batch"]
            assert sum(row.outcome == "finished" for row in rows) == 2
            assert bench.house.gateway.held == 0

    run(check())


def test_a_line_is_charged_half_the_price_and_only_if_it_is_answered(tmp_path: Path) -> None:
    price = Price(prompt=1e-3, cached=5e-4, answer=2e-3)
    model = ModelSettings(name="m", price=price)
    tenant = Tenant(name="t", keys=(hashed("t"),), limits=(Limit(what="USD", amount=100.0),))

    async def script(got: Got, to: Line) -> None:
        if b"bad" in got.body:
            await to.send(http(400, {"error": {"message": "no", "type": "x"}}))
        else:
            await talk(tokens=4, prompt=10, cached=6)(got, to)

    async def check() -> None:
        settings: dict[str, Any] = {"models": (model,), "tenants": (tenant,), "open": True}
        async with batching(Fake(script), state=str(tmp_path / "s.db"), **settings) as bench:
            made = await bench.batch([line("a"), line("b", "bad"), line("c")], key="t")
            done = await bench.came_to(made, key="t")
            assert dict(done.request_counts) == {"total": 3, "completed": 2, "failed": 1}
            (bad,) = await bench.lines_of(done.error_file_id, key="t")
            assert bad["custom_id"] == "b" and bad["response"]["status_code"] == 400
            assert bad["response"]["body"]["error"]["message"] == "no"
            whole = 4 * 1e-3 + 6 * 5e-4 + 4 * 2e-3
            charged = sorted(row.charged for row in bench.house.rows)
            assert charged == pytest.approx([0.0, whole / 2, whole / 2])
            gateway = bench.house.gateway
            window = next(iter(gateway.ledger._windows.values()))
            assert window.used == pytest.approx(whole) and window.flying == 0

    run(check())


@pytest.mark.parametrize(
    ("lines", "code", "number"),
    [
        ([line("a"), line("b", url=EMBED)], "invalid_url", 2),
        ([line("a"), line("b", body_model="other")], "mismatched_model", 2),
        ([line("a", body_model="nobody")], "model_not_found", 1),
    ],
)
def test_lines_that_do_not_belong_together_fail_the_batch(
    lines: list[Any], code: str, number: int, tmp_path: Path
) -> None:
    async def check() -> None:
        async with batching(Fake(), state=str(tmp_path / "s.db")) as bench:
            done = await bench.came_to(await bench.batch(lines))
            assert done.status == "failed" and done.failed_at >= done.created_at
            assert done.errors.object == "list"
            (mistake,) = done.errors.data
            assert (mistake.code, mistake.line) == (code, number) and mistake.message
            assert done.output_file_id is None and done.request_counts.total == 0
            assert bench.house.rows == []

    run(check())


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"endpoint": "/v1/images/generations"}, "endpoint"),
        ({"completion_window": "soon"}, "completion_window"),
        ({"completion_window": "99d"}, "completion_window"),
        ({"metadata": {"k" * 65: "v"}}, "metadata"),
        ({"output_expires_after": {"anchor": "created_at", "seconds": 1}}, "output_expires_after"),
    ],
)
def test_batches_that_make_no_sense_are_refused(
    fields: dict[str, Any], words: str, tmp_path: Path
) -> None:
    async def check() -> None:
        async with batching(Fake(), state=str(tmp_path / "s.db")) as bench:
            with pytest.raises(BadRequestError, match=words):
                await bench.batch([line("a")], **fields)
            client = bench.client()
            other = await client.files.create(file=("x", b"x"), purpose="evals")
            wanted: Any = {"endpoint": "/v1/chat/completions", "completion_window": "24h"}
            with pytest.raises(BadRequestError, match="'evals'"):
                await client.batches.create(input_file_id=other.id, **wanted)
            with pytest.raises(NotFoundError) as missing:
                await client.batches.create(input_file_id="file-none", **wanted)
            assert missing.value.param == "input_file_id"

    run(check())


def test_batches_of_others_are_not_found(tmp_path: Path) -> None:
    async def check() -> None:
        async with batching(Fake(), state=str(tmp_path / "s.db")) as bench:
            done = await bench.came_to(await bench.batch([line("a")]))
            other = bench.client("bob")
            for asked in (other.batches.retrieve, other.batches.cancel):
                with pytest.raises(NotFoundError, match="No batch found"):
                    await asked(done.id)
            with pytest.raises(NotFoundError):
                await other.files.content(done.output_file_id)
            assert (await other.batches.list()).data == []

    run(check())


def test_a_batch_is_cancelled_before_it_is_checked(tmp_path: Path) -> None:
    async def check() -> None:
        fake = Fake(models=())  # so that nobody knows what it serves
        async with batching(fake, state=str(tmp_path / "s.db"), ready=False) as bench:
            made = await bench.batch([line("a")])
            assert made.status == "validating"
            cancelled = await bench.client().batches.cancel(made.id)
            assert cancelled.status == "cancelling" and cancelled.cancelling_at
            done = await bench.came_to(cancelled)
            assert done.status == "cancelled" and done.cancelled_at >= done.cancelling_at
            assert done.output_file_id is None and done.error_file_id is None
            assert bench.house.rows == []

    run(check())


def test_a_batch_that_runs_is_cancelled_and_its_requests_with_it(tmp_path: Path) -> None:
    gate = asyncio.Event()

    async def script(got: Got, to: Line) -> None:
        await talk(gate=gate if b"slow" in got.body else None)(got, to)

    async def check() -> None:
        fake = Fake(script)
        async with batching(fake, state=str(tmp_path / "s.db"), facts={"slots": 2}) as bench:
            lines = [line("quick"), *[line(f"{i}", "slow") for i in range(9)]]
            made = await bench.batch(lines)
            await until(lambda: fake.running == 2 and len(fake.got) == 3)
            client = bench.client()
            cancelled = await client.batches.cancel(made.id)
            assert dict(cancelled.request_counts) == {"total": 10, "completed": 1, "failed": 0}
            again = await client.batches.cancel(made.id)
            assert again.status in ("cancelling", "cancelled")
            done = await bench.came_to(cancelled)
            assert done.status == "cancelled" and fake.left == 2 and len(fake.got) == 3
            assert [x["custom_id"] for x in await bench.lines_of(done.output_file_id)] == ["quick"]
            errors = await bench.lines_of(done.error_file_id)
            assert [each["error"]["code"] for each in errors] == ["batch_cancelled"] * 9
            assert all(each["response"] is None for each in errors)
            assert (await client.batches.cancel(made.id)).status == "cancelled"
            desk = bench.house.gateway.desks["m"]
            assert not desk.calls and desk.waiting == 0
            assert all(engine.running == 0 for engine in bench.house.gateway.engines.values())

    run(check())


def test_a_batch_that_is_over_is_not_cancelled(tmp_path: Path) -> None:
    async def check() -> None:
        async with batching(Fake(), state=str(tmp_path / "s.db")) as bench:
            done = await bench.came_to(await bench.batch([line("a")]))
            with pytest.raises(BadRequestError, match="'completed'"):
                await bench.client().batches.cancel(done.id)

    run(check())


def test_what_is_not_answered_when_the_window_ends_is_told(tmp_path: Path) -> None:
    gate = asyncio.Event()

    async def script(got: Got, to: Line) -> None:
        await talk(gate=gate if b"slow" in got.body else None)(got, to)

    async def check() -> None:
        fake = Fake(script)
        async with batching(fake, state=str(tmp_path / "s.db"), facts={"slots": 2}) as bench:
            lines = [line("a"), line("b", "slow"), line("c", "slow"), line("d", "slow")]
            done = await bench.came_to(await bench.batch(lines, completion_window="1s"))
            assert done.status == "expired" and done.expired_at >= done.expires_at
            assert dict(done.request_counts) == {"total": 4, "completed": 1, "failed": 0}
            assert [x["custom_id"] for x in await bench.lines_of(done.output_file_id)] == ["a"]
            errors = await bench.lines_of(done.error_file_id)
            assert {each["custom_id"] for each in errors} == {"b", "c", "d"}
            assert {each["error"]["code"] for each in errors} == {"batch_expired"}
            assert fake.left == 2
            stopped = [row for row in bench.house.rows if row.outcome != "finished"]
            assert len(stopped) == 2 and all(row.charged == 0.0 for row in stopped)

    run(check())


def test_engines_that_are_busy_or_fail_are_asked_again(tmp_path: Path) -> None:
    count: dict[bytes, int] = {}

    async def script(got: Got, to: Line) -> None:
        text = got.json()["messages"][0]["content"]
        count[text] = count.get(text, 0) + 1
        if text == "busy" and count[text] <= 4:
            await to.send(http(429, {"error": {"message": "full"}}))
        elif text == "breaks" and count[text] <= 4:
            to.cut()
        else:
            await talk()(got, to)

    async def check() -> None:
        async with batching(Fake(script), state=str(tmp_path / "s.db")) as bench:
            made = await bench.batch([line("a", "busy"), line("b", "breaks"), line("c", "fine")])
            done = await bench.came_to(made)
            assert done.status == "completed" and done.request_counts.completed == 3
            assert len([row for row in bench.house.rows if row.outcome == "finished"]) == 3

    run(check())


def test_an_error_that_stays_ends_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eke.gateway.batches.asking.SHORT", 0.01)
    monkeypatch.setattr("eke.gateway.batches.active.PAUSES", (0.01, 0.02))
    monkeypatch.setattr("eke.gateway.engines.breaker.FIRST", 0.01)
    monkeypatch.setattr("eke.gateway.engines.breaker.LONGEST", 0.01)
    monkeypatch.setattr("eke.gateway.looking.OFTEN", 0.01)

    async def script(got: Got, to: Line) -> None:
        await to.send(http(500, {"error": {"message": "boom"}}))

    async def check() -> None:
        async with batching(Fake(script), state=str(tmp_path / "s.db")) as bench:
            done = await bench.came_to(await bench.batch([line("a")]))
            assert done.status == "completed" and done.request_counts.failed == 1
            (found,) = await bench.lines_of(done.error_file_id)
            assert found["response"]["status_code"] == 500
            assert found["response"]["body"]["error"]["message"] == "boom"
            assert all(row.charged == 0.0 for row in bench.house.rows)

    run(check())


def test_a_line_that_can_never_be_answered_is_an_error_of_its_own(tmp_path: Path) -> None:
    async def check() -> None:
        async with batching(Fake(), state=str(tmp_path / "s.db")) as bench:
            lines = [line("a"), line("b", body={"model": "m"}), line("c", body_max_tokens=0)]
            done = await bench.came_to(await bench.batch(lines))
            assert done.request_counts.completed == 1 and done.request_counts.failed == 2
            errors = await bench.lines_of(done.error_file_id)
            assert [each["response"]["status_code"] for each in errors] == [400, 400]

    run(check())


def test_deleting_the_input_does_not_stop_a_batch_that_runs(tmp_path: Path) -> None:
    gate = asyncio.Event()

    async def check() -> None:
        fake = Fake(talk(gate=gate))
        async with batching(fake, state=str(tmp_path / "s.db"), facts={"slots": 1}) as bench:
            made = await bench.batch([line("a"), line("b")])
            await until(lambda: fake.running == 1)
            await bench.client().files.delete(made.input_file_id)
            gate.set()
            done = await bench.came_to(made)
            assert done.status == "completed" and done.request_counts.completed == 2

    run(check())


def test_lines_are_not_kept_when_the_files_are_there(tmp_path: Path) -> None:
    async def check() -> None:
        async with batching(Fake(), state=str(tmp_path / "s.db")) as bench:
            done = await bench.came_to(await bench.batch([line("a"), line("b")]))
            state = bench.house.gateway.state
            assert state is not None

            def left(transaction: Any) -> Any:
                sql = "SELECT count(*) FROM works WHERE parent = ?"
                return transaction.one(sql, done.id)[0]

            while await state.read(left):
                await asyncio.sleep(0.005)

    run(check())
