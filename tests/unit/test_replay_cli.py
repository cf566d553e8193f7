"""`eke simulate --replay`: the observed run beside others, on its engines or on a plan's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from tests.runs import queue
from tests.runs import run as made

from eke.cli import entry
from eke.errors import EkeError
from eke.simulation.files import read_run, write_run
from eke.types.record import replace
from eke.types.run import FINISHED

RUN = str(Path(__file__).parents[1] / "data" / "replay" / "gateway.csv.gz")
CHIP = ["serve", "llama-3.1-8b", "--on", "1xh100-sxm"]


def simulate(*words: str) -> Result:
    """The result of one command; errors of the user become exit code 2, as `eke` itself does."""
    result = CliRunner().invoke(entry, ["simulate", *words])
    if isinstance(result.exception, EkeError):
        result.exit_code = 2
    elif result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def refused(*words: str) -> str:
    """What is said to words that make no sense."""
    result = simulate(*words)
    assert result.exit_code == 2, result.output
    return str(result.exception) if isinstance(result.exception, EkeError) else result.stderr


def found(*words: str) -> dict[str, Any]:
    """Runs by label."""
    runs = json.loads(simulate("--replay", RUN, *words, "--json").stdout)
    return {each["label"]: each for each in runs}


def test_what_was_observed_stands_first_and_the_fit_is_told() -> None:
    result = simulate("--replay", RUN, "--policy", "fcfs,shortest")
    first, _, head = result.stdout.splitlines()[:3]
    assert head.split() == ["observed", "fcfs", "shortest"]
    assert "300 requests" in first
    text = " ".join(result.stdout.split())
    assert "engine times are fitted to this run: 1 engine of 8 places" in text
    assert "% off (median)" in text
    assert "grounds gateway" in text and "UTC, simulated, seed 0" in text


def test_another_policy_changes_who_waits_and_nobody_is_lost() -> None:
    runs = found("--policy", "fcfs,shortest")
    assert list(runs) == ["observed", "fcfs", "shortest"]
    counts = {label: run["summary"]["counts"]["finished"] for label, run in runs.items()}
    assert set(counts.values()) == {300}
    medians = {label: run["summary"]["times"]["ttft"]["p50"] for label, run in runs.items()}
    assert medians["fcfs"] == pytest.approx(medians["observed"], rel=0.1)
    assert medians["shortest"] < 0.7 * medians["fcfs"]


def test_a_plan_gives_other_engines() -> None:
    runs = found(*CHIP, "--policy", "fcfs")
    assert runs["fcfs"]["facts"]["chips"] == 1.0
    remarks = " ".join(runs["fcfs"]["remarks"])
    assert "step times rest on" in remarks and "fitted to this run" not in remarks


def test_the_run_of_a_simulation_with_its_plan_comes_out_the_same(tmp_path: Path) -> None:
    load = ["--rate", "4/s", "--prompt", "1000", "--answer", "200"]
    plan, one, two = (str(tmp_path / name) for name in ("plan.toml", "one.csv", "two.csv"))
    CliRunner().invoke(entry, ["plan", *CHIP, *load, "--save", plan], catch_exceptions=False)
    words = ["--plan", plan, "--policy", "fair"]
    assert simulate(*words, "--traffic", "chat, 4/s, 30s, tenants 3", "--out", one).exit_code == 0
    assert simulate(*words, "--replay", one, "--out", two).exit_code == 0
    before, after = (read_run(Path(path)).requests for path in (one, two))
    order = np.argsort(before["arrived"], kind="stable")
    for name in ("arrived", "started", "scheduled", "first", "finished", "tokens", "session"):
        np.testing.assert_array_equal(before[name][order], after[name], name)


def test_only_what_was_simulated_is_written_and_all_of_it_drawn(tmp_path: Path) -> None:
    out, page = tmp_path / "out.csv", tmp_path / "out.html"
    simulate("--replay", RUN, "--policy", "fair", "--out", str(out), "--report", str(page))
    assert read_run(out).label == "fair"
    assert {path.name for path in tmp_path.glob("*.csv")} == {"out.csv", "out.timeline.csv"}
    text = page.read_text()
    assert "observed" in text and "gateway.csv.gz" in text
    assert "<th>began" not in text.replace(' scope="col"', "")


@pytest.mark.parametrize(
    "words,says",
    [
        (["--traffic", "chat"], "drop --traffic"),
        (["--shards", "2"], "drop --shards"),
        (["--skip-bad"], "drop --skip-bad"),
        (["--tensor", "2"], "--tensor lays out a model"),
        (["--static"], "not fitted to a run"),
        (["--swap"], "not fitted to a run"),
        (["--on", "1xh100-sxm"], "say what runs where"),
    ],
)
def test_words_that_do_not_go_together(words: list[str], says: str) -> None:
    assert says in refused("--replay", RUN, *words)


def test_files_that_are_no_run(tmp_path: Path) -> None:
    trace = tmp_path / "trace.csv"
    trace.write_text("TIMESTAMP,ContextTokens,GeneratedTokens\n")
    assert "no table of requests that eke wrote" in refused("--replay", str(trace))
    assert "cannot be read" in refused("--replay", str(tmp_path / "none.csv"))
    assert "say who comes" in refused("--policy", "fair")


def test_a_run_too_small_to_fit_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "run.csv"
    write_run(path, made(3, arrived=1.0, outcome=FINISHED, prompt=9, answer=3, tokens=3))
    assert "takes 20. Say what runs where" in refused("--replay", str(path))
    write_run(path, made(0))
    assert "nobody came" in refused("--replay", str(path))


def test_requests_in_flight_when_the_run_ended_come_again(tmp_path: Path) -> None:
    """A run of several replicas, some refused, some not over yet."""
    run = queue(400, replicas=3)
    path = tmp_path / "run.csv"
    write_run(path, replace(run, timeline={}))
    runs = json.loads(simulate("--replay", str(path), "--json").stdout)
    assert [each["summary"]["arrived"] for each in runs] == [400, 400]
    assert runs[1]["summary"]["counts"]["finished"] == 400
    assert runs[1]["summary"]["counts"]["refused"] == 0
