"""`eke allocate design`: what it reads, what it shows, and which mistakes it names."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from eke.allocating.chips.build_file import read_build
from eke.allocating.designs.files import read_wish
from eke.catalog.nodes import densities, memory_values
from eke.catalog.sources import sources
from eke.cli import entry
from eke.errors import EkeError

EXAMPLE = Path(__file__).parents[2] / "examples" / "allocate" / "design.toml"
MIX = EXAMPLE.read_text()
SMALL = "--model llama-3.1-8b --prompt 1000 --answer 300 --shapes gpu --area 400mm2"


def asked(words: str) -> Result:
    return CliRunner().invoke(entry, ["allocate", "design", *words.split()])


def test_the_answer_and_its_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    found = asked(f"{SMALL} --references h100-sxm --save {path} --json")
    assert found.exit_code == 0, found.exception
    answer = json.loads(found.stdout)
    assert answer["answer"] == "designs" and answer["node"] == "n5"
    best = answer["points"][0]
    assert best["per_dollar"] == max(each["per_dollar"] for each in answer["points"])
    assert answer["references"][0]["name"] == "h100-sxm"
    for ground in answer["grounds"]:
        assert ground["source"] in sources() or ground["source"] == "eke-derived", ground
    written = read_build(path)
    assert written.chip is not None
    assert written.chip.peak["bf16"] == pytest.approx(best["chip"]["peak"]["bf16"], rel=1e-4)
    assert written.chip.power == pytest.approx(best["chip"]["power"], rel=1e-4)


def test_the_words_say_what_is_best_first(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    words = f"{SMALL} --references h100-sxm,tpu-v5e --volume 100k/yr --report {page}"
    found = asked(words)
    assert found.exit_code == 0, found.exception
    assert "gpu 400 mm2" in page.read_text("utf-8")
    with pytest.raises(EkeError, match=r"ends in \.html"):
        raise asked(words.replace("page.html", "page.pdf")).exception or AssertionError
    lines = found.stdout.splitlines()
    assert "gives most for a dollar" in lines[0] and "per joule" in " ".join(lines[:2])
    assert "exists" in found.stdout and "matrix units" in found.stdout
    assert "--volume spreads them" not in found.stdout


@pytest.mark.parametrize("process", ["n7", "n5", "n3", "n2"])
def test_every_density_has_a_source(process: str) -> None:
    values = {**densities(process), **memory_values("HBM4"), **memory_values("HBM2e")}
    assert {"gpu", "systolic", "wafer", "serdes", "phy", "stack_speed"} <= set(values)
    for value in values.values():
        assert value.source in sources() and value.kind


def test_a_mix_is_read() -> None:
    wish = read_wish(str(EXAMPLE), {})
    assert [load.share for load in wish.loads] == pytest.approx([0.7, 0.3])
    assert wish.process == "n3" and wish.area == pytest.approx(1716e-6)
    assert wish.said["electricity"].kind == "given"
    changed = read_wish(str(EXAMPLE), {"process": "n5", "area": 4e-4})
    assert changed.process == "n5" and changed.area == 4e-4


MISTAKES = [
    ('process = "n3"', 'process = "n33"', "process: no process 'n33'; closest: n3"),
    ('area = "1716 mm2"', 'area = "-5 mm2"', "area"),
    ('area = "1716 mm2"', 'area = "5 kg"', "area"),
    ('share = "70%"', 'share = "80%"', "add up to 110%"),
    ('share = "30%"', "", "load.1.share is missing"),
    ('tpot = "50ms"', 'tpott = "50ms"', "load.0.tpott"),
    ('prompt = "16k"', 'prompt = "many"', "load.1.prompt"),
    ('shapes = ["gpu"', 'shapes = ["gpv"', "closest: gpu"),
    ('memory = "HBM3e"', 'memory = "DDR5"', "comes in no stacks"),
    ('electricity = "triangular', 'electricity = "triangle', "site.electricity"),
    ("[site]", "[sight]", "Did you mean site"),
]


@pytest.mark.parametrize("old,new,says", MISTAKES, ids=[row[1][:24] for row in MISTAKES])
def test_mistakes_name_file_and_field(tmp_path: Path, old: str, new: str, says: str) -> None:
    assert old in MIX
    path = tmp_path / "mix.toml"
    path.write_text(MIX.replace(old, new, 1))
    found = asked(str(path))
    assert found.exit_code != 0
    assert says in str(found.exception), found.exception


@pytest.mark.parametrize(
    "words,says",
    [
        ("", "no workload"),
        (f"{SMALL} --node n16", "designs are of"),
        ("--model llama-3.1-8b --area 90mm2", "too small"),
        ("--model llama-3.1-8b --area 90m2", "none of a package"),
        (f"{SMALL} --references h1000", "closest"),
    ],
)
def test_mistakes_on_the_command_line(words: str, says: str) -> None:
    found = asked(words)
    assert found.exit_code != 0 and says in str(found.exception), found.exception


def test_what_no_design_can_do_is_an_answer() -> None:
    found = asked(f"{SMALL} --tpot 1us")
    assert found.exit_code == 3 and "not feasible" in found.stdout


def test_mangled_files_end_in_words(tmp_path: Path) -> None:
    random.seed(13)
    path = tmp_path / "mangled.toml"
    for _ in range(300):
        text = list(MIX)
        for _ in range(random.randint(1, 4)):
            text[random.randrange(len(text))] = random.choice(["", "=", '"', "-", "9", "[", "nan"])
        path.write_text("".join(text))
        try:
            read_wish(str(path), {})
        except EkeError as error:
            assert str(error)
