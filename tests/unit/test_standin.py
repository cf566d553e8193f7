"""The stand-in's API, one thing at a time."""

from __future__ import annotations

import asyncio
import base64
import math
import struct
import time

import pytest
from tests.standins import REPLICA, SPEED, ask, chat, standin, told

from eke.errors import BadInput
from eke.standin.driver import SLACK
from eke.standin.manner import Manner
from eke.standin.steps import Load, mixed_time
from eke.types.record import replace

CHAT, COMPLETIONS, EMBEDDINGS = "/v1/chat/completions", "/v1/completions", "/v1/embeddings"


def refused(reply, status: int, code: str | None = None, param: str | None = None) -> str:
    """Whether it is OpenAI's error; its message."""
    assert reply.status == status
    error = reply.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert (error["code"], error["param"]) == (code, param)
    return error["message"]


def test_a_chat_has_the_shape_that_clients_expect():
    found = told(standin(names=("mine", "toy")), body=chat(max_tokens=5)).json()
    assert found["object"] == "chat.completion"
    assert found["id"].startswith("chatcmpl-1-")
    assert found["model"] == "toy"
    choice = found["choices"][0]
    assert choice["index"] == 0
    assert choice["message"]["role"] == "assistant"
    assert choice["finish_reason"] == "length"
    assert found["usage"]["completion_tokens"] == 5


@pytest.mark.parametrize("prompt", ["Hi there", ["Hi there"], [1, 2, 3], [[1, 2, 3]]])
def test_a_completion_takes_texts_and_numbers(prompt):
    app = standin()
    found = told(app, COMPLETIONS, {"model": "toy", "prompt": prompt, "max_tokens": 3}).json()
    assert found["object"] == "text_completion"
    assert found["choices"][0]["text"]
    assert found["usage"]["prompt_tokens"] == (2 if "Hi" in str(prompt) else 3)
    body = {"model": "toy", "prompt": prompt, "max_tokens": 3, "stream": True}
    events = told(app, COMPLETIONS, body).events()
    said = "".join(event["choices"][0]["text"] for event in events[:-1])
    assert said == found["choices"][0]["text"]


def test_answers_are_whole_sentences_unless_they_are_cut():
    choice = told(standin(), body=chat()).json()["choices"][0]
    assert choice["finish_reason"] == "stop"
    assert choice["message"]["content"].endswith(".")
    cut = told(standin(), body=chat(max_tokens=4)).json()["choices"][0]
    assert choice["message"]["content"].startswith(cut["message"]["content"])


def test_eos_can_be_ignored_and_a_least_length_asked_for():
    usage = told(standin(), body=chat(max_tokens=500, ignore_eos=True)).json()["usage"]
    assert usage["completion_tokens"] == 500
    usage = told(standin(), body=chat(max_tokens=500, min_tokens=400)).json()["usage"]
    assert 400 <= usage["completion_tokens"] < 430


def test_an_answer_ends_before_a_stop_string_whose_tokens_count():
    whole = told(standin(), body=chat()).json()["choices"][0]["message"]["content"]
    word = whole.split()[3]
    found = told(standin(), body=chat(stop=[word, "never said"])).json()
    said = found["choices"][0]["message"]["content"]
    assert said == whole[: whole.index(word)]
    assert found["choices"][0]["finish_reason"] == "stop"
    later = told(standin(), body=chat(stop=word, min_tokens=12)).json()["choices"][0]
    assert later["message"]["content"].startswith(said + word)


def test_the_next_turn_finds_the_conversation_so_far_in_the_cache():
    app = standin()
    first = [{"role": "user", "content": "Tell me something long about chips, please."}]
    one = told(app, body={"model": "toy", "messages": first, "max_tokens": 100}).json()
    answer = one["choices"][0]["message"]
    then = [*first, answer, {"role": "user", "content": "And then?"}]
    two = told(app, body={"model": "toy", "messages": then, "max_tokens": 10}).json()
    so_far = one["usage"]["total_tokens"]
    found = two["usage"]["prompt_tokens_details"]["cached_tokens"]
    assert so_far - 32 < found <= so_far
    again = told(app, body={"model": "toy", "messages": first, "max_tokens": 100}).json()
    assert again["usage"]["prompt_tokens_details"]["cached_tokens"] > 0


TOOL = {
    "type": "function",
    "function": {
        "name": "book",
        "parameters": {
            "type": "object",
            "properties": {"seats": {"type": "integer", "minimum": 1, "maximum": 4}},
            "required": ["seats"],
        },
    },
}


@pytest.mark.parametrize(
    ("choice", "finish"),
    [("required", "tool_calls"), ({"type": "function", "function": {"name": "book"}}, "stop")],
)
def test_a_tool_that_must_be_called_is_called(choice, finish):
    import json

    body = chat(tools=[TOOL], tool_choice=choice)
    said = told(standin(), body=body).json()["choices"][0]
    assert said["finish_reason"] == finish
    call = said["message"]["tool_calls"][0]
    assert call["type"] == "function"
    assert call["function"]["name"] == "book"
    assert 1 <= json.loads(call["function"]["arguments"])["seats"] <= 4
    *events, _ = told(standin(), body={**body, "stream": True}).events()
    deltas = [event["choices"][0]["delta"] for event in events]
    first = deltas[0]["tool_calls"][0]
    assert (first["index"], first["function"]["name"]) == (0, "book")
    parts = [delta["tool_calls"][0]["function"]["arguments"] for delta in deltas[:-1]]
    assert "".join(parts) == call["function"]["arguments"]


def test_tools_are_only_called_when_they_must_be_and_only_those_there_are():
    assert told(standin(), body=chat(tools=[TOOL])).json()["choices"][0]["message"]["content"]
    other = {"type": "function", "function": {"name": "other"}}
    reply = told(standin(), body=chat(tools=[TOOL], tool_choice=other))
    assert "'other'" in refused(reply, 400, param="tool_choice")


def test_images_are_counted_where_the_model_sees_them():
    parts = [
        {"type": "text", "text": "What is it?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
    ]
    words = told(standin(), body=chat("What is it?")).json()["usage"]["prompt_tokens"]
    app = standin()
    usage = told(app, body=chat(parts)).json()["usage"]
    assert usage["prompt_tokens"] == words + 100
    sound = [{"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}]
    assert "no encoder" in refused(told(app, body=chat(sound)), 400, param="messages")
    video = [{"type": "video_url", "video_url": {"url": "x"}}]
    assert "video_url" in refused(told(app, body=chat(video)), 400, param="messages")


def test_embeddings_are_vectors_of_their_texts():
    body = {"model": "toy", "input": ["one", "two", "one"]}
    found = told(standin(), EMBEDDINGS, body).json()
    one, two, again = (each["embedding"] for each in found["data"])
    assert one == again != two
    assert len(one) == SPEED.width
    assert found["usage"] == {"prompt_tokens": 3, "total_tokens": 3}
    packed = {"model": "toy", "input": "one", "encoding_format": "base64"}
    text = told(standin(), EMBEDDINGS, packed).json()["data"][0]["embedding"]
    values = struct.unpack(f"<{SPEED.width}f", base64.b64decode(text))
    assert values == pytest.approx(one, abs=1e-6)
    short = told(standin(), EMBEDDINGS, {"model": "toy", "input": [5, 6], "dimensions": 8}).json()
    assert len(short["data"][0]["embedding"]) == 8


@pytest.mark.parametrize(
    ("path", "body", "status", "code", "param"),
    [
        (CHAT, b"{", 400, None, None),
        (CHAT, b'{"model":"toy","tools":[' + b'{"a":' * 100_000, 400, None, None),
        (CHAT, {"model": "toy"}, 400, None, "messages"),
        (CHAT, {"model": "toy", "messages": []}, 400, None, "messages"),
        (CHAT, chat(max_tokens="many"), 400, None, "max_tokens"),
        (CHAT, chat(max_tokens=0), 400, None, "max_tokens"),
        (CHAT, chat(n=2), 400, None, "n"),
        (CHAT, chat(max_tokens=5, min_tokens=6), 400, None, "min_tokens"),
        (CHAT, {**chat(), "model": "gpt"}, 404, "model_not_found", "model"),
        (CHAT, chat(max_tokens=5000), 400, "context_length_exceeded", "messages"),
        (CHAT, chat("word " * 5000), 400, "context_length_exceeded", "messages"),
        (COMPLETIONS, {"model": "toy", "prompt": ["a", "b"]}, 400, None, None),
        (COMPLETIONS, {"model": "toy", "prompt": 7}, 400, None, "prompt"),
        (EMBEDDINGS, {"model": "toy", "input": "a", "dimensions": 33}, 400, None, "dimensions"),
        (
            EMBEDDINGS,
            {"model": "toy", "input": "a", "encoding_format": "x"},
            400,
            None,
            "encoding_format",
        ),
        (
            EMBEDDINGS,
            {"model": "toy", "input": "a " * 5000},
            400,
            "context_length_exceeded",
            "input",
        ),
        ("/v1/nothing", chat(), 404, None, None),
        (CHAT, None, 405, None, None),
    ],
)
def test_what_makes_no_sense_is_refused_in_openais_words(path, body, status, code, param):
    app = standin()
    refused(told(app, path, body), status, code, param)
    assert not (app.driver.engine.busy or app.driver.waiting)


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"a": {"minItems": "x", "type": "array"}}},
        {"properties": []},
        {"$ref": "#/nowhere/else", "$defs": 5},
        {"type": "integer", "minimum": "low"},
    ],
)
def test_a_schema_that_is_none_is_refused(schema):
    shape = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    reply = told(standin(), body=chat(response_format=shape))
    assert reply.status == 200 or "no JSON schema" in refused(reply, 400)


def test_a_schema_without_an_end_is_cut_somewhere():
    names = {name: {"$ref": "#"} for name in "abcdefgh"}
    for schema in ({"properties": names, "required": list(names)}, {"items": {"$ref": "#"}}):
        shape = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
        reply = told(standin(), body=chat(response_format=shape, max_tokens=50))
        assert reply.json()["choices"][0]["finish_reason"] in ("length", "stop")


def test_a_body_may_have_64_megabytes():
    reply = told(standin(), body=b" " * ((64 << 20) + 1))
    assert "64 MB" in refused(reply, 413)
    assert reply.headers["connection"] == "close"


def test_models_and_health():
    app = standin(names=("a", "b"))
    models = told(app, "/v1/models").json()
    assert [each["id"] for each in models["data"]] == ["a", "b"]
    assert models["data"][0]["max_model_len"] == SPEED.context
    assert told(app, "/health").status == 200


def metrics(app) -> dict[str, float]:
    """Every line of /metrics."""
    lines = told(app, "/metrics").body.decode().splitlines()
    rows = [line.rpartition(" ") for line in lines if not line.startswith("#")]
    return {name: float(value) for name, _, value in rows}


def test_metrics_have_vllms_names_and_count_what_was_done():
    app = standin()
    usage = [told(app, body=chat(max_tokens=20)).json()["usage"] for _ in range(2)]
    told(app, EMBEDDINGS, {"model": "toy", "input": "one"})
    found, labels = metrics(app), '{engine="0",model_name="toy"}'
    prompts = sum(each["prompt_tokens"] for each in usage) + 1
    generated = sum(each["completion_tokens"] for each in usage)
    assert found[f"vllm:prompt_tokens_total{labels}"] == prompts
    assert found[f"vllm:generation_tokens_total{labels}"] == generated
    assert found[f"vllm:prefix_cache_queries_total{labels}"] == prompts
    for name in ("num_requests_running", "num_requests_waiting", "kv_cache_usage_perc"):
        assert found[f"vllm:{name}{labels}"] == 0
    assert found[f"vllm:num_preemptions_total{labels}"] == 0
    size = f'block_size="16",num_gpu_blocks="{REPLICA.blocks}"'
    assert found[f'vllm:cache_config_info{{engine="0",{size}}}'] == 1
    for name in ("time_to_first_token_seconds", "request_queue_time_seconds"):
        assert found[f"vllm:{name}_count{labels}"] == 3
        last = f'{labels[:-1]},le="+Inf"}}'
        assert found[f"vllm:{name}_bucket{last}"] == 3
    assert found[f"vllm:time_to_first_token_seconds_sum{labels}"] > 0


def test_those_who_wait_and_those_who_run_are_told_apart():
    async def crowd() -> tuple[int, int]:
        app = standin(replace(REPLICA, most=2), pace=1.0)
        body = chat(max_tokens=1000, ignore_eos=True)
        asked = [asyncio.ensure_future(ask(app, CHAT, body)) for _ in range(5)]
        await asyncio.sleep(0.03)
        engine = app.driver.engine
        seen = (len(engine.decoding) + len(engine.filling), app.driver.waiting)
        for each in asked:
            each.cancel()
        await asyncio.wait(asked)
        assert not (engine.busy or app.driver.waiting)
        return seen

    assert asyncio.run(crowd()) == (2, 3)


def test_requests_take_as_long_as_the_engine_says():
    """20 tokens at 10 ms each, ten times as fast, and never sooner than they are due."""
    app = standin(pace=10.0)
    begin = time.monotonic()
    tokens = told(app, body=chat(max_tokens=20, ignore_eos=True)).json()["usage"]["prompt_tokens"]
    assert time.monotonic() - begin > 20 * 0.01 / 10 - SLACK
    chunk = Load(decoding=0, context=0.0, chunks=[(tokens, 0)])
    assert app.driver.counts.first.total * 10 == pytest.approx(mixed_time(SPEED.steps, chunk)[0])


def test_first_tokens_pass_all_stages_of_a_pipeline():
    app = standin(replace(REPLICA, step=replace(REPLICA.step, ranks=2, stages=2)), pace=1.0)
    body = chat("word " * 200, max_tokens=3, stream=True)
    begin = time.monotonic()
    reply = told(app, body=body)
    took = time.monotonic() - begin
    steps = app.driver.engine.steps
    tokens = app.driver.counts.prompts
    mean, lag = mixed_time(steps, Load(decoding=0, context=0.0, chunks=[(tokens, 0)]))
    assert lag > 0.01
    assert app.driver.counts.first.total == pytest.approx(mean + lag)
    assert took > mean + lag - SLACK
    assert reply.events()[-1] == "[DONE]"


def test_who_is_more_important_goes_first_where_that_counts():
    async def order(ordered: bool) -> list[int]:
        app = standin(replace(REPLICA, most=1, ordered=ordered), pace=5.0)
        ended: list[int] = []

        async def one(priority: int) -> None:
            await ask(app, CHAT, chat(f"{priority}", max_tokens=5, priority=priority))
            ended.append(priority)

        await asyncio.gather(*(one(priority) for priority in (3, 2, 1)))
        return ended

    assert asyncio.run(order(False)) == [3, 2, 1]
    assert asyncio.run(order(True)) == [3, 1, 2]  # the first one found nobody there


def test_faults_come_when_they_are_asked_for():
    app = standin()
    busy = told(app, body=chat("!status 503"))
    refused(busy, 503, code="fault")
    assert busy.headers["retry-after"] == "1"
    assert len(told(app, body=chat("!len 77")).json()["choices"]) == 1
    assert told(app, body=chat("!len 77")).json()["usage"]["completion_tokens"] == 77
    with pytest.raises(ValueError, match="Expecting"):
        told(app, body=chat("!garbage")).json()
    assert told(app, body=chat("!type")).headers["content-type"].startswith("text/plain")
    cut = told(app, body=chat("!die 3"))
    assert cut.cut
    assert int(cut.headers["content-length"]) > len(cut.body)


def test_streams_break_as_they_are_asked_to():
    app = standin()
    cut = told(app, body=chat("!die 3", stream=True))
    assert cut.cut
    assert cut.body.count(b'"content":') == 1 + 3
    assert not app.driver.engine.busy
    half = told(app, body=chat("!half", stream=True))
    assert not half.cut
    assert b"[DONE]" not in half.body
    assert b"oops" in told(app, body=chat("!garbage", stream=True)).body
    kind = told(app, body=chat("!type", stream=True)).headers["content-type"]
    assert not kind.startswith("text/event-stream")
    begin = time.perf_counter()
    slow = told(app, body=chat("!slow 5 !len 8", stream=True))
    assert time.perf_counter() - begin > 0.04
    assert len(slow.events()) == 1 + 8 + 2


def test_a_request_that_hangs_ends_with_its_client():
    reply = asyncio.run(ask(standin(), CHAT, chat("!hang"), leave=0.02))
    assert reply.status == 0


def test_nobody_gets_faults_where_they_are_not_allowed():
    reply = told(standin(faults=False), body=chat("!status 503 !die 1"))
    assert reply.status == 200
    assert not reply.cut


def test_a_pace_is_above_zero():
    with pytest.raises(BadInput, match="pace is 0"):
        Manner(pace=0.0)
    with pytest.raises(BadInput, match="pace is inf; give a number above 0 and below 1e"):
        Manner(pace=math.inf)
