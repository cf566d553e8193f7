"""`eke simulate` on the command line: answers, files, exit codes, errors."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from contextlib import nullcontext
from importlib.util import find_spec

import numpy as np
import pytest
from click.testing import CliRunner, Result

from eke.cli import entry
from eke.errors import EkeError
from eke.simulation.files import read_run, timeline_path
from eke.types.run import FINISHED, TIMELINE

CHIP = ["serve", "llama-3.1-8b", "--on", "1xh100-sxm"]
CHAT = ["--traffic", "chat, 4/s, 20s"]
SERVE = [*CHIP, *CHAT]
AZURE = "TIMESTAMP,ContextTokens,GeneratedTokens\n"


def simulate(*words: str) -> Result:
    """The result of one command; errors of the user become exit code 2, as `eke` itself does."""
    result = CliRunner().invoke(entry, ["simulate", *words])
    if isinstance(result.exception, EkeError):
        result.exit_code = 2
    elif result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def summary(*words: str) -> dict:
    """The numbers of one run."""
    found = json.loads(simulate(*words, "--json").stdout)
    return found["summary"]


def refused(*words: str) -> str:
    """What is said to words that make no sense."""
    result = simulate(*words)
    assert result.exit_code == 2
    return str(result.exception) if isinstance(result.exception, EkeError) else result.stderr


def test_the_answer_comes_first_and_the_plan_beside_it():
    result = simulate(*SERVE)
    assert result.exit_code == 0
    first = result.stdout.splitlines()[0]
    assert "requests were answered" in first
    assert "first token" in first
    assert "found by eke plan" in " ".join(result.stderr.split())


def test_the_same_words_give_the_same_bytes():
    words = [*SERVE, "--policy", "fair,deadline", "--failures", "every 10s, restart 2s"]
    assert simulate(*words).stdout == simulate(*words).stdout
    assert simulate(*words).stdout != simulate(*words, "--seed", "1").stdout


def test_policies_stand_side_by_side_in_json():
    found = json.loads(simulate(*SERVE, "--policy", "fcfs,fair(weights=a:4+b:1)", "--json").stdout)
    text = json.dumps(found)
    assert "fcfs" in text
    assert "fair(weights=a:4+b:1)" in text
    assert "NaN" not in text
    assert "Infinity" not in text


def test_after_a_part_of_it_some_are_under_way():
    run = summary(*SERVE, "--until", "5s")
    assert run["seconds"] == 5.0
    assert run["counts"]["running"] > 0
    assert sum(run["counts"].values()) == run["arrived"]


def test_interrupted_it_tells_what_it_has(monkeypatch, tmp_path):
    """The first of two policies is cut off, the second is not begun."""

    def interrupt(now: float, requests: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("eke.cli.progress.passing", lambda *_: nullcontext(interrupt))
    path, busy = tmp_path / "run.csv", ["--traffic", "chat, 300/s, 20s"]
    result = simulate(*CHIP, *busy, "--policy", "fcfs,fair", "--json", "--out", str(path))
    assert result.exit_code == 130
    found = json.loads(result.stdout)
    assert found["label"] == "fcfs"
    assert found["remarks"][0].startswith("interrupted after")
    assert sum(found["summary"]["counts"].values()) == found["summary"]["arrived"] > 0
    assert len(read_run(path)) == found["summary"]["arrived"]


@pytest.mark.parametrize("ending", [".csv", ".csv.gz", ".parquet", ".arrow"])
def test_rows_can_be_read_again(tmp_path, ending):
    if ending in (".parquet", ".arrow") and not find_spec("pyarrow"):
        pytest.skip("pyarrow is not installed")
    path = tmp_path / f"run{ending}"
    result = simulate(*SERVE, "--out", str(path))
    assert str(path) in result.stderr
    run = read_run(path)
    assert run.label == "fcfs"
    assert (run.requests["outcome"] == FINISHED).all()
    assert np.isfinite(run.requests["finished"]).all()
    assert set(run.timeline) == set(TIMELINE)
    assert timeline_path(path).exists()


def test_a_file_for_each_policy(tmp_path):
    simulate(*SERVE, "--policy", "fcfs,fair+promise@prefix", "--out", str(tmp_path / "run.csv"))
    names = {path.name for path in tmp_path.iterdir() if "timeline" not in path.name}
    assert names == {"run-fcfs.csv", "run-fair-promise-prefix.csv"}
    runs = [read_run(tmp_path / name) for name in names]
    assert {run.label for run in runs} == {"fcfs", "fair+promise@prefix"}


def test_what_was_simulated_is_traffic_again(tmp_path):
    path = tmp_path / "run.csv.gz"
    simulate(*SERVE, "--out", str(path))
    assert summary(*CHIP, "--traffic", str(path))["arrived"] == len(read_run(path))


def test_a_page(tmp_path):
    path = tmp_path / "out.html"
    assert simulate(*SERVE, "--report", str(path)).exit_code == 0
    page = path.read_text()
    assert page.lower().startswith("<!doctype html>")
    assert "llama-3.1-8b" in page


def test_a_trace_and_a_saved_plan(tmp_path):
    trace, plan = tmp_path / "trace.csv.gz", tmp_path / "plan.toml"
    rows = [f"2023-11-16 18:17:{10 + number}.000,{200 + number},{20}" for number in range(30)]
    with gzip.open(trace, "wt") as file:
        file.write(AZURE + "\n".join(rows) + "\n")
    load = ["--rate", "1/s", "--prompt", "200", "--answer", "20"]
    saved = CliRunner().invoke(entry, ["plan", *CHIP, *load, "--save", str(plan)])
    assert saved.exit_code == 0, saved.output
    run = summary("--plan", str(plan), "--traffic", str(trace))
    assert run["counts"]["finished"] == 30
    assert "drop the others" in refused("--plan", str(plan), *SERVE)


def test_a_broken_trace_names_the_row_or_is_counted(tmp_path):
    trace = tmp_path / "trace.csv"
    trace.write_text(
        AZURE + "2023-11-16 18:17:03.1,100,20\n2023-11-16 18:17:04.1,many,20\n"
        "2023-11-16 18:17:05.1,100,20\n"
    )
    said = refused(*CHIP, "--traffic", str(trace))
    assert str(trace) in said
    assert "3" in said
    assert "many" in said
    result = simulate(*CHIP, "--traffic", str(trace), "--skip-bad", "--json")
    assert json.loads(result.stdout)["summary"]["arrived"] == 2
    assert "1 bad rows left out" in result.stdout
    half = tmp_path / "half.csv.gz"
    half.write_bytes(gzip.compress(trace.read_bytes())[:40])
    assert str(half) in refused(*CHIP, "--traffic", str(half))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["serve", "llama-3.1-8b", *CHAT], "--on"),
        (CHIP, "--traffic"),
        ([*SERVE, "--policy", "fairy"], "closest: fair"),
        ([*SERVE, "--policy", "fcfs,fcfs"], "name each once"),
        ([*SERVE, "--policy", "nowhere:Nothing"], "nowhere:Nothing"),
        ([*CHIP, "--traffic", "chatt, 2/s"], "closest: chat"),
        ([*CHIP, "--traffic", "chat, 2/s, 20q"], "20q"),
        ([*CHIP, "--traffic", "chat, 2/s, often"], "often"),
        ([*CHIP, "--traffic", "nowhere/trace.csv"], "nowhere/trace.csv"),
        ([*SERVE, "--report", "nowhere/out.html"], "no folder nowhere"),
        ([*SERVE, "--report", "out.pdf"], ".html"),
        ([*SERVE, "--open"], "--report"),
        ([*SERVE, "--out", "run.xls"], ".csv"),
        ([*SERVE, "--out", "nowhere/run.csv"], "nowhere"),
        ([*SERVE, "--failures", "often"], "every"),
        ([*SERVE, "--failures", "restart 5min"], "how often"),
        ([*SERVE, "--failures", "every 0s"], "above zero"),
        ([*SERVE, "--scale", "from 0"], "at least one replica"),
        ([*SERVE, "--scale", "target high"], "high"),
        ([*SERVE, "--until", "0s"], "until must be above zero"),
        ([*SERVE, "--patience", "0s"], "patience must be above zero"),
        ([*SERVE, "--report-every", "0s"], "above zero"),
        ([*SERVE, "--static", "--ordered"], "drop --ordered"),
        (["train", "gpt-3", "--on", "1xh100-sxm", *CHAT], "serve MODEL"),
        (["serve", "llama-3.1-405b", "--on", "1xl4", *CHAT], "memory"),
        (["serve", "nobody-8b", "--on", "1xl4", *CHAT], "nobody-8b"),
    ],
)
def test_mistakes_are_named(words, says):
    assert says in refused(*words)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--traffic", "help"], ("20/s", "diurnal", "chat")),
        (["--traffic", "chat", "--policy", "help"], ("fcfs", "promise", "sticky")),
        (["--help"], ("--traffic", "--policy", "--report")),
    ],
)
def test_help_lists_the_words(words, says):
    result = simulate(*words)
    assert result.exit_code == 0
    for word in says:
        assert word in result.stdout


def test_engines_of_several_kinds():
    """Fixed batches serve worse, prefixes are found, whoever has waited enough leaves."""
    busy = [*CHIP, "--traffic", "chat, 12/s, 20s, turns 3, think 1s", "--max-batch", "16"]
    usual, static, bare = (
        summary(*busy, *more) for more in ([], ["--static"], ["--no-prefix-cache"])
    )
    assert static["times"]["ttft"]["mean"] > usual["times"]["ttft"]["mean"]
    assert usual["numbers"]["reuse"]["value"] > 0.2
    assert bare["numbers"]["reuse"]["value"] == 0
    gone = summary(*busy, "--static", "--patience", "1s")
    assert gone["counts"]["stopped"] > 0


def test_without_numba_the_answer_is_the_same() -> None:
    words = ["simulate", "serve", "llama-3.1-8b", "--on", "1xh100-sxm", "--seed", "3", "--json"]
    words += ["--traffic", "chat, 3/s, 1min, tenants 3", "--policy", "fair"]
    plain = subprocess.run(
        [sys.executable, "-c", f"from eke.cli import main; main({words!r})"],
        env={**os.environ, "EKE_PLAIN": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert plain.stdout == CliRunner().invoke(entry, words).stdout
