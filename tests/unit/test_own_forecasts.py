"""Forecasts, counts and processes of a user's own: used where they resolve, refused where not."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner

from eke.catalog import files
from eke.catalog.anchors import anchors
from eke.catalog.check import SINGLE, found_in
from eke.catalog.check_forecasts import forecast_findings
from eke.catalog.findings import Finding
from eke.catalog.forecasts import published
from eke.catalog.nodes import node
from eke.catalog.sources import sources
from eke.cli import entry
from eke.economics.chains import solved

OWN_FORECAST = """
id = "mine-2026"
of = "serving"
title = "Mine"
who = "me"
where = "here"
when = "2026-01-02"
seen = "here"
source = "me"
topics = ["query"]

[figures]
users = { value = "10M" }
asks_per_user = { value = "5/day" }
chips = { value = "1000" }
chip_hour = { value = "2 USD/h" }
cost = { value = "48000 USD/day" }
peak = { value = "312 TFLOP/s", mark = "assumed", note = "A100, dense" }

[same]
model = "llama-3.1-8b"
chip = "a100-sxm-80"
prompt = "1000"
answer = "200"
"""
OWN_COUNTS = (
    "what,when,low,likely,high,unit,source,kind,note\nchips,2026-Q1,1M,2M,3M,1,me,measured,\n"
)
OWN_NODES = """
[nodes.n4x]
size = "4 nm"

[nodes.n4x.values]
wafer_price = { value = "15000 USD", source = "me" }
"""
ME = '["me"]\ntitle = "Me"\nkind = "measured"\nread = "2026-11-30"\n'


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's folder with nothing but forecasts, counts, a process and their source."""
    (tmp_path / "forecasts").mkdir()
    (tmp_path / "forecasts" / "mine-2026.toml").write_text(OWN_FORECAST)
    (tmp_path / "forecasts" / "anchors.csv").write_text(OWN_COUNTS)
    (tmp_path / "nodes.toml").write_text(OWN_NODES)
    (tmp_path / "sources.toml").write_text(ME)
    monkeypatch.setenv("EKE_CATALOG", str(tmp_path))
    return tmp_path


def findings(path: Path) -> list[Finding]:
    """What the check says of one file, as `eke catalog check` asks it."""
    known = set(sources())
    single = next((SINGLE[name] for name in SINGLE if str(path).endswith(name)), None)
    if single is not None:
        return found_in(path, partial(single, known=known))
    return found_in(path, partial(forecast_findings, solve=solved, year=2026))


def test_a_folder_of_forecasts_alone_is_used(told: Path, tmp_path: Path) -> None:
    for name in ("forecasts/mine-2026.toml", "forecasts/anchors.csv", "nodes.toml"):
        assert not findings(told / name)
    assert solved(published("mine-2026")).known["cost_per_ask"].value.likely == pytest.approx(
        48000 / 50e6
    )
    assert [each.note for each in anchors() if each.source == "me"] == [""]
    assert node("n4x").values["wafer_price"].law.numbers == (15000.0,)
    alone = tmp_path / "alone"
    (alone / "forecasts").mkdir(parents=True)
    assert files.a_folder(alone) == alone


@pytest.mark.parametrize(
    "name,old,new,severity,says",
    [
        ("forecasts/mine-2026.toml", 'source = "me"', 'source = "mee"', "error", "no source 'mee'"),
        (
            "forecasts/mine-2026.toml",
            "users =",
            "usrs =",
            "error",
            r"figures\.usrs.*closest: users",
        ),
        ("forecasts/mine-2026.toml", "48000", "96000", "error", r"figures\.cost: contradicts .*×2"),
        (
            "forecasts/mine-2026.toml",
            "[same]",
            '[[relations]]\ntext = "cost = 2 * chips * chip_hour"\nwhy = ""\n\n[same]',
            "error",
            "cost contradicts those that always hold, by ×2",
        ),
        (
            "forecasts/mine-2026.toml",
            'topics = ["query"]',
            'claim = "x"',
            "error",
            "claim: no claim",
        ),
        ("forecasts/mine-2026.toml", "llama-3.1-8b", "llama-9", "error", "same: .*llama-9"),
        ("forecasts/mine-2026.toml", '"2026-01-02"', '"2031"', "warning", "when: is '2031'"),
        ("forecasts/mine-2026.toml", "312", "624", "warning", r"figures\.peak: no dense peak"),
        (
            "forecasts/mine-2026.toml",
            ', note = "A100, dense"',
            "",
            "warning",
            "assumed, and its note",
        ),
        (
            "forecasts/mine-2026.toml",
            "[same]",
            'utilisation = { value = "130%" }\n\n[same]',
            "warning",
            r"figures\.utilisation: 1\.3 is hardly possible",
        ),
        (
            "forecasts/mine-2026.toml",
            "[same]",
            'tokens_per_ask = { value = "2000" }\n\n[same]',
            "warning",
            "same: 1,200 tokens, but tokens_per_ask is 2,000",
        ),
        ("forecasts/anchors.csv", "2026-Q1", "soon", "error", "line 2: when is 'soon'"),
        ("forecasts/anchors.csv", ",1,me", ",USD,me", "error", "line 2: unit is 'USD'; expected 1"),
        ("forecasts/anchors.csv", "measured", "felt", "error", "line 2: kind is 'felt'"),
        ("forecasts/anchors.csv", "1M,2M", "3M,2M", "error", "line 2: likely"),
        ("forecasts/anchors.csv", ",me,", ",mee,", "error", "line 2: source: no source 'mee'"),
        ("nodes.toml", '"me"', '"mee"', "error", r"nodes\.n4x\.values\.wafer_price: no source"),
        ("nodes.toml", "15000 USD", "1 USD", "error", r"wafer_price is '1 USD'.*expected between"),
        ("nodes.toml", "wafer_price", "waferprice", "error", "Did you mean wafer_price"),
        ("nodes.toml", '"4 nm"', '"four"', "error", r"nodes\.n4x\.size: "),
    ],
)
def test_mistakes_in_forecasts_counts_and_processes(
    told: Path, name: str, old: str, new: str, severity: str, says: str
) -> None:
    path = told / name
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    words = [f"{each.severity}: {each.field}: {each.message}" for each in findings(path)]
    assert any(re.search(f"^{severity}: .*{says}", each) for each in words), words


def test_the_command_checks_forecasts(told: Path) -> None:
    """And the sources it lists are those of the folder too."""
    path = told / "forecasts" / "mine-2026.toml"
    path.write_text(OWN_FORECAST.replace("48000", "96000"))
    found = CliRunner().invoke(entry, ["catalog", "check"])
    assert found.exit_code == 1 and f"error: {path}: figures.cost" in found.output
    listed = CliRunner().invoke(entry, ["catalog", "sources", "me"])
    assert listed.exit_code == 0 and "measured" in listed.stdout
