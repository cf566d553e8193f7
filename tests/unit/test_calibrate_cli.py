"""`eke calibrate check` and `fit`: the answer first, rows on demand, mistakes in one line."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tests.tables import learning, mixed_rows, serving, write_table

from eke.cli import entry, main
from eke.errors import EkeError

COLUMNS = ["id", "metric", "measured", "low", "likely", "high", "status", "note"]


def run(*words: object) -> Result:
    """One command; errors of the user become exit code 2, as `eke` itself does."""
    result = CliRunner().invoke(entry, ["calibrate", *map(str, words)])
    if isinstance(result.exception, EkeError):
        result.exit_code = 2
    return result


def refused(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    """The one line that `eke` itself writes when it cannot do as asked."""
    with pytest.raises(SystemExit) as left:
        main(["calibrate", *map(str, words)])
    said = capsys.readouterr()
    assert left.value.code == 2
    assert said.out == ""
    lines = said.err.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("eke: ")
    return lines[0]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return write_table(tmp_path / "table.csv", [r for r in mixed_rows() if r.table == "inference"])


def by_id(path: Path) -> dict[str, dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return {row["id"]: row for row in csv.DictReader(file)}


def test_the_answer_comes_first(table: Path) -> None:
    result = run("check", table)
    assert result.exit_code == 0
    first, *others = result.stdout.splitlines()
    assert re.match(r"14 of 19 rows predicted: median error \d+ %, 90th percentile", first)
    text = "\n".join(others)
    for words in ("regime", "metric", "chip", "engine", "skipped", "a percentile"):
        assert words in text


def test_same_table_same_bytes(table: Path, tmp_path: Path) -> None:
    outs = [tmp_path / "a.csv", tmp_path / "b.csv"]
    answers = [run("check", table, "--rows", out).stdout for out in outs]
    assert answers[0] == answers[1]
    assert outs[0].read_bytes() == outs[1].read_bytes()


def test_one_line_per_row_with_these_columns(table: Path, tmp_path: Path) -> None:
    out = tmp_path / "rows.csv"
    assert run("check", table, "--rows", out).exit_code == 0
    lines = list(csv.reader(io.StringIO(out.read_text(encoding="utf-8"))))
    assert lines[0] == COLUMNS
    given = [row for row in mixed_rows() if row.table == "inference"]
    assert [line[0] for line in lines[1:]] == [row.id for row in given]
    for row, line in zip(given, lines[1:], strict=True):
        found = dict(zip(COLUMNS, line, strict=True))
        assert found["metric"] == row.metric
        if found["status"] == "scored":
            assert float(found["measured"]) == pytest.approx(row.value, rel=1e-9)
            assert 0 < float(found["low"]) <= float(found["likely"]) <= float(found["high"])
        else:
            assert found["status"] == "skipped" and found["note"]
            assert found["low"] == found["likely"] == found["high"] == ""


def test_packed_tables_are_read_alike(table: Path, tmp_path: Path) -> None:
    packed = write_table(
        tmp_path / "table.csv.gz", [r for r in mixed_rows() if r.table == "inference"]
    )
    assert run("check", packed).stdout == run("check", table).stdout


def test_both_kinds_of_tables_together(table: Path, tmp_path: Path) -> None:
    other = write_table(
        tmp_path / "training.csv", [learning(id="one"), learning(id="two", chip="")]
    )
    out = tmp_path / "rows.csv"
    result = run("check", table, other, "--rows", out)
    assert result.stdout.startswith("15 of 21 rows predicted")
    assert by_id(out)["one"]["status"] == "scored"
    assert by_id(out)["two"]["status"] == "skipped"


def test_a_table_without_any_row_that_can_be_predicted(tmp_path: Path) -> None:
    path = write_table(tmp_path / "table.csv", [serving(model="Nobody-Knows-12Q")])
    result = run("check", path)
    assert result.exit_code == 0
    assert result.stdout.startswith("no row of 1 could be predicted")


def test_a_table_without_rows(tmp_path: Path) -> None:
    path = write_table(tmp_path / "table.csv", [serving()])
    path.write_text(path.read_text().splitlines()[0] + "\n")
    result = run("check", path)
    assert result.exit_code == 0
    assert result.stdout == "no row of 0 could be predicted\n"


def test_groups_are_chosen(table: Path) -> None:
    found = run("check", table, "--by", "chip,publisher").stdout
    assert "mi300x" in found and "regime" not in found


def test_own_measurements_move_the_others(table: Path, tmp_path: Path) -> None:
    alone, followed = tmp_path / "alone.csv", tmp_path / "followed.csv"
    assert run("check", table, "--rows", alone).exit_code == 0
    slow = 2 * float(by_id(alone)["b4"]["likely"])
    own = write_table(tmp_path / "own.csv", [serving(id="own", batch=4, measured_value=slow)])
    assert run("check", table, "--own", own, "--rows", followed).exit_code == 0
    before, now = by_id(alone), by_id(followed)
    assert float(now["b32"]["likely"]) > 1.2 * float(before["b32"]["likely"])
    assert float(now["o-requests_per_sec"]["likely"]) < float(
        before["o-requests_per_sec"]["likely"]
    )
    width = {
        name: float(rows["b32"]["high"]) / float(rows["b32"]["low"])
        for name, rows in (("before", before), ("now", now))
    }
    assert width["now"] < width["before"]
    assert now["amd"] == before["amd"]


def test_a_table_as_its_own_measurements_does_not_predict_itself(tmp_path: Path) -> None:
    path = write_table(tmp_path / "table.csv", [serving(measured_value=50)])
    assert run("check", path, "--own", path).stdout == run("check", path).stdout


def test_a_picture(table: Path, tmp_path: Path) -> None:
    out = tmp_path / "picture.svg"
    assert run("check", table, "--picture", out).exit_code == 0
    drawn = out.read_text(encoding="utf-8")
    assert drawn.startswith("<svg") and drawn.count('r="1.6"') == 14


# mistakes


def test_a_missing_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "rows.csv"
    said = refused(capsys, "check", tmp_path / "none.csv", "--rows", out)
    assert "none.csv" in said and not out.exists()


def test_a_missing_file_of_ones_own(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "rows.csv"
    said = refused(capsys, "check", table, "--own", tmp_path / "none.csv", "--rows", out)
    assert "none.csv" in said and not out.exists()


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("words.csv", b"hello\nworld\n"),
        ("empty.csv", b""),
        ("columns.csv", b"id,source,model,measured_value\n1,a,b,2\n"),
        ("half.csv", b"source,model,chip,n_chips,precision,metric,measured_value,notes\n"),
        ("bytes.csv", b"\xff\xfe\x00\x01" * 50),
        ("cut.csv.gz", b"\x1f\x8b\x08\x00\x00"),
    ],
)
def test_a_bad_table(
    name: str, data: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, out = tmp_path / name, tmp_path / "rows.csv"
    path.write_bytes(data)
    assert name in refused(capsys, "check", path, "--rows", out)
    assert not out.exists()


def test_a_grouping_nobody_knows(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is said before anything is predicted or written."""
    outs = (tmp_path / "rows.csv", tmp_path / "picture.svg")
    said = refused(
        capsys, *("check", table, "--by", "chp"), *("--rows", outs[0], "--picture", outs[1])
    )
    assert "no grouping 'chp'; closest: chip" in said
    assert not any(out.exists() for out in outs)


def test_a_folder_that_does_not_exist(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refused(capsys, "check", table, "--rows", tmp_path / "none" / "rows.csv")
    assert "none" in said and sorted(each.name for each in tmp_path.iterdir()) == ["table.csv"]


def test_nothing_to_learn_from(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_table(tmp_path / "table.csv", [serving(model="Nobody-Knows-12Q")])
    out = tmp_path / "tables"
    refused(capsys, "fit", path, "--out", out)
    assert not out.exists()


def test_one_publisher_is_learnt_from(tmp_path: Path) -> None:
    """Nothing can be left out, but tables are written and read back."""
    from eke.catalog.efficiencies import read_efficiencies

    rows = [serving(id=f"b{n}", batch=n, measured_value=1 + n / 9) for n in (1, 4, 16, 64)]
    path = write_table(tmp_path / "table.csv", rows)
    result = run("fit", path, "--out", tmp_path / "tables")
    assert result.exit_code == 0, result.exception
    assert result.stdout.startswith("learnt from")
    assert read_efficiencies(tmp_path / "tables" / "any.csv", "any")
