"""Small parts of the gateway: who asks, how long things are, what time it is, what metrics say."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eke.gateway.clock import JUMP, Clock
from eke.gateway.engines.breaker import FAILURES, FIRST, LONGEST, Breaker
from eke.gateway.engines.prometheus import Metrics, parsed
from eke.gateway.lengths import KEPT, Lengths
from eke.gateway.parts import characters_of
from eke.gateway.refusal import Refusal, bad, overloaded, spent, too_fast
from eke.gateway.settings import Tenant
from eke.gateway.tenants import STRANGERS, Tenants, hashed

GOLD = Tenant(name="gold", keys=(hashed("one"), hashed("two")))
NAMED = Tenant(name="team", weight=3.0)


def bearer(key: str) -> bytes:
    return f"Bearer {key}".encode()


@pytest.mark.parametrize("is_open", [True, False])
def test_known_keys_are_their_tenants(is_open: bool) -> None:
    tenants = Tenants([GOLD, NAMED], is_open)
    assert tenants.of(bearer("one")) is tenants.of(b"bearer  two ") is GOLD


def test_a_closed_gateway_knows_nobody_else() -> None:
    tenants = Tenants([GOLD, NAMED], False)
    for header, code in [
        (b"", None),
        (b"Basic b25l", "invalid_api_key"),
        (b"Bearer ", "invalid_api_key"),
        (bearer("three"), "invalid_api_key"),
        (bearer("gold"), "invalid_api_key"),
        (bearer("team"), "invalid_api_key"),
        (bearer(hashed("one")), "invalid_api_key"),
        (b"Bearer \xff\xfe", "invalid_api_key"),
    ]:
        with pytest.raises(Refusal) as caught:
            tenants.of(header)
        assert (caught.value.status, caught.value.code) == (401, code)


def test_an_open_gateway_tells_strangers_apart() -> None:
    tenants = Tenants([GOLD, NAMED], True)
    assert tenants.of(b"").name == "everyone"
    assert tenants.of(bearer("team")) is NAMED
    assert tenants.of(bearer("alice")).name == "alice"
    secret = tenants.of(bearer("sk-a-secret-of-somebody"))
    assert secret.name.startswith("key-") and "secret" not in secret.name
    assert secret is tenants.of(bearer("sk-a-secret-of-somebody"))
    assert tenants.of(bearer("sk-another")).name != secret.name
    assert tenants.of(bearer("gold")).name.startswith("key-")  # who has keys is nobody without


def test_strangers_are_what_everyone_is() -> None:
    everyone = Tenant(name="everyone", weight=2.0, models=("m",), store=False)
    found = Tenants([everyone], True).of(bearer("alice"))
    assert (found.name, found.weight, found.models, found.store) == ("alice", 2.0, ("m",), False)


def test_strangers_do_not_fill_the_memory() -> None:
    tenants = Tenants([], True)
    for number in range(STRANGERS + 50):
        tenants.of(bearer(f"sk-{number}"))
    assert len(tenants._strangers) == STRANGERS


def test_a_clock_runs_on_whatever_the_calendar_does() -> None:
    times = {"monotonic": 100.0, "calendar": 1e9}
    clock = Clock(lambda: times["monotonic"], lambda: times["calendar"])
    assert (clock.now(), clock.wall()) == (0.0, 1e9)
    times["monotonic"] += 10
    times["calendar"] += 10 + JUMP / 2  # within what calendars are set right by
    assert clock.look() == 0.0 and clock.wall() == 1e9 + 10
    times["calendar"] -= 7200
    assert clock.look() == 0.0 and clock.wall() == 1e9 + 10  # not yet believed
    times["calendar"] += 7200
    assert clock.look() == 0.0 and clock.wall() == 1e9 + 10  # and gone again
    for _ in range(2):
        times["calendar"] += 1
        times["monotonic"] += 1
    times["calendar"] -= 7200
    assert clock.look() == 0.0
    jump = clock.look()
    assert jump == pytest.approx(-7200 + JUMP / 2) and clock.now() == 12.0
    assert clock.wall() == pytest.approx(times["calendar"])
    assert clock.wall(2.0) == pytest.approx(clock.wall() - 10.0)


@given(st.lists(st.floats(-1e6, 1e6), max_size=30))
def test_the_gateways_own_time_never_runs_back(jumps: list[float]) -> None:
    times = {"monotonic": 0.0, "calendar": 1e9}
    clock = Clock(lambda: times["monotonic"], lambda: times["calendar"])
    before = clock.now()
    for jump in jumps:
        times["monotonic"] += 1.0
        times["calendar"] += 1.0 + jump
        clock.look()
        assert clock.now() > before
        before = clock.now()


def test_a_breaker_opens_after_failures_in_a_row_and_closes_after_a_look() -> None:
    breaker = Breaker()
    for _ in range(FAILURES - 1):
        assert not breaker.failed(0.0)
    breaker.worked()
    for _ in range(FAILURES - 1):
        assert not breaker.failed(0.0)
    assert breaker.failed(0.0) and not breaker.closed and breaker.until == FIRST
    assert not breaker.failed(0.0)  # it is open already
    assert not breaker.looked(False, 1.0) and breaker.until == 1.0 + 2 * FIRST
    for now in range(10):
        breaker.looked(False, float(now))
    assert breaker.until == 9.0 + LONGEST
    assert breaker.looked(True, 50.0) and breaker.closed
    assert not breaker.looked(True, 50.0)
    assert breaker.failed(51.0)  # one more opens it again
    breaker.looked(True, 60.0)
    breaker.worked()
    assert not breaker.failed(61.0) and breaker.wait == FIRST


def test_a_breaker_counts_looks_in_a_row_apart_from_requests() -> None:
    breaker = Breaker()
    for _ in range(9):
        assert not breaker.looked(False, 0.0) and not breaker.looked(False, 0.0)
        assert not breaker.looked(True, 0.0) and breaker.closed
    assert not breaker.failed(0.0) and not breaker.failed(0.0)
    assert not breaker.looked(True, 0.0) and breaker.failed(0.0)  # healthy, and answers nobody
    assert breaker.looked(True, 9.0) and not breaker.looked(False, 9.0)
    assert not breaker.looked(False, 9.0) and breaker.looked(False, 9.0) and not breaker.closed


def test_lengths_are_learnt() -> None:
    lengths = Lengths()
    assert lengths.prompt(4000) == 1001 and lengths.prompt(0) == 1
    for _ in range(50):
        lengths.counted(10_000, 5000)  # two characters a token
        lengths.answered("a", "chat", 40)
        lengths.answered("b", "chat", 1000)
    assert lengths.prompt(4000) == pytest.approx(2000, rel=0.02)
    assert lengths.answer("a", "chat") == pytest.approx(40)
    assert 40 < lengths.answer("c", "chat") < 1000


@given(st.lists(st.tuples(st.integers(0, 10**7), st.integers(0, 10**7)), max_size=50))
def test_a_prompt_has_tokens_whatever_engines_count(counts: list[tuple[int, int]]) -> None:
    lengths = Lengths()
    for characters, tokens in counts:
        lengths.counted(characters, tokens)
        assert 1 <= lengths.prompt(1000) < 1 << 60


def test_answers_of_many_tenants_do_not_fill_the_memory() -> None:
    lengths = Lengths()
    for number in range(KEPT + 10):
        lengths.answered(f"t{number}", "chat", 5)
    assert len(lengths._answers) == KEPT


def test_pictures_are_not_counted_as_text() -> None:
    picture = b'{"type":"image_url","image_url":{"url":"data:image/png;base64,%b"}}' % (b"A" * 9000)
    text = b'[{"role":"user","content":[{"type":"text","text":"hello"},%b]}]' % picture
    characters, count = characters_of(text)
    assert count == 1 and characters < 200
    assert characters_of(b'[{"role":"user","content":"hello"}]') == (35, 0)


@pytest.mark.parametrize(
    "raw",
    [b'"image_url" 5', b'{"image_url":1}', b'[{"content":5},"image_url"]', b'["image_url",[]]',
     b'[{"content":{"image_url":1}}]', b'[{"content":[{"type":["image_url"]}]}]',
     b'["image_url","\xff"]', b"[" * 5000 + b'"image_url"' + b"]" * 5000],
)  # fmt: skip
def test_messages_that_make_no_sense_have_a_length(raw: bytes) -> None:
    assert characters_of(raw) == (len(raw), 0)


@pytest.mark.parametrize(
    "refusal,status,kind,code",
    [
        (bad("no", "n"), 400, "invalid_request_error", None),
        (too_fast("no", 0.2), 429, "rate_limit_error", "rate_limit_exceeded"),
        (spent("no", "x"), 429, "insufficient_quota", "x"),
        (overloaded("no", 3.0), 503, "service_unavailable_error", "server_is_overloaded"),
    ],
)
def test_refusals_have_all_four_keys(refusal: Refusal, status: int, kind: str, code: str) -> None:
    error = json.loads(refusal.body())["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert (refusal.status, error["type"], error["code"]) == (status, kind, code)
    headers = dict(refusal.headers())
    assert (b"retry-after" in headers) == (refusal.retry_after is not None)
    assert int(headers.get(b"retry-after", b"1")) >= 1


# Samples as engines print them; the numbers of requests are changed so that they can be told apart.
VLLM = """\
# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="Qwen/Qwen2.5-Coder-32B-Instruct"} 3.0
# HELP vllm:num_requests_waiting Number of requests waiting to be processed.
# TYPE vllm:num_requests_waiting gauge
vllm:num_requests_waiting{engine="0",model_name="Qwen/Qwen2.5-Coder-32B-Instruct"} 2.0
# TYPE vllm:kv_cache_usage_perc gauge
vllm:kv_cache_usage_perc{engine="0",model_name="Qwen/Qwen2.5-Coder-32B-Instruct"} 0.25
# TYPE vllm:cache_config_info gauge
vllm:cache_config_info{block_size="16",cache_dtype="auto",gpu_memory_utilization="0.9",\
num_cpu_blocks="7281",num_gpu_blocks="24188",sliding_window="None"} 1.0
vllm:iteration_tokens_total_bucket{le="+Inf",model_name="Qwen/Qwen2.5-Coder-32B-Instruct"} 3.0
"""
SGLANG = """\
# HELP sglang:token_usage The token usage
# TYPE sglang:token_usage gauge
sglang:token_usage{model_name="meta-llama/Llama-3.1-8B-Instruct"} 0.28
# HELP sglang:num_running_reqs The number of running requests
# TYPE sglang:num_running_reqs gauge
sglang:num_running_reqs{model_name="meta-llama/Llama-3.1-8B-Instruct"} 162.0
# HELP sglang:num_queue_reqs The number of requests in the waiting queue
# TYPE sglang:num_queue_reqs gauge
sglang:num_queue_reqs{model_name="meta-llama/Llama-3.1-8B-Instruct"} 2826.0
sglang:time_to_first_token_seconds_sum{model_name="meta-llama/Llama-3.1-8B-Instruct"} 2.35e+06
sglang:max_total_num_tokens{model_name="meta-llama/Llama-3.1-8B-Instruct"} 440000.0
"""
LLAMA = """\
# HELP llamacpp:prompt_tokens_total Number of prompt tokens processed.
# TYPE llamacpp:prompt_tokens_total counter
llamacpp:prompt_tokens_total 143
# HELP llamacpp:requests_processing Number of requests processing.
# TYPE llamacpp:requests_processing gauge
llamacpp:requests_processing 4
# HELP llamacpp:requests_deferred Number of requests deferred.
# TYPE llamacpp:requests_deferred gauge
llamacpp:requests_deferred 1
"""
TGI = """\
# TYPE tgi_queue_size gauge
tgi_queue_size 5
# HELP tgi_batch_current_size Current batch size
# TYPE tgi_batch_current_size gauge
tgi_batch_current_size 9
tgi_batch_inference_duration_bucket{le="0.001",method="{'method': 'prefill'}"} 0.0
"""


@pytest.mark.parametrize(
    "text,metrics",
    [
        (VLLM, Metrics(waiting=2, used=0.25, room=16 * 24188)),
        (VLLM.replace("kv_cache", "gpu_cache"), Metrics(2, 0.25, 16 * 24188)),
        (VLLM + VLLM.replace('engine="0"', 'engine="1"'), Metrics(4, 0.25, 2 * 16 * 24188)),
        (SGLANG, Metrics(waiting=2826, used=0.28, room=440_000)),
        (LLAMA, Metrics(waiting=1)),
        (TGI, Metrics(waiting=5)),
        ("", Metrics()),
        ("<html>not found</html>", Metrics()),
        ("vllm:num_requests_waiting NaN", Metrics()),
        ("vllm:num_requests_waiting +Inf", Metrics(waiting=1 << 40)),
        ("vllm:num_requests_waiting -3", Metrics(waiting=0)),
        (
            "vllm:num_requests_waiting 1e9999\nvllm:num_requests_waiting -1e9999",
            Metrics(waiting=1 << 40),
        ),
        ("vllm:kv_cache_usage_perc +Inf", Metrics(used=1.0)),
        ("vllm:kv_cache_usage_perc -1", Metrics(used=0.0)),
        ('vllm:cache_config_info{block_size="16",num_gpu_blocks="None"} 1', Metrics(room=None)),
        (f'vllm:cache_config_info{{block_size="0",num_gpu_blocks="{"9" * 400}"}} 1', Metrics()),
        ('vllm:num_requests_waiting{model="a } 3"} 4 1700000000', Metrics(waiting=4)),
    ],
)
def test_what_engines_say_of_themselves(text: str, metrics: Metrics) -> None:
    assert parsed(text) == metrics


names = st.sampled_from(["vllm:num_requests_waiting", "vllm:kv_cache_usage_perc", "x", "é", ""])
numbers = st.one_of(st.floats().map(str), st.integers().map(str), st.text(max_size=5))
lines = st.builds("{}{} {}".format, names, st.text(max_size=12), numbers)


@given(st.one_of(st.text(), st.lists(lines).map("\n".join)))
def test_garbage_is_no_metric(text: str) -> None:
    found = parsed(text)
    assert found.used is None or 0.0 <= found.used <= 1.0
    for value in (found.waiting, found.room):
        assert value is None or 0 <= value <= 1 << 40
