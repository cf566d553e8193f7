"""Sweeps: the cells, what is refused, and that it never matters how a table came about."""

from __future__ import annotations

import csv
import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from eke.cli import entry
from eke.cli import plan as plan_verb
from eke.cli.cells import spelled
from eke.errors import BadFile, EkeError
from eke.sweep import rows
from eke.sweep.crew import Crew, in_order, results
from eke.sweep.grid import Grid, cell, read_grid
from eke.sweep.journal import Journal, Sweep, fingerprint
from eke.sweep.rows import columns, number

GRID = """
[grid]
rate = ["1/s", "900/s"]
on = ["1xl40s", "1xnothing"]
weights = ["fp8", "bf16"]
[[also]]
on = ["1xl4", "1xl40s"]
rate = "2/s"
confidential = true
"""
WORDS = "plan serve llama-3.1-8b --prompt 500 --sweep"
OPTIONS = {"rate": "one", "on": "several", "offload": "nothing"}


def run(*words: str) -> Result:
    """One command; mistakes of the user become exit code 2, as `eke` itself does."""
    result = CliRunner().invoke(entry, list(words))
    if isinstance(result.exception, EkeError):
        result.exit_code = 2
    return result


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "sweep.toml"
    path.write_text(GRID)
    return path


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The table in one go."""
    folder = tmp_path_factory.mktemp("whole")
    (folder / "sweep.toml").write_text(GRID)
    result = run(*WORDS.split(), str(folder / "sweep.toml"), "--out", str(folder / "out.csv"))
    assert result.exit_code == 0, result.output
    assert sorted(each.name for each in folder.iterdir()) == ["out.csv", "sweep.toml"]
    return (folder / "out.csv").read_bytes()


def test_rows_are_in_the_order_of_the_grid(whole: bytes) -> None:
    found = list(csv.DictReader(io.StringIO(whole.decode())))
    crossed = product(("1/s", "900/s"), ("1xl40s", "1xnothing"), ("fp8", "bf16"), ("",))
    asked = [(row["rate"], row["on"], row["weights"], row["confidential"]) for row in found]
    assert asked == [*crossed, ("2/s", "1xl4; 1xl40s", "", "true")]


def test_every_cell_has_its_outcome(whole: bytes) -> None:
    found = list(csv.DictReader(io.StringIO(whole.decode())))
    for row in found:
        if row["on"] == "1xnothing":
            assert row["outcome"] == "error" and "'nothing'" in row["message"]
        elif row["rate"] == "900/s":
            assert row["outcome"] == "infeasible" and row["limit"] == "throughput"
            assert float(row["short_by"]) > 0 and row["limit_unit"] == "1/s"
        else:
            assert row["outcome"] == "planned" and row["plan_json"].startswith('{"chip":')
            for name in ("value", "ttft", "memory"):
                unit = {"value": "", "ttft": " [s]", "memory": " [B]"}[name]
                low, likely, high = (
                    float(row[f"{name}_{end}{unit}"]) for end in ("low", "likely", "high")
                )
                assert 0 < low <= likely <= high


def test_a_cell_says_what_the_command_says(whole: bytes) -> None:
    import json

    row = next(csv.DictReader(io.StringIO(whole.decode())))
    words = "plan serve llama-3.1-8b --prompt 500 --rate 1/s --on 1xl40s --weights fp8 --json"
    alone = json.loads(run(*words.split()).stdout)
    assert json.loads(row["plan_json"]) == alone["need"]["plan"]
    assert float(row["value_likely"]) == pytest.approx(alone["value"]["likely"], rel=1e-8)
    assert float(row["tpot_high [s]"]) == number(alone["need"]["figures"]["tpot"]["span"]["high"])


def test_without_out_the_table_is_printed(file: Path, whole: bytes) -> None:
    result = run(*WORDS.split(), str(file))
    assert result.stdout.encode() == whole
    assert result.stderr == "9 cells: 3 planned, 2 infeasible, 4 error\n"


def test_several_processes_make_the_same_bytes(file: Path, whole: bytes) -> None:
    words = [*WORDS.split(), str(file), "--out", str(file.with_suffix(".csv")), "--processes", "2"]
    assert run(*words).exit_code == 0
    assert file.with_suffix(".csv").read_bytes() == whole


def test_a_catalogue_of_ones_own_goes_with_the_cells(
    file: Path, tmp_path: Path, whole: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tmp_path / "mine" / "efficiency" / "ada.csv"
    table.parent.mkdir(parents=True)
    head = "name,low,likely,high,unit,kind,source,note"
    table.write_text(f"{head}\nmemory,0.3,0.4,0.5,1,fitted,truth,\n")
    monkeypatch.setenv("EKE_CATALOG", "mine")
    monkeypatch.chdir(tmp_path)
    here = run(*WORDS.split(), str(file)).stdout
    assert here.encode() != whole
    assert run(*WORDS.split(), str(file), "--processes", "1").stdout == here


def test_words_of_a_cell_replace_those_of_the_line(file: Path, whole: bytes) -> None:
    result = run(*WORDS.split(), str(file), "--rate", "7/s", "--on", "8xb200")
    assert result.stdout.encode() == whole


def test_what_the_line_needs_may_stand_in_the_cells(file: Path) -> None:
    file.write_text('[grid]\nmodel = ["llama-3.1-8b"]\ntokens = ["1B", "2B"]\non = ["8xh100"]')
    found = list(csv.DictReader(io.StringIO(run("plan", "train", "--sweep", str(file)).stdout)))
    assert [row["outcome"] for row in found] == ["planned"] * 2
    assert 0 < float(found[0]["mfu_likely"]) < 1


def test_what_neither_gives_is_named(file: Path) -> None:
    file.write_text('[grid]\nmodel = ["llama-3.1-8b"]\n[[also]]\ntensor = 2')
    with pytest.raises(BadFile, match="also 1: neither these cells nor the command line give mod"):
        CliRunner().invoke(entry, ["plan", "serve", "--sweep", str(file)], catch_exceptions=False)


def test_chips_may_be_as_many_as_it_takes(file: Path) -> None:
    file.write_text('[grid]\namong = ["l40s", "l40s,l4"]\n[[also]]\non = "1xl4"')
    result = run(*WORDS.split(), str(file), "--rate", "30/s")
    found = list(csv.DictReader(io.StringIO(result.stdout)))
    assert [row["outcome"] for row in found] == ["planned", "planned", "infeasible"]
    assert int(found[0]["chips"]) > 1
    assert float(found[1]["value_likely"]) <= float(found[0]["value_likely"])


def test_an_interrupted_sweep_goes_on(
    file: Path, whole: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    answered = rows.answered

    def third(kind: str, asked: rows.Question | str) -> rows.Row:
        calls.append(asked)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return answered(kind, asked)

    monkeypatch.setattr(rows, "answered", third)
    out = file.with_suffix(".csv")
    words = [*WORDS.split(), str(file), "--out", str(out)]
    stopped = run(*words)
    assert stopped.exit_code == 130 and "stopped at 2 of 9 cells" in stopped.stderr
    assert not out.exists()
    assert run(*words).stderr.endswith(f"4 error, 2 of them by an earlier run: {out}\n")
    assert out.read_bytes() == whole and len(calls) == 3 + 7


def test_a_killed_sweep_goes_on(file: Path, whole: bytes) -> None:
    out = file.with_suffix(".csv")
    kept = out.with_name("sweep.csv.partial.jsonl")
    code = "from eke.cli import main; main()"
    words = [sys.executable, "-c", code, *WORDS.split(), str(file), "--out", str(out)]
    lines = 0
    for wanted in (2, 5):
        process = subprocess.Popen(words, stderr=subprocess.DEVNULL)
        while process.poll() is None and lines <= wanted:
            time.sleep(0.002)
            lines = kept.read_bytes().count(b"\n") if kept.exists() else 0
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert not out.exists() and kept.read_bytes().count(b"\n") >= 3
    assert subprocess.run(words, stderr=subprocess.DEVNULL).returncode == 0
    assert out.read_bytes() == whole and not kept.exists()


@pytest.mark.parametrize(
    "change",
    [
        lambda words, file: [*words, "--prompt", "501"],
        lambda words, file: file.write_text(GRID.replace("900", "901")) and words,
        lambda words, file: [word.replace("serve", "train") for word in words] + ["--tokens", "9B"],
    ],
)
def test_another_sweep_is_refused(
    file: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[list[str], Path], list[str]],
) -> None:
    words = [*WORDS.split(), str(file), "--out", str(file.with_suffix(".csv"))]
    found = [["planned", *[None] * (len(columns("serve", ())) - 1)]]

    def one(kind: str, asked: rows.Question | str) -> rows.Row:
        if not found:
            raise KeyboardInterrupt
        return found.pop()

    monkeypatch.setattr(rows, "answered", one)
    assert run(*words).exit_code == 130
    if "train" in (words := change(words, file)):
        file.write_text('[grid]\non = ["8xh100"]')
        words = ["plan", "train", "llama-3.1-8b", "--tokens", "9B", *words[5:]]
    result = run(*words)
    assert "belongs to another sweep (9 cells" in str(result.exception)


def test_an_error_of_one_cell_is_only_its_own(monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    def broken(*given: object, **more: object) -> None:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(rows, "plan", broken)
    result = run(*WORDS.split(), str(file))
    assert result.exit_code == 2
    assert result.stdout.count("a fault of eke's own: ZeroDivisionError: division by zero") == 5


@pytest.mark.parametrize(
    "text,says",
    [
        ("", "is empty"),
        ("[grid", "is not TOML"),
        ("[grid]", "has no cells"),
        ("[gird]\nrate = ['1/s']", "unknown field `gird`"),
        ("[grid]\nrate = '1/s'", "grid.rate is '1/s'; expected a list"),
        ("[grid]\nrate = []", r"grid.rate is \[\]; expected a list"),
        ("[grid]\nrates = ['1/s']", "grid.rates: this command has no option 'rates'.*rate"),
        ("[grid]\nsweep = ['a.toml']", "no option 'sweep'"),
        ("[grid]\njson = [true]", "no option 'json'"),
        ("[grid]\nrate = ['1/s', '1/s']", "grid.rate: '1/s' stands there twice"),
        ("[grid]\nrate = ['fast']", "grid.rate: 'fast' is not a quantity"),
        ("[grid]\nrate = [1979-05-27]", "grid.rate: .*expected text"),
        ("[grid]\nrate = [' ']", "grid.rate: ' ': expected text"),
        ("[grid]\nrate = [true]", "grid.rate: True: expected text"),
        ("[grid]\nrate = [['1/s']]", "grid.rate: .*expected text"),
        ("[grid]\nrate = [nan]", "must be a finite number"),
        ("[grid]\nweights = ['fp9']", "grid.weights: 'fp9' is not one of"),
        ("[grid]\noffload = ['yes']", "grid.offload: 'yes': expected true or false"),
        ("[grid]\ntensor = [1.5]", "grid.tensor: '1.5' is not a valid integer"),
        ("[[also]]", "also 1: is empty"),
        ("[grid]\nmodel = ['']", "grid.model: '': expected text"),
        ("[[also]]\nrates = '1/s'", "also 1.rates: this command has no option"),
        ("[[also]]\nrate = 'fast'", "also 1.rate: 'fast' is not a quantity"),
        ("[grid]\nrate = ['1/s']\n[[also]]\nrate = '1/s'", "also 1: the same cell"),
        ("[[also]]\nrate = '1/s'\n[[also]]\nrate = '1/s'", "also 2: the same cell"),
        (
            f"[grid]\nrate = {list(range(1, 1002))}\nprompt = {list(range(1, 1001))}",
            "1,001,000 cells; a sweep has at most 1,000,000",
        ),
    ],
)
def test_a_bad_file_is_refused_before_anything_runs(file: Path, text: str, says: str) -> None:
    file.write_text(text)
    with pytest.raises(BadFile, match=says) as error:
        CliRunner().invoke(
            entry, [*WORDS.split(), str(file), "--on", "1xh100"], catch_exceptions=False
        )
    assert str(file) in str(error.value)


@pytest.mark.parametrize(
    "words,says",
    [
        ("--json", "--json is of one plan"),
        ("--frontier cost,ttft", "--frontier is of one plan"),
        ("--save plan.toml", "--save is of one plan"),
        ("--rate fast", "'fast' is not a quantity"),
        ("--out table.txt", "tables are CSV or Parquet"),
        ("--out nowhere/table.csv", "there is no folder"),
        ("--processes 2 --ray local", "exclude each other"),
        ("--processes 0", "not in the range"),
        ("more", "unexpected extra argument"),
        ("--tensr 2", "No such option"),
    ],
)
def test_words_that_make_no_sweep(file: Path, words: str, says: str) -> None:
    file.write_text('[grid]\non = ["1xh100"]')
    result = run(*WORDS.split(), str(file), *words.split())
    assert result.exit_code == 2
    assert says in result.output + str(result.exception)


def test_options_of_a_sweep_need_one() -> None:
    result = run("plan", "serve", "llama-3.1-8b", "--on", "1xh100", "--out", "a.csv")
    assert result.exit_code == 2 and "give --sweep" in result.output


def test_no_option_is_called_as_a_result() -> None:
    for kind, command in plan_verb.command.commands.items():
        options = {spelled(param) for param in command.params}
        assert not options & {column.name for column in columns(kind, ())}


values = st.lists(st.text("abc", min_size=1, max_size=2), min_size=1, max_size=4, unique=True)


@given(st.dictionaries(st.sampled_from("abcd"), values, min_size=1))
def test_cells_are_the_product(axes: dict[str, list[str]]) -> None:
    grid = Grid(axes={name: tuple(each) for name, each in axes.items()})
    expected = [dict(zip(axes, each, strict=True)) for each in product(*axes.values())]
    assert [cell(grid, index) for index in range(grid.cells)] == expected


def test_numbers_and_flags_are_words(tmp_path: Path) -> None:
    path = tmp_path / "sweep.toml"
    path.write_text('[grid]\nrate = [5, 0.5, "1/min"]\noffload = [true, false]\non = [["a", "b"]]')
    grid = read_grid(path, OPTIONS)
    assert grid.axes == {
        "rate": ("5", "0.5", "1/min"),
        "offload": (True, False),
        "on": (("a", "b"),),
    }


SWEEP = Sweep(eke="0", cells=4, columns=3, fingerprint=fingerprint("it"))
ROWS = [["planned", 1.5, 'a "b", ü\n'], ["error", None, "x"], ["planned", "inf", ""]]


def test_a_torn_last_line_is_dropped_wherever_it_was_torn(tmp_path: Path) -> None:
    path = tmp_path / "out.partial.jsonl"
    with Journal(path, SWEEP) as journal:
        for index, row in zip((2, 0, 3), ROWS, strict=True):
            journal.add(index, row)
    whole = path.read_bytes()
    begin = whole[:-1].rindex(b"\n") + 1
    for cut in range(begin, len(whole)):
        path.write_bytes(whole[:cut])
        with Journal(path, SWEEP) as journal:
            assert list(journal.finished) == [2, 0]
            journal.add(3, ROWS[2])
            assert [journal.row(index) for index in (2, 0, 3)] == ROWS
        assert path.read_bytes() == whole
    for cut in range(whole.index(b"\n")):
        path.write_bytes(whole[:cut])
        with Journal(path, SWEEP) as journal:
            assert not journal.finished
        assert not path.exists()


@pytest.mark.parametrize(
    "line,says",
    [
        (b"{]", "line 2: .*Delete the line"),
        (b'[4,["planned",1,""]]', "line 2: no cell 4"),
        (b'[-1,["planned",1,""]]', "line 2: no cell -1"),
        (b'[1,["planned",1]]', "cell 1 with 2 columns"),
        (b'[1,[[],1,""]]', "line 2: Expected"),
        (b"\xff\xfe", "line 2: "),
    ],
)
def test_a_spoilt_line_is_named(tmp_path: Path, line: bytes, says: str) -> None:
    path = tmp_path / "out.partial.jsonl"
    with Journal(path, SWEEP) as journal:
        journal.add(0, ROWS[0])
    head = path.read_bytes().split(b"\n")[0]
    path.write_bytes(head + b"\n" + line + b"\n")
    with pytest.raises(BadFile, match=says):
        Journal(path, SWEEP)
    assert path.read_bytes() == head + b"\n" + line + b"\n"


def test_another_file_is_not_taken_for_a_journal(tmp_path: Path) -> None:
    path = tmp_path / "out.partial.jsonl"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(BadFile, match="is no journal"):
        Journal(path, SWEEP)
    assert path.read_text() == "a,b\n1,2\n"


@pytest.mark.skipif(os.name != "posix", reason="locks of files")
def test_one_run_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "out.partial.jsonl"
    with Journal(path, SWEEP), pytest.raises(BadFile, match="another run"):
        Journal(path, SWEEP)


@given(st.permutations(range(7)), st.integers(1, 4))
def test_results_come_whole_and_bounded_in_any_order(turns: list[int], room: int) -> None:
    """Every cell once, never more under way than there is room, and in order where wanted."""
    most, by_turn = 0, {str(index): turn for index, turn in enumerate(turns)}

    def done(handles: object) -> list[tuple[object, rows.Row]]:
        nonlocal most
        most = max(most, len(list(handles)))  # type: ignore[call-overload]
        first = min(handles, key=lambda each: by_turn[each[0]])  # type: ignore[call-overload]
        return [(first, [first[0]])]

    crew = Crew(submit=lambda asked: (asked,), done=done, room=room)
    work = ((index, str(index)) for index in range(7))
    assert list(in_order(results(crew, work))) == [(index, [str(index)]) for index in range(7)]
    assert most == min(room, 7)


def test_parquet_holds_the_same(file: Path, whole: bytes) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    out = file.with_suffix(".parquet")
    assert run(*WORDS.split(), str(file), "--out", str(out)).exit_code == 0
    table = parquet.read_table(out)
    head, *lines = csv.reader(io.StringIO(whole.decode()))
    assert table.column_names == head
    for row, line in zip(table.to_pylist(), lines, strict=True):
        for value, text in zip(row.values(), line, strict=True):
            assert ("" if value is None else str(value)) == text or value == float(text)


def test_without_ray_or_pyarrow_it_says_what_to_install(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ray", "pyarrow", "pyarrow.parquet"):
        monkeypatch.setitem(sys.modules, name, None)
    on_ray = run(*WORDS.split(), str(file), "--ray", "auto")
    assert "pip install 'eke[ray]'" in str(on_ray.exception)
    out = str(file.with_suffix(".parquet"))
    as_parquet = run(*WORDS.split(), str(file), "--out", out)
    assert "pip install 'eke[parquet]'" in str(as_parquet.exception)
