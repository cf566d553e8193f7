"""Sweeps on a device whose timings follow a known curve: the fit finds the curve again."""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from eke.calibrate.measure import torch_device
from eke.calibrate.measure.fit import MATRIX, Fitted, Promised, fit, half_side
from eke.calibrate.measure.folder import catalogue_chip, prior, promised, write_folder
from eke.calibrate.measure.journal import NAME, Host, Timing
from eke.calibrate.measure.points import CALL, OPERATIONS, Point, flop, moved
from eke.calibrate.measure.run import Unable, measure, robust
from eke.catalog import files
from eke.catalog.chips import chip
from eke.catalog.efficiencies import efficiencies
from eke.cli import entry
from eke.cli.progress import progress
from eke.errors import BadFile, BadInput
from eke.physics.forward import attention_rate
from eke.physics.network import hierarchical_all_reduce_time
from eke.physics.operations import Batch, stack_operations
from eke.physics.roofline import matmul_rate, roofline_time
from eke.types.model import Attention, Block, Feed, Stack
from eke.types.plan import Plan

HOST = Host(
    name="Fake 9000 2 cores",
    vendor="Fake",
    kind="cpu",
    memory=64e9,
    formats=("bf16", "fp32", "int8"),
    ranks=4,
    software="none",
)
H100 = Host(
    name="NVIDIA H100 80GB HBM3", vendor="NVIDIA", kind="gpu", memory=85e9, formats=("bf16",)
)


PRIOR = prior(HOST, None)


class Fake:
    """A device of known speed; every repeat is a little off, one in nine by a lot."""

    peak = {"bf16": 400e9, "fp32": 200e9, "int8": 800e9}
    memory, rows, columns, call = 50e9, 40.0, 900.0, 2e-6
    attention, keys, backward = 90e9, 150.0, 60e9
    link, start, launch = 5e9, 60e-6, 3e-6

    def __init__(self, host: Host = HOST, scale: float = 1.0, stop: int = 10**9) -> None:
        self.host, self.scale, self.stop, self.done = host, scale, stop, 0

    def times(self, point: Point, seconds: float) -> list[float]:
        self.done += 1
        if self.done > self.stop:
            raise KeyboardInterrupt
        if point.form == "fp32" and point.sweep == "attention_backward":
            raise Unable("no backward pass")
        chance = random.Random(repr(point))
        exact = self.seconds(point) / self.scale
        return [exact * chance.uniform(0.97, 1.03) for _ in range(8)] + [7 * exact]

    def seconds(self, point: Point) -> float:
        """As the physics has it."""
        if point.sweep == "memory":
            return moved(point) / self.memory
        if point.sweep == "launch":
            return self.call if point == CALL else OPERATIONS * point.shape[0] * self.launch
        if point.sweep == "link":
            size, ranks = point.shape
            return float(
                hierarchical_all_reduce_time(
                    size=size, ranks=ranks, inner_ranks=ranks, inner_bandwidth=self.link,
                    inner_latency=PRIOR.link_latency, outer_bandwidth=1.0, outer_latency=0.0,
                    start=self.start,
                )
            )  # fmt: skip
        if point.sweep == "matmul":
            rows, _, columns = point.shape
            rate = matmul_rate(
                peak=self.peak[point.form], rows=rows, half_rows=self.rows,
                columns=columns, half_columns=self.columns,
            )  # fmt: skip
        else:
            speed = self.attention if point.sweep == "attention" else self.backward
            knobs = SimpleNamespace(attention_tokens=self.keys)
            machine: Any = SimpleNamespace(attention=speed, knobs=knobs)
            rate = attention_rate(point.shape[4] + point.shape[5], point.shape[3], machine)
        return self.call + float(
            roofline_time(
                flop=flop(point), rate=rate, moved=moved(point), speed=self.memory,
                overlap=PRIOR.overlap_memory,
            )
        )  # fmt: skip


def fitted(folder: Path, device: Fake | None = None) -> Fitted:
    return fit(measure(device or Fake(), folder, 3), None, PRIOR)


def test_the_fit_finds_the_curve(tmp_path: Path) -> None:
    found = fitted(tmp_path)
    values, best = found.values, found.promised
    for form in ("bf16", "fp32", "int8"):
        name = "matmul_low" if form == "int8" else "matmul"
        assert values[name].likely * best.peak[form] == pytest.approx(Fake.peak[form], rel=0.05)
    assert values["matmul"].likely <= 1 and values["matmul_low"].likely <= 1
    assert values["matmul_rows"].likely == pytest.approx(Fake.rows, rel=0.1)
    assert values["matmul_columns"].likely == pytest.approx(Fake.columns, rel=0.1)
    assert values["memory"].likely * best.memory == pytest.approx(Fake.memory, rel=0.05)
    for name, speed in (("attention", Fake.attention), ("attention_backward", Fake.backward)):
        assert values[name].likely * best.peak["bf16"] == pytest.approx(speed, rel=0.05)
    assert values["attention_tokens"].likely == pytest.approx(Fake.keys, rel=0.15)
    assert values["launch"].likely == pytest.approx(Fake.launch, rel=0.03)
    assert best.link and values["link"].likely * best.link == pytest.approx(Fake.link, rel=0.1)
    assert values["collective"].likely == pytest.approx(Fake.start, rel=0.1)
    assert "link_latency" not in values, "one number of ranks cannot tell"
    assert all(span.low <= span.likely <= span.high for span in values.values())
    assert values["matmul"].high <= 1 and values["memory"].high <= 1
    assert max(found.errors.values()) < 0.05
    assert found.left_out and "no backward pass" in found.left_out[0]


@pytest.mark.parametrize("columns", [30.0, 300.0, 4000.0])
def test_columns_are_told_from_rows_and_peak(columns: float, tmp_path: Path) -> None:
    device = Fake(H100)
    device.peak, device.memory, device.columns = {"bf16": 700e12}, 2.8e12, columns
    device.attention, device.backward = 500e12, 400e12
    found = fit(measure(device, tmp_path, 3), promised(catalogue_chip(H100)), PRIOR)
    assert found.values["matmul"].likely * 989e12 == pytest.approx(700e12, rel=0.05)
    seen = (Fake.rows, columns), tuple(found.values[n].likely for n in MATRIX)
    for width, near in ((1024.0, 0.3), (4096.0, 0.15)):  # narrow results mostly wait for memory
        true, fitted = (half_side((0.0, width), halves) for halves in seen)
        assert fitted == pytest.approx(true, rel=near)


def test_what_the_points_do_not_tell_stays_built_in(tmp_path: Path) -> None:
    timings = measure(Fake(), tmp_path, 3)
    wide = [
        t
        for t in timings
        if t.point.sweep not in ("matmul", "attention")
        or (t.point.sweep == "matmul" and t.point.shape[2] == 4096 and t.point.shape[0] > 16)
        or (t.point.sweep == "attention" and t.point.shape[4] == 256)
    ]
    found = fit(wide, None, PRIOR)
    assert "matmul_rows" in found.values and "matmul" in found.values
    assert not {"matmul_columns", "attention_tokens"} & set(found.values)
    best = found.promised.peak["bf16"] * found.values["matmul"].likely
    assert best == pytest.approx(Fake.peak["bf16"], rel=0.05)
    rows = found.values["matmul_rows"].likely * (1 + PRIOR.matmul_columns / 4096)
    assert rows == pytest.approx(Fake.rows * (1 + Fake.columns / 4096), rel=0.15)


def test_a_machine_far_faster_than_its_chip_is_another(tmp_path: Path) -> None:
    known = chip("v100")
    device = Fake(H100)
    device.peak = {"bf16": 700e12}
    figures = Promised(peak={"bf16": 125e12}, memory=900e9)
    found = fit(measure(device, tmp_path, 3), figures, PRIOR)
    with pytest.raises(BadInput, match="--chip"):
        write_folder(tmp_path, H100, known, found, "2026-11-25")


def test_a_stopped_run_goes_on_where_it_stopped(tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    fitted(whole)
    with pytest.raises(KeyboardInterrupt):
        measure(Fake(stop=20), parts, 3)
    assert len((parts / NAME).read_text().splitlines()) == 21
    with (parts / NAME).open("a") as file:
        file.write('{"point": {"sweep": "mat')  # killed while writing
    second = Fake()
    resumed = fitted(parts, second)
    assert second.done == len((whole / NAME).read_text().splitlines()) - 21
    assert (parts / NAME).read_bytes() == (whole / NAME).read_bytes()
    assert resumed == fitted(whole)
    for folder in (whole, parts):
        write_folder(folder, HOST, None, resumed, "2026-11-25")
    table = f"efficiency/{'fake-9000-2-cores'}.csv"
    assert (whole / table).read_bytes() == (parts / table).read_bytes()


@pytest.mark.parametrize(
    "line,words",
    [
        ("junk", "line 3"),
        ('{"point": 5}', "line 3"),
        ('{"point":{"sweep":"link","form":"x","shape":[1]},"median":-1}', "must rise from above 0"),
        ('{"point":{"sweep":"teleport","form":"x","shape":[1]}}', "line 3"),
        ("\xff\xfe", "line 3"),
    ],
)
def test_junk_among_the_timings_is_a_clear_error(line: str, words: str, tmp_path: Path) -> None:
    measure(Fake(), tmp_path, 3)
    lines = (tmp_path / NAME).read_bytes().splitlines(keepends=True)
    lines.insert(2, line.encode("latin-1") + b"\n")
    (tmp_path / NAME).write_bytes(b"".join(lines))
    with pytest.raises(BadFile, match=words):
        measure(Fake(), tmp_path, 3)


def test_another_machine_does_not_go_on(tmp_path: Path) -> None:
    measure(Fake(), tmp_path, 3)
    with pytest.raises(BadFile, match="another machine"):
        measure(Fake(H100), tmp_path, 3)
    with pytest.raises(BadInput, match="minutes"):
        measure(Fake(), tmp_path, 0)


def test_what_would_take_too_long_is_left_out_and_tried_again_with_more_time(
    tmp_path: Path,
) -> None:
    slow = measure(Fake(scale=1e-3), tmp_path, 0.1)
    late = [timing for timing in slow if "more --minutes" in timing.unable]
    assert late
    again = measure(Fake(scale=1e-3), tmp_path, 600)
    assert sum("more --minutes" in timing.unable for timing in again) < len(late)


def test_need_prefers_what_was_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_added", [])
    found = fitted(tmp_path)
    name, _ = write_folder(tmp_path, HOST, None, found, "2026-11-25")
    config = "examples/qwen3-32b/config.json"
    words = f"need serve {config} --on 4x{name} --rate 0.0001/s --prompt 100 --answer 20"
    root = Path(__file__).parents[2]
    monkeypatch.chdir(root)
    result = CliRunner().invoke(entry, ["--catalog", str(tmp_path), *words.split(), "--json"])
    assert result.exit_code == 0, result.output or result.exception
    grounds = {ground["name"]: ground for ground in json.loads(result.stdout)["grounds"]}
    assert grounds["memory"]["kind"] == "measured"
    assert grounds["memory"]["source"] == f"measured-{name}"
    assert grounds["server_power"]["kind"] == "assumed" if "server_power" in grounds else True
    checked = CliRunner().invoke(entry, ["catalog", "check", str(tmp_path)])
    assert checked.stdout.splitlines()[-1].startswith("0 errors"), checked.stdout


def test_a_fit_does_not_lean_on_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_added", [tmp_path])
    known = catalogue_chip(H100)
    timings = measure(Fake(H100), tmp_path, 3)
    figures = Promised(peak={"bf16": 500e9}, memory=60e9)
    tables = []
    for _ in range(2):
        found = fit(timings, figures, prior(H100, known))
        write_folder(tmp_path, H100, known, found, "2026-11-25")
        tables.append((tmp_path / "efficiency" / "hopper.csv").read_text())
    assert tables[0] == tables[1] and "matmul_columns" in tables[0]


def test_a_known_chip_gets_rows_for_its_family(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_added", [tmp_path])
    known = catalogue_chip(H100)
    assert known is not None and known.id == "h100-sxm"

    class Fast(Fake):
        peak = {"bf16": 1100e12}  # above what the maker prints
        memory, attention, backward, call = 2.8e12, 500e12, 400e12, 1e-6

    found = fit(measure(Fast(H100), tmp_path, 3), promised(known), prior(H100, known))
    assert found.above == ("matmul",)
    assert found.values["matmul"].likely == pytest.approx(1100e12 / known.peak["bf16"], rel=0.05)
    (tmp_path / "efficiency").mkdir()
    (tmp_path / "efficiency" / "hopper.csv").write_text(
        "name,low,likely,high,unit,kind,source,note\nstep,1ms,2ms,3ms,s,measured,you,mine\n"
    )
    write_folder(tmp_path, H100, known, found, "2026-11-25")
    assert not (tmp_path / "chips").exists()
    values = efficiencies("hopper")
    assert values["matmul"].kind == "measured" and "above the published" in values["matmul"].note
    assert values["matmul"].likely == pytest.approx(found.values["matmul"].likely, rel=1e-3)
    assert values["step"].note == "mine"


@pytest.mark.parametrize(
    "name,memory,known",
    [
        ("NVIDIA H100 PCIe", 85e9, "h100-pcie"),
        ("NVIDIA A100-SXM4-80GB", 85e9, "a100-sxm-80"),
        ("NVIDIA A100-SXM4-40GB", 42e9, "a100-sxm-40"),
        ("NVIDIA GeForce RTX 4090", 25.3e9, "rtx-4090"),
        ("NVIDIA L40S", 47.7e9, "l40s"),
        ("AMD Instinct MI300X", 206e9, "mi300x"),
        ("NVIDIA H200", 150e9, "h200-sxm"),
        ("Strange Card 77", 85e9, None),
    ],
)
def test_names_that_devices_give_themselves(name: str, memory: float, known: str | None) -> None:
    host = Host(name=name, vendor="", kind="gpu", memory=memory, formats=("bf16",))
    found = catalogue_chip(host)
    assert (found.id if found else None) == known
    assert catalogue_chip(HOST) is None
    assert catalogue_chip(HOST, "epyc-9654") == chip("epyc-9654")


def test_outliers_are_dropped() -> None:
    median, low, high, kept = robust([1.0, 1.01, 0.99, 1.02, 0.98, 50.0])
    assert (median, kept) == (1.0, 5) and low <= median <= high < 1.05


def test_the_physics_counts_as_many_operations_as_the_block_is_divided_by() -> None:
    block = Block(mixer=Attention(heads=2, kv_heads=2, head_size=8), feed=Feed(width=32), vectors=0)
    plan = Plan(chip="any")
    work = (Batch(sequences=1, new=1),)
    assert len(stack_operations(Stack(count=1, block=block), 16, work, plan)) == OPERATIONS
    point = Point(sweep="matmul", form="bf16", shape=(3, 5, 7))
    assert flop(point) == 2 * 3 * 5 * 7 and moved(point) == 2 * 35 + 2 * 3 * 12


def test_without_torch_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(torch_device, "import_module", missing)
    result = CliRunner().invoke(entry, ["calibrate", "measure"])
    assert isinstance(result.exception, BadInput) and "pip install" in str(result.exception)


def test_too_little_to_fit_is_a_clear_error() -> None:
    with pytest.raises(BadInput, match="nothing could be timed"):
        fit([Timing(point=CALL, median=1.0, low=1.0, high=1.0)], None, PRIOR)


def test_progress_shows_on_a_terminal_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with progress() as tell:
        tell(1, 2, "matmul")
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setitem(sys.modules, "rich.console", None)
    with progress() as tell:
        tell(1, 2, "matmul")
    shown = capsys.readouterr()
    assert shown.out == "" and "1/2 matmul" in shown.err


def test_a_folder_that_cannot_be_written_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadFile, match="cannot be written"):
        measure(Fake(), tmp_path / "file" / "out", 3)
    found = fitted(tmp_path / "good")
    with pytest.raises(BadFile, match="cannot be written"):
        write_folder(tmp_path / "file", HOST, None, found, "2026-11-25")
