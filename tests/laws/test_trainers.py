"""What is written for a trainer says all that the plan says, or is refused."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from tests.launching import step
from tests.oracles.engines.cases import CASES, start

from eke.catalog.fleets import fleet
from eke.catalog.models import model
from eke.errors import BadInput
from eke.launch import configuration
from eke.launch.start import Start
from eke.types.job import Serve
from eke.types.plan import Plan, check_plan
from eke.types.record import replace

TRAINERS = ("megatron", "torchtitan", "deepspeed", "trl", "verl")


def written(engine: str, made: Start) -> dict[str, str] | None:
    """The files, or None where the trainer refuses in words."""
    try:
        return configuration(engine, made)
    except BadInput as refused:
        assert len(str(refused)) > 20 and str(refused).endswith("."), refused
        return None


def check(made: Start, files: dict[str, str]) -> None:
    """Every file names the command, and reads as what it is."""
    for name, text in files.items():
        assert made.command in text, name
        if name.endswith((".sh", ".sbatch")):
            subprocess.run(["bash", "-n"], input=text.encode(), check=True)
        elif name.endswith(".yaml"):
            assert yaml.safe_load(text)
        elif name.endswith(".json"):
            assert json.loads(text)
        else:
            compile(text, name, "exec")


@st.composite
def layouts(draw: st.DrawFn) -> dict[str, Any]:
    """Degrees and settings, most of which some trainer refuses."""
    pick = st.sampled_from
    data, micro = draw(pick([1, 2, 8, 16])), draw(pick([1, 2]))
    return {
        "tensor": draw(pick([1, 1, 2, 8])),
        "pipeline": draw(pick([1, 1, 2, 4])),
        "virtual": draw(pick([1, 1, 2])),
        "context": draw(pick([1, 1, 2])),
        "expert": draw(pick([1, 1, 2, 8])),
        "data": data,
        "shard": draw(pick([0, 1, 2, 3])),
        "shard_ranks": draw(pick([0, 0, 2, 8])),
        "micro_batch": micro,
        "batch": data * micro * draw(pick([1, 4, 8, 32])) + draw(pick([0, 0, 0, 1])),
        "recompute": draw(pick(["none", "selective", "full"])),
        "schedule": draw(pick(["1f1b", "interleaved", "gpipe", "zero-bubble"])),
        "optimizer": draw(pick(["adam", "adam", "adam-8bit", "muon", "adafactor", "sgd"])),
        "compute": draw(pick(["bf16", "bf16", "fp8", "fp16", "fp32", "fp4"])),
        "gradients": draw(pick(["fp32", "fp32", "bf16"])),
        "sequence": draw(pick([True, True, False])),
    }


@pytest.mark.parametrize("engine", TRAINERS)
@given(name=st.sampled_from(sorted(CASES)), layout=layouts())
def test_ranks_and_batch_are_the_plans(engine: str, name: str, layout: dict[str, Any]) -> None:
    made = start(name)
    made = replace(made, plan=Plan(chip=made.plan.chip, **layout))
    try:
        check_plan(made.plan)
    except BadInput:
        return
    files = written(engine, made)
    if files is None:
        return
    check(made, files)
    assert step(engine, files) == (made.plan.chips, made.plan.batch)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("engine", (*TRAINERS, "slurm"))
def test_every_case_is_written_or_refused(engine: str, name: str) -> None:
    made = start(name)
    files = written(engine, made)
    if files is None:
        return
    check(made, files)
    if engine != "slurm":
        assert step(engine, files) == (made.plan.chips, made.plan.batch)


OTHER: dict[str, tuple[Any, ...]] = {
    "tensor": (2, 3),
    "pipeline": (2, 3),
    "virtual": (2,),
    "context": (2, 3),
    "expert": (2,),
    "data": (3, 4),
    "replicas": (2,),
    "shard": (0, 1, 2, 3),
    "shard_ranks": (2,),
    "micro_batch": (2, 4),
    "batch": (96, 7680),
    "recompute": ("none", "selective", "full"),
    "optimizer": ("adam", "adam-8bit", "muon", "adafactor", "sgd"),
    "compute": ("bf16", "fp16", "fp8", "fp4", "fp32", "int8"),
    "weights": ("bf16", "fp16", "fp8", "int4", "fp32"),
    "cache": ("fp8", "int8"),
    "gradients": ("fp32", "bf16", "fp16"),
    "sparse": (True,),
    "token_budget": (2048,),
    "block": (32,),
    "drafts": (2,),
    "stream": (True,),
    "padded": (True,),
    "offload": (True,),
    "adapter_slots": (4,),
    "rear": (Plan(chip="a100-sxm-80"),),
    "stage_layers": (5,),
}
UNHEARD = {  # of Plan: what no trainer is told
    "chip",  # the fleet's
    "sequence",  # means nothing without tensor parallelism, see below
    "schedule",  # means nothing without a pipeline, see below
    "acceptance",  # of drafts, which are refused
    "draft_cost",
    "engine",  # whose figures priced the plan
    "prefill",
}


def test_every_field_of_a_plan_is_heard_or_known_not_to_be() -> None:
    assert set(OTHER) | UNHEARD == set(Plan.__annotations__)


@pytest.mark.parametrize("engine", TRAINERS)
def test_a_pipeline_and_tensor_ranks_are_as_the_plan_has_them(engine: str) -> None:
    for name in CASES:
        made = start(name)
        before = written(engine, made)
        if before is None:
            continue
        others: dict[str, Any] = {"prefill": made.plan}
        others |= {"sequence": not made.plan.sequence} if made.plan.tensor > 1 else {}
        others |= {"schedule": "zero-bubble"} if made.plan.pipeline > 1 else {}
        for field, value in others.items():
            after = written(engine, replace(made, plan=replace(made.plan, **{field: value})))
            assert after is None or body(after) != body(before), (name, field)


def body(files: dict[str, str]) -> dict[str, str]:
    """The files without the line that describes the plan in words."""
    keep = {}
    for name, text in files.items():
        lines = text.splitlines()
        keep[name] = "\n".join(line for line in lines if "Expects: " not in line)
        keep[name] = keep[name] if "expects" not in text else _unworded(text)
    return keep


def _unworded(text: str) -> str:
    told = json.loads(text) if text.startswith("{") else {"text": text}
    told.pop("expects", None)
    return json.dumps(told)


def _alike(engine: str, made: Start, field: str, value: Any) -> bool:
    """Whether two plans mean the same to a trainer that is right to write the same."""
    plan = made.plan
    if field == "recompute":  # torchtitan's attention is always fused, and its header says so
        return engine == "torchtitan" and {value, plan.recompute} == {"none", "selective"}
    if field == "shard":  # nothing to share
        return plan.data * plan.context == 1 and engine in ("trl", "torchtitan")
    return False


@pytest.mark.parametrize("field", OTHER)
@pytest.mark.parametrize("engine", TRAINERS)
def test_nothing_is_dropped(engine: str, field: str) -> None:
    """Another value of a field is written otherwise, or refused."""
    for name in CASES:
        made = start(name)
        before = written(engine, made)
        for value in OTHER[field] if before is not None else ():
            if value == getattr(made.plan, field) or _alike(engine, made, field, value):
                continue
            after = written(engine, replace(made, plan=replace(made.plan, **{field: value})))
            assert after is None or body(after) != body(before), (name, field, value)


JOBS: dict[str, tuple[Any, ...]] = {
    "tokens": (3e9,),
    "sequence": (2048,),
    "method": ("full", "lora", "qlora"),
    "rank": (64,),
    "objective": ("sft", "dpo", "reward"),
    "epochs": (3.0,),
    "prompts": (5e4,),
    "answer": (768,),
    "longest": (4096,),
    "samples": (4,),
    "batch": (1024,),
    "feedback": ("human", "rule"),
    "split": (0.25, 0.5),
}


@pytest.mark.parametrize("field", JOBS)
@pytest.mark.parametrize("engine", TRAINERS)
def test_nothing_of_the_job_is_dropped(engine: str, field: str) -> None:
    for name, (verb, *_) in CASES.items():
        made = start(name)
        before = written(engine, made)
        if before is None or not hasattr(made.job, field) or (field, verb) in OTHERS:
            continue
        for value in JOBS[field]:
            try:
                job = replace(made.job, **{field: value})
            except BadInput:
                continue
            after = written(engine, replace(made, job=job))
            same = job == made.job or _meaningless(field, made)
            assert after is None or same or after != before, (name, field, value)


OTHERS = {("batch", "train"), ("batch", "tune")}  # in tokens, which the plan has as sequences
OTHERS |= {("method", "align")}  # a job of another kind of model


def _meaningless(field: str, made: Start) -> bool:
    """Fields that the method of the job has no use for."""
    method = getattr(made.job, "method", "")
    pairs = method == "dpo"
    unused = {
        "rank": method == "full",
        "prompts": pairs,  # the data says how many
        "samples": pairs,
        "batch": pairs,
        "feedback": pairs,
        "answer": getattr(made.job, "longest", None) is not None,
        "method": False,
    }
    return unused.get(field, False)


def serving(**plan: Any) -> Start:
    """A plan to serve, which Slurm starts through vLLM."""
    here, of = fleet("32xh100-sxm"), model("llama-3.1-8b")
    layout = Plan(chip=here.pools[0].chip.id, **plan)
    command = "eke plan serve llama-3.1-8b --write slurm"
    return Start(job=Serve(model=of), plan=layout, fleet=here, checkpoint="org/x", command=command)


@pytest.mark.parametrize(
    ("layout", "servers", "each"),
    [
        ({"tensor": 2, "replicas": 4}, 1, 8),
        ({"tensor": 2, "replicas": 5}, 2, 8),
        ({"tensor": 8, "pipeline": 2, "replicas": 2}, 4, 8),
        ({"tensor": 1, "replicas": 1}, 1, 1),
    ],
)
def test_slurm_gives_every_replica_its_servers(
    layout: dict[str, Any], servers: int, each: int
) -> None:
    made = serving(**layout)
    files = configuration("slurm", made)
    (batch,) = [text for name, text in files.items() if name.endswith(".sbatch")]
    subprocess.run(["bash", "-n"], input=batch.encode(), check=True)
    assert f"#SBATCH --nodes={servers}\n" in batch
    assert f"#SBATCH --gpus-per-node={each}\n" in batch
    (script,) = [name for name in files if f"bash {name} " in batch]
    assert "server=${1:" in files[script]


def test_the_time_limit_is_the_deadline() -> None:
    made = start("pipeline")
    made = replace(made, job=replace(made.job, within=3 * 86400 + 61.0))
    assert "#SBATCH --time=3-00:02:00\n" in configuration("slurm", made)["slurm.sbatch"]


def test_slurm_is_asked_for_gpus_only() -> None:
    made = start("one server")
    here = fleet("8xtpu-v5p")
    other = replace(made, fleet=here, plan=replace(made.plan, chip=here.pools[0].chip.id))
    assert written("slurm", other) is None


@pytest.mark.parametrize(
    "command", ["eke plan\nrm -rf x", "eke 'plan' \"it\" $(date) `date` \u2028x"]
)
@pytest.mark.parametrize("engine", (*TRAINERS, "slurm"))
def test_a_command_cannot_leave_its_comment(engine: str, command: str) -> None:
    for name in CASES:
        made = replace(start(name), command=command)
        for file, text in (written(engine, made) or {}).items():
            lines = text.splitlines() if file.endswith((".sh", ".sbatch", ".yaml", ".py")) else []
            assert not [line for line in lines if "rm -rf" in line and not line.startswith("#")]


@pytest.mark.parametrize("engine", TRAINERS)
def test_a_checkpoint_stays_one_word(engine: str) -> None:
    odd = '/data/it\'s $(here) `x` "y"'
    for name in CASES:
        files = written(engine, replace(start(name), checkpoint=odd)) or {}
        for file, text in files.items():
            if file.endswith(".sh"):
                subprocess.run(["bash", "-n"], input=text.encode(), check=True)
                asked = [line for line in text.splitlines() if line.startswith(": ")]
                assert not [
                    line for line in asked if ":?" in line and ("$(" in line or "`" in line)
                ]
            if file.endswith(".py"):
                compile(text, file, "exec")
