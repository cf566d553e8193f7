"""Rows of MLPerf: what its benchmarks and the habits of its submitters add to them."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from tests.tables import serving

from eke.calibrate.benchmarks import IN_FLIGHT
from eke.calibrate.cases import Case, understand
from eke.calibrate.inference import inference_blocks
from eke.calibrate.layout import Degrees
from eke.catalog.benchmarks import Benchmark, benchmark, benchmarks
from eke.catalog.efficiencies import efficiencies
from eke.catalog.sources import source
from eke.physics.scenarios import likely

CLOSED = 'MLPerf v5.0 closed/available, submitter A, system "B"'
OPEN = 'MLPerf v5.0 open/available, submitter A, system "B"'
OFFLINE = {
    "scenario": "mlperf_offline",
    "model": "llama2-70b-99.9",
    "n_chips": 8,
    "tp": "",
    "precision": "",
    "isl": "",
    "osl": "",
    "batch": "",
    "concurrency_or_qps": "rate=inf",
    "engine": "TensorRT",
    "engine_version": "TensorRT 10.8, CUDA 12.8",
    "metric": "output_tokens_per_sec_total",
    "notes": CLOSED,
}
SERVER = OFFLINE | {"scenario": "mlperf_server", "concurrency_or_qps": ""}


def case(**columns: object) -> Case:
    found = understand(serving(**OFFLINE | columns))
    assert isinstance(found, Case), found
    return found


def predicted(**columns: object) -> float:
    (block,), skipped = inference_blocks([serving(**columns)])
    assert not skipped
    return float(np.ravel(block.predict(likely(efficiencies(*block.tables))))[0])


# the data


@pytest.mark.parametrize("each", benchmarks(), ids=lambda each: each.id)
def test_every_source_of_a_benchmark_exists(each: Benchmark) -> None:
    assert all(source(key).title for key in each.sources)


@pytest.mark.parametrize("each", benchmarks(), ids=lambda each: each.id)
def test_figures_are_possible_and_what_is_assumed_has_a_span(each: Benchmark) -> None:
    for figure in (each.prompt, each.answer, each.spread, each.samples):
        if source(figure.source).kind == "assumed":
            assert figure.low is not None and figure.high is not None
            assert figure.low < figure.value < figure.high and figure.note
    assert each.prompt.value >= 1 and each.answer.value >= 1 and each.samples.value >= 1
    assert each.spread.value >= 0


@pytest.mark.parametrize("each", benchmarks(), ids=lambda each: each.id)
def test_interactive_limits_are_the_tighter_ones(each: Benchmark) -> None:
    usual = each.server.seconds
    assert any(map(math.isfinite, usual))
    if each.interactive is not None:
        assert all(a <= b for a, b in zip(each.interactive.seconds, usual, strict=True))


@pytest.mark.parametrize(
    ("label", "id"),
    [
        ("gptj-99.9", "gptj"),
        ("llama2-70b-interactive-99", "llama2-70b"),
        ("llama3_1-405b", "llama3.1-405b"),
        ("llama3.1-8b-edge", "llama3.1-8b"),
        ("deepseek-r1", "deepseek-r1"),
        ("DeepSeek-R1-Distill-Llama-8B", None),
        ("llama3_1-70b-fp8_dyn", None),
        ("resnet50", None),
    ],
)
def test_labels(label: str, id: str | None) -> None:
    found = benchmark(label)
    assert (found.id if found else None) == id


# lengths and loads


def test_the_row_says_its_lengths_before_the_benchmark_does() -> None:
    usual = benchmark("llama2-70b")
    assert usual is not None
    assert (case().prompt, case().answer) == (usual.prompt.value, usual.answer.value)
    counted = case(notes=f"{CLOSED}; accuracy-run mean output tokens/sample 271.5; official")
    assert (counted.prompt, counted.answer) == (usual.prompt.value, 271.5)
    stated = case(isl=100, osl=50)
    assert (stated.prompt, stated.answer) == (100, 50)


def test_other_models_answer_the_open_benchmark_only_in_the_open_division() -> None:
    found = case(model="llama3_1-70b-fp8_dyn", notes=OPEN)
    assert found.rules is not None and found.rules.benchmark.id == "llama2-70b"
    reason = understand(serving(**OFFLINE | {"model": "llama3_1-70b-fp8_dyn"}))
    assert isinstance(reason, str) and "not stated" in reason


def test_all_places_are_taken_offline_however_many_chips() -> None:
    for chips in (1, 8, 512):
        found = case(n_chips=chips)
        assert found.how == "backlog" and found.asked >= found.layout.replicas * found.most


def test_how_a_server_was_asked() -> None:
    assert case(**SERVER).how == "limits"
    stated = case(**SERVER | {"concurrency_or_qps": "target_qps=20"})
    assert (stated.how, stated.asked) == ("rate", 20.0)
    beams = case(**SERVER | {"concurrency_or_qps": "target_qps=20", "model": "gptj-99"})
    assert (beams.asked, beams.beams) == (80.0, 4)


def test_a_rate_is_of_samples_not_of_beams() -> None:
    asked = SERVER | {"concurrency_or_qps": "target_qps=2", "model": "gptj-99"}
    assert predicted(**asked | {"metric": "requests_per_sec"}) == pytest.approx(2)
    assert predicted(**asked) == pytest.approx(2 * 69)


def test_tighter_limits_leave_no_more_throughput() -> None:
    free = predicted(**OFFLINE)
    server = predicted(**SERVER)
    tight = predicted(**SERVER | {"model": "llama2-70b-interactive-99.9"})
    named = predicted(**SERVER | {"notes": f"{CLOSED}, scenario Interactive"})
    assert 0 < tight <= server <= 1.01 * free
    assert named == pytest.approx(tight)


def test_percentiles_and_power_stay_skipped() -> None:
    rows = [
        serving(**SERVER | {"metric": "ttft_ms", "notes": f"{CLOSED}; p99 over requests"}),
        serving(**OFFLINE | {"metric": "power_w"}),
    ]
    blocks, skipped = inference_blocks(rows)
    assert not blocks
    assert ["percentile" in each.reason for each in skipped] == [True, False]


# layouts


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"chip": "H100-SXM-80GB"}, (2, 4)),
        ({"chip": "H100-NVL-94GB"}, (2, 4)),
        ({"chip": "H200-SXM-141GB"}, (1, 8)),
        ({"chip": "B200-SXM-180GB"}, (1, 8)),
        ({"chip": "H100-SXM-80GB", "model": "mixtral-8x7b"}, (1, 8)),
        ({"chip": "H200-SXM-141GB", "model": "llama3.1-405b"}, (8, 1)),
        ({"chip": "H100-SXM-80GB", "model": "llama3.1-405b", "n_chips": 32}, (8, 4)),
        ({"chip": "B200-SXM-180GB", "model": "llama3.1-405b"}, (4, 2)),
        ({"chip": "L4", "model": "gptj-99", "n_chips": 6}, (1, 6)),
    ],
)
def test_copies_as_published_configurations_have_them(
    columns: dict[str, object], expected: tuple[int, int]
) -> None:
    found = case(**columns)
    assert (found.layout.tensor, found.layout.replicas) == expected
    assert "chips: not stated" in found.note


def test_a_stated_degree_is_kept_and_one_chip_needs_no_note() -> None:
    assert case(tp=4).layout == Degrees(tensor=4, replicas=2)
    assert case(n_chips=1, chip="H200-SXM-141GB").layout == Degrees()


def test_more_memory_needs_no_more_chips_a_copy() -> None:
    names = ("H100-SXM-80GB", "H200-SXM-141GB")
    for small, large in pairwise(case(chip=name, precision="fp8").layout.tensor for name in names):
        assert large <= small


def test_latent_attention_shares_out_sequences() -> None:
    found = case(model="deepseek-r1", chip="H200-SXM-141GB").layout
    assert (found.tensor, found.data, found.expert) == (1, 8, 8)


def test_a_dual_card_is_two_chips() -> None:
    found = case(model="llama3_1-8b", chip="Arc-Pro-B60-Dual-48G", precision="uint4", n_chips=4)
    assert found.layout.chips == 8


# formats and engines


@pytest.mark.parametrize(
    ("columns", "weights", "cache"),
    [
        ({"chip": "B200-SXM-180GB"}, "fp4", "fp8"),
        ({"chip": "H100-SXM-80GB"}, "fp8", "fp8"),
        ({"chip": "A100-SXM-80GB"}, "int8", "bf16"),
        ({"chip": "B200-SXM-180GB", "precision": "fp8"}, "fp8", "fp8"),
        ({"chip": "H100-SXM-80GB", "precision": "fp16"}, "bf16", "bf16"),
        ({"chip": "H100-SXM-80GB", "notes": OPEN}, "bf16", "bf16"),
        (
            {"model": "llama3_1-70b-fp8_nim", "precision": "fp16", "notes": OPEN},
            *("fp8", "bf16"),
        ),
        ({"notes": OPEN.replace('"B"', '"B (vLLM, GPTQ)"')}, "int4", "bf16"),
        ({"chip": "H200-SXM-141GB", "n_chips": 1, "notes": OPEN}, "fp8", "bf16"),
        ({"chip": "Jetson-AGX-Orin-64G", "n_chips": 1, "notes": OPEN}, "int4", "bf16"),
    ],
)
def test_usual_formats(columns: dict[str, object], weights: str, cache: str) -> None:
    found = case(**columns)
    assert (found.formats.weights, found.formats.cache) == (weights, cache)


@pytest.mark.parametrize(
    ("name", "release", "expected"),
    [
        ("TensorRT", "TensorRT 10.8, CUDA 12.8", "trtllm-1"),
        ("TensorRT", "TensorRT 9.3.0, CUDA 12.2", "trtllm-0"),
        ("CUDA", "CUDA 12.4", "trtllm-1"),
        ("Nvidia", "Nvidia inference implementation, TensorRT v9.0.0", "trtllm-0"),
        ("vLLM", "vLLM 0.9.1", "vllm-1"),
    ],
)
def test_engines_by_what_they_stand_on(name: str, release: str, expected: str) -> None:
    found = case(engine=name, engine_version=release)
    assert found.engine is not None and found.engine.id == expected
    assert found.most >= IN_FLIGHT
