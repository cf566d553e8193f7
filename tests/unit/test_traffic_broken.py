"""Broken traces: an error that names the row, or rows left out and counted; never a traceback."""

from __future__ import annotations

import gzip
import random
from pathlib import Path

import pytest

from eke.errors import BadFile, BadInput, EkeError
from eke.simulation.traffic import traffic

DATA = Path(__file__).parents[1] / "data" / "traffic"
HEADER = "TIMESTAMP,ContextTokens,GeneratedTokens\n"
ROWS = [f"2023-11-16 18:15:{second:02}.5,{100 + second},{10 + second}" for second in range(50)]


def azure(tmp_path: Path, *changed: tuple[int, str]) -> Path:
    """A trace of 50 rows, some changed; row 0 is line 2."""
    rows = list(ROWS)
    for row, text in changed:
        rows[row] = text
    path = tmp_path / "trace.csv"
    path.write_text(HEADER + "\n".join(rows) + "\n")
    return path


def drained(path: Path, **options: bool) -> tuple[int, int, list[str]]:
    """Requests read, rows left out, and why."""
    found = traffic(str(path), **options)
    count = sum(map(len, found.chunks()))
    return count, found.skipped.rows, found.skipped.reasons


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("2023-11-16 18:15:10.5,1000000000,5", "prompt is 1000000000; expected 0 to 100,000,000"),
        ("2023-11-16 18:15:10.5,-3,5", "prompt is -3"),
        ("2023-11-16 18:15:10.5,1.5,5", "prompt is 1.5"),
        ("2023-11-16 18:15:10.5,nan,5", "prompt is 'nan'; expected a number"),
        ("2023-11-16 18:15:10.5,,5", "prompt is ''; expected a number"),
        ("2023-11-16 18:15:10.5,many,5", "prompt is 'many'"),
        ("2023-11-16 18:15:10.5,5,1e400", "answer is '1e400'"),
        ("2023-11-16 18:15:10.5,5", "has 2 cells; the header has 3"),
        ("2023-11-16 18:15:10.5,5,5,5", "has 4 cells; the header has 3"),
        ("NaT,5,5", "arrived is 'NaT'; expected a date and time"),
        ("now,5,5", "arrived is 'now'"),
        ("2023-11-16 18:15:01.5,5,5", "the time runs back by 8 s; at most 1 s"),
        ("1969-01-01 00:00:00,5,5", "the time runs back"),
        ("\x00\x01\x02", "has 1 cells"),
    ],
)
def test_a_bad_row_is_named_or_counted(tmp_path: Path, text: str, why: str) -> None:
    path = azure(tmp_path, (10, text))
    with pytest.raises(BadFile) as caught:
        drained(path)
    assert f"{path}, line 12: " in str(caught.value) and why in str(caught.value)
    assert "--skip-bad" in str(caught.value)
    count, left_out, reasons = drained(path, skip_bad=True)
    assert (count, left_out) == (49, 1) and why in reasons[0]


def test_a_row_too_long_and_one_too_short_do_not_make_up_for_each_other(tmp_path: Path) -> None:
    path = azure(tmp_path, (3, f"{ROWS[3]},9"), (4, ROWS[4].rpartition(",")[0]))
    assert drained(path, skip_bad=True)[:2] == (48, 2)


def test_each_pass_counts_anew(tmp_path: Path) -> None:
    found = traffic(str(azure(tmp_path, (3, "bad"))), skip_bad=True)
    for _ in range(2):
        assert sum(map(len, found.chunks())) == 49 and found.skipped.rows == 1
    assert found.skipped.words() == "1 bad rows left out"


def test_a_little_disorder_is_moved_and_counted(tmp_path: Path) -> None:
    found = traffic(str(azure(tmp_path, (10, "2023-11-16 18:15:09.0,5,5"))))
    times = [time for chunk in found.chunks() for time in chunk.arrived]
    assert times == sorted(times) and found.skipped.moved == 1
    assert "1 times that ran back" in found.skipped.words()


def test_quotes_windows_lines_and_blank_lines_are_fine(tmp_path: Path) -> None:
    path = tmp_path / "trace.csv"
    quoted = [f'"{row.replace(",", chr(34) + "," + chr(34))}"' for row in ROWS]
    path.write_bytes((HEADER + "\r\n".join(quoted) + "\r\n\r\n").encode("utf-8-sig"))
    assert drained(path)[0] == 50


@pytest.mark.parametrize("share", [0.1, 0.5, 0.95])
def test_half_a_gzip_gives_the_rows_before(tmp_path: Path, share: float) -> None:
    rows = [f"2023-11-16 18:{s // 60:02}:{s % 60:02}.0,{s * 7919 % 4000},{s}" for s in range(3600)]
    packed = gzip.compress((HEADER + "\n".join(rows) + "\n").encode())
    path = tmp_path / "trace.csv.gz"
    path.write_bytes(packed[: int(len(packed) * share)])
    with pytest.raises(BadFile, match=r"line [\d,]+: the gzip file is cut off here"):
        drained(path)
    count, left_out, reasons = drained(path, skip_bad=True)
    assert 0 < count < 3600 and left_out == 1 and "cut off" in reasons[0]


def test_a_damaged_gzip_is_no_traceback(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress((HEADER + "\n".join(ROWS) + "\n").encode()))
    path = tmp_path / "trace.csv.gz"
    for place in range(10, len(packed), 7):
        broken = bytearray(packed)
        broken[place] ^= 0xFF
        path.write_bytes(broken)
        with pytest.raises(BadFile):
            drained(path)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "is empty"),
        (b" \n\n", "is empty"),
        (b"time,tokens\n1,2\n", "It begins with: time, tokens. Known: Azure"),
        (b"\x7fELF\x00\x00\x01", "is binary"),
        ("TIMESTAMP,ContextTokens".encode("utf-16"), "is UTF-16"),
        (b'{"a": 1}\n', "It begins with: a"),
        (b'{"timestamp": 1, "input_length"', "of no format known"),
        (b"PAR1\x00\x00", "Parquet"),
        (b"\x1f\x8b\x08", "cut off here, and nothing before it"),
        (b'{"input_lens": [1, 2], "output_lens": [1]}', "lists of different length"),
        (b'{"input_lens": 3, "output_lens": [1]}', "must be a list"),
        (b'{"input_lens": [], "output_lens": []}', "holds no requests"),
        (b'{"benchmarks": [{"requests": null}, 3]}', "holds no requests"),
    ],
)
def test_what_is_no_trace(tmp_path: Path, content: bytes, why: str) -> None:
    path = tmp_path / "trace"
    path.write_bytes(content)
    with pytest.raises((BadFile, BadInput)) as caught:
        drained(path)
    assert str(path) in str(caught.value) and why in str(caught.value)


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match="No such file"):
        traffic(str(tmp_path / "trace.csv"))
    with pytest.raises(BadFile, match="is a folder"):
        traffic(str(tmp_path))


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ('{"timestamp": 3000, "input_length": 5}', "missing required field `output_length`"),
        ('{"timestamp": "x", "input_length": 5, "output_length": 5}', "Expected `float`"),
        ('{"timestamp": 3000, "input_length": 5, "output_length": -5}', "answer is -5"),
        (
            '{"timestamp": 3000, "input_length": 5, "output_length": 5, "hash_ids": [1, 2]}',
            "2 keys of blocks",
        ),
        ('{"timestamp": 3000, "input_length": 5, "output_length": 5, "hash_ids": [-1]}', ">= 0"),
        ('{"timestamp": 3000, "input_length": 1e9, "output_length": 5}', "prompt is 1000000000"),
        ('{"timestamp": 3000, "inp', "truncated"),
    ],
)
def test_a_bad_line_of_json(tmp_path: Path, line: str, why: str) -> None:
    lines = (DATA / "mooncake.jsonl").read_text().splitlines()
    path = tmp_path / "trace.jsonl"
    path.write_text("\n".join([*lines[:3], line, *lines[3:]]) + "\n")
    with pytest.raises(BadFile) as caught:
        drained(path)
    assert f"{path}, line 4: " in str(caught.value) and why in str(caught.value)
    assert drained(path, skip_bad=True)[:2] == (5, 1)


def test_half_an_archive_is_a_clear_error(tmp_path: Path) -> None:
    from tests.unit.test_traffic_readers import LENGTHS, RATES, archive

    names = [f"data/m/chunk-{i}-trace.csv" for i in range(200)]
    files = dict.fromkeys(names, RATES * 5) | {"data/m/chunk-0-dataset.json": LENGTHS}
    path = Path(archive(tmp_path / "m.tar.gz", files))
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(BadFile):
        traffic(str(path))


@pytest.mark.parametrize(
    "rows",
    [
        "x,y",
        "0,1,1,Gamma",
        "5,1,1,Gamma,1,1",
        "0,-1,1,Gamma,1,1",
        "0,1e9,1,Gamma,1,1",
        "0,1,1,Gamma,0,1",
    ],
)
def test_bad_rates_of_a_client(tmp_path: Path, rows: str) -> None:
    from tests.unit.test_traffic_readers import archive

    path = archive(tmp_path / "m.tar.gz", {"data/m/chunk-3-trace.csv": rows + "\n"})
    with pytest.raises(BadFile, match=r"chunk-3-trace\.csv: "):
        traffic(path)


@pytest.mark.parametrize("name", sorted(path.name for path in DATA.iterdir()))
def test_files_with_broken_bytes_are_read_or_refused(tmp_path: Path, name: str) -> None:
    content = (DATA / name).read_bytes()
    dice = random.Random(name)
    path = tmp_path / name
    for _ in range(60):
        broken = bytearray(content)
        for _ in range(dice.randint(1, 4)):
            place = dice.randrange(len(broken))
            match dice.randrange(3):
                case 0:
                    broken[place] = dice.randrange(256)
                case 1:
                    del broken[place : place + dice.randint(1, 9)]
                case _:
                    broken[place:place] = dice.choice([b"\x00", b"-", b'"', b"\n", b"9" * 30])
        path.write_bytes(broken)
        for skip_bad in (False, True):
            try:
                drained(path, skip_bad=skip_bad)
            except EkeError:
                continue
