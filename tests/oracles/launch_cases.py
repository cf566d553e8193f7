"""Plans of many kinds, to be written for every engine that can run them."""

from __future__ import annotations

from functools import cache

from eke.catalog.fleets import fleet
from eke.catalog.models import model
from eke.launch.start import Start
from eke.types.job import Serve, Tier
from eke.types.plan import Plan
from eke.types.record import replace

COMMAND = "eke plan serve case --write engine"
QWEN, LLAMA, LARGE = "Qwen/Qwen3-32B", "meta-llama/Llama-3.1-8B", "meta-llama/Llama-3.1-405B"
SEEK, EXPERTS, OPEN = "deepseek-ai/DeepSeek-V3", "Qwen/Qwen3-235B-A22B", "openai/gpt-oss-120b"


@cache
def cases() -> dict[str, Start]:
    """Name → what is to be started."""
    return {**_dense(), **_experts(), **_parts(), **_extras(), **_elsewhere()}


def start(plan: Plan, of: str, checkpoint: str, job: Serve | None = None, chips: int = 64) -> Start:
    """A plan on a fleet of its own chips."""
    return Start(
        job=job or Serve(model=model(of), reuse=0.4),
        plan=plan,
        fleet=fleet(f"{chips}x{plan.chip}"),
        checkpoint=checkpoint,
        command=COMMAND,
    )


def _dense() -> dict[str, Start]:
    hopper = Plan(chip="h100-sxm", batch=256)
    tiers = (Tier(context=8000, share=0.9), Tier(context=131_000, share=0.1))
    long = Serve(model=model("llama-3.1-8b"), tiers=tiers)
    return {
        "dense": start(replace(hopper, tensor=4, replicas=3), "qwen3-32b", QWEN),
        "one chip each": start(replace(hopper, replicas=9), "llama-3.1-8b", LLAMA),
        "rounded to fp8": start(
            replace(hopper, weights="fp8", compute="fp8", cache="fp8"), "llama-3.1-8b", LLAMA
        ),
        "tiers": start(replace(hopper, tensor=2), "llama-3.1-8b", LLAMA, long),
        "over servers": start(
            replace(hopper, tensor=8, pipeline=2, replicas=2), "llama-3.1-405b", LARGE
        ),
        "four bits": start(
            replace(hopper, weights="int4", replicas=2), "qwen3-32b", "Qwen/Qwen3-32B-AWQ"
        ),
        "eight bits": start(
            replace(hopper, weights="int8", compute="int8"), "qwen3-32b", "/models/qwen3-w8a8"
        ),
        "long pages": start(replace(hopper, block=64, token_budget=4096), "llama-3.1-8b", LLAMA),
        "layers in a row": start(replace(hopper, pipeline=4), "qwen3-32b", QWEN),
        "in halves": start(
            replace(hopper, weights="fp16", compute="fp16", cache="fp16"), "llama-3.1-8b", LLAMA
        ),
        "dense data ranks": start(replace(hopper, data=4), "llama-3.1-8b", LLAMA),
    }


def _experts() -> dict[str, Start]:
    hopper = Plan(chip="h200-sxm", batch=512)
    deep = replace(hopper, weights="fp8", compute="fp8")
    return {
        "experts": start(replace(hopper, tensor=8, expert=8), "qwen3-235b-a22b", EXPERTS),
        "cut experts": start(replace(hopper, tensor=8), "qwen3-235b-a22b", EXPERTS),
        "some experts cut": start(replace(hopper, tensor=8, expert=4), "qwen3-235b-a22b", EXPERTS),
        "data and experts": start(
            replace(deep, data=16, expert=16, replicas=2, drafts=1), "deepseek-v3", SEEK
        ),
        "tensor, data, experts": start(
            replace(deep, tensor=4, data=4, expert=16), "deepseek-v3", SEEK
        ),
        "cut contexts": start(replace(deep, tensor=4, context=2, expert=8), "deepseek-v3", SEEK),
        "published in four bits": start(
            replace(hopper, weights="fp4", tensor=2, expert=2), "gpt-oss-120b", OPEN
        ),
    }


def _parts() -> dict[str, Start]:
    first = Plan(chip="h100-sxm", batch=16, replicas=2)
    same = Plan(chip="h100-sxm", batch=128, tensor=4, prefill=first)
    wide = Plan(chip="h100-sxm", batch=64, tensor=8, pipeline=2, prefill=replace(first, tensor=4))
    deep = Plan(chip="h200-sxm", batch=1024, weights="fp8", compute="fp8")
    many = replace(
        deep, data=32, expert=32, prefill=replace(deep, batch=64, data=8, expert=8, replicas=2)
    )
    return {
        "two parts on a server": start(same, "qwen3-32b", QWEN),
        "two parts over servers": start(wide, "llama-3.1-405b", LARGE),
        "two parts with experts": start(many, "deepseek-v3", SEEK),
    }


def _extras() -> dict[str, Start]:
    kept = Plan(chip="h100-sxm", batch=64, adapter_slots=8)
    adapted = Serve(model=model("llama-3.1-8b"), adapters=200, adapter_rank=24)
    host = Plan(chip="h100-sxm", batch=64, offload=True)
    parts = replace(host, prefill=Plan(chip="h100-sxm", batch=4, offload=True))
    looked = Plan(chip="h100-sxm", batch=8, drafts=4, draft_cost=0.0)
    return {
        "adapters": start(kept, "llama-3.1-8b", LLAMA, adapted),
        "adapters on data ranks": start(replace(kept, data=16), "llama-3.1-8b", LLAMA, adapted),
        "host memory": start(host, "llama-3.1-8b", LLAMA),
        "host memory in two parts": start(parts, "llama-3.1-8b", LLAMA),
        "looked up": start(looked, "llama-3.1-8b", LLAMA),
        "no reuse": start(
            Plan(chip="h100-sxm", batch=8),
            "llama-3.1-8b",
            LLAMA,
            Serve(model=model("llama-3.1-8b")),
        ),
    }


def _elsewhere() -> dict[str, Start]:
    packed = {"weights": "q4_k", "compute": "int8", "cache": "q8_0", "batch": 4}
    return {
        "AMD": start(Plan(chip="mi300x", tensor=2, replicas=5, batch=64), "qwen3-32b", QWEN),
        "TPU": start(Plan(chip="tpu-v5e", tensor=8, replicas=2, batch=64), "llama-3.1-8b", LLAMA),
        "rack": start(Plan(chip="gb200", tensor=8, replicas=2, batch=64), "llama-3.1-405b", LARGE),
        "graphics card": start(
            Plan(chip="rtx-4090", **packed), "llama-3.1-8b", "llama-3.1-8b-GGUF/model", chips=2
        ),
        "desktop": start(
            Plan(chip="m3-ultra-80core", **packed | {"cache": "fp16"}),
            "llama-3.1-8b",
            LLAMA,
            chips=1,
        ),
        "CPU": start(Plan(chip="epyc-9654", **packed), "llama-3.1-8b", "/models/llama", chips=1),
    }
