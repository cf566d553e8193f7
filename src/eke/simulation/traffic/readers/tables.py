"""The CSV formats known."""

from __future__ import annotations

from eke.simulation.traffic.readers.table import Column, Table


def _name(name: str) -> Column:
    return Column(name=name, kind="name", needed=False)


def _perhaps(name: str) -> Column:
    return Column(name=name, needed=False)


AZURE = Table(
    name="Azure LLM inference trace (TIMESTAMP, ContextTokens, GeneratedTokens)",
    columns={
        "arrived": Column(name="TIMESTAMP", kind="moment"),
        "prompt": Column(name="ContextTokens"),
        "answer": Column(name="GeneratedTokens"),
        "images": _perhaps("NumImages"),
    },
)
BURSTGPT = Table(
    name="BurstGPT (Timestamp, Model, Request tokens, Response tokens)",
    columns={
        "arrived": Column(name="Timestamp"),
        "prompt": Column(name="Request tokens"),
        "answer": Column(name="Response tokens"),
        "kind": _name("Model"),
        "session": _name("Session ID"),
    },
    remarks=("BurstGPT: sessions are assumed to grow one text; no answer means a failed request",),
)
ARENA = Table(
    name="VTC arena (req_time_s, client, prompt_len, output_len)",
    columns={
        "arrived": Column(name="req_time_s"),
        "prompt": Column(name="prompt_len"),
        "answer": Column(name="output_len"),
        "tenant": Column(name="client", kind="name"),
    },
    remarks=("VTC arena: its authors rescaled the arrivals to 2.5/s",),
)
MEASURED = Table(
    name="measured vLLM runs (arrival_s, input_toks, output_toks)",
    columns={
        "arrived": Column(name="arrival_s"),
        "prompt": Column(name="input_toks"),
        "answer": Column(name="output_toks"),
    },
)
RUN = Table(
    name="a run written by eke (arrived, prompt, answer)",
    columns={
        "arrived": Column(name="arrived", kind="promise"),
        **{name: Column(name=name) for name in ("prompt", "answer")},
        **{name: _name(name) for name in ("tenant", "kind", "session")},
        **{name: Column(name=name, kind="promise", needed=False) for name in ("ttft", "deadline")},
        "priority": _perhaps("priority"),
    },
    sorted=False,
    remarks=("run: requests come when they came, also those that followed another",),
)
LENGTHS_AND_TIMES = Table(
    name="Vidur lengths with times (arrived_at, num_prefill_tokens, num_decode_tokens)",
    columns={
        "arrived": Column(name="arrived_at"),
        "prompt": Column(name="num_prefill_tokens"),
        "answer": Column(name="num_decode_tokens"),
    },
)
LENGTHS = Table(
    name="Vidur or ShareGPT lengths (num_prefill_tokens, num_decode_tokens)",
    columns={
        "prompt": Column(name="num_prefill_tokens"),
        "answer": Column(name="num_decode_tokens"),
    },
)
# The first that fits reads the file.
TABLES = (AZURE, BURSTGPT, ARENA, MEASURED, RUN, LENGTHS_AND_TIMES, LENGTHS)
