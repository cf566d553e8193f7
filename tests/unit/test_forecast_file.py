"""A forecast's file: what is wrong in it is said with file and field; the command answers."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import tomli
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from eke.allocating.forecasts.answer import forecast
from eke.allocating.forecasts.reading import ForecastText, asked_of, read_forecast
from eke.catalog.anchors import anchors
from eke.catalog.files import to_record
from eke.cli import entry
from eke.errors import EkeError

EXAMPLE = Path(__file__).parents[2] / "examples" / "allocate" / "forecast.toml"
GOOD = """
start = "2026 Q1"
quarters = 3
samples = 200
count_in = "h100-sxm"

[demand.chat]
users = "13M ± 20%"
growth = "40%/yr"
ceiling = "100M"
asks = "15/day"
prompt = "1000"
answer = "1000"
active = "175B"
utilisation = "20%"
peak_over_mean = "2"

[training.frontier]
active = "405B"
tokens = "15T"
within = "100d"

[supply.h100-sxm]
installed = "100k"
shipments = "10k/quarter"
retire = "5%/yr"

[caps]
power = "1 GW"
"""


def run(*words: str) -> Result:
    return CliRunner().invoke(entry, ["allocate", "forecast", *words])


def written(folder: Path, text: str) -> str:
    path = folder / "mine.toml"
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('users = "13M ± 20%"', 'user = "13M"', "users"),
        ('users = "13M ± 20%"', "", "demand.chat.users is missing"),
        ('users = "13M ± 20%"', 'users = "-13M"', "demand.chat.users"),
        ('users = "13M ± 20%"', 'users = "nan"', "demand.chat.users"),
        ('users = "13M ± 20%"', "users = nan", "demand.chat.users"),
        ('users = "13M ± 20%"', "users = true", "$.demand.chat.users"),
        ('users = "13M ± 20%"', 'users = "13M (20M..30M)"', "demand.chat.users"),
        ('users = "13M ± 20%"', 'users = "1e70"', "demand.chat.users"),
        ('growth = "40%/yr"', 'growth = "40%/quarter"', "demand.chat.growth"),
        ('growth = "40%/yr"', 'growth = "-150%/yr"', "demand.chat.growth"),
        ('growth = "40%/yr"', 'growth = "1e9%/yr"', "demand.chat.growth"),
        ('growth = "40%/yr"', "", "demand.chat.ceiling"),
        ('growth = "40%/yr"', 'innovation = "3%"', "demand.chat.innovation"),
        ('growth = "40%/yr"', 'growth = "40%/yr"\ninnovation = "3%"', "demand.chat.innovation"),
        (
            'growth = "40%/yr"',
            'growth = "40%/yr"\ninnovation = "3%"\nimitation = "38%"',
            "demand.chat.growth",
        ),
        ('ceiling = "100M"', 'ceiling = "1M"', "demand.chat.ceiling"),
        ('asks = "15/day"', 'asks = "15"', "demand.chat.asks"),
        ('asks = "15/day"', 'asks = "15 GB"', "demand.chat.asks"),
        ('prompt = "1000"', 'prompt = "0.5"', "demand.chat.prompt"),
        ('active = "175B"', "", "demand.chat.model"),
        ('active = "175B"', 'model = "gpt-99"', "demand.chat.model"),
        ('active = "175B"', 'active = "175B"\nmodel = "gpt-3"', "demand.chat.active"),
        ('utilisation = "20%"', 'utilisation = "120%"', "demand.chat.utilisation"),
        ('peak_over_mean = "2"', 'peak_over_mean = "0.5"', "demand.chat.peak_over_mean"),
        ('peak_over_mean = "2"', 'elasticity = "1.2"', "demand.chat.price_fall"),
        (
            'peak_over_mean = "2"',
            'price_fall = "30%/yr"\nelasticity = "40"',
            "demand.chat.elasticity",
        ),
        ('tokens = "15T"', 'tokens = "15T"\nbatch = "4M"', "training.frontier.batch"),
        ('peak_over_mean = "2"', 'ttft = "fast"', "demand.chat.ttft"),
        ('peak_over_mean = "2"', 'weights = "fp7"', "demand.chat.weights"),
        ('peak_over_mean = "2"', 'from = "semianalysis-2033"', "demand.chat.from"),
        ('peak_over_mean = "2"', 'from = "bernstein-2023"', "demand.chat.from"),
        ('tokens = "15T"', "", "training.frontier.tokens is missing"),
        ('within = "100d"', 'within = "100"', "training.frontier.within"),
        (
            'within = "100d"',
            'within = "100d"\nexperiments = "0.5"',
            "training.frontier.experiments",
        ),
        ("[supply.h100-sxm]", "[supply.h1000]", "supply.h1000"),
        ('shipments = "10k/quarter"', 'growth = "20%/yr"', "supply.h100-sxm.growth"),
        ('shipments = "10k/quarter"', 'shipments = "10k"', "supply.h100-sxm.shipments"),
        ('shipments = "10k/quarter"', 'wafers = "10k/quarter"', "supply.h100-sxm.per_wafer"),
        ('retire = "5%/yr"', 'retire = "105%/yr"', "supply.h100-sxm.retire"),
        ('retire = "5%/yr"', 'since = "2026 Q3"\nuntil = "2026 Q2"', "supply.h100-sxm.until"),
        ('retire = "5%/yr"', 'since = "next year"', "supply.h100-sxm.since"),
        ('power = "1 GW"', 'power = "1 GWh"', "caps.power"),
        ('power = "1 GW"', 'budget = "1 GUSD"', "caps.budget"),
        ("[training.frontier]", "[training.chat]", "training.chat"),
        ('start = "2026 Q1"', 'start = "2026 Q5"', "start"),
        ("quarters = 3", "quarters = 0", "quarters"),
        ("quarters = 3", "quarters = 4000", "quarters"),
        ("samples = 200", "samples = 1", "samples"),
        ("samples = 200", "seed = -1", "seed"),
        ('count_in = "h100-sxm"', 'count_in = "h1000"', "count_in"),
    ],
)
def test_what_is_wrong_is_said_with_file_and_field(
    tmp_path: Path, old: str, new: str, says: str
) -> None:
    assert old in GOOD
    path = written(tmp_path, GOOD.replace(old, new, 1))
    with pytest.raises(EkeError) as error:
        forecast(read_forecast(path))
    assert path in str(error.value)
    assert says in str(error.value), str(error.value)


@pytest.mark.parametrize("table", ["demand.chat", "training.frontier", "supply.h100-sxm", "caps"])
def test_a_boolean_is_refused_by_the_name_of_its_field(table: str) -> None:
    """Among tables of which the others are sound; names with dots and quotes too."""
    part, _, name = table.partition(".")
    found = tomli.loads(GOOD)
    lines = found[part][name] if name else found[part]
    found["demand"]["a.b"] = dict(found["demand"]["chat"])
    for field in lines:
        was, lines[field] = lines[field], True
        with pytest.raises(EkeError, match=re.escape(f"`$.{table}.{field}`")):
            asked_of(to_record(found, ForecastText, "file.toml"), "file.toml")
        lines[field] = was
    found["demand"]["a.b"]["users"] = False
    with pytest.raises(EkeError, match=re.escape("`$.demand.a.b.users`")):
        to_record(found, ForecastText, "file.toml")


def test_more_chips_than_can_be_are_refused(tmp_path: Path) -> None:
    text = GOOD.replace("40%/yr", "9000%/yr").replace("100M", "8B").replace("= 3\n", "= 80\n")
    path = written(tmp_path, text.replace("[training", 'asks_growth = "400%/yr"\n\n[training', 1))
    with pytest.raises(EkeError, match=r"chat wants .* chips in 20.*cannot be meant") as error:
        forecast(read_forecast(path))
    assert path in str(error.value)


def test_what_is_read_by_its_likeliest_value_is_said(tmp_path: Path) -> None:
    text = GOOD.replace('"100d"', '"100d (80d..120d)"')
    text = text.replace("peak_over_mean", 'reuse = "40% (20%..60%)"\npeak_over_mean')
    found = forecast(read_forecast(written(tmp_path, text)))
    note = "of demand.chat.reuse, training.frontier.within only the likeliest value is used"
    assert any(each.startswith(note) for each in found.remarks)
    assert not any(
        "only the likeliest" in each
        for each in forecast(read_forecast(written(tmp_path, GOOD))).remarks
    )


def test_nothing_wanted_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EkeError, match="nobody wants chips"):
        read_forecast(written(tmp_path, 'start = "2026 Q1"'))


def test_a_budget_needs_prices(tmp_path: Path) -> None:
    text = GOOD.replace("h100-sxm", "gb10").replace('power = "1 GW"', 'budget = "1 GUSD/yr"')
    with pytest.raises(EkeError, match=r"supply\.gb10\.price"):
        forecast(read_forecast(written(tmp_path, text.replace("retire", 'power = "1 kW"\nretire'))))


FIELDS = sorted(
    [(part, name, field) for part, lines in tomli.loads(GOOD).items() if isinstance(lines, dict)
     for name, line in lines.items() if isinstance(line, dict) for field in line]
)  # fmt: skip
NONSENSE = st.one_of(
    st.text(max_size=30),
    st.sampled_from(["1e308", "-1", "0", "1 (2..3)", "1 ± 300%", "1..", "..", "9" * 80, "1/0"]),
    st.integers(-(2**63), 2**63),
    st.floats(),
    st.booleans(),
    st.lists(st.integers(), max_size=2),
)


@given(st.sampled_from(FIELDS), NONSENSE)
def test_no_nonsense_ends_in_a_traceback(at: tuple[str, str, str], value: object) -> None:
    """Whatever stands in a field, there is an answer or an error that names the file."""
    part, name, field = at
    found = tomli.loads(GOOD)
    found[part][name][field] = value
    try:
        forecast(asked_of(to_record(found, ForecastText, "file.toml"), "file.toml"))
    except EkeError as error:
        assert "file.toml" in str(error)


def test_the_command_answers(tmp_path: Path) -> None:
    found = run(written(tmp_path, GOOD))
    assert found.exit_code == 0, found.output
    first = found.stdout.splitlines()[0]
    assert first.startswith("2026 Q3: ") and "h100-sxm wanted" in first and "there; " in first
    assert "chat users" in found.stdout and "frontier" in found.stdout
    again = json.loads(run("--json", written(tmp_path, GOOD)).stdout)
    assert again["answer"] == "forecast" and len(again["quarters"]) == 3
    kinds = {ground["name"]: ground["kind"] for ground in again["grounds"]}
    assert kinds["chat users"] == "given" and kinds["PUE"] == "published"
    assert kinds["frontier utilisation"] == "assumed"


def test_a_shortage_is_an_answer(tmp_path: Path) -> None:
    found = run(written(tmp_path, GOOD.replace('"100k"', '"1k"').replace('"10k/', '"1k/')))
    assert found.exit_code == 0
    assert found.stdout.splitlines()[0].endswith("short throughout")
    assert "eke allocate provider.toml" in found.stdout


def test_a_model_is_planned(tmp_path: Path) -> None:
    """By eke's physics: a smaller model takes fewer chips; another kind of chip is worth what eke
    finds for it."""
    planned = GOOD.replace('active = "175B"\nutilisation = "20%"', 'model = "llama-3.1-8b"')
    planned = planned.replace("[caps]", '[supply.b200-sxm]\ninstalled = "10k"\n\n[caps]')
    found = forecast(read_forecast(written(tmp_path, planned)))
    use = found.uses[0]
    assert use.plan is not None and use.model == "Llama-3.1-8B"
    assert 0.02 < use.peak_share < 0.9
    h100, b200 = use.chip_time["h100-sxm"], use.chip_time["b200-sxm"]
    assert h100 is not None and b200 is not None
    rows = {each.chip: each.worth for each in found.quarters[0].standing}
    assert 1 < rows["b200-sxm"] < 5
    chips = found.quarters[0].uses["chat"].likely
    assert chips == pytest.approx(13e6 * 15 / 86400 * h100.likely * 2 / 0.8, rel=0.05)


def test_a_published_question_is_answered_beside_it() -> None:
    found = run("--like", "semianalysis-2023")
    assert found.exit_code == 0, found.output
    assert found.stdout.startswith("2023 Q1: ") and "a100-sxm-80 wanted" in found.stdout
    assert "semianalysis-2023 28,936" in found.stdout
    words = " ".join(found.stdout.split())
    assert "eke:semianalysis-2023 is ×" in words and "(peak over mean)" in words


def test_what_is_taken_from_a_published_forecast_is_called_so() -> None:
    found = json.loads(run("--like", "semianalysis-2023", "--json").stdout)
    grounds = {each["name"]: each for each in found["grounds"]}
    assert grounds["asks users"]["kind"] == "published"
    assert grounds["asks users"]["source"] == "semianalysis-2023"
    assert grounds["asks peak over mean"]["kind"] == "assumed"
    assert not any(each["unit"] == "USD" for each in found["held"]), "all are bought at once"


def test_the_example_is_read() -> None:
    asked = read_forecast(EXAMPLE)
    assert asked.quarters == 10 and len(asked.demands) == 4 and asked.trainings


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("a.toml", "b.toml"),
        ("semianalysis-2023",),
        ("--like", "bernstein-2023"),
        ("--like", "semianalysis-2023", "--published"),
    ],
)
def test_what_to_forecast_has_to_be_said(words: tuple[str, ...]) -> None:
    found = run(*words)
    assert found.exit_code != 0 and isinstance(found.exception, EkeError)


def test_anchors_are_told_with_their_source() -> None:
    every = anchors()
    assert {each.what for each in every} == {"chips", "energy", "capex", "tokens", "asks"}
    for each in every:
        assert each.value.low <= each.value.likely <= each.value.high and each.note
    energy = {each.when: each.value.likely / 3.6e15 for each in every if each.what == "energy"}
    growth = (945 / 415) ** (1 / 6)  # 14.7 % a year, as the IEA has it
    for year in range(2024, 2031):
        assert energy[str(year)] == pytest.approx(415 * growth ** (year - 2024), rel=0.003)


EVIL = "<script>alert(1)</script>"


def test_the_page_stands_alone_and_escapes_names(tmp_path: Path) -> None:
    text = GOOD.replace("demand.chat]", f'demand."{EVIL}"]').replace(
        'start = "2026 Q1"', f'start = "2026 Q1"\nname = "{EVIL}"'
    )
    page = tmp_path / "out.html"
    found = run(written(tmp_path, text), "--report", str(page))
    assert found.exit_code == 0, found.output
    html = page.read_text()
    assert EVIL not in html and "&lt;script&gt;" in html
    assert html.count("<svg") >= 8
    assert not re.search(r"(src|href)\s*=|@import|url\(", html)
    for words in ("Wanted and there", "What moves it most", "short", "What it rests on"):
        assert words in html


def test_published_forecasts_have_a_page(tmp_path: Path) -> None:
    page = tmp_path / "out.html"
    names = ("bernstein-2023", "semianalysis-google-2023")
    found = run("--published", *names, "--report", str(page))
    assert found.exit_code == 0, found.output
    html = page.read_text()
    assert html.count("<svg") >= 1 and all(name in html for name in names)
    assert "×0.396" in html


def test_a_report_is_a_page(tmp_path: Path) -> None:
    found = run(written(tmp_path, GOOD), "--report", "out.pdf")
    assert isinstance(found.exception, EkeError) and "out.pdf" in str(found.exception)
