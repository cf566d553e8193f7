"""`eke serve` on the command line: what it heeds and what it refuses; keys, and bills."""

from __future__ import annotations

import csv
import os
import signal
import threading
from pathlib import Path

import pytest
import tomli
from click.testing import CliRunner, Result
from tests.gateways import Fake, run, serving
from tests.states import opened, write
from tests.unit.test_seeing_usage import HOUR, PLAIN

from eke.cli import entry
from eke.cli.serve import beside
from eke.cli.serve.gateway import _of_file
from eke.errors import BadFile, BadInput
from eke.gateway.settings import Chips, Tenant
from eke.gateway.state import rows
from eke.gateway.tenants import hashed

ENGINE = '[engines.{name}]\nurl = "http://127.0.0.1:1/v1"\nchips = "8x{chip}"\n'


def eke(*words: str) -> Result:
    return CliRunner().invoke(entry, ["serve", *words])


@pytest.mark.parametrize(
    ("words", "flag"),
    [
        (["gateway.toml", "--pace", "2"], "--pace"),
        (["gateway.toml", "--on", "h100-sxm"], "--on"),
        (["gateway.toml", "--port", "0"], "--port"),
        (["gateway.toml", "--state", ""], "--state"),
        (["gateway.toml", "--stand-in", "llama-3.1-8b"], "--stand-in"),
        (["--stand-in", "llama-3.1-8b", "--policy", "nonsense"], "--policy"),
        (["--stand-in", "llama-3.1-8b", "--tier", "x:y"], "--tier"),
        (["--stand-in", "llama-3.1-8b", "--record", "f"], "--record"),
        (["--stand-in", "llama-3.1-8b", "--upstream", "http://x/v1"], "--upstream"),
        (["--upstream", "http://x/v1", "--on", "8xh100-sxm"], "--on"),
        (["--upstream", "http://x/v1", "--pace", "0"], "--pace"),
        (["--parent", "1"], "--parent"),
    ],
)
def test_a_flag_that_is_not_heeded_is_refused(words: list[str], flag: str) -> None:
    error = eke(*words).exception
    assert isinstance(error, BadInput)
    assert flag in str(error)


def test_what_is_wrong_with_chips_is_said_whole() -> None:
    with pytest.raises(BadInput) as raised:
        beside.priced("8xh10-sxm")
    assert str(raised.value).startswith("no chip or system 'h10-sxm' in the catalogue; closest: h1")


def test_chips_are_priced_once_for_all_engines_and_anew_for_a_file_that_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def priced(chips: str) -> Chips:
        asked.append(chips)
        return Chips(8.0, 0.006, 9000.0, 2700.0)

    monkeypatch.setattr(beside, "priced", priced)
    file = tmp_path / "gateway.toml"
    engines = [("a", "h100-sxm"), ("b", "h100-sxm"), ("c", "l40s")]
    file.write_text("".join(ENGINE.format(name=name, chip=chip) for name, chip in engines))
    again = _of_file(file)
    assert [engine.chips for engine in again().engines] == [8.0] * 3
    assert asked == ["8xh100-sxm", "8xl40s"]
    again()
    assert asked == ["8xh100-sxm", "8xl40s"] * 2


def test_an_engine_that_says_much_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """More than a pipe holds, after it is ready."""
    program = (
        "import sys\n"
        "print('toy ready on http://here', file=sys.stderr, flush=True)\n"
        "for _ in range(4000): print('x' * 99, file=sys.stderr)\n"
        "print('all said', file=sys.stderr, flush=True)\n"
    )
    monkeypatch.setattr(beside, "PROGRAM", program)
    all_said = threading.Event()
    with beside.stand_in(
        "m", "c", 1.0, lambda w: all_said.set() if w == "all said" else None
    ) as at:
        assert at == ["http://here/v1"]
        assert all_said.wait(20)


def test_an_engine_that_does_not_end_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    program = (
        "import os, signal, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print(os.getpid(), file=sys.stderr)\n"
        "print('toy ready on http://here', file=sys.stderr, flush=True)\n"
        "time.sleep(30)\n"
        "print('ended by itself', file=sys.stderr, flush=True)\n"
    )
    monkeypatch.setattr(beside, "PROGRAM", program)
    monkeypatch.setattr(beside, "PATIENCE", 0.1)
    said: list[str] = []
    with beside.stand_in("m", "c", 1.0, said.append):
        pass
    with pytest.raises(ProcessLookupError):
        os.kill(int(said[0]), signal.SIG_DFL)
    assert "ended by itself" not in said


@pytest.mark.parametrize("name", ["gold", "a b", 'a"b\\c', "é😀\x7f\t", "a.b", ""])
def test_what_is_said_of_a_key_can_be_pasted(name: str) -> None:
    done = eke("key", "--", name)
    told = tomli.loads(done.stderr)["tenants"]
    assert told == {name: {"keys": [f"sha256:{hashed(done.stdout.strip())}"]}}


def test_a_bill_is_of_a_state_that_is_there(tmp_path: Path) -> None:
    missing = tmp_path / "typo.db"
    error = eke("usage", str(missing)).exception
    assert isinstance(error, BadFile) and "no such file" in str(error)
    assert list(tmp_path.iterdir()) == []


def test_a_bill_is_of_the_requests_that_ended_in_its_time(tmp_path: Path) -> None:
    path = str(tmp_path / "eke.db")
    long = PLAIN._replace(number=1, tenant="bob", finished=PLAIN.arrived + 7200.0)
    with opened(path) as state:
        write(state, rows.add, "g", [PLAIN, long])

    def billed(*words: str) -> set[str]:
        return {
            line["SubAccountId"]
            for line in csv.DictReader(eke("usage", path, *words).stdout.splitlines())
        }

    noon = "2026-09-21T16:00"
    assert HOUR == 1_790_002_800
    assert billed() == {"ann", "bob"}
    assert billed("--until", noon) == {"ann"}
    assert billed("--since", noon) == {"bob"}


def test_a_bill_reads_price_lists_of_a_file_and_nothing_else(tmp_path: Path) -> None:
    """The keys of a gateway are where the gateway is."""
    path, file = str(tmp_path / "eke.db"), tmp_path / "gateway.toml"
    with opened(path) as state:
        write(state, rows.add, "g", [PLAIN])
    prices = f'[models.{PLAIN.model}]\nprompt = "1 USD/ktoken"\ncached = "0.1 USD/ktoken"\n'
    prices += 'answer = "10 USD/ktoken"\n'
    elsewhere = '[admin]\nport = 1\nkey_env = "NO_SUCH"\n[engines.a]\nurl = "http://x/v1"\n'
    file.write_text(elsewhere + 'key_env = "NO_SUCH"\nchips = "8xabacus"\n' + prices)
    billed = eke("usage", path, "--prices", str(file))
    lines = csv.DictReader(billed.stdout.splitlines())
    assert {each["BilledCost"] for each in lines} == {"0.006", "0.0004", "0.2"}
    file.write_text(prices.replace("1 USD", "1 EUR"))
    error = eke("usage", path, "--prices", str(file)).exception
    assert isinstance(error, BadFile) and f"[models.{PLAIN.model}] prompt" in str(error)


def test_a_closed_gateway_names_no_page_that_its_keys_open_in_no_browser() -> None:
    tenant = Tenant(name="gold", keys=(hashed("sk-gold"),))
    settings = {"admin": 0, "admin_key": "secret", "tenants": (tenant,)}

    async def said(**more: object) -> list[str]:
        async with serving(Fake(), **settings, **more) as house:
            return house.said

    def pages(words: list[str]) -> list[str]:
        return [each.split("status on ")[0] for each in words if "status on " in each]

    assert pages(run(said(open=False))) == ["administration and "]
    assert [each[:8] for each in pages(run(said(open=True)))] == ["ready on", "administ"]
