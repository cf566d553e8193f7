"""Runs on disk: the very same one is read again, and broken files are told from whole ones."""

from __future__ import annotations

import gzip
import sys
import types
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.runs import queue, run

from eke.errors import BadFile, BadInput
from eke.simulation.files import ENDINGS, read_run, timeline_path, write_run
from eke.types.run import FINISHED, REFUSED, Run

AWKWARD = {
    "queue": queue(300, tenants=5),
    "nobody": run(0),
    "one, without names": Run(
        label='"quoted", <b>\nnew line',
        end=1e9 + 0.1,
        seed=2**62,
        source="gateway",
        requests=run(1, arrived=1e9 + 1 / 3, tenant=4, ttft=0.1, session=2**60).requests,
        names={"tenant": ("a,b", '"', "ü\n", "")},
        remarks=("one", "two"),
        facts={"cost": 0.1 + 0.2},
    ),
    "no reasons": Run(
        label="",
        end=3.0,
        requests=run(3, reason=-1, outcome=[FINISHED, REFUSED, 0], first=[1, np.nan, 2.5]).requests,
        names={},
    ),
}


def needs(ending: str) -> None:
    if ending in (".parquet", ".arrow"):
        pytest.importorskip("pyarrow")


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("name", AWKWARD)
def test_the_very_same_run_is_read_again(name: str, ending: str, tmp_path: Path) -> None:
    needs(ending)
    made, path = AWKWARD[name], tmp_path / f"run{ending}"
    write_run(path, made)
    found = read_run(path)
    for table in ("requests", "timeline"):
        given, read = getattr(made, table), getattr(found, table)
        assert given.keys() == read.keys()
        for column, values in given.items():
            assert values.dtype == read[column].dtype, column
            np.testing.assert_array_equal(values, read[column], column)
    for field in ("label", "end", "seed", "facts", "source", "remarks"):
        assert getattr(found, field) == getattr(made, field)
    for column, names in made.names.items():
        assert found.names[column][: len(names)] == names
    assert not [each for each in tmp_path.iterdir() if each.name.startswith(".")]


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_same_run_is_the_same_bytes(ending: str, tmp_path: Path) -> None:
    needs(ending)
    one, other = tmp_path / f"one{ending}", tmp_path / f"other{ending}"
    write_run(one, queue(100))
    write_run(other, queue(100))
    assert one.read_bytes() == other.read_bytes()
    assert timeline_path(one).read_bytes() == timeline_path(other).read_bytes()


def test_people_can_read_it(tmp_path: Path) -> None:
    write_run(tmp_path / "run.csv", queue(20, refuse=1.0))
    first, head, row = (tmp_path / "run.csv").read_text().splitlines()[:3]
    assert first.startswith('# {"table":"requests","label":"fcfs","end":600.0,"seed":7')
    assert '"units":{"arrived":"s"' in first
    cells = dict(zip(head.split(","), row.split(","), strict=True))
    assert cells["outcome"] == "refused" and cells["first"] == "" and cells["ttft"] == "inf"
    assert cells["tenant"].startswith("tenant ")


def test_an_older_timeline_goes(tmp_path: Path) -> None:
    path = tmp_path / "run.csv"
    write_run(path, queue(20))
    write_run(path, run(2))
    assert not timeline_path(path).exists() and read_run(path).timeline == {}


def test_a_timeline_of_another_run_is_told(tmp_path: Path) -> None:
    write_run(tmp_path / "run.csv", queue(20))
    write_run(tmp_path / "other.csv", queue(20, seed=8))
    (tmp_path / "other.timeline.csv").rename(tmp_path / "run.timeline.csv")
    with pytest.raises(BadFile, match="another run"):
        read_run(tmp_path / "run.csv")


def edited(old: str, new: str) -> Callable[[Path], None]:
    def edit(path: Path) -> None:
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))

    return edit


BROKEN: list[tuple[Callable[[Path], None], str]] = [
    (edited("# {", "{"), "line 1 does not say"),
    (edited('"seed":7', '"seed":"x"'), "seed"),
    (edited("arrived,", "came,"), "columns missing or unknown: arrived, came"),
    (edited("finished,,", "done,,"), "'done' is no outcome"),
    (edited("inf\n", "inf,1\n"), "line 3 has 21 cells instead of 20"),
    (edited("inf\n", "soon\n"), "line 3: could not convert string to float: 'soon'"),
    (lambda path: path.write_bytes(b"\xff\xfe\x00"), "utf-8"),
    (lambda path: path.write_text(""), "line 1"),
    (lambda path: path.unlink(), "No such file"),
]


@pytest.mark.parametrize("damage,words", BROKEN)
def test_a_broken_file_is_told(damage: Callable[[Path], None], words: str, tmp_path: Path) -> None:
    path = tmp_path / "run.csv"
    made = queue(20, refuse=0.0)
    write_run(path, made)
    damage(path)
    with pytest.raises(BadFile) as raised:
        read_run(path)
    assert str(raised.value).startswith(str(path)) and words in str(raised.value)


def test_half_a_gzip_is_told(tmp_path: Path) -> None:
    path = tmp_path / "run.csv.gz"
    write_run(path, queue(200))
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(BadFile, match="Compressed file ended"):
        read_run(path)
    path.write_bytes(gzip.compress(b"no head\n"))
    with pytest.raises(BadFile, match="line 1"):
        read_run(path)


@pytest.mark.parametrize("ending", [".parquet", ".arrow"])
def test_a_broken_arrow_file_is_told(ending: str, tmp_path: Path) -> None:
    needs(ending)
    path = tmp_path / f"run{ending}"
    write_run(path, queue(200))
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(BadFile):
        read_run(path)


def test_names_that_cannot_be_written_are_told_before(tmp_path: Path) -> None:
    for name in ("run.txt", "nowhere/run.csv"):
        with pytest.raises(BadFile):
            write_run(tmp_path / name, run(1))
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(BadFile, match="folder"):
        write_run(tmp_path / "folder.csv", run(1))


def test_without_pyarrow_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(BadInput, match=r"eke\[parquet\]"):
        write_run(tmp_path / "run.parquet", run(1))


@pytest.mark.parametrize("ending", ENDINGS)
def test_why_a_file_cannot_be_read_is_told(
    ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", types.ModuleType("pyarrow"))  # says less of why
    with pytest.raises(BadFile, match="cannot be read: No such file or directory"):
        read_run(tmp_path / f"none{ending}")


def test_an_interrupted_writer_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.csv"
    write_run(path, run(2))
    before = path.read_bytes()

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("eke.simulation.csv_files._cells", stop)
    with pytest.raises(KeyboardInterrupt):
        write_run(path, run(3))
    assert path.read_bytes() == before and [each.name for each in tmp_path.iterdir()] == ["run.csv"]
