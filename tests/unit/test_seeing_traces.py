"""Traces: whose they are, what a span tells, and that nobody pays who wants none."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import Any

import pytest
from tests.gateways import CHAT, Fake, ask, chat, run, serving

from eke.errors import BadInput
from eke.gateway.row import Row
from eke.gateway.seeing.trace_context import context_of
from eke.gateway.seeing.traces import Traces, attributes, begin_traces

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
HEADER = f"00-{TRACE}-{PARENT}-01".encode()
PLAIN = Row(**dict.fromkeys(Row._fields, 0))._replace(
    number=7, arrived_at=1.79e9, arrived=5.0, started=5.25, first=5.5, finished=6.0, prompt=10,
    asked=100, tokens=20, cached=4, tenant="ann", kind="chat", model="m", tier="flex", engine="e",
    outcome="finished", reason="", session=None, cost=0.001, energy=3.0, seconds=0.5,
)  # fmt: skip
REFUSED = PLAIN._replace(
    started=None, first=None, engine="", outcome="refused", reason="not admitted: model_not_found"
)


def test_a_clients_trace_goes_on_to_the_engine() -> None:
    context = context_of(HEADER, b"vendor=1")
    assert context.trace == int(TRACE, 16) and context.parent == int(PARENT, 16)
    head, state, end = context.lines().split(b"\r\n")
    assert head == f"traceparent: 00-{TRACE}-{context.engine:016x}-01".encode()
    assert (state, end) == (b"tracestate: vendor=1", b"")
    assert len({context.parent, context.own, context.engine}) == 3


def test_who_is_not_recorded_is_not_recorded_here_either() -> None:
    assert not context_of(HEADER[:-2] + b"00").sampled
    assert context_of(HEADER[:-2] + b"00").lines().endswith(b"-00\r\n")


@pytest.mark.parametrize(
    "header",
    [
        b"", b"nonsense", HEADER[:-1], HEADER + b"-more", HEADER.upper(), b"ff" + HEADER[2:],
        f"00-{'0' * 32}-{PARENT}-01".encode(), f"00-{TRACE}-{'0' * 16}-01".encode(),
    ],
)  # fmt: skip
def test_a_header_that_makes_no_sense_begins_a_trace_anew(header: bytes) -> None:
    context = context_of(header, b"vendor=1")
    assert context.parent == 0 and context.trace != int(TRACE, 16)
    assert b"tracestate" not in context.lines()


def test_later_versions_may_say_more() -> None:
    assert context_of(b"01" + HEADER[2:] + b"-more").trace == int(TRACE, 16)


def test_a_state_that_is_no_header_is_left_out() -> None:
    assert b"tracestate" not in context_of(HEADER, b"a=\xff").lines()
    assert b"tracestate" not in context_of(HEADER, b"a=" + b"b" * 600).lines()


def test_nothing_of_opentelemetry_is_imported_by_who_wants_no_traces() -> None:
    program = (
        "import sys; from eke.gateway.api import queue, status; "
        "print([name for name in sys.modules if name.startswith(('opentelemetry', 'numpy'))])"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert told.stdout.strip() == "[]", told.stderr


def test_who_has_no_opentelemetry_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace.export", None)
    with pytest.raises(BadInput, match=r"pip install 'eke\[traces\]'"):
        begin_traces("http://127.0.0.1:9/v1/traces")


def test_attributes_are_those_of_the_conventions() -> None:
    told = attributes(PLAIN)
    assert told["gen_ai.operation.name"] == "chat" and told["gen_ai.request.model"] == "m"
    assert told["gen_ai.provider.name"] == told["gen_ai.system"] == "eke"
    assert told["gen_ai.usage.input_tokens"] == 10 and told["gen_ai.usage.output_tokens"] == 20
    assert told["gen_ai.usage.cache_read.input_tokens"] == 4
    assert told["gen_ai.request.max_tokens"] == 100
    assert told["gen_ai.request.stream"] is True
    assert told["gen_ai.response.time_to_first_chunk"] == 0.5
    assert "error.type" not in told
    assert attributes(PLAIN._replace(kind="embedding"))["gen_ai.operation.name"] == "embeddings"
    endless = attributes(PLAIN._replace(asked=1 << 30))
    assert "gen_ai.request.max_tokens" not in endless


def test_what_was_not_computed_is_not_told_as_used() -> None:
    told = attributes(REFUSED)
    assert told["error.type"] == "refused"
    assert not any(name.startswith("gen_ai.usage") for name in told)


class Spans:
    """Traces with an exporter that remembers."""

    def __init__(self) -> None:
        memory = pytest.importorskip("opentelemetry.sdk.trace.export.in_memory_span_exporter")
        export = pytest.importorskip("opentelemetry.sdk.trace.export")
        self.memory = memory.InMemorySpanExporter()
        self.traces = Traces(export.SimpleSpanProcessor(self.memory))

    def of(self, *rows: Row) -> list[Any]:
        for row in rows:
            self.traces.over(row)
        asyncio.run(self.traces.write())
        return list(self.memory.get_finished_spans())


def test_a_request_is_a_span_with_its_wait_and_its_engine() -> None:
    spans = Spans()
    lines = spans.traces.carry(PLAIN.number, HEADER)
    whole, queue, engine = spans.of(PLAIN)
    assert [each.name for each in (whole, queue, engine)] == ["chat m", "queue", "chat m"]
    assert [each.kind.name for each in (whole, queue, engine)] == ["SERVER", "INTERNAL", "CLIENT"]
    assert {each.context.trace_id for each in (whole, queue, engine)} == {int(TRACE, 16)}
    assert whole.parent.span_id == int(PARENT, 16) and whole.parent.is_remote
    assert queue.parent.span_id == engine.parent.span_id == whole.context.span_id
    assert f"-{engine.context.span_id:016x}-01".encode() in lines
    begin = 1_790_000_000 * 10**9
    times = [(each.start_time - begin, each.end_time - begin) for each in (whole, queue, engine)]
    assert times == [(0, 10**9), (0, 250_000_000), (250_000_000, 10**9)]
    assert engine.attributes["eke.engine"] == "e" and whole.attributes["eke.tenant"] == "ann"
    assert whole.status.is_unset and whole.resource.attributes["service.name"] == "eke"


def test_who_never_started_has_no_engine_and_an_error() -> None:
    whole, queue = Spans().of(REFUSED)
    assert whole.parent is None and queue.end_time == whole.end_time
    assert not whole.status.is_ok
    assert whole.status.description == "not admitted: model_not_found"


def test_who_wants_no_trace_has_none() -> None:
    spans = Spans()
    spans.traces.carry(PLAIN.number, HEADER[:-2] + b"00")
    assert spans.of(PLAIN) == []  # its client does not


def test_what_is_left_is_sent_at_the_end() -> None:
    spans = Spans()
    for _ in range(100):
        spans.traces.over(PLAIN)
    spans.traces.close()
    assert len(spans.memory.get_finished_spans()) == 300


def test_an_engine_is_told_whose_trace_it_works_in() -> None:
    spans = Spans()

    async def whole() -> str:
        fake = Fake()
        async with serving(fake) as house:
            house.gateway.traces = spans.traces
            house.gateway.write = spans.traces.over
            await ask(house, CHAT, chat(), "ann", f"traceparent: {HEADER.decode()}")
        return fake.got[0].headers["traceparent"]

    told = run(whole())
    asyncio.run(spans.traces.write())
    whole_span, _, engine = spans.memory.get_finished_spans()
    assert told == f"00-{TRACE}-{engine.context.span_id:016x}-01"
    assert whole_span.parent.span_id == int(PARENT, 16)
    assert engine.attributes["gen_ai.usage.output_tokens"] == 3
