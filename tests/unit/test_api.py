"""The same verbs in Python."""

from __future__ import annotations

import subprocess
import sys

import pytest

import eke
from eke import BadInput, Infeasible, Need, Plan, Promise, Serve, Train, fleet, model, need


def test_readme_example() -> None:
    job = Serve(model=model("llama-3.1-70b"), rate=5, prompt=2000, answer=500)
    found = need(job, fleet=fleet("8xh100-sxm"))
    assert isinstance(found, Need) and found.chosen
    span = found.figures["tpot"].span
    assert 0.005 < span.low < span.likely < span.high < 0.2


def test_a_given_plan_is_priced_as_it_is() -> None:
    job = Serve(model=model("llama-3.1-8b"), ttft=Promise(limit=1.0, percentile=0.99))
    found = need(job, Plan(chip="h100-sxm", replicas=2, batch=64), "4xh100-sxm")
    assert isinstance(found, Need) and not found.chosen and found.chips.likely == 2
    assert found.figures["ttft_promised"].span.likely <= 1.0


def test_a_plan_that_does_not_fit_says_by_how_much() -> None:
    job = Train(model=model("llama-3.1-70b"), tokens=1e12)
    found = need(job, Plan(chip="h100-sxm", data=8, batch=64), "8xh100-sxm")
    assert isinstance(found, Infeasible) and found.limit == "memory"
    assert found.by == pytest.approx(found.need - found.have)


@pytest.mark.parametrize(
    "plan,says",
    [
        (Plan(chip="h100-sxm", tensor=0), "tensor is 0"),
        (Plan(chip="h100-sxm", tensor=16), "takes 16 h100-sxm, the fleet has 8"),
        (Plan(chip="a100-sxm-80"), "the fleet has h100-sxm"),
        (Plan(chip="h100-sxm", expert=3), "must divide"),
        (Plan(chip="h100-sxm", tensor=3), "must divide the 32 attention heads"),
        (Plan(chip="h100-sxm", tensor=1, pipeline=8, virtual=8), "has only 32 layers"),
        (Plan(chip="h100-sxm", virtual=2), "no pipeline to interleave"),
        (Plan(chip="h100-sxm", adapter_slots=-1), "adapter_slots is -1"),
        (Plan(chip="h100-sxm", adapter_slots=3), "no fine-tunes are asked for"),
        (Plan(chip="h100-sxm", offload=True), "nothing is reused"),
    ],
)
def test_plans_that_mean_nothing(plan: Plan, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        need(Serve(model=model("llama-3.1-8b")), plan, "8xh100-sxm")


@pytest.mark.parametrize("rate", [0, -1, float("nan"), float("inf")])
def test_jobs_that_mean_nothing(rate: float) -> None:
    with pytest.raises(BadInput, match="rate is"):
        Serve(model=model("llama-3.1-8b"), rate=rate)


def test_a_choice_without_use_is_refused() -> None:
    job = Serve(model=model("llama-3.1-8b"))
    with pytest.raises(BadInput, match="context 2 means nothing"):
        need(job, fleet="8xh100-sxm", choices={"context": 2})


LLAMA = model("llama-3.1-8b")


@pytest.mark.parametrize(
    "ask,says",
    [
        (lambda: need(Serve(model=LLAMA, rate="5"), fleet="8xh100-sxm"), "rate is '5'"),  # type: ignore[arg-type]
        (lambda: need(Serve(model="llama"), fleet="8xh100-sxm"), "the model is 'llama'"),  # type: ignore[arg-type]
        (lambda: need("serve", fleet="8xh100-sxm"), "the job is 'serve'"),  # type: ignore[arg-type]
        (lambda: need(Serve(model=LLAMA), "8xh100-sxm"), "Chips are given as fleet"),  # type: ignore[arg-type]
        (lambda: need(Serve(model=LLAMA), fleet=8), "the fleet is 8"),  # type: ignore[arg-type]
        (lambda: need(Serve(model=LLAMA), fleet=eke.Fleet(pools=())), "the fleet is"),
        (lambda: need(Serve(model=LLAMA), Plan(chip="h100-sxm", tensor=2.5), "8xh100"), "whole"),  # type: ignore[arg-type]
        (lambda: need(Serve(model=LLAMA), Plan(chip="h100-sxm", weights="fp7"), "8xh100"), "fp7"),  # type: ignore[arg-type]
        (lambda: need(Serve(model=LLAMA), fleet="8xh100", choices={"tensr": 2}), "closest: tensor"),
        (lambda: need(Serve(model=LLAMA), fleet="8xh100", choices={"tensor": "2"}), "whole number"),
        (lambda: need(Serve(model=LLAMA), fleet="8xh100", choices={"adapter_slots": -2}), "from 0"),
        (lambda: Serve(model=LLAMA, adapters=-3), "adapters is -3"),
        (lambda: Serve(model=LLAMA, adapters=2.5), "whole number"),  # type: ignore[arg-type]
        (lambda: Serve(model=LLAMA, adapter_rank=0), "adapter_rank is 0"),
        (lambda: Serve(model=LLAMA, reuse=0.5, pause=-1), "pause is -1"),
        (lambda: eke.quantity(5), "5 is not a text"),  # type: ignore[arg-type]
    ],
)
def test_wrong_types_are_mistakes_in_words(ask, says: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(eke.EkeError, match=says):
        ask()


def test_no_fleet_says_what_to_do() -> None:
    with pytest.raises(BadInput, match="8xh100-sxm"):
        need(Serve(model=model("llama-3.1-8b")))


def test_importing_eke_loads_nothing_heavy() -> None:
    code = "import sys, eke, eke.cli; print([m for m in ('numpy', 'msgspec') if m in sys.modules])"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"
    with pytest.raises(AttributeError, match="it has"):
        eke.nothing  # noqa: B018


@pytest.mark.parametrize(
    ("chip", "named", "runs"),
    [
        ("mi300x", "vllm-1", "vllm-1-rocm"),
        ("mi300x", "vllm-0", "vllm-0-rocm"),
        ("m2-ultra", "llama-cpp", "llama-metal"),
        ("h100-sxm", "vllm-1", "vllm-1"),
        ("h100-sxm", "tgi", "tgi"),
    ],
)
def test_an_engine_is_the_build_for_the_chips(chip: str, named: str, runs: str) -> None:
    job = Serve(model=model("llama-3.1-8b"), rate=0.1)
    found = need(job, fleet=fleet(chip), choices={"engine": named})
    assert isinstance(found, Need) and found.plan.engine == runs
