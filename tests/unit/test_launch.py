"""What is written for single plans, and what is said of those that cannot be."""

from __future__ import annotations

import re

import pytest
import yaml

from eke.catalog.fleets import fleet
from eke.catalog.models import model, model_file, model_names
from eke.errors import BadInput
from eke.launch import configuration
from eke.launch.servers import chips_per_server
from eke.launch.serving import longest
from eke.launch.start import Start, checkpoint_of
from eke.types.job import Serve, Tier
from eke.types.plan import Plan
from eke.types.record import replace

QWEN = model("qwen3-8b")


def start(plan: Plan, **changes: object) -> Start:
    """Qwen3-8B on 16 chips of the plan."""
    begin = Start(
        job=Serve(model=QWEN),
        plan=plan,
        fleet=fleet(f"16x{plan.chip}"),
        checkpoint="Qwen/Qwen3-8B",
        command="eke plan",
    )
    return replace(begin, **changes)


def vllm(plan: Plan, **changes: object) -> dict[str, object]:
    read: dict[str, object] = yaml.safe_load(
        configuration("vllm", start(plan, **changes))["vllm.yaml"]
    )
    return read


def test_a_checkpoint_that_is_given_wins() -> None:
    assert checkpoint_of(QWEN, "/models/mine") == "/models/mine"
    assert checkpoint_of(replace(QWEN, hub="Qwen/Qwen3-8B"), None) == "Qwen/Qwen3-8B"


@pytest.mark.parametrize("given", [None, "", "  ", "--help", "a\nb"])
def test_a_checkpoint_that_nobody_knows_is_asked_for(given: str | None) -> None:
    with pytest.raises(BadInput, match="checkpoint"):
        checkpoint_of(replace(QWEN, hub=""), given)


def test_servers_hold_what_they_usually_hold() -> None:
    sizes = {"64xh100-sxm": 8, "2xgb200-nvl72": 4, "256xtpu-v5e": 8, "4xh100-sxm": 4}
    for text, size in sizes.items():
        assert chips_per_server(fleet(text).pools[0]) == size


def test_the_longest_request_is_rounded_up_but_never_beyond_the_model() -> None:
    means = Serve(model=QWEN, prompt=1000, answer=300)
    assert longest(means, tail=False) == longest(replace(means, spread=0.0)) == 2048
    assert longest(means) == 12_288
    tiers = (Tier(context=40_900, share=1.0),)
    assert longest(Serve(model=QWEN, tiers=tiers)) == 40_960
    with pytest.raises(BadInput, match="made for 40,960"):
        longest(Serve(model=QWEN, prompt=50_000))


def test_sequences_are_shared_out_to_data_ranks() -> None:
    assert vllm(Plan(chip="h100-sxm", data=4, batch=10))["max-num-seqs"] == 3


def test_sixteen_bit_weights_are_rounded_while_loading_but_others_are_not() -> None:
    plan = Plan(chip="h100-sxm", weights="fp8", compute="fp8")
    assert vllm(plan)["quantization"] == "fp8"
    assert "quantization" not in vllm(plan, checkpoint="Qwen/Qwen3-8B-FP8")
    four = Plan(chip="h100-sxm", weights="int4")
    assert vllm(four, checkpoint="Qwen/Qwen3-8B-AWQ")["quantization"] == "awq"
    own = Serve(model=replace(QWEN, hub="Qwen/Qwen3-8B"))
    with pytest.raises(BadInput, match="give --checkpoint of a version in int4"):
        vllm(four, job=own)


@pytest.mark.parametrize(
    ("engine", "plan", "says"),
    [
        ("vllm", Plan(chip="a100-sxm-80"), "the fleet has only h100-sxm"),
        ("vllm", Plan(chip="h100-sxm", sparse=True), "cannot be told 'sparse'"),
        ("vllm", Plan(chip="h100-sxm", compute="fp8"), "Plan with --compute bf16"),
        ("vllm", Plan(chip="h100-sxm", weights="fp8"), "Plan with --compute fp8"),
        ("vllm", Plan(chip="h100-sxm", batch=9000), "wants at least one token each"),
        ("vllm", Plan(chip="h100-sxm", expert=4), "has no experts"),
        ("sglang", Plan(chip="h100-sxm", cache="fp16"), "keeps no cache in fp16"),
        ("sglang", Plan(chip="h100-sxm", tensor=3, pipeline=3), "does not divide over servers"),
        ("sglang", Plan(chip="h100-sxm", data=16), "more replicas"),
        (
            "sglang",
            Plan(chip="h100-sxm", pipeline=2, drafts=2, draft_cost=0.0),
            "only without pipe",
        ),
        ("vllm", Plan(chip="h100-sxm", context=2), "only for latent attention"),
        ("llama.cpp", Plan(chip="h100-sxm", batch=300), "at most 256 slots"),
        ("llama.cpp", Plan(chip="h100-sxm", tensor=2, pipeline=2), "not both"),
        ("vlm", Plan(chip="h100-sxm"), "closest: vllm"),
    ],
)
def test_what_cannot_be_is_said(engine: str, plan: Plan, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        configuration(engine, start(plan, fleet=fleet("16xh100-sxm")))


def test_confidential_computing_is_not_the_engines_business() -> None:
    with pytest.raises(BadInput, match="on the host"):
        vllm(Plan(chip="h100-sxm"), job=Serve(model=QWEN, confidential=True))


def test_files_of_the_weights_are_named_by_their_format() -> None:
    plan = Plan(chip="rtx-4090", weights="q4_k", compute="int8", cache="fp16")
    (text,) = configuration("llama.cpp", start(plan)).values()
    assert "--model Qwen3-8B-Q4_K_M.gguf" in text
    (text,) = configuration("llama.cpp", start(plan, checkpoint="Qwen/Qwen3-8B-GGUF")).values()
    assert "--hf-repo Qwen/Qwen3-8B-GGUF:Q4_K_M" in text


def test_odd_checkpoints_stay_one_word() -> None:
    odd = "/models/it's $HOME; rm -rf"
    files = configuration("trtllm", start(Plan(chip="h100-sxm"), checkpoint=odd))
    assert "'/models/it'\"'\"'s $HOME; rm -rf'" in files["start-trtllm.sh"]
    assert vllm(Plan(chip="h100-sxm"), checkpoint=odd)["model"] == odd


def test_the_catalogue_says_where_weights_are_once_each() -> None:
    found = [read.hub for read in map(model_file, model_names()) if read.hub]
    assert len(found) > 200
    assert len(set(found)) == len(found)
    assert all(re.fullmatch(r"[\w.-]+/[\w.-]+", hub, re.ASCII) for hub in found)
