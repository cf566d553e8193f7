"""Files of the user's own become rows of the shared tables, or a clear error."""

from __future__ import annotations

import contextlib
import gzip
import json
import math
import random
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from eke.calibrate.measured import CONDITIONS, METRICS, parse_measured
from eke.calibrate.readers import FORMATS, read_measurements
from eke.calibrate.readers.content import LARGEST
from eke.calibrate.readers.run import COLUMNS, UNITS
from eke.calibrate.readers.steps import dropped, steady
from eke.calibrate.readers.yaml import read_yaml
from eke.calibrate.rows import Row
from eke.errors import BadFile, BadInput, EkeError, Unknown

FOLDER = Path(__file__).parent.parent / "data" / "measurements"
SAMPLES = sorted(FOLDER.iterdir())
GIVEN = {
    "model": "llama-3.1-8b",
    "on": "8xh100-sxm",
    "tensor": "2",
    "engine": "vLLM",
    "release": "0.10.1",
    "precision": "fp8",
}
ALONE = ("metric", "measured_value", "unit", "notes", "id")


def values(name: str, **given: str) -> dict[str, float]:
    """Run number, metric and, for a percentile, which → the value."""
    found = read_measurements(FOLDER / name, given)
    return {row.id.removeprefix(f"{name}:"): row.value for row in found}


def first(name: str, **given: str) -> Row:
    return read_measurements(FOLDER / name, given)[0]


# laws


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)
def test_rows_are_as_the_tables_have_them(path: Path) -> None:
    rows = read_measurements(path, GIVEN)
    assert len({row.id for row in rows}) == len(rows)
    for row in rows:
        assert list(row.columns) == COLUMNS[row.table]
        assert math.isfinite(row.value) and row.value > 0
        assert row.value == float(row["measured_value"])
        assert row["metric"] == row.metric
        assert row["unit"].startswith(UNITS[row.metric])
        assert row["model"] == "llama-3.1-8b"
        assert (row["chip"], row["n_chips"], row["tp"]) == ("h100-sxm", "8", "2")
        if row.table == "training":
            assert row.notes.startswith("task=")
            assert row["framework"] == "vLLM 0.10.1"
        else:
            assert (row["engine"], row["engine_version"]) == ("vLLM", "0.10.1")


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)
def test_rows_of_one_run_share_what_the_run_was(path: Path) -> None:
    runs: dict[str, set[tuple[str, ...]]] = {}
    for row in read_measurements(path, {}):
        shared = tuple(row[name] for name in row.columns if name not in ALONE)
        runs.setdefault(row.id.split(":")[1], set()).add(shared)
    assert all(len(each) == 1 for each in runs.values())


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)
def test_what_nobody_says_stays_empty(path: Path) -> None:
    row = read_measurements(path, {})[0]
    assert row["ep"] == row["n_params"] == ""


def test_every_format_has_a_sample() -> None:
    from eke.calibrate.readers.content import take_in

    contents = [take_in(path, {}) for path in SAMPLES]
    for each in FORMATS:
        assert any(each.fits(content) for content in contents), each.name


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)
def test_the_name_and_packing_do_not_matter(path: Path, tmp_path: Path) -> None:
    plain = [(row.metric, row.value) for row in read_measurements(path, {})]
    text = path.read_text()
    for name, data in (
        ("a.gz", gzip.compress(text.encode())),
        ("b.txt", text.replace("\n", "\r\n").encode()),
        ("c.out", b"\xef\xbb\xbf" + text.encode()),
        ("d", b"\xff\xfe" + text.encode("utf-16-le")),
    ):
        other = tmp_path / name
        other.write_bytes(data)
        assert [(row.metric, row.value) for row in read_measurements(other, {})] == plain


# formats


def test_vllm_serve_json() -> None:
    row = first("vllm-serve.json")
    assert row["model"] == "meta-llama/Llama-3.1-8B-Instruct"
    assert (row["engine"], row["scenario"]) == ("vLLM", "online")
    assert (row["isl"], row["osl"], row["concurrency_or_qps"]) == ("1024", "256", "concurrency=64")
    assert values("vllm-serve.json") == {
        "1:requests_per_sec": 6.4975,
        "1:output_tokens_per_sec_total": 1663.35,
        "1:total_tokens_per_sec": 8316.75,
        "1:ttft_ms": 412.75,
        "1:tpot_ms": 36.5,
        "1:itl_ms": 36.6,
    }


def test_vllm_serve_console_takes_medians_where_there_is_no_mean() -> None:
    rows = {row.metric: row for row in read_measurements(FOLDER / "vllm-serve.txt", {})}
    assert rows["ttft_ms"].notes.startswith("mean; ")
    assert rows["tpot_ms"].notes.startswith("median; ")
    assert rows["tpot_ms"].value == 12.31
    assert rows["tpot_ms"]["concurrency_or_qps"] == "qps=4"
    assert rows["tpot_ms"]["isl"] == "1000"
    assert "2 requests failed" in rows["tpot_ms"].notes


@pytest.mark.parametrize(
    ("users", "rate", "scenario", "arrivals"),
    [
        (None, "inf", "offline_max_throughput", "rate=inf"),
        (640, "inf", "offline_max_throughput", "rate=inf"),  # nobody waits for a place
        (1, "inf", "single_stream", "concurrency=1"),
        (64, "inf", "online", "concurrency=64"),
        (64, 3.5, "online", "qps=3.5"),
        (None, math.inf, "offline_max_throughput", "rate=inf"),
    ],
)
def test_how_requests_arrived(
    tmp_path: Path, users: int | None, rate: Any, scenario: str, arrivals: str
) -> None:
    row = changed(tmp_path, "vllm-serve.json", max_concurrency=users, request_rate=rate)[0]
    assert (row["scenario"], row["concurrency_or_qps"]) == (scenario, arrivals)
    assert row["batch"] == ("1" if users == 1 else "")


def test_sglang_lines() -> None:
    rows = read_measurements(FOLDER / "sglang-serving.jsonl", {})
    assert {row["engine"] for row in rows} == {"SGLang"}
    found = values("sglang-serving.jsonl")
    assert found["1:e2e_latency_s"] == pytest.approx(21.0005)
    assert found["1:total_tokens_per_sec"] == 8192 + 4096
    assert [row.flag for row in rows if row.id.endswith(":2:tpot_ms")] == [
        "tagged SPECULATIVE in the table"
    ]
    assert values("sglang-serving.txt")["1:e2e_latency_s"] == pytest.approx(6.32)


def test_vllm_throughput() -> None:
    assert values("vllm-throughput.json") == {
        "1:requests_per_sec": 16.3265,
        "1:total_tokens_per_sec": 10000.0,
    }
    row = first("vllm-throughput.json", prompt="500", answer="112.5")
    assert (row["isl"], row["osl"]) == ("500", "112.5")
    row = first("vllm-throughput.txt", prompt="999")
    assert (row["isl"], row["osl"], row["tp"], row["precision"]) == ("512", "128", "2", "bf16")


def test_vllm_latency() -> None:
    row = first("vllm-latency.json", batch="1", prompt="32", answer="128")
    assert (row["scenario"], row["batch"], row["isl"]) == ("single_stream", "1", "32")
    assert row.metric == "e2e_latency_s" and row.value == 2.75
    row = first("vllm-latency.txt")
    assert (row["scenario"], row["batch"], row["precision"]) == ("static_batch", "8", "fp8")


def test_guidellm_of_every_generation() -> None:
    row = first("guidellm-0.1.json")
    assert (row["isl"], row["osl"], row["concurrency_or_qps"]) == ("500", "101", "qps=1")
    found = values("guidellm-0.1.json")
    assert found["1:ttft_ms"] == pytest.approx(50)
    assert found["1:itl_ms"] == pytest.approx(20)
    assert found["1:output_tokens_per_sec_total"] == pytest.approx(404 / 5.05)

    rows = read_measurements(FOLDER / "guidellm-0.2.json", {})
    assert list(dict.fromkeys((row["scenario"], row["concurrency_or_qps"]) for row in rows)) == [
        ("single_stream", "concurrency=1"),
        ("offline_max_throughput", "rate=inf"),
        ("online", "qps=3.5"),
    ]
    assert "tpot_ms" not in {row.metric for row in rows}  # it counts the first token in
    assert values("guidellm-0.3.yaml")["1:itl_ms"] == 24
    row = first("guidellm-0.5.json")
    assert (row["model"], row["concurrency_or_qps"]) == ("google/gemma-3-4b-it", "concurrency=16")


def test_aiperf_json_and_csv_agree() -> None:
    written, table = values("aiperf.json"), values("aiperf.csv")
    assert written.pop("1:itl_ms") == 18.9
    assert written == table
    assert written["1:tpot_ms"] == 18.75 and written["1:e2e_latency_s"] == 9.8
    assert first("aiperf.json")["concurrency_or_qps"] == "concurrency=32"
    assert first("aiperf.csv", users="32")["concurrency_or_qps"] == "concurrency=32"
    assert first("aiperf.csv", users="1")["scenario"] == "single_stream"


def test_genai_perf_in_nanoseconds() -> None:
    found = values("genai-perf.json")
    assert found["1:ttft_ms"] == pytest.approx(45)
    assert found["1:e2e_latency_s"] == pytest.approx(1.1)
    assert first("genai-perf.json")["engine"] == "TensorRT-LLM"


def test_llama_bench_in_every_output_format() -> None:
    found = values("llama-bench.json")
    assert found == {
        "1:prefill_tokens_per_sec": 8123.5,
        "2:decode_tokens_per_sec": 131.25,
        "3:total_tokens_per_sec": 590.5,
        "4:decode_tokens_per_sec": 118.0,
        "5:prefill_tokens_per_sec": 6000.0,
    }
    first_two = dict(list(found.items())[:2])
    assert values("llama-bench.jsonl") == values("llama-bench.csv") == first_two
    rows = read_measurements(FOLDER / "llama-bench.json", {})
    assert [(row["isl"], row["osl"]) for row in rows] == [
        ("512", "0"),
        ("0", "128"),
        ("512", "128"),
        ("4096", "128"),
        ("512", "0"),
    ]
    assert [bool(row.flag) for row in rows] == [False] * 4 + [True]  # prefill behind a cache
    assert rows[0]["model"] == "Meta-Llama-3.1-8B-Instruct"
    assert (rows[0]["precision"], rows[0]["engine_version"]) == ("q4_k_m", "b6123")
    assert (rows[0]["chip"], rows[0]["n_chips"]) == ("RTX 4090", "1")
    rows = read_measurements(FOLDER / "llama-bench.md", {})
    assert [row.value for row in rows] == [7211.4, 91.75, 410.25, 85.5]
    assert (rows[3]["isl"], rows[0]["model"], rows[0]["precision"]) == ("2048", "qwen3 8B", "q8_0")


def test_megatron() -> None:
    row = first("megatron.log")
    assert row.value == pytest.approx(2.12) and "median of 16 logged steps" in row.notes
    for column, value in {
        "seq_len": "4096",
        "n_chips": "16",
        "tp": "2",
        "pp": "2",
        "dp": "4",
        "global_batch_sequences": "128",
        "micro_batch": "2",
        "precision": "bf16",
        "layers": "32",
    }.items():
        assert row[column] == value
    assert values("megatron-bridge.log")["1:tflops_per_chip"] == 639
    assert values("nemo.log")["1:iteration_time_s"] == pytest.approx(6.35)
    assert values("nemo.log")["1:tokens_per_sec_per_chip"] == pytest.approx(10370)


def test_a_changing_batch_is_not_for_scoring(tmp_path: Path) -> None:
    path = tmp_path / "log"
    text = (FOLDER / "megatron.log").read_text()
    path.write_text(text.replace("global batch size:   128", "global batch size:    64", 3))
    assert read_measurements(path, {})[0].flag


def test_torchtitan() -> None:
    found = values("torchtitan.log")
    assert found["1:tokens_per_sec_per_chip"] == 6160  # the validation's tokens do not count
    assert found["1:mfu"] == pytest.approx(0.36)
    row = first("torchtitan.log")
    assert (row["chip"], row["model"]) == ("H100", "llama3 8B")
    assert (row["n_chips"], row["tp"], row["dp"], row["seq_len"]) == ("8", "2", "4", "8192")


def test_trainer_and_deepspeed() -> None:
    assert values("trainer.log") == values("trainer-results.json") == {"1:iteration_time_s": 1.6}
    assert first("trainer.log")["micro_batch"] == "8"
    assert first("trainer.log", task="lora").notes.startswith("task=lora; ")
    assert values("trainer-bar.log")["1:iteration_time_s"] == pytest.approx(2.05)
    assert values("deepspeed.log") == {"1:iteration_time_s": 4.0}


def test_deepspeed_needs_the_batch(tmp_path: Path) -> None:
    path = tmp_path / "log"
    lines = (FOLDER / "deepspeed.log").read_text().splitlines()
    path.write_text("\n".join(line for line in lines if "batch" not in line))
    with pytest.raises(BadFile, match="samples per second"):
        read_measurements(path, {})
    assert read_measurements(path, {"batch": "128"})[0].value == 2.0


def test_mlperf_training() -> None:
    row = first("mlperf-training.log")
    assert row.notes.startswith("task=lora; ") and row["seq_len"] == "8192"
    assert values("mlperf-training.log") == {
        "1:time_to_train_h": pytest.approx((5 * 120 + 20 + 5 * 16) / 3600),
        "1:iteration_time_s": 2.5,  # the first block starts cold
    }


def test_mlperf_aborted_has_no_time_to_train(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text((FOLDER / "mlperf-training.log").read_text().replace("success", "aborted"))
    rows = read_measurements(path, {})
    assert [row.metric for row in rows] == ["iteration_time_s"] and "aborted" in rows[0].notes


def test_mlperf_inference() -> None:
    assert values("mlperf-offline.txt") == {
        "1:output_tokens_per_sec_total": 24396.2,
        "1:requests_per_sec": 84.125,
    }
    found = values("mlperf-server.txt")
    assert found["1:ttft_ms"] == 200.85 and found["1:ttft_ms:p99"] == 674.6
    assert found["1:tpot_ms"] == 61.4 and found["1:tpot_ms:p99"] == 191.6
    assert first("mlperf-server.txt")["concurrency_or_qps"] == "target_qps=69"


def test_the_shared_table_is_read_too(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    head = COLUMNS["inference"]
    path.write_text(",".join(head) + "\n" + ",".join("5" for _ in head) + "\n")
    assert read_measurements(path, {})[0].value == 5


def test_steady_state() -> None:
    assert [dropped(steps) for steps in (1, 2, 10, 50, 1000)] == [0, 1, 2, 10, 10]
    found = steady("iteration_time_s", [9.0, 1.0, 2.0, 3.0, None], "log")
    assert found.value == 2.0 and "3 logged steps" in found.note
    with pytest.raises(BadFile, match="nan"):
        steady("iteration_time_s", [1.0, math.nan], "log")


def test_yaml_as_tools_write_it() -> None:
    found = read_yaml("a: 1\nb:\n- x\n- y: 2\n  z: [1, 2]\nc: {}\n", "x")
    assert found == {"a": 1, "b": ["x", {"y": 2, "z": [1, 2]}], "c": {}}
    found = read_yaml("a: 'one: ''two'\nb: \"two\n\n  lines\"\nc: plain\n  goes on\nd: null\n", "x")
    assert found == {"a": "one: ''two", "b": "two lines", "c": "plain goes on", "d": None}
    found = read_yaml("- - 1\n  - 2.5\n- !!python/tuple\n  - .nan\n  - true\n", "x")
    assert found[0] == [1, 2.5] and math.isnan(found[1][0]) and found[1][1] is True


# what the user says


@pytest.mark.parametrize(
    ("given", "part"),
    [
        ({"modle": "x"}, "Did you mean model"),
        ({"tensor": "two"}, "whole number"),
        ({"prompt": "-5"}, "above zero"),
        ({"prompt": "5 s"}, "prompt|expected"),
        ({"on": "8xh100-sxm+8xa100-sxm-80"}, "one kind of chip"),
    ],
)
def test_wrong_words_of_the_user(given: dict[str, str], part: str) -> None:
    with pytest.raises(EkeError, match=part):
        read_measurements(FOLDER / "vllm-serve.json", given)


def test_an_unknown_chip() -> None:
    with pytest.raises(Unknown, match="h101"):
        read_measurements(FOLDER / "vllm-serve.json", {"on": "8xh101-sxm"})


# errors


def changed(folder: Path, sample: str, **fields: Any) -> list[Row]:
    found = json.loads((FOLDER / sample).read_text())
    found.update(fields)
    path = folder / sample
    path.write_text(json.dumps(found))
    return read_measurements(path, {})


@pytest.mark.parametrize(
    ("data", "part"),
    [
        (b"", "is empty"),
        (b" \n\n", "is empty"),
        (bytes(range(256)) * 50, "binary"),
        (b"\x7fELF\x00\x01\x00\x00", "binary"),
        (b"\xff" * 300, "binary"),
        (b"\x1f\x8b\x08\x00junk", "gzip"),
        (gzip.compress(b"x" * 1000, mtime=0)[:-9], "cut off"),
        (b'{"a": 1', "begins as JSON, but line 1"),
        (b'[{"avg_ts": 1, "n_gen"', "begins as JSON"),
        (b'{"a": ' + b"[" * 100_000, "nested too deeply|begins as JSON"),
        (b'{"a": ' + b"9" * 5000 + b"}", "begins as JSON"),
        (b"[]", "no format known here.*GuideLLM.*llama-bench"),
        (b'{"a": 1}', "no format known here"),
        (b"hello\n", "no format known here"),
        (b"benchmarks:\n", "must be a list"),
        (b"benchmarks:\n- a: 1\n  nonsense\n", "line 3"),
        (b'{"benchmarks": [{"type_": "generative_benchmark"}]}', "neither metrics nor results"),
        (b'{"benchmarks": [1]}', "list of objects"),
        (b":::MLLOG {\n", "broken JSON"),
        (b':::MLLOG {"key": "x"}\n', "no run_start"),
        (b"MLPerf Results Summary\nScenario : MultiStream\n", "scenario"),
        (b"MLPerf Results Summary\nScenario : Offline\nMode : AccuracyOnly\n", "accuracy"),
        (b"Metric,avg\nRequest Latency (weeks),3\n", "weeks"),
        (b"iteration 1/ 5 | elapsed time per iteration (ms): nan |\n", "nan"),
        (b"iteration 1/ 5 | elapsed time per iteration (ms): 0.0 |\n", "no measurement above zero"),
        (b"step:  1  loss: 2  tps: -5  mfu: 3%\n", "-5"),
    ],
)
def test_bad_files(tmp_path: Path, data: bytes, part: str) -> None:
    path = tmp_path / "measured"
    path.write_bytes(data)
    with pytest.raises(BadFile, match=part) as error:
        read_measurements(path, {})
    assert str(path) in str(error.value)
    assert len(str(error.value)) < 1000 + len(str(path))


@pytest.mark.parametrize(
    ("sample", "fields", "part"),
    [
        ("vllm-serve.json", {"mean_ttft_ms": math.nan}, "mean_ttft_ms is nan"),
        ("vllm-serve.json", {"mean_ttft_ms": -3}, "mean_ttft_ms is -3"),
        ("vllm-serve.json", {"completed": "many"}, "completed is 'many'"),
        ("vllm-serve.json", {"duration": 1, "output_throughput": [1]}, "output_throughput"),
        ("vllm-serve.json", {"request_rate": 0}, "request_rate is 0"),
        ("vllm-serve.json", {"request_throughput": 10**400}, "request_throughput"),
        ("vllm-throughput.json", {"tokens_per_second": True}, "tokens_per_second"),
        ("vllm-latency.json", {"avg_latency": None}, "no measurement"),
        ("trainer-results.json", {"train_steps_per_second": "NaN"}, "train_steps_per_second"),
        ("aiperf.json", {"request_latency": {"unit": "ms", "avg": -1}}, "request_latency: avg"),
        ("guidellm-0.2.json", {"benchmarks": []}, "no measurement"),
        ("guidellm-0.2.json", {"benchmarks": [{"results": []}]}, "no request"),
    ],
)
def test_bad_fields(tmp_path: Path, sample: str, fields: dict[str, Any], part: str) -> None:
    with pytest.raises(BadFile, match=re.escape(part)):
        changed(tmp_path, sample, **fields)


def test_missing_folder_and_huge(tmp_path: Path) -> None:
    huge = tmp_path / "huge"
    with huge.open("wb") as file:
        file.truncate(LARGEST + 1)
    for path in (tmp_path / "none", tmp_path, huge):
        with pytest.raises(BadFile, match=re.escape(str(path))):
            read_measurements(path, {})


def cut(text: str, chance: random.Random) -> str:
    return text[: chance.randrange(len(text))]


def swapped(text: str, chance: random.Random) -> str:
    signs = list(text)
    for _ in range(chance.randint(1, 20)):
        signs[chance.randrange(len(signs))] = chance.choice("0-.:,{}[]|\"'\n eE\u00b1\u0663")
    return "".join(signs)


def renumbered(text: str, chance: random.Random) -> str:
    odd = ("nan", "-1", "1e400", "null", "NaN", "Infinity", "''", "{}", "0", "9" * 30, "true", "[]")
    share = chance.choice((0.01, 0.1, 0.5))
    return re.sub(
        r"\d+\.?\d*", lambda m: chance.choice(odd) if chance.random() < share else m[0], text
    )


def shuffled(text: str, chance: random.Random) -> str:
    lines = text.splitlines()
    chance.shuffle(lines)
    return "\n".join(lines[: chance.randint(1, len(lines))])


def renamed(text: str, chance: random.Random) -> str:
    word = chance.choice(re.findall(r"[A-Za-z_]{3,}", text))
    return text.replace(word, chance.choice(("", "x", '"', word[::-1])))


@pytest.mark.parametrize("mangle", [cut, swapped, renumbered, shuffled, renamed])
def test_mangled_files_end_in_rows_or_a_clear_error(
    mangle: Callable[[str, random.Random], str], tmp_path: Path
) -> None:
    path = tmp_path / "mangled"
    chance = random.Random(f"measurements {mangle.__name__}")
    for sample in SAMPLES:
        for _ in range(12):
            path.write_text(mangle(sample.read_text(), chance), encoding="utf-8")
            try:
                rows = read_measurements(path, GIVEN)
            except BadFile as error:
                assert str(path) in str(error) and "\n" not in str(error)
            else:
                assert rows and all(math.isfinite(row.value) and row.value > 0 for row in rows)


@pytest.mark.parametrize(
    "text",
    [
        "Avg latency: 1 seconds" + "Namespace(" * 30_000,
        "MLPerf Results Summary\nScenario" + " " * 300_000,
        "elapsed time per iteration " + "a b " * 80_000,
        "step: 1 " * 40_000 + "tps: 5",
        "| model " + "| test " * 50_000,
        "train_runtime: 3 " + "Total train batch size " * 15_000,
        "benchmarks:\n- '" + "it is\n" * 50_000,
        "\n" * 300_000 + "x",
    ],
    ids=lambda text: text.strip()[:14],
)
def test_odd_text_takes_no_longer_than_other_text(text: str, tmp_path: Path) -> None:
    path = tmp_path / "odd"
    path.write_text(text)
    start = time.process_time()
    with contextlib.suppress(BadFile):
        read_measurements(path, {})
    assert time.process_time() - start < 5


# one number on the command line


@pytest.mark.parametrize(
    ("text", "metric", "value", "conditions"),
    [
        ("tpot 31ms @ batch 16", "tpot", 0.031, {"batch": 16}),
        (
            "ttft 250ms @ users 8, prompt 2000, answer 300",
            "ttft",
            0.25,
            {"users": 8, "prompt": 2000, "answer": 300},
        ),
        ("throughput 4200 tok/s @ users 64", "throughput", 4200, {"users": 64}),
        ("total throughput 12k tok/s", "total throughput", 12e3, {}),
        ("step 4.1s", "step", 4.1, {}),
        ("mfu 41%", "mfu", 0.41, {}),
        ("MFU: 0.41", "mfu", 0.41, {}),
        ("flops 412 TFLOP/s @ sequence 8k", "flops", 412e12, {"sequence": 8000}),
        ("time-to-train 3.5 h", "time to train", 12600, {}),
        ("ttft=500ms@p99, 2/s rate", "ttft", 0.5, {"percentile": 99, "rate": 2}),
        ("requests 5/s @ 64 users and prompt=2k", "requests", 5, {"users": 64, "prompt": 2000}),
    ],
)
def test_one_number(text: str, metric: str, value: float, conditions: dict[str, float]) -> None:
    found = parse_measured(text)
    assert (found.metric, found.conditions) == (metric, conditions)
    assert found.value == pytest.approx(value)


def test_its_value_in_the_tables() -> None:
    assert parse_measured("tpot 31ms").in_table == pytest.approx(31)
    assert parse_measured("flops 412 TFLOP/s").in_table == pytest.approx(412)
    assert parse_measured("time to train 2h").in_table == pytest.approx(2)
    assert {metric.column for metric in METRICS.values()} == set(UNITS)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "is no measurement"),
        ("tpot", "is no measurement"),
        ("31ms", "is no measurement"),
        ("tpto 31ms", "closest: tpot"),
        ("tpot 31", "tpot: "),
        ("tpot 31 GB", "expected"),
        ("tpot -31ms", "above zero"),
        ("tpot nanms", "is no measurement"),
        ("mfu 41", "above 1"),
        ("tpot 31ms @ bacth 16", "closest: batch"),
        ("tpot 31ms @ batch", "is no condition"),
        ("tpot 31ms @ batch 0", "above zero"),
        ("tpot 31ms @ batch 8, batch 9", "twice"),
        ("tpot 31ms @ prompt 5s", "prompt: "),
        ("x" * 5000, "5000 characters"),
    ],
)
def test_one_wrong_number(text: str, part: str) -> None:
    with pytest.raises(BadInput, match=part) as error:
        parse_measured(text)
    assert (
        "tpot 31ms @ batch 16" in str(error.value)
        or "such as" in str(error.value)
        or part
        in (
            "above zero",
            "twice",
        )
    )


def test_mangled_numbers_end_in_a_number_or_a_clear_error() -> None:
    chance = random.Random("one number")
    words = [
        *METRICS,
        *CONDITIONS,
        "31ms",
        "4200 tok/s",
        "41%",
        "@",
        ",",
        "=",
        "p99",
        "-1",
        "é",
        "",
    ]
    for _ in range(2000):
        text = " ".join(chance.choices(words, k=chance.randint(0, 7)))
        try:
            found = parse_measured(text)
        except BadInput as error:
            assert str(error)
        else:
            assert found.value > 0 and found.metric in METRICS
