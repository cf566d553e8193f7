"""A number of one's own: every other prediction for the stack follows it, with narrower spans."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from eke import Serve, Train, fleet, model, need
from eke.calibrate.measured import parse_measured
from eke.calibrate.own import measurements
from eke.cli import entry
from eke.errors import BadInput
from eke.types.need import Need
from eke.types.plan import Plan

JOB = Serve(model=model("llama-3.1-8b"), rate=2, prompt=1000, answer=300)
PLAN = Plan(chip="h100-sxm", engine="vllm-1", batch=256)
WHERE = fleet("1xh100-sxm")


def answered(*texts: str) -> Need:
    found = need(JOB, PLAN, WHERE, measured=[parse_measured(text) for text in texts])
    assert isinstance(found, Need)
    return found


def width(found: Need, name: str) -> float:
    span = found.figures[name].span
    return span.high / span.low


@pytest.mark.parametrize("figure", ["tpot", "rate_most"])
def test_spans_narrow(figure: str) -> None:
    before, after = answered(), answered("tpot 9ms @ batch 16")
    assert width(after, figure) < 0.9 * width(before, figure)


def test_slower_than_predicted_makes_everything_slower() -> None:
    slow, fast = answered("tpot 14ms @ batch 16"), answered("tpot 6ms @ batch 16")
    for name, sign in (("tpot", 1), ("ttft", 1), ("rate_most", -1)):
        one, other = (each.figures[name].span.likely for each in (slow, fast))
        assert sign * (one - other) > 0


def test_throughput_counts_the_other_way() -> None:
    high = answered("throughput 3000 tok/s @ batch 16").figures["tpot"].span.likely
    low = answered("throughput 800 tok/s @ batch 16").figures["tpot"].span.likely
    assert high < low


def test_training_follows_its_own_utilisation() -> None:
    job = Train(model=model("llama-3.1-8b"), tokens=1e12)
    plan = Plan(chip="h100-sxm", data=64, shard=3, batch=512, micro_batch=1)
    said = [parse_measured("mfu 30%")]
    before, after = (need(job, plan, fleet("64xh100-sxm"), measured=own) for own in ([], said))
    assert isinstance(before, Need) and isinstance(after, Need)
    gap = [abs(each.figures["mfu"].span.likely - 0.3) for each in (before, after)]
    assert gap[1] < 0.7 * gap[0]


@pytest.mark.parametrize(
    "text,words",
    [("mfu 41%", "nothing this job has"), ("tpot 9ms @ batch 16, p99", "percentile")],
)
def test_what_says_nothing_is_refused(text: str, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        answered(text)


def test_a_file_of_them(tmp_path: Path) -> None:
    sample = Path(__file__).parent.parent / "data" / "measurements" / "vllm-serve.json"
    found = measurements([str(sample)], {"on": "1xh100-sxm"})
    assert {each.metric for each in found} >= {"tpot", "ttft"}
    assert all(each.conditions for each in found)


def test_on_the_command_line() -> None:
    words = ["need", "serve", "llama-3.1-8b", "--on", "1xh100", "--measured"]
    good = CliRunner().invoke(entry, [*words, "tpot 9ms @ batch 16"])
    assert good.exit_code == 0 and "serve" in good.stdout.splitlines()[0]
    bad = CliRunner().invoke(entry, [*words, "speed 9"])
    assert isinstance(bad.exception, BadInput)
