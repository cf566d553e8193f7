"""The command line: answers, exit codes, errors."""

from __future__ import annotations

import json
import re

import pytest
from click.testing import CliRunner, Result

from eke.cli import entry
from eke.errors import BadInput, EkeError

SERVE = "need serve llama-3.1-70b --on 8xh100-sxm --rate 5/s --prompt 2000 --answer 500"


def run(words: str | list[str]) -> Result:
    """The result of one command; errors of the user become exit code 2, as `eke` itself does."""
    arguments = words.split() if isinstance(words, str) else words
    result = CliRunner().invoke(entry, arguments)
    if isinstance(result.exception, EkeError):
        result.exit_code = 2
        result.output_bytes  # noqa: B018
    return result


def test_the_answer_comes_first() -> None:
    result = run(SERVE)
    assert result.exit_code == 0
    first = result.stdout.splitlines()[0]
    assert "h100-sxm serve" in first and "to first token" in first and "per token" in first


def test_json_is_the_same_record() -> None:
    found = json.loads(run(f"{SERVE} --json").stdout)
    assert found["answer"] == "need" and found["plan"]["chip"] == "h100-sxm"
    for name in ("chips", "time", "memory", "energy", "money"):
        assert found[name]["low"] <= found[name]["likely"] <= found[name]["high"]
    for figure in found["figures"].values():
        assert figure["span"]["low"] <= figure["span"]["likely"] <= figure["span"]["high"]
        assert figure["means"]
    assert all(ground["source"] for ground in found["grounds"])


def test_same_words_same_bytes() -> None:
    assert run(f"{SERVE} --json").stdout == run(f"{SERVE} --json").stdout


@pytest.mark.parametrize(
    "words",
    [
        "need train gpt-3 --tokens 300B --on 10000xv100-sxm2-32",
        "need tune llama-3.1-8b --tokens 50M --lora 16 --on 1xl40s",
        "need tune llama-3.1-8b --tokens 50M --qlora 16 --objective dpo --on 1xrtx-4090",
        "need align llama-3.1-8b --method ppo --prompts 100k --on 16xa100-sxm-80",
        "need align llama-3.1-8b --method grpo --samples 8 --feedback rule --on 16xh100",
        "need align llama-3.1-8b --method dpo --feedback ai --on 16xh100",
        "need serve qwen2-vl-7b --on 2xl40s --images 2",
        "need serve whisper-large-v3 --on 1xl4 --sound 30s --prompt 4 --answer 100",
        "need serve mamba-2.8b --on 1xrtx-4090",
        "need serve jamba-v0.1 --on 4xa100",
        "need serve llama-3.1-70b --on 8xh100-sxm --tiers 8k:98%,32k:2%",
        "need serve llama-3.1-70b --on 8xh100 --drafts 4 --weights fp8 --cache fp8 --confidential",
        "need serve llama-3.1-8b --on 2xh100 --prompt 4k --reuse 60% --pause 60s",
        "need serve llama-3.1-8b --on 2xdgx-h100 --prompt 4k --reuse 60% --pause 5min --offload",
        "need serve llama-3.1-8b --on 8xh100 --adapters 50 --adapter-rank 32 --adapter-slots 8",
        "need serve llama-3.1-8b --on 8xh100 --adapters 3",
        "need serve deepseek-v3 --on 64xh100 --reuse 50% --pause 1min --offload --adapters 2 "
        "--adapter-slots 1 --prefill-on 32xh100",
        "need train llama-3.1-8b --tokens 1T --on 64xh100 --carbon 0.05kg/kWh",
        "explain serve llama-3.1-8b --on 1xh100 --reuse 50% --offload --adapters 9 "
        "--adapter-slots 3 --pause 10s",
        "explain serve llama-3.1-8b --on 1xl40s",
        "explain train gpt-3 --tokens 300B --on 10000xv100-sxm2-32",
        "catalog chips",
        "catalog chips wse-2",
        "catalog systems",
        "catalog models",
        "catalog models deepseek-v3",
        "catalog sources",
        "claims",
        "claims 12",
    ],
)
def test_it_answers(words: str) -> None:
    result = run(words)
    assert result.exit_code == 0, result.output
    assert not re.search(r"\b(nan|inf)\b", result.stdout.casefold())


@pytest.mark.parametrize(
    "words,limit",
    [
        ("need serve llama-3.1-405b --on 1xh100-sxm", "memory"),
        ("need serve llama-3.1-8b --on 1xl40s --rate 10k/s", "throughput"),
        ("need serve llama-3.1-70b --on 8xh100-sxm --tpot 1ms@p99", "tpot"),
        ("need serve llama-3.1-8b --on 1xh100 --prompt 8k --reuse 90% --pause 1h", "memory"),
        (
            "need serve llama-3.1-8b --on 1xh100 --prompt 8k --reuse 90% --pause 1h --offload",
            "host memory",
        ),
        ("need serve llama-3.1-8b --on 8xh100 --adapters 50", "replicas"),
        ("need train llama-3.1-8b --tokens 15T --on 8xh100-sxm --within 1d", "time"),
    ],
)
def test_infeasible_is_an_answer(words: str, limit: str) -> None:
    result = run(words)
    assert result.exit_code == 3
    assert result.stdout.startswith(f"not feasible: {limit} is short by")
    found = json.loads(run(f"{words} --json").stdout)
    assert found["answer"] == "infeasible" and found["need"] > found["have"]


@pytest.mark.parametrize(
    "words,says",
    [
        ("need serve llama-3.1-70b --on 8xh100-smx", "closest: h100-sxm"),
        ("need serve llama-3.1-7b --on 8xh100", "closest:"),
        ("need serve gpt-4o --on 8xh100", "not published"),
        ("need serve llama-3.1-8b --on 8xjalapeno", "no published"),
        ("need serve llama-3.1-8b --on 1xh100 --tiers 8k:60%,32k:60%", "add up"),
        ("need serve llama-3.1-8b --on 1xh100 --ttft 5", "expected a duration"),
        ("need serve llama-3.1-8b --on 1xh100 --ttft 5s@p100", "percentile"),
        ("need tune llama-3.1-8b --tokens 1M --lora 8 --qlora 8 --on 1xh100", "exclude"),
        ("need serve llama-3.1-8b --on 1xh100 --ttft -1ms", "above zero"),
        ("need serve llama-3.1-8b --on 1xh100 --tiers -8000:100%", "context is -8000"),
        ("need serve llama-3.1-8b --on 1xh100 --tiers 8k:150%,9k:-50%", "between 0 and 1"),
        ("need serve llama-3.1-8b --on 1xh100 --images 1", "takes no images"),
        ("need serve llama-3.1-8b --on 1xh100 --sound 30s", "takes no sound"),
        ("need serve llama-3.1-8b --on 1xh100 --answer 0.5", "one token or more"),
        ("need serve llama-3.1-8b --on 1xh100 --pause 60s", "give"),
        ("need serve llama-3.1-8b --on 1xh100 --reuse 50% --pause -1s", "negative"),
        ("need serve llama-3.1-8b --on 1xh100 --offload", "--reuse 60%"),
        ("need serve llama-3.1-8b --on 1xh100 --adapter-slots 4", "--adapters 50"),
        ("need serve llama-3.1-8b --on 1xh100 --adapters 4 --adapter-rank 9000", "low rank"),
        ("need serve llama-3.1-8b --on 1xh100 --carbon 400", "mass per energy"),
        ("need serve llama-3.1-8b --on 1xh100 --own --price 2USD/h", "exclude"),
        ("need serve llama-3.1-8b --on 1xh100 --context 2", "No such option"),
        ("need train llama-3.1-8b --on 8xh100 --tokens 1M --batch-tokens 2M", "only 1e+06"),
        ("catalog chips nope", "no chip"),
        ("claims nope", "no claim"),
        ("explain serve nope/nope.json --on 1xh100", "cannot be read"),
    ],
)
def test_mistakes_say_what_to_do(words: str, says: str) -> None:
    result = run(words)
    assert result.exit_code == 2
    assert says in str(result.exception) + result.output


def test_zero_is_a_choice() -> None:
    """`--shard 0` and `--acceptance 0` are decided, not left open."""
    found = json.loads(
        run("need train llama-3.1-8b --tokens 1T --on 64xh100 --shard 0 --json").stdout
    )
    assert found["plan"]["shard"] == 0
    words = "need serve llama-3.1-8b --on 1xh100 --drafts 3 --acceptance 0 --json"
    assert json.loads(run(words).stdout)["plan"]["acceptance"] == 0


def test_units_do_not_change_within_a_row() -> None:
    """Joules beside watt-hours, or a third of a request as 33 %, mislead."""
    said = run("need serve llama-3.1-405b --on 8xh100-sxm --weights fp8").stdout
    energy = next(line for line in said.splitlines() if line.startswith("  energy "))
    assert not ("Wh" in energy and "J" in energy)
    said = run("need serve llama-3.1-8b --on 1xl40s --rate 0.1/s").stdout
    assert "%" not in next(line for line in said.splitlines() if line.startswith("  concurrency"))


def test_both_halves_are_named() -> None:
    said = run("need serve llama-3.1-8b --on 2xl40s --prefill-on 1xa100-sxm-80").stdout
    assert said.startswith("1 l40s and 1 a100-sxm-80 serve it")


def test_what_nobody_asked_for_is_assumed() -> None:
    found = json.loads(run("need serve llama-3.1-8b --on 1xl40s --prompt 700 --own --json").stdout)
    kinds = {ground["name"]: ground["kind"] for ground in found["grounds"]}
    assert kinds["prompt"] == "given" and kinds["answer"] == "assumed"
    assert kinds["shape of Llama-3.1-8B"] == "published" and kinds["l40s life"] == "assumed"
    assert "l40s buy" in kinds and "l40s rent" not in kinds


def test_parts_add_up() -> None:
    for words in (SERVE, "need train gpt-3 --tokens 300B --on 10000xv100-sxm2-32"):
        found = json.loads(run(f"{words} --json").stdout)
        for of in {part["of"] for part in found["parts"]}:
            parts = [part["span"]["likely"] for part in found["parts"] if part["of"] == of]
            whole = found.get(of) or found["figures"][of]["span"]
            assert sum(parts) == pytest.approx(whole["likely"], rel=1e-9), of


def test_help_lists_the_verbs() -> None:
    assert all(word in run("--help").stdout for word in ("need", "explain", "catalog", "claims"))


def test_a_wrong_verb_is_met_with_the_right_one() -> None:
    assert "Did you mean need?" in run("ned serve").output


def test_sparsity_only_where_the_chip_has_it() -> None:
    words = ["need", "serve", "llama-3.1-8b", "--sparse", "--on"]
    assert CliRunner().invoke(entry, [*words, "1xh100"]).exit_code == 0
    assert isinstance(CliRunner().invoke(entry, [*words, "1xtpu-v5e"]).exception, BadInput)
