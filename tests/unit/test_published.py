"""Published forecasts against the sums worked out by hand, bad files, and the commands."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from click.testing import CliRunner

from eke.catalog.forecasts import forecast_names, published
from eke.catalog.spans import spanned
from eke.claims.claim import claim_names
from eke.cli import entry
from eke.economics.chains import solved
from eke.economics.ratios import difference, value
from eke.errors import BadFile, EkeError

DAY, YEAR = 86400.0, 365.25 * 86400.0

# Worked out by hand from what the authors print; the numbers of shared/facts/claims.md.
WORKED = {
    "semianalysis-2023": {
        "chips": 28936,
        "chip_hour": 1 / 3600,
        "asks": 195e6 / DAY,
        "cost_per_ask": 694444 / 195e6,
        "tokens_per_chip": 156.0,
        "speed": 54.6e12,
        "utilisation": 0.175,
        "work": 1580e15,
        "cost_per_token": 1.781e-6,
    },
    "semianalysis-google-2023": {"server_price": 195e3, "chip_price": 24375, "chips": 4102568},
    "bernstein-2023": {
        "life": 3.006 * YEAR,
        "asks": 16e9 / 0.04 / YEAR,
        "searches": 4.0e12 / YEAR,
        "capex_tenth": 48.1e9,
    },
    "guosheng-2023": {"power": 26.04e6, "chip_power": 6510 / 8, "chips": 32000},
    "trendforce-2023": {"chip_price": 10000},
    "brokers-4874-2023": {"work": 4874.4e15 * DAY / (YEAR / 12)},
    "deepseek-2025": {"cost": 87072 / DAY, "cost_per_token": 0.1122e-6},
    "epoch-energy-2025": {"energy_per_ask": 0.30 * 3600},
    "devries-2023": {"energy_per_ask": 564e6 / 195e6 * 3600, "utilisation": 0.175},
    "semianalysis-cluster-2024": {"pue": 1.21},
    "openai-2020": {"training_flop": 3.143e23},
    "lambda-2020": {"chip_time": 355 * 365 * DAY, "training_cost": 4.67e6, "utilisation": 0.224},
    "megatron-v100-2021": {"speed": 34.57e12},
    "megatron-a100-2021": {"speed": 104.4e12},
    "press-12m-2023": {"chip_hour": 3.85 / 3600},
    "oneflow-2022": {"chip_hour": 2.31 / 3600},
    "epoch-gpt-3-2026": {"speed": 24.56e12},
    "gpt-4-leak-2023": {"time": 93.8 * DAY, "training_tokens": 12.8e12},
    "huaan-2023": {"training_tokens": 300e9},
    "nextbigfuture-2024": {"chip_time": 20e3 * math.sqrt(90 * 100) * DAY},
}


@pytest.mark.parametrize("name", sorted(WORKED))
def test_what_follows_is_what_was_worked_out_by_hand(name: str) -> None:
    found = solved(published(name))
    for quantity, wanted in WORKED[name].items():
        assert value(found, quantity) == pytest.approx(wanted, rel=4e-3), quantity


def test_spans_of_published_figures_follow() -> None:
    """3 to 11 billion dollars at 10 to 15 thousand each are 200,000 to 1.1 million chips."""
    chips = solved(published("citi-2023")).known["chips"].value
    assert (chips.low, chips.high) == (pytest.approx(200_000), pytest.approx(1.1e6))


def apart(quantity: str, one: str, other: str) -> tuple[float, dict[str, float]]:
    found = difference(quantity, solved(published(one)), solved(published(other)))
    return found.ratio, {" ".join(each.names): each.ratio for each in found.factors}


def test_bernstein_against_semianalysis() -> None:
    ratio, factors = apart("capex_tenth", "bernstein-2023", "semianalysis-google-2023")
    assert ratio == pytest.approx(4.81, rel=1e-3)
    assert factors["cost_per_ask"] == pytest.approx(11.2, rel=5e-3)
    assert factors["searches"] == pytest.approx(4.0 / 10.1, rel=5e-3)
    assert factors["capex_over_cost"] == pytest.approx(3.006 / (100 / 36), rel=5e-3)


def test_the_gpt_3_runs() -> None:
    ratio, factors = apart("training_cost", "press-12m-2023", "oneflow-2022")
    assert ratio == pytest.approx(12 / 1.4)
    rate = factors["/ peak"] * factors["/ utilisation"]
    assert rate == pytest.approx(312 * 0.462 / 28)
    assert factors["chip_hour"] == pytest.approx(3.85 / 2.31, rel=5e-3)


def test_the_gpt_4_runs() -> None:
    ratio, factors = apart("training_flop", "gpt-4-leak-2023", "huaan-2023")
    assert ratio == pytest.approx(248843 / 31271, rel=1e-4)
    assert factors["active_parameters"] == pytest.approx(280 / 1500)
    assert factors["training_tokens"] == pytest.approx(12.8e12 / 300.2e9, rel=1e-3)


def test_what_nobody_tells_is_said() -> None:
    pair = [solved(published(name)) for name in ("bernstein-2023", "semianalysis-2023")]
    found = difference("cost_per_ask", *pair)
    assert "utilisation" in found.untold["bernstein-2023"]
    assert "chip_hour" in found.untold["bernstein-2023"]
    assert "semianalysis-2023" not in found.untold


@pytest.mark.parametrize("name", forecast_names())
def test_each_is_told_in_full(name: str) -> None:
    found = published(name)
    assert all((found.title, found.who, found.where, found.when, found.seen, found.topics))
    assert not found.claim or found.claim in claim_names()
    for figure in found.figures:
        assert figure.mark == "stated" or figure.note, f"{figure.quantity}: assumed, but why?"


@pytest.mark.parametrize(
    ("text", "ends"),
    [
        ("10M", (10e6, 10e6, 10e6)),
        ("10M (5M..20M)", (5e6, 10e6, 20e6)),
        ("10M ± 30%", (7e6, 10e6, 13e6)),
        ("10M +- 2M", (8e6, 10e6, 12e6)),
        ("5M..20M", (5e6, 10e6, 20e6)),
    ],
)
def test_spans_as_people_write_them(text: str, ends: tuple[float, float, float]) -> None:
    found = spanned(text, "1", "here")
    assert (found.low, found.likely, found.high) == pytest.approx(ends)


def test_an_end_may_leave_out_its_unit() -> None:
    found = spanned("2 USD/h (1..4)", "USD/s", "here")
    assert (found.low * 3600, found.high * 3600) == pytest.approx((1, 4))


@pytest.mark.parametrize(
    "text",
    ["", "ten", "10M (20M..30M)", "-5", "0", "10M ± 120%", "nan", "1 (2..3", "9" * 200, None],
)
def test_no_span_is_refused_with_its_place(text: str | None) -> None:
    with pytest.raises(BadFile, match=r"^file\.toml: demand\.x\.users"):
        spanned(text, "1", "file.toml: demand.x.users")


GOOD = (
    Path(__file__).parents[2] / "src/eke/catalog/data/forecasts/semianalysis-2023.toml"
).read_text()


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("tokens_per_ask =", "tokens_per_query =", "tokens_per_ask"),
        ('value = "13M"', 'value = "-13M"', "above zero"),
        ('value = "13M"', 'value = "13 GB"', "users"),
        ('source = "semianalysis-2023"', 'source = "nobody"', "source"),
        ('of = "serving"', 'of = "cooking"', "serving"),
        ('model = "gpt-3-175b"', 'model = "gpt-33"', "same"),
        ('chip = "a100-sxm-80"', 'chip = "a99999"', "same"),
        ('mark = "assumed"', 'mark = "guessed"', "assumed"),
        ("[same]", '[[relations]]\ntext = "cost"\nwhy = ""\n\n[same]', "relations"),
        ("[same]", '[[relations]]\ntext = "cost = chips + 1"\nwhy = ""\n\n[same]', "relations"),
        ("[same]", '[[relations]]\ntext = "cost = cost"\nwhy = ""\n\n[same]', "relations"),
    ],
)
def test_bad_files_name_file_and_field(tmp_path: Path, old: str, new: str, says: str) -> None:
    assert old in GOOD
    path = tmp_path / "own.toml"
    path.write_text(GOOD.replace(old, new, 1))
    with pytest.raises(EkeError) as error:
        published(str(path))
    assert str(path) in str(error.value) and says in str(error.value)


def run(*words: str) -> str:
    found = CliRunner().invoke(entry, ["allocate", "forecast", *words])
    assert found.exit_code == 0, found.output
    return found.stdout


def test_published_side_by_side_on_the_command_line() -> None:
    text = " ".join(run("--published", "bernstein-2023", "semianalysis-google-2023").split())
    assert text.startswith("2 published forecasts")
    assert "×4.81 semianalysis-google-2023 in capex tenth = 11.2 (cost per ask)" in text
    again = json.loads(run("--published", "--json", "bernstein-2023"))
    assert again["answer"] == "published"
    assert again["chains"][0]["known"]["life"]["mark"] == "implied"


def test_an_unknown_name_is_met_with_the_closest() -> None:
    found = CliRunner().invoke(entry, ["allocate", "forecast", "--published", "bernstien-2023"])
    assert found.exit_code != 0
    assert "bernstein-2023" in str(found.exception)
