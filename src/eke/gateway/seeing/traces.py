"""OpenTelemetry traces of requests, where its SDK is installed and somebody collects them.

A request is a span with two children, its wait in the queue and its time on the engine. They are
made when it is over, between beats. Attributes follow the semantic conventions for generative AI;
nothing that was sent or answered is in them.
"""

from __future__ import annotations

from asyncio import sleep
from collections import deque
from importlib import import_module
from typing import Any, NamedTuple

from eke.errors import BadInput
from eke.gateway.row import FINISHED, Row
from eke.gateway.seeing.labels import reason_of
from eke.gateway.seeing.meters import counted, streamed
from eke.gateway.seeing.trace_context import Context, context_of

OPERATIONS = {"completion": "text_completion", "embedding": "embeddings"}
SLICE = 32  # requests whose spans are made before others have their turn
MOST = 20_000  # requests that wait for it; what comes then is not traced
ENDLESS = 1 << 30  # an answer's length that nobody asked for


class Traces:
    """Traces requests.

    processor: of OpenTelemetry, where spans go.
    """

    def __init__(self, processor: Any) -> None:
        self._sdk = import_module("opentelemetry.sdk.trace")
        self._api = import_module("opentelemetry.trace")
        resource = import_module("opentelemetry.sdk.resources").Resource
        scope = import_module("opentelemetry.sdk.util.instrumentation").InstrumentationScope
        self.processor = processor
        self._fixed = {
            "resource": resource.create({"service.name": "eke"}),
            "instrumentation_scope": scope("eke.gateway"),
        }
        self._contexts: dict[int, Context] = {}
        self._rows: deque[tuple[Row, Context]] = deque()

    def carry(self, number: int, traceparent: bytes, tracestate: bytes = b"") -> bytes:
        """Note whose trace a request belongs to; header lines for its engine."""
        context = context_of(traceparent, tracestate)
        self._contexts[number] = context
        return context.lines()

    def over(self, row: Row) -> None:
        """A request is over."""
        context = self._contexts.pop(row.number, None)
        if context is None:
            context = context_of(b"")
        if context.sampled and len(self._rows) < MOST:
            self._rows.append((row, context))

    async def write(self) -> None:
        """Make the spans of what is over, in slices."""
        for _ in range(len(self._rows) // SLICE + 1):
            self._write(SLICE)
            await sleep(0)

    def close(self) -> None:
        """Make the spans that are left, and send them."""
        self._write(len(self._rows))
        self.processor.shutdown()

    def _write(self, most: int) -> None:
        for _ in range(min(most, len(self._rows))):
            self._spans(*self._rows.popleft())

    def _spans(self, row: Row, context: Context) -> None:
        """The spans of a request, the outermost first."""
        kinds, about, started = self._api.SpanKind, attributes(row), row.started
        name = f"{about['gen_ai.operation.name']} {row.model}"
        own, end = context.own, row.finished
        self._span(row, context, Span(name, kinds.SERVER, context.parent, own, 0.0, end, about))
        until = end if started is None else started
        queue = context_of(b"").own
        self._span(row, context, Span("queue", kinds.INTERNAL, own, queue, 0.0, until, {}))
        if started is not None:
            engine = {**about, "eke.engine": row.engine}
            times = (started, end)
            self._span(row, context, Span(name, kinds.CLIENT, own, context.engine, *times, engine))

    def _span(self, row: Row, context: Context, span: Span) -> None:
        """Give a span to the processor, as it is when it is over: the SDK's own way, through a span
        that is still open, takes ten times as long."""
        api = self._api
        flags = api.TraceFlags(api.TraceFlags.SAMPLED)
        remote = span.parent == context.parent
        parent = api.SpanContext(context.trace, span.parent, remote, flags) if span.parent else None
        status = {}
        if "error.type" in span.attributes:
            words = reason_of(row)
            status = {"status": api.Status(api.StatusCode.ERROR, words)}
        made = self._sdk.ReadableSpan(
            span.name,
            context=api.SpanContext(context.trace, span.own, False, flags),
            parent=parent,
            attributes=span.attributes,
            kind=span.kind,
            start_time=_utc(row, max(span.start, row.arrived)),
            end_time=_utc(row, span.end),
            **status,
            **self._fixed,
        )
        self.processor.on_end(made)


class Span(NamedTuple):
    """One to be made. parent, own: numbers; 0 for no parent.  start, end: by the gateway's clock
    [s]; a start before the request came is when it came."""

    name: str
    kind: Any
    parent: int
    own: int
    start: float
    end: float
    attributes: dict[str, str | int | float | bool]


def begin_traces(endpoint: str) -> Traces:
    """Send traces to a collector, over HTTP. endpoint: such as http://localhost:4318/v1/traces.

    Raises BadInput where OpenTelemetry is not installed.
    """
    try:
        export = import_module("opentelemetry.sdk.trace.export")
        otlp = import_module("opentelemetry.exporter.otlp.proto.http.trace_exporter")
    except ImportError:
        raise BadInput(
            "traces need OpenTelemetry: pip install 'eke[traces]', or leave them out."
        ) from None
    exporter = otlp.OTLPSpanExporter(endpoint=endpoint)
    return Traces(export.BatchSpanProcessor(exporter, max_queue_size=MOST))


def attributes(row: Row) -> dict[str, str | int | float | bool]:
    """What a span tells of a request. Source: OpenTelemetry's semantic conventions for generative
    AI spans; gen_ai.system is what they called gen_ai.provider.name before 1.37."""
    told: dict[str, str | int | float | bool] = {
        "gen_ai.operation.name": OPERATIONS.get(row.kind, "chat"),
        "gen_ai.provider.name": "eke",
        "gen_ai.system": "eke",
        "gen_ai.request.model": row.model,
        "openai.response.service_tier": row.tier,
        "eke.tenant": row.tenant,
        "eke.kind": row.kind,
        "eke.outcome": row.outcome,
        "eke.retries": row.tries,
        "eke.accelerator_seconds": row.seconds,
        "eke.energy_joules": row.energy,
        "eke.cost_usd": row.cost,
    }
    if row.asked < ENDLESS:
        told["gen_ai.request.max_tokens"] = row.asked
    if counted(row):
        told["gen_ai.usage.input_tokens"] = row.prompt
        told["gen_ai.usage.output_tokens"] = row.tokens
        told["gen_ai.usage.cache_read.input_tokens"] = row.cached
    if streamed(row) and row.first is not None:
        told["gen_ai.request.stream"] = True
        told["gen_ai.response.time_to_first_chunk"] = row.first - row.arrived
    if row.outcome != FINISHED:
        told["error.type"] = row.outcome
    return told


def _utc(row: Row, moment: float) -> int:
    """A moment of a request since 1970 [ns]."""
    return round(row.arrived_at * 1e9) + round((moment - row.arrived) * 1e9)
