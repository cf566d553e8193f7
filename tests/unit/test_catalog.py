"""The catalogue: everything loads, checks out, and a user's folder wins."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from eke import Need, Serve, need
from eke.catalog import files
from eke.catalog.check import Finding, check
from eke.catalog.chips import chip, chip_names
from eke.catalog.efficiencies import efficiencies
from eke.catalog.fleets import fleet
from eke.catalog.models import model, model_names
from eke.catalog.prices import price, prices
from eke.catalog.systems import system_names
from eke.economics.chains import solved
from eke.errors import BadFile, BadInput, EkeError, UnknownChip, UnknownModel
from eke.physics.layers import count_parameters


def test_it_holds_what_it_should() -> None:
    assert len(chip_names()) >= 85
    assert len(system_names()) >= 45
    assert len(model_names()) >= 139
    for name in (
        *("v100", "a100", "h100", "h800", "h20", "h200", "b200", "gb200", "mi300x", "tpu-v5p"),
        *("trainium2", "gaudi3", "athena", "dojo", "dojo-tile", "cs-2", "tiangai-100"),
        *("ascend-910c", "mlu290-m5", "rtx-4090", "m2-ultra", "xeon", "epyc", "graviton4"),
    ):
        assert chip(name).facts


def test_figures_of_some_chips() -> None:
    h100 = chip("h100-sxm")
    assert h100.peak["bf16"] == 989e12 and h100.memory_speed == 3.35e12
    assert h100.facts["memory_size"].kind == "published"
    cs2 = chip("wse-2")
    assert cs2.memory_size == 40e9 and cs2.stream_size == 2.4e15 and cs2.stream_speed == 150e9
    assert chip("v100").peak.get("bf16") is None


def test_everything_resolves() -> None:
    found = check(lambda m: count_parameters(m).total, year=2026, solve=solved)
    assert [each for each in found if each.severity == "error"] == []


def test_fleets() -> None:
    eight = fleet("8xh100-sxm").pools[0]
    assert (eight.chips, eight.domain, eight.network_speed) == (8, 8, 50e9)
    assert fleet("2xdgx-h100").pools[0].chips == 16
    assert fleet("1xgb200-nvl72").pools[0].domain == 72
    assert eight.host_speed == 63e9 and eight.facts["host_memory"].kind == "assumed"
    assert fleet("1xdgx-h100").pools[0].host_memory == 250e9
    assert fleet("1xgb200-nvl72").pools[0].facts["host_memory"].kind == "published"
    assert fleet("4xl40s").pools[0].host_speed == fleet("4xl40s").pools[0].link_speed
    assert fleet("8xh100-sxm+4xl40s").chips == 12
    with pytest.raises(UnknownChip, match="closest: h100-sxm"):
        fleet("8xh100-smx")
    for bad in ("", "0xh100-sxm", "99999999999xh100-sxm", "8x", "x"):
        with pytest.raises(EkeError):
            fleet(bad)


def test_models_by_any_name() -> None:
    assert model("gpt-3").id == "gpt-3-175b"
    assert model("Llama-3.1-70B").id == "llama-3.1-70b"
    with pytest.raises(UnknownModel, match=r"closest: .*llama-3.1-70b"):
        model("llama-3.1-70bb")
    with pytest.raises(BadInput, match="not published"):
        model("gpt-4o")
    with pytest.raises(BadFile, match="cannot be read"):
        model("./nowhere/config.json")


def test_prices_are_dated() -> None:
    found = price("h100-sxm", "rent")
    assert found is not None and found.date >= "2025" and found.source
    history = [row.date for row in prices("h100-sxm") if row.basis == "buy"]
    assert history == ["2025", "2024", "2023", "2022"]


def test_a_users_folder_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "chips").mkdir()
    built_in = (files.DATA / "chips" / "h100-sxm.toml").read_text()
    mine = built_in.replace('"80 GB"', '"96 GB"')
    (tmp_path / "chips" / "h100-sxm.toml").write_text(mine)
    (tmp_path / "prices.csv").write_text(
        "chip,basis,value,date,source,kind,note\nh100-sxm,rent,1 USD/h,2026-11-01,eke,assumed,\n"
    )
    monkeypatch.setenv("EKE_CATALOG", str(tmp_path))
    assert chip("h100").memory_size == 96e9
    found = price("h100-sxm", "rent")
    assert found is not None and found.value == pytest.approx(1 / 3600)


GOOD = (files.DATA / "chips" / "h100-sxm.toml").read_text()


@pytest.mark.parametrize(
    "text,says",
    [
        ("", "is empty"),
        ("id = ", "is not TOML"),
        ("\x00\x01\x02", "is not TOML"),
        (GOOD.replace("year = 2022", 'year = "old"'), r"Expected `int`.*\$\.year"),
        (GOOD.replace("[memory]", "[memroy]"), "Did you mean memory"),
        (GOOD.replace('"80 GB"', "nan"), "memory.size.value is nan"),
        (GOOD.replace('"80 GB"', '"-80 GB"'), "memory.size.*absurd"),
        (GOOD.replace('"80 GB"', '"80 Gb/s"'), "memory.size.*expected bytes"),
        (GOOD.replace('"3.35 TB/s"', '"3e30 B/s"'), "memory.speed.*absurd"),
        (GOOD.replace('vendor = "NVIDIA"', ""), "missing required field `vendor`"),
        ("a = [" * 500, "is not TOML"),
    ],
)
def test_bad_chip_files_name_file_and_field(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(BadFile, match=says) as caught:
        chip(str(path))
    assert "bad.toml" in str(caught.value)


PRICES = "chip,basis,value,date,source,kind,note\n"


@pytest.mark.parametrize(
    "text,says",
    [
        ("chip,basis\n", "the columns must be"),
        (PRICES + "h100-sxm,rent\n", "line 2: expected 7 cells"),
        (PRICES + "h100-sxm,lend,1 USD/h,2026,eke,assumed,\n", "basis must be rent or buy"),
        (PRICES + "h100-sxm,rent,-1 USD/h,2026,eke,assumed,\n", "line 2.*absurd"),
        (PRICES + "h100-sxm,rent,0 USD/h,2026,eke,assumed,\n", "line 2.*absurd"),
        (PRICES + "h100-sxm,rent,1e20 USD/h,2026,eke,assumed,\n", "line 2.*absurd"),
        (PRICES + "h100-sxm,rent,nan USD/h,2026,eke,assumed,\n", "not a quantity"),
        (PRICES + "h100-sxm,buy,1 USD/h,2026,eke,assumed,\n", "expected dollars"),
        (PRICES + "h100-sxm,rent,1 USD/h,soon,eke,assumed,\n", "line 2: date is 'soon'"),
    ],
)
def test_bad_prices_name_file_and_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, says: str
) -> None:
    (tmp_path / "prices.csv").write_text(text)
    monkeypatch.setenv("EKE_CATALOG", str(tmp_path))
    with pytest.raises(BadFile, match=says) as caught:
        price("h100-sxm", "rent")
    assert "prices.csv" in str(caught.value)


EFFICIENCIES = "name,low,likely,high,unit,kind,source,note\n"


@pytest.mark.parametrize(
    "row,says",
    [
        ("memory,0,0.8,0.9,1,assumed,eke,\n", "line 2: low is 0"),
        ("memory,0.9,0.8,0.7,1,assumed,eke,\n", "must rise"),
        ("memroy,0.7,0.8,0.9,1,assumed,eke,\n", "closest: memory"),
        ("memory,0.7,0.8\n", "line 2: expected 8 cells"),
        ("memory,0.7,\r0.8,0.9,1,assumed,eke,\n", "line 2"),
    ],
)
def test_bad_efficiencies_name_file_and_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, row: str, says: str
) -> None:
    (tmp_path / "efficiency").mkdir()
    (tmp_path / "efficiency" / "hopper.csv").write_text(EFFICIENCIES + row)
    monkeypatch.setenv("EKE_CATALOG", str(tmp_path))
    with pytest.raises(BadFile, match=says) as caught:
        efficiencies("hopper")
    assert "hopper.csv" in str(caught.value)


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_bytes(b"\xff\xfe\x00junk")
    with pytest.raises(BadFile, match="is not text"):
        chip(str(path))
    with pytest.raises(BadFile, match="is a folder"):
        files.read_text(tmp_path)
    with pytest.raises(BadFile, match="No such file"):
        files.read_text(tmp_path / "none")


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.toml"
    with path.open("wb") as file:
        file.truncate(100_000_000)
    with pytest.raises(BadFile, match="100,000,000 bytes"):
        chip(str(path))
    config = tmp_path / "config.json"
    config.write_bytes(path.read_bytes()[:11_000_000])
    with pytest.raises(BadFile, match="bytes; such files have at most"):
        model(str(config))


MY_CHIP = """
id = "my-npu"
name = "My NPU"
vendor = "Me"
kind = "npu"
family = "mine"
year = 2026
[peak]
bf16 = { value = "500 TFLOP/s", source = "lab" }
[memory]
size = { value = "96 GB", source = "lab" }
speed = { value = "3 TB/s", source = "lab" }
"""
MINE = {
    "sources.toml": '[lab]\ntitle = "My lab"\nkind = "measured"\n',
    "chips/my-npu.toml": MY_CHIP,
    "models/my-llm.toml": 'id = "my-llm"\nname = "My LLM"\nsource = "lab"\n[config]\n'
    'model_type = "llama"\nhidden_size = 64\nintermediate_size = 128\nnum_hidden_layers = 2\n'
    "num_attention_heads = 4\nvocab_size = 100\n",
    "prices.csv": "chip,basis,value,date,source,kind,note\n"
    "my-npu,rent,1 USD/h,2026-11,lab,published,\n",
    "efficiency/mine.csv": "name,low,likely,high,unit,kind,source,note\n"
    "matmul,0.4,0.5,0.6,1,measured,lab,\n",
}


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's folder with a chip, a model, a price and an efficiency of their own."""
    for name, text in MINE.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    monkeypatch.setenv("EKE_CATALOG", str(tmp_path))
    return tmp_path


def test_everything_in_a_users_folder_is_used(mine: Path) -> None:
    found = need(Serve(model=model("my-llm")), fleet=fleet("1xmy-npu"))
    assert isinstance(found, Need)
    assert efficiencies("mine")["matmul"].likely == 0.5
    assert found.money is not None
    assert not [each for each in check(lambda m: count_parameters(m).total) if is_mine(each, mine)]


def test_a_users_row_wins_over_every_built_in_table(mine: Path) -> None:
    built_in = efficiencies("hopper", "zero")
    mine_too = EFFICIENCIES + "passes,1,2,3,1,measured,lab,\nmemory,0.5,0.6,0.7,1,measured,lab,\n"
    (mine / "efficiency" / "any.csv").write_text(mine_too)
    hopper = EFFICIENCIES + "turn,1ms,2ms,3ms,s,measured,lab,\npasses,1,4,5,1,measured,lab,\n"
    (mine / "efficiency" / "hopper.csv").write_text(hopper)
    found = efficiencies("hopper", "zero")
    assert found["memory"].likely == 0.6, "over the built-in family"
    assert (found["turn"].likely, found["passes"].likely) == (2e-3, 4), "over the built-in engine"
    assert {name for name in found if found[name] != built_in[name]} == {"memory", "turn", "passes"}
    (mine / "efficiency" / "zero.csv").write_text(
        EFFICIENCIES + "turn,5ms,6ms,7ms,s,assumed,eke,\n"
    )
    assert efficiencies("hopper", "zero")["turn"].likely == 6e-3, "their engine over their family"


def test_the_first_of_two_folders_wins(
    mine: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = tmp_path_factory.mktemp("first")
    (first / "efficiency").mkdir()
    row = "matmul,0.1,0.2,0.3,1,measured,lab,\n"
    (first / "efficiency" / "any.csv").write_text(EFFICIENCIES + row)
    monkeypatch.setattr(files, "_added", [first])
    assert efficiencies("mine")["matmul"].likely == 0.2


def is_mine(finding: Finding, folder: Path) -> bool:
    """Whether it is about the user's folder, the unpublished power aside."""
    return finding.file.startswith(str(folder)) and finding.field != "power"


@pytest.mark.parametrize(
    "name,old,new,says",
    [
        ("chips/my-npu.toml", "bf16", "bf17", r"peak.*allowed: .*Did you mean bf16"),
        ("chips/my-npu.toml", '"npu"', '"dsp"', r"kind.*allowed: gpu, tpu"),
        ("chips/my-npu.toml", 'id = "my-npu"', 'id = "other"', "id is 'other'.*'my-npu'"),
        ("chips/my-npu.toml", "lab", "lba", "peak.bf16: no source 'lba'"),
        ("prices.csv", "my-npu", "my-nup", "no chip 'my-nup'; closest: my-npu"),
        ("prices.csv", "2026-11", "soon", "line 2: date is 'soon'"),
        ("prices.csv", "lab", "lba", "my-npu: no source 'lba'"),
        ("efficiency/mine.csv", "matmul", "matmull", "line 2: name is 'matmull'.*matmul"),
        ("efficiency/mine.csv", "0.6", "1.6", "line 2: matmul is a share"),
        ("efficiency/mine.csv", ",1,", ",", "line 2: expected 8 cells"),
        ("models/my-llm.toml", "num_hidden_layers = 2", "", "num_hidden_layers.*missing"),
        ("models/my-llm.toml", "llama", "lama", "'lama'.*[Cc]losest: .*llama"),
    ],
)
def test_mistakes_in_a_users_folder(mine: Path, name: str, old: str, new: str, says: str) -> None:
    path = mine / name
    path.write_text(path.read_text().replace(old, new))
    found = [each for each in check(lambda m: count_parameters(m).total) if is_mine(each, mine)]
    words = [f"{each.field}: {each.message}" for each in found if each.file == str(path)]
    assert any(re.search(says, each) for each in words), words


def test_a_folder_that_is_no_catalogue(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match="holds nothing eke reads"):
        files.use_folder(tmp_path)
