"""Laws of configurations: for any plan and engine, every chip is there once and nothing is lost."""

from __future__ import annotations

import re
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[1] / "oracles"))

import starting
from launch_cases import COMMAND, cases, start

from eke.catalog.models import model
from eke.errors import BadInput
from eke.launch import ENGINES, configuration
from eke.launch.start import Start
from eke.types.job import Serve, Train
from eke.types.plan import Plan
from eke.types.record import replace

SERVING = ("vllm", "sglang", "trtllm", "llama.cpp", "dynamo", "ray", "k8s")
SCRIPTED = ("vllm", "sglang", "trtllm", "llama.cpp")
POWERS = st.sampled_from([1, 2, 4, 8])
CHECKPOINTS = {
    "qwen3-8b": "Qwen/Qwen3-8B",
    "qwen3-30b-a3b": "Qwen/Qwen3-30B-A3B",
    "deepseek-v3": "deepseek-ai/DeepSeek-V3",
}


@st.composite
def halves(draw: st.DrawFn, name: str, chip: str) -> Plan:
    """One part of a plan to serve."""
    tensor, data = draw(POWERS), draw(st.sampled_from([1, 1, 1, 2, 8]))
    spread = st.sampled_from([tensor * data] * 3 + [1, tensor])
    weights = draw(st.sampled_from(["bf16"] * 4 + ["fp8", "int4", "q4_k"]))
    return Plan(
        chip=chip,
        tensor=tensor,
        data=data,
        expert=1 if name == "qwen3-8b" else draw(spread),
        pipeline=draw(st.sampled_from([1, 1, 2, 3])),
        context=draw(st.sampled_from([1] * 9 + [2])),
        replicas=draw(st.integers(1, 9)),
        batch=draw(st.sampled_from([1, 7, 64, 300])),
        block=draw(st.sampled_from([16, 16, 32])),
        weights=weights,
        compute="fp8" if weights == "fp8" else "bf16",
        cache=draw(st.sampled_from(["bf16"] * 4 + ["fp8"])),
        drafts=draw(st.sampled_from([0, 2])) if name == "deepseek-v3" else 0,
        sparse=draw(st.integers(0, 19)) == 19,
    )


@st.composite
def starts(draw: st.DrawFn) -> Start:
    """A plan of one part or two, for a dense or a routed model."""
    name = draw(st.sampled_from(list(CHECKPOINTS)))
    chip = draw(st.sampled_from(["h100-sxm", "h100-sxm", "mi300x", "gb200", "l40s"]))
    plan = draw(halves(name, chip))
    if draw(st.integers(0, 2)) == 2:
        plan = replace(plan, prefill=draw(halves(name, chip)))
    job = Serve(model=model(name), reuse=draw(st.sampled_from([0.0, 0.5])))
    return start(plan, name, CHECKPOINTS[name], job, chips=4096)


def started(files: dict[str, str], script: str) -> Counter[tuple[int, int]]:
    """(server, chip) → how many processes have it, over all servers that a script is for."""
    found: Counter[tuple[int, int]] = Counter()
    with tempfile.TemporaryDirectory() as place:
        if "mpirun" in files[script]:
            return by_mpi(Path(place), files, script)
        for server in range(servers(files[script])):
            for call in starting.run(Path(place), files, script, str(server), "10.0.0.1"):
                assert call.chips is not None
                found.update((server, chip) for chip in call.chips)
    return found


def by_mpi(folder: Path, files: dict[str, str], script: str) -> Counter[tuple[int, int]]:
    """The same of a script that is run once per replica and places ranks by MPI."""
    replicas, nodes = map(
        int, re.findall(r"once per replica \((\d+)\) with its (\d+)", files[script])[0]
    )
    hosts = ",".join(f"server{n}" for n in range(nodes))
    (call,) = starting.run(folder, files, script, hosts)
    ranks = int(call.words[call.words.index("-n") + 1])
    slots = call.words[call.words.index("--host") + 1].split(",")
    assert len(slots) == nodes
    chips = [int(slot.split(":")[1]) for slot in slots]
    assert sum(chips) == ranks
    places = (
        (replica * nodes + node, chip)
        for replica in range(replicas)
        for node in range(nodes)
        for chip in range(chips[node])
    )
    return Counter(places)


def servers(script: str) -> int:
    """How many servers a script says it is for."""
    if "server=${1:-0}" in script:
        return 1
    return int(script.split("server=${1:?number of this server, 0 to ")[1].split("}")[0]) + 1


def parts(plan: Plan) -> dict[str, Plan]:
    """Role → part; "" for a plan of one part."""
    return {"prefill": plan.prefill, "decode": plan} if plan.prefill else {"": plan}


def in_manifests(text: str) -> int:
    """Chips that manifests or a Ray file ask for."""
    return sum(map(_asked, yaml.safe_load_all(text)))


def _asked(document: dict[str, Any]) -> int:
    if "applications" in document:
        (application,) = document["applications"]
        given = application["args"]
        return sum(map(_ray, given.get("llm_configs") or given.values()))
    spec = document["spec"]
    if document["kind"] == "Deployment":
        return spec["replicas"] * _limit(spec["template"]["spec"])
    if document["kind"] == "LeaderWorkerSet":
        group = spec["leaderWorkerTemplate"]
        first, others = (_limit(group[f"{role}Template"]["spec"]) for role in ("leader", "worker"))
        return spec["replicas"] * (first + (group["size"] - 1) * others)
    return sum(map(_component, spec.get("components", [])))


def _component(component: dict[str, Any]) -> int:
    nodes = component.get("multinode", {}).get("nodeCount", 1)
    return component["replicas"] * nodes * _limit(component["podTemplate"]["spec"])


def _limit(pod: dict[str, Any]) -> int:
    (container,) = pod["containers"]
    return sum(map(int, container.get("resources", {}).get("limits", {}).values()))


def _ray(configuration: dict[str, Any]) -> int:
    options = configuration["engine_kwargs"]
    chips = options["tensor_parallel_size"] * options["pipeline_parallel_size"]
    chips *= options.get("data_parallel_size", 1)
    return chips * configuration["deployment_config"]["num_replicas"]


@settings(max_examples=150)
@given(begin=starts(), engine=st.sampled_from(SERVING))
def test_files_are_whole_and_every_chip_is_asked_for(begin: Start, engine: str) -> None:
    try:
        files = configuration(engine, begin)
    except BadInput as error:
        assert str(error).endswith(".")
        return
    for name, text in files.items():
        lines = text.removeprefix("#!/usr/bin/env bash\n").splitlines()
        assert lines[0] == f"# Written by: {COMMAND}"
        assert lines[1].startswith("# ")
        if name.endswith(".yaml"):
            assert all(isinstance(each, dict) for each in yaml.safe_load_all(text))
    if engine in ("dynamo", "ray", "k8s"):
        (text,) = files.values()
        assert in_manifests(text) == begin.plan.chips


@settings(max_examples=25)
@given(begin=starts(), engine=st.sampled_from(SCRIPTED))
def test_every_chip_runs_one_process(begin: Start, engine: str) -> None:
    small = replace(begin.plan, replicas=min(begin.plan.replicas, 3))
    if small.prefill is not None:
        small = replace(small, prefill=replace(small.prefill, replicas=1))
    try:
        files = configuration(engine, replace(begin, plan=small))
    except BadInput:
        return
    for role, part in parts(small).items():
        found = started(files, f"start-{role or engine}.sh")
        assert sum(found.values()) == part.group * part.replicas
        assert set(found.values()) == {1}


def test_two_parts_on_a_server_share_it() -> None:
    begin = cases()["two parts on a server"]
    files = configuration("vllm", begin)
    first = started(files, "start-prefill.sh")
    then = started(files, "start-decode.sh")
    assert not set(first) & set(then)
    assert sum(first.values()) + sum(then.values()) == begin.plan.chips


# field → another value: each must change what is written or be refused, never be dropped
CHANGES: dict[str, Any] = {
    **dict.fromkeys(("tensor", "pipeline", "context", "data", "replicas", "virtual", "drafts"), 2),
    **dict.fromkeys(("stream", "padded", "sparse"), True),
    **dict.fromkeys(("weights", "cache"), "fp8"),
    "batch": 8,
    "block": 32,
    "token_budget": 4096,
    "prefill": Plan(chip="h100-sxm"),
}


@pytest.mark.parametrize("engine", SERVING)
@pytest.mark.parametrize("field", CHANGES)
def test_nothing_a_plan_says_is_dropped(engine: str, field: str) -> None:
    plan = Plan(chip="h100-sxm", batch=4)
    before = configuration(engine, start(plan, "qwen3-8b", "Qwen/Qwen3-8B"))
    changed = replace(plan, **{field: CHANGES[field]})
    if field == "weights":
        changed = replace(changed, compute="fp8")
    try:
        after = configuration(engine, start(changed, "qwen3-8b", "Qwen/Qwen3-8B"))
    except BadInput:
        return
    assert _meant(after) != _meant(before)


def _meant(files: dict[str, str]) -> dict[str, str]:
    """Files without their comments."""
    return {
        name: "\n".join(line for line in text.splitlines() if not line.startswith("#"))
        for name, text in files.items()
    }


@pytest.mark.parametrize("engine", SERVING)
def test_a_job_without_requests_is_refused(engine: str) -> None:
    begin = start(Plan(chip="h100-sxm"), "qwen3-8b", "Qwen/Qwen3-8B")
    train = replace(begin, job=Train(model=model("qwen3-8b"), tokens=1e9))
    with pytest.raises(BadInput, match="job to train"):
        configuration(engine, train)


def test_engines_are_there() -> None:
    assert set(SERVING) <= set(ENGINES)
