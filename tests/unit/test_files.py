"""Files: uploaded as they stream in, listed, read and deleted, each tenant's own."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from openai import APIStatusError, BadRequestError, NotFoundError
from tests.batching import batching, jsonl, line
from tests.gateways import Fake, ask, asks, reply_of, run, told

from eke.gateway.settings import Tenant
from eke.gateway.state.blobs import Blob
from eke.gateway.state.state import State
from eke.gateway.tenants import hashed


def form(*parts: tuple[str, bytes], boundary: str = "xyz") -> tuple[bytes, str]:
    """A form as bytes, and its header. parts: headers and value; a file's name in the headers."""
    body = b"".join(
        f"--{boundary}\r\nContent-Disposition: form-data; {head}\r\n\r\n".encode() + value + b"\r\n"
        for head, value in parts
    )
    kind = f"content-type: multipart/form-data; boundary={boundary}"
    return body + f"--{boundary}--\r\n".encode(), kind


def test_a_file_comes_back_as_it_was_sent_and_is_gone_when_deleted(tmp_path: Path) -> None:
    async def check() -> None:
        async with batching(Fake(), state=str(tmp_path / "s.db")) as bench:
            client, data = bench.client(), bytes(range(256)) * 5000
            made = await client.files.create(file=("añ o.bin", data), purpose="user_data")
            assert (made.bytes, made.filename, made.purpose) == (len(data), "añ o.bin", "user_data")
            assert made.status == "processed" and made.expires_at == made.created_at + 30 * 86400
            assert await client.files.retrieve(made.id) == made
            assert (await client.files.content(made.id)).content == data
            with pytest.raises(NotFoundError, match="No such File object"):
                await bench.client("bob").files.retrieve(made.id)
            with pytest.raises(NotFoundError):
                await bench.client("bob").files.delete(made.id)
            assert (await client.files.delete(made.id)).deleted
            for reading in (client.files.retrieve, client.files.content, client.files.delete):
                with pytest.raises(NotFoundError):
                    await reading(made.id)

    run(check())


def test_files_are_listed_by_purpose_page_by_page(tmp_path: Path) -> None:
    async def check() -> None:
        async with batching(Fake(), state=str(tmp_path / "s.db")) as bench:
            client = bench.client()
            names = []
            for number in range(5):
                purpose: Any = "vision" if number == 2 else "evals"
                made = await client.files.create(file=(f"{number}", b"x"), purpose=purpose)
                names.append(made.id)
            found = [each.id async for each in client.files.list(limit=2)]
            assert found == names[::-1]
            assert [each.id async for each in client.files.list(order="asc")] == names
            only = await client.files.list(purpose="vision")
            assert [each.id for each in only.data] == [names[2]]
            assert (await bench.client("bob").files.list()).data == []
            with pytest.raises(BadRequestError, match="after"):
                await client.files.list(after="file-nowhere")

    run(check())


def test_expiry_is_the_shorter_of_what_is_asked_and_what_the_tenant_may_keep(
    tmp_path: Path,
) -> None:
    short = Tenant(name="short", keys=(hashed("short"),), retention=5000.0)

    async def check() -> None:
        settings: dict[str, Any] = {"tenants": (short,), "open": True}
        async with batching(Fake(), state=str(tmp_path / "s.db"), **settings) as bench:
            for key, seconds, kept in (("alice", 3600, 3600), ("short", 7200, 5000)):
                made = await bench.client(key).files.create(
                    file=("x", b"x"),
                    purpose="evals",
                    expires_after={"anchor": "created_at", "seconds": seconds},
                )
                assert made.expires_at is not None
                assert abs(made.expires_at - made.created_at - kept) <= 1
            with pytest.raises(BadRequestError, match="3600 to 2592000"):
                await bench.client().files.create(
                    file=("x", b"x"),
                    purpose="evals",
                    expires_after={"anchor": "created_at", "seconds": 60},
                )

    run(check())


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([b"{"], "line 1: This line is not parseable"),
        ([line("a"), b"[]"], "line 2: This line is not parseable"),
        ([line("a"), line("b"), line("a")], "line 3: The custom_id .* duplicate of line 1"),
        ([line("a", method="GET")], "line 1: Invalid method 'GET'"),
        ([line("a", url="/v1/images")], "line 1: Invalid url"),
        ([line("a", body_stream=True)], "line 1: .*not streamed"),
        ([{"custom_id": "a", "method": "POST"}], "line 1: .*url"),
        ([line("a", body={"messages": []})], "line 1: .*model"),
        ([line("")], "line 1: 'custom_id' has 0"),
        ([], "no lines"),
    ],
)
def test_lines_of_a_batch_are_checked_as_they_arrive(
    lines: list[Any], words: str, tmp_path: Path
) -> None:
    async def check() -> None:
        async with batching(Fake(), state=str(tmp_path / "s.db")) as bench:
            with pytest.raises(BadRequestError, match=words):
                await bench.client().files.create(file=("x", jsonl(lines)), purpose="batch")
            assert (await bench.client().files.list()).data == []

    run(check())


def test_examples_to_learn_from_are_checked_as_they_arrive(tmp_path: Path) -> None:
    said = [{"role": "user", "content": "hi"}]
    good = [
        {"messages": said},
        {"prompt": "a", "completion": "b"},
        {"input": {"messages": said}, "preferred_output": said, "non_preferred_output": said},
    ]

    async def check() -> None:
        async with batching(Fake(), state=str(tmp_path / "s.db")) as bench:
            client = bench.client()
            await client.files.create(file=("x", jsonl(good)), purpose="fine-tune")
            for bad, words in (({"prompt": "a"}, "line 4"), ({"messages": []}, "'messages'")):
                with pytest.raises(BadRequestError, match=words):
                    await client.files.create(file=("x", jsonl([*good, bad])), purpose="fine-tune")

    run(check())


def test_a_purpose_behind_the_file_is_checked_too(tmp_path: Path) -> None:
    async def check() -> None:
        async with batching(Fake(), state=str(tmp_path / "s.db")) as bench:
            for data, status in ((jsonl([line("a")]), 200), (b"{}\n", 400)):
                body, kind = form(('name="file"; filename="x"', data), ('name="purpose"', b"batch"))
                got = await ask(bench.house, "/v1/files", body, "alice", kind)
                assert got.status == status, got.body

    run(check())


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ([('name="purpose"', b"assistants"), ('name="file"; filename="x"', b"x")], "Assistants"),
        ([('name="purpose"', b"fun"), ('name="file"; filename="x"', b"x")], "Invalid 'purpose'"),
        ([('name="purpose"', b"evals")], "'file'"),
        ([('name="file"; filename="x"', b"x")], "'purpose'"),
        ([('name="purpose"', b"evals"), ('name="other"; filename="x"', b"x")], "'other'"),
        ([('name="purpose"', b"e" * 5000)], "too long"),
        (
            [('name="purpose"', b"evals"), *[('name="file"; filename="x"', b"x")] * 2],
            "Several parts",
        ),
    ],
)
def test_forms_that_make_no_sense_are_refused(
    parts: list[tuple[str, bytes]], words: str, tmp_path: Path
) -> None:
    async def check() -> None:
        async with batching(Fake(), state=str(tmp_path / "s.db")) as bench:
            body, kind = form(*parts)
            got = await ask(bench.house, "/v1/files", body, "alice", kind)
            assert got.status == 400 and words in got.json()["error"]["message"]

    run(check())


def test_a_form_that_ends_early_leaves_nothing_behind(tmp_path: Path) -> None:
    async def check() -> None:
        async with batching(Fake(), state=str(tmp_path / "s.db")) as bench:
            body, kind = form(('name="purpose"', b"evals"), ('name="file"; filename="x"', b"x" * 9))
            got = await ask(bench.house, "/v1/files", body[:-20], "alice", kind)
            assert got.status == 400 and "last boundary" in got.json()["error"]["message"]
            cut = asks("/v1/files", body, "alice", kind)[:-30]
            _, writer = await asyncio.open_connection(*bench.house.address)
            writer.write(cut)
            await writer.drain()
            writer.close()
            assert (await bench.client().files.list()).data == []

    run(check())


def test_a_file_that_is_too_large_is_refused_while_its_client_still_sends(tmp_path: Path) -> None:
    settings = {"longest_file": 100_000, "longest_batch": 50_000}

    async def check() -> None:
        async with batching(Fake(), state=str(tmp_path / "s.db"), **settings) as bench:
            client = bench.client()
            await client.files.create(file=("x", b"x" * 100_000), purpose="evals")
            for size, purpose in ((100_001, "evals"), (50_001, "batch")):
                with pytest.raises(APIStatusError) as caught:
                    await client.files.create(file=("x", b"x" * size), purpose=purpose)  # type: ignore[arg-type]
                assert caught.value.status_code == 413

    run(check())


def test_a_large_file_never_lies_in_memory_as_a_whole(tmp_path: Path) -> None:
    many = jsonl([line("same", "x" * 4000)]) * 4000  # 17 MB
    body, kind = form(('name="purpose"', b"user_data"), ('name="file"; filename="x"', many))
    data = asks("/v1/files", body, "alice", kind)

    async def check() -> None:
        async with batching(Fake(), state=str(tmp_path / "s.db")) as bench:
            tracemalloc.start()
            got = reply_of(await told(bench.house.address, data))
            assert got.status == 200 and got.json()["bytes"] == len(many)
            content = await bench.client().files.content(got.json()["id"])
            assert content.content == many
            _, most = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            assert most < 2.5 * len(many)  # the client's own copy, and what the test sends

    run(check())


def test_who_reads_a_file_that_is_deleted_meanwhile_is_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pieces = State.pieces

    async def check() -> None:
        async with batching(Fake(), state=str(tmp_path / "s.db")) as bench:
            files = bench.client().files
            made = await files.create(file=("x", b"x" * 600_000), purpose="user_data")

            async def disturbed(self: State, blob: Blob) -> AsyncIterator[bytes]:
                async for piece in pieces(self, blob):
                    yield piece
                    await files.delete(made.id)

            monkeypatch.setattr(State, "pieces", disturbed)
            got = await ask(bench.house, f"/v1/files/{made.id}/content", None, "alice")
            assert got.status == 200 and got.cut and set(got.body) <= {ord("x")}
            assert (await files.list()).data == []

    run(check())


def test_where_nothing_is_kept_that_is_said(tmp_path: Path) -> None:
    private = Tenant(name="private", keys=(hashed("private"),), store=False)

    async def check() -> None:
        async with batching(Fake()) as bench:
            for path in ("/v1/files", "/v1/batches"):
                got = await ask(bench.house, path)
                assert got.status == 501 and "state" in got.json()["error"]["message"]
                assert got.headers["x-should-retry"] == "false"
        async with batching(Fake(), state=str(tmp_path / "s.db"), tenants=(private,)) as bench:
            with pytest.raises(APIStatusError) as caught:
                await bench.client("private").files.create(file=("x", b"x"), purpose="evals")
            assert caught.value.status_code == 403

    run(check())
