"""`eke plan`: answers, files, exit codes, errors."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest
from tests.unit.test_cli import run

from eke import need
from eke.saved import read_plan

SERVE = "plan serve llama-3.1-8b --on 4xl40s --rate 6/s --ttft 1s@p90 --tpot 60ms@p90"
TRAIN = "plan train llama-3.1-8b --on 16xh100-sxm --tokens 10B"


def test_the_answer_says_what_and_why() -> None:
    result = run(SERVE)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert "l40s serve" in lines[0]
    for word in ("plan", "kept", "limited", "instead", "turns", "next"):
        assert any(line.startswith(f"  {word} ") for line in lines), word


@pytest.mark.parametrize(
    "words",
    [
        TRAIN,
        "plan tune llama-3.1-8b --on 2xl40s --on 2xh100-sxm --tokens 10M --lora 16 --least cost",
        "plan align llama-3.1-8b --method grpo --prompts 10k --on 16xh100-sxm",
        "plan serve qwen3-30b-a3b --on 4xh100-sxm --rate 8/s --least energy",
        "plan serve llama-3.1-8b --on 4xl40s --reuse 60% --pause 60s --least chips",
        "plan serve llama-3.1-8b --on 4xl40s --adapters 20 --rate 4/s",
        "plan serve llama-3.1-8b --on 4xl40s --acceptance 70% --least time",
        "plan serve llama-3.1-8b --among l40s,h100-sxm --rate 6/s --weights bf16,fp8",
        "plan serve llama-3.1-8b --on 4xl40s --rate 6/s --engine vllm,sglang --sure 60%",
    ],
)
def test_every_job_has_a_plan(words: str) -> None:
    result = run(words)
    assert result.exit_code == 0, result.output
    found = json.loads(run(f"{words} --json").stdout)
    assert found["answer"] == "planned" and found["considered"] >= found["priced"] > 0
    assert found["need"]["answer"] == "need"
    for rival in found["rivals"]:
        assert rival["loses"]["low"] <= rival["loses"]["likely"] <= rival["loses"]["high"]
        assert rival["loses"]["likely"] > 0.998


def test_same_words_same_bytes() -> None:
    assert run(f"{SERVE} --json").stdout == run(f"{SERVE} --json").stdout


def test_what_cannot_be_done_says_what_would_do() -> None:
    result = run("plan serve llama-3.1-70b --on 2xl40s --ttft 3s@p90")
    assert result.exit_code == 3
    assert result.stdout.startswith("not feasible: memory is short by")
    assert "chips of l40s" in result.stdout
    found = json.loads(run("plan serve llama-3.1-8b --on 4xl40s --ttft 1ms --json").stdout)
    assert found["answer"] == "infeasible" and found["limit"] == "ttft"
    first = found["changes"][0]
    again = run(f"plan serve llama-3.1-8b --on 4xl40s --ttft {first['at'] * 1.001}s")
    assert again.exit_code == 0, again.output


@pytest.mark.parametrize(
    ("words", "limit"),
    [
        ("plan serve llama-3.1-8b --on 1xh100-sxm --disaggregate must", "chips"),
        ("plan serve llama-3.1-70b --on 3xh100-sxm --disaggregate must", "memory"),
        ("plan serve llama-3.1-8b --on 4xl40s --ttft 3ms@p99 --at-most ttft=10s", "ttft"),
        ("plan serve llama-3.1-8b --on 4xl40s --ttft 3s@p99 --at-most ttft=3ms", "mean ttft"),
        ("plan train llama-3.1-8b --on 8xh100-sxm --tokens 1T --within 1d", "time"),
        ("plan serve llama-3.1-8b --on 4xl40s --rate 30/s --at-most chips=2", "number of chips"),
        ("plan serve llama-3.1-8b --on 4xl40s --rate 9/s --sure 99.9%", "chance to keep"),
    ],
)
def test_each_limit_is_named(words: str, limit: str) -> None:
    result = run(f"{words} --json")
    assert result.exit_code == 3, result.output
    assert json.loads(result.stdout)["limit"].startswith(limit)


def test_a_frontier_is_a_table_and_a_picture(tmp_path: Path) -> None:
    words = f"{SERVE} --frontier cost,ttft --picture {tmp_path / 'front.svg'}"
    result = run(words)
    assert result.exit_code == 0 and "no other beats" in result.stdout
    ElementTree.parse(tmp_path / "front.svg")
    points = json.loads(run(f"{SERVE} --frontier cost,ttft,tpot --json").stdout)["points"]
    assert points and all(len(point["values"]) == 3 for point in points)


def test_a_saved_plan_is_the_plan(tmp_path: Path) -> None:
    for words in (SERVE, TRAIN, f"{SERVE} --disaggregate must --price 1.5USD/h"):
        path = tmp_path / "plan.toml"
        found = json.loads(run(f"{words} --save {path} --json").stdout)
        assert path.read_text().startswith("# found by: eke")
        job, fleet, plan = read_plan(path)
        again = json.loads(msgspec.json.encode(need(job, plan, fleet)))
        assert again["figures"] == found["need"]["figures"]
        assert again["plan"] == found["need"]["plan"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("rate =", "rates ="), "ask.rates"),
        (('job = "serve"', 'job = "cook"'), "ask.job"),
        (("tensor =", "tensors ="), "tensors"),
        (('chip = "l40s"', 'chip = "l4"'), "the fleet has l40s"),
        (("rate = ", "rate = 5 #"), ""),
    ],
)
def test_an_edited_plan_is_read_or_refused(
    tmp_path: Path, change: tuple[str, str], words: str
) -> None:
    from eke.errors import BadFile

    path = tmp_path / "plan.toml"
    run(f"{SERVE} --tensor 2 --save {path}")
    path.write_text(path.read_text().replace(*change))
    if not words:
        assert read_plan(path)[0].rate == 5  # type: ignore[union-attr]
        return
    with pytest.raises(BadFile, match=words) as error:
        read_plan(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("name", ["step.svg", "step.json"])
def test_a_step_is_drawn(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    assert run(f"{TRAIN} --pipeline 2,4 --timeline {path}").exit_code == 0
    if path.suffix == ".json":
        assert json.loads(path.read_text())["traceEvents"]
    else:
        ElementTree.parse(path)
    assert run(f"{SERVE} --timeline {tmp_path / 'serve.svg'}").exit_code == 0
    ElementTree.parse(tmp_path / "serve.svg")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("", "--on 32xh100-sxm"),
        ("--on 1xl40s --among l40s", "--on 32xh100-sxm"),
        ("--on 0xl40s", "count"),
        ("--on 1xl40s --least wheels", "no figure 'wheels'"),
        ("--on 1xl40s --at-most cost", "WHAT=VALUE"),
        ("--on 1xl40s --at-most cost=-3USD", "above zero"),
        ("--on 1xl40s --at-most wheels=3", "no figure 'wheels'"),
        ("--on 1xl40s --at-most cost=3USD --at-most cost=2USD", "limited twice"),
        ("--on 1xl40s --headroom 120%", "headroom"),
        ("--on 1xl40s --sure 10%", "sure"),
        ("--on 1xl40s --frontier cost", "two or three"),
        ("--on 1xl40s --frontier cost,cost", "two or three"),
        ("--on 1xl40s --frontier cost,wheels", "no figure 'wheels'"),
        ("--on 1xl40s --tensor 3,5", "tensor 3 or 5"),
        ("--on 1xl40s --engine nobody", "no engine"),
        ("--on 1xl40s --picture a.svg", "--frontier"),
        ("--on 1xl40s --frontier cost,ttft --picture a.png", ".svg"),
        ("--on 1xl40s --timeline a.png", ".svg"),
        ("--on 1xl40s --timeline a.json", "Perfetto"),
        ("--on 1xl40s --frontier cost,ttft --sure 90%", "drop --sure"),
        ("--on 1xl40s --on 2xl40s", "two pools"),
        ("--on 1xl40s --save /nowhere/plan.toml", "cannot be written"),
    ],
)
def test_bad_questions_get_a_clear_error(words: str, said: str) -> None:
    result = run(f"plan serve llama-3.1-8b {words}")
    assert result.exit_code == 2
    assert said in f"{result.exception} {result.output}"


def test_a_job_without_a_date_takes_what_it_is_given() -> None:
    result = run("plan train llama-3.1-8b --among h100-sxm --tokens 1T")
    assert result.exit_code == 2 and "--within" in str(result.exception)


WRITTEN = {
    **dict.fromkeys(("vllm", "sglang", "trtllm", "llama.cpp", "dynamo", "ray", "k8s"), SERVE),
    **dict.fromkeys(("megatron", "torchtitan", "deepspeed"), TRAIN),
    "trl": "plan tune llama-3.1-8b --on 2xh100-sxm --tokens 10M --lora 16",
    "verl": "plan align llama-3.1-8b --method grpo --feedback rule --prompts 10k --on 16xh100-sxm",
    "slurm": TRAIN,
}


@pytest.mark.parametrize("engine", WRITTEN)
def test_a_plan_is_written_for_its_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    words = f"{WRITTEN[engine]} --write {engine} --to {tmp_path}"
    monkeypatch.setattr("sys.argv", ["eke", *words.split()])
    result = run(words)
    assert result.exit_code == 0, f"{result.exception} {result.output}"
    files = sorted(tmp_path.iterdir())
    assert files and all("eke plan" in path.read_text() for path in files)
    assert "  next " in result.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (f"{SERVE} --write nobody", "eke writes no 'nobody'"),
        (f"{SERVE} --write megatron", "megatron"),
        (f"{TRAIN} --write vllm", "vllm"),
        (f"{SERVE} --write vllm --to /nowhere", "no such folder"),
        (f"{SERVE} --write vllm --frontier cost,ttft", "one of them"),
        ("plan serve bloomberggpt-50b --on 8xh100-sxm --write vllm", "--checkpoint"),
    ],
)
def test_what_cannot_be_written_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run(words)
    assert result.exit_code == 2
    assert said.lower() in f"{result.exception} {result.output}".lower()
    assert not list(tmp_path.iterdir())
