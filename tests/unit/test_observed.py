"""Rows that gateways keep become a run: merged, completed where nobody knows, without texts."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.gateways import Fake, ask, chat, serving, talk
from tests.gateways import run as on_a_loop
from tests.states import KINDS, address, opened, threads, write

from eke.cli import entry
from eke.errors import BadFile, BadInput, EkeError
from eke.gateway.row import NOT_ADMITTED, Row
from eke.gateway.settings import Limit, Tenant
from eke.gateway.state import rows
from eke.gateway.state.rows import Sample
from eke.gateway.tenants import hashed
from eke.observing.gathering import Wanted, observed
from eke.observing.reasons import MOST, OTHERS, Reasons
from eke.simulation.files import read_run
from eke.types.run import COLUMNS, FAILED, FINISHED, OUTCOMES, REFUSED, STOPPED, TIMELINE, Run

NOON = 1_796_040_000.0  # of some day, UTC [s]


def row(number: int, came: float, **given: Any) -> Row:
    """A request that came so long after noon and took a second: 0.2 s to its first token."""
    arrived = given.pop("arrived", came)
    times = {"started": arrived + 0.1, "first": arrived + 0.2, "finished": arrived + 1.0}
    names = {"tenant": "acme", "kind": "chat", "model": "m", "tier": "default", "engine": "e0"}
    spent = {"seconds": 0.5, "energy": 7.0, "cost": 0.25, "charged": 0.5, "saved": 0.0}
    who = {"number": number, "arrived_at": NOON + came, "arrived": arrived}
    sizes = {"prompt": 100, "asked": 1 << 30, "tokens": 9, "cached": 0, "priority": 1, "tries": 0}
    end = {"outcome": "finished", "reason": "", **dict.fromkeys(("session", "ttft", "deadline"))}
    usual: dict[str, Any] = {**who, **sizes, **end, **times, **names, **spent}
    return Row(**(usual | given))


def refused(number: int, came: float, reason: str, **given: Any) -> Row:
    """One that no engine saw."""
    nothing = {"started": None, "first": None, "finished": came, "tokens": 0, "engine": ""}
    spent = dict.fromkeys(("seconds", "energy", "cost", "charged"), 0.0)
    told = {"outcome": "refused", "reason": reason}
    return row(number, came, **{**nothing, **spent, **told, **given})


def kept(tmp_path: Path, gateways: dict[str, list[Row]], **wanted: Any) -> Run:
    """The run of a state in which these rows are."""
    tmp_path.mkdir(exist_ok=True)
    path = tmp_path / "eke.db"
    with opened(str(path)) as state:
        for name, some in gateways.items():
            write(state, rows.add, name, some)
    return observed(str(path), Wanted(**wanted))


def column(run: Run, name: str) -> list[Any]:
    return run.requests[name].tolist()


@pytest.mark.parametrize("kind", KINDS)
def test_gateways_merge_on_the_calendar(kind: str, tmp_path: Path) -> None:
    """Each has a clock of its own, from its own start."""
    where = address(kind, tmp_path)
    with opened(where) as state:
        write(state, rows.add, "one", [row(0, 5.0, arrived=1000.0), row(1, 7.0, arrived=1002.0)])
        write(state, rows.add, "two", [row(0, 6.0, arrived=0.0, engine="a", tenant="b")])
    run = observed(where)
    assert column(run, "arrived") == pytest.approx([0.0, 1.0, 2.0])
    assert column(run, "started") == pytest.approx([0.1, 1.1, 2.1])
    assert column(run, "first") == pytest.approx([0.2, 1.2, 2.2])
    assert column(run, "finished") == pytest.approx([1.0, 2.0, 3.0])
    assert column(run, "scheduled") == column(run, "started")
    assert column(run, "replica") == [1, 0, 1]  # by name
    assert [run.names["tenant"][code] for code in column(run, "tenant")] == ["acme", "b", "acme"]
    assert run.end == pytest.approx(3.0)
    assert run.facts["began"] == NOON + 5.0
    assert (run.facts["cost"], run.facts["energy"], run.facts["charged"]) == (0.75, 21.0, 1.5)
    assert run.facts["chip_seconds"] == 1.5
    assert run.source.startswith("gateway one, two, 2026-11-30 12:00:05")
    assert "0 is a, 1 is e0" in " ".join(run.remarks)


def test_a_run_has_every_column_and_its_type(tmp_path: Path) -> None:
    run = kept(tmp_path, {"g": [row(0, 0.0, ttft=0.5, session=-7, priority=-2, cached=16)]})
    assert {name: values.dtype.str[1:] for name, values in run.requests.items()} == {
        name: kind for name, (kind, _, _) in COLUMNS.items()
    }
    assert column(run, "ttft") == [0.5]
    assert column(run, "deadline") == [np.inf]
    assert column(run, "session") == [-7]
    assert column(run, "priority") == [-2]
    assert column(run, "cached") == [16]
    assert column(run, "most") == [1 << 30]


drawn = st.builds(
    lambda came, outcome, tenant, tokens, asked, whole: (
        refused(0, came, "x", tenant=tenant, asked=asked)
        if outcome == "refused"
        else row(
            0,
            came,
            outcome=outcome,
            tenant=tenant,
            tokens=tokens,
            asked=asked,
            first=came + (1.0 if whole else 0.2),
        )
    ),
    st.floats(0, 1e5),
    st.sampled_from(["finished", "refused", "stopped", "failed"]),
    st.sampled_from("abc"),
    st.integers(0, 500),
    st.sampled_from([0, 3, 600, 1 << 30]),
    st.booleans(),
)


@given(st.lists(drawn, min_size=1, max_size=30))
@settings(max_examples=30)
def test_every_row_is_there_once(tmp_path_factory: pytest.TempPathFactory, some: list[Row]) -> None:
    numbered = [each._replace(number=number) for number, each in enumerate(some)]
    run = kept(tmp_path_factory.mktemp("rows"), {"g": numbered})
    assert len(run) == len(some)
    in_order = sorted(numbered, key=lambda each: (each.arrived_at, each.number))
    assert [OUTCOMES[code] for code in column(run, "outcome")] == [x.outcome for x in in_order]
    assert column(run, "tokens") == [each.tokens for each in in_order]
    answer, tokens, first = (run.requests[name] for name in ("answer", "tokens", "first"))
    finished = run.requests["outcome"] == FINISHED
    assert (answer >= tokens).all()
    assert (answer[finished] == tokens[finished]).all()
    assert (run.requests["most"] >= answer).all()
    assert (np.diff(run.requests["arrived"]) >= 0).all()
    seen = np.isfinite(first)
    assert (first[seen] >= run.requests["started"][seen]).all()
    assert (first[seen] <= run.requests["finished"][seen]).all()


def test_answers_that_nobody_gave_are_as_long_as_those_like_them(tmp_path: Path) -> None:
    some = [
        *(row(i, i, tokens=tokens) for i, tokens in enumerate((10, 30))),
        row(2, 2.0, tenant="b", tokens=100),
        refused(3, 3.0, "no"),
        refused(4, 4.0, "no", asked=12),
        refused(5, 5.0, "no", tenant="c"),
        refused(6, 6.0, "no", tenant="c", kind="batch"),
        row(7, 7.0, outcome="stopped", tokens=25),
        row(8, 8.0, outcome="failed", tokens=0),
    ]
    run = kept(tmp_path, {"g": some})
    assert column(run, "answer")[3:] == [20, 12, 47, 47, 25, 20]
    assert column(run, "outcome")[3:] == [REFUSED] * 4 + [STOPPED, FAILED]
    assert "6 answers were refused, left or lost" in run.remarks[0]


def test_first_tokens_that_were_not_streamed_come_at_the_pace_of_the_others(tmp_path: Path) -> None:
    whole = {"first": 3.0, "finished": 3.001, "tokens": 11}
    some = [row(0, 0.0, tokens=9), row(1, 1.0), row(2, 2.0, started=2.0, **whole)]
    run = kept(tmp_path, {"g": some})
    assert column(run, "first")[2] == pytest.approx(3.001 - 10 * 0.1)
    assert run.facts["unstreamed"] == 1.0
    alone = kept(tmp_path, {"g": some}, since=NOON + 1.5)
    assert column(alone, "first")[0] == pytest.approx(1.001 / 11)


def test_a_jobs_stretch_is_no_request(tmp_path: Path) -> None:
    some = [row(0, 0.0), row(1, 1.0), row(2, 2.0)]
    stretch = row(3, 1.5, kind="tune", engine="e1", first=None, tokens=0, asked=0)
    alone, both = (
        kept(tmp_path / name, {"g": each})
        for name, each in (("alone", some), ("both", [*some, stretch]))
    )
    assert len(both) == 3 and column(both, "replica") == [0, 0, 0]
    assert both.facts == alone.facts
    assert "stretches of fine-tuning jobs on engines are left out: 1" in " ".join(both.remarks)


def test_which_rows_are_wanted(tmp_path: Path) -> None:
    some = [row(i, 10.0 * i, tenant="ab"[i % 2], model="xy"[i // 2]) for i in range(4)]
    run = kept(tmp_path, {"g": some})
    assert len(run) == 4
    assert "several models (x, y)" in " ".join(run.remarks)
    path = str(tmp_path / "eke.db")
    assert len(observed(path, Wanted(since=NOON + 10, until=NOON + 30))) == 2
    assert len(observed(path, Wanted(tenants=("a",), models=("x",)))) == 1
    with pytest.raises(BadInput, match="no request of that time"):
        observed(path, Wanted(tenants=("nobody",)))
    with pytest.raises(BadFile, match="no such file"):
        observed(str(tmp_path / "other.db"))
    assert not (tmp_path / "other.db").exists()


def test_samples_become_the_timeline(tmp_path: Path) -> None:
    path = str(tmp_path / "eke.db")
    with opened(path) as state:
        write(state, rows.add, "g", [row(0, 0.0), row(1, 30.0, engine="e1")])
        taken = [
            Sample(f"e{e}", NOON + t, 2, 1, 3, 0.25, 0.5, 10.0, 1) for t in (0, 5) for e in (1, 0)
        ]
        write(state, rows.add_samples, "g", [*taken, taken[0]._replace(time=NOON + 99)])
    line = observed(path).timeline
    assert {name: values.dtype.str[1:] for name, values in line.items()} == {
        name: kind for name, (kind, _, _) in TIMELINE.items()
    }
    assert line["time"].tolist() == [0.0, 0.0, 5.0, 5.0]
    assert line["replica"].tolist() == [0, 1, 0, 1]
    assert line["running"].tolist() == [2] * 4


def test_what_several_gateways_sampled_adds_up(tmp_path: Path) -> None:
    path = str(tmp_path / "eke.db")
    with opened(path) as state:
        for shift, name in ((0.0, "g"), (1.3, "h")):
            write(state, rows.add, name, [row(0, 0.0), row(1, 60.0)])
            some = [
                Sample("e0", NOON + shift + 5 * i, 2, 4, 3, 0.2 + shift / 10, 0.5, 10.0, 1)
                for i in range(8)
            ]
            write(state, rows.add_samples, name, some)
    line = observed(path).timeline
    assert (np.diff(line["time"]) > 0).all()
    assert (line["running"][1:-1] == 4).all()
    assert (line["queued"][1:-1] == 6).all()
    assert (line["waiting"] == 4).all()
    assert line["tokens"].sum() == 160.0
    assert line["cache"][1:-1] == pytest.approx(0.33)


def test_reasons_are_told_apart_while_they_are_few() -> None:
    found = Reasons()
    codes = {found.code(f"{chr(65 + i % 26)}{chr(65 + i // 26)}") for i in range(600)}
    assert len(found.names) == len(codes) + 1 == MOST + 1
    assert OTHERS in found.names


def test_what_a_gateway_says_is_understood(tmp_path: Path) -> None:
    """A real gateway: answers streamed and not, its policy's no in each tier, a limit, too long."""
    path, before = str(tmp_path / "eke.db"), threads()

    async def live() -> None:
        gate = asyncio.Event()
        fake = Fake(talk(tokens=5, prompt=7, gate=gate))
        tight = Tenant(
            name="tight", keys=(hashed("k"),), limits=(Limit(what="requests", amount=1),)
        )
        facts = {"slots": 1, "room": 50}
        async with serving(
            fake, facts=facts, state=path, policy="fcfs+queue(most=1)", tenants=(tight,)
        ) as house:
            first = asyncio.ensure_future(ask(house, body=chat(stream=True)))
            second = asyncio.ensure_future(ask(house, body=chat()))
            while len(house.gateway.desks["m"].calls) < 2:
                await asyncio.sleep(0.002)
            assert (await ask(house, body=chat())).status == 503
            assert (await ask(house, body=chat(service_tier="flex"))).status == 429
            gate.set()
            assert (await first).status == (await second).status == 200
            assert (await ask(house, body=chat(), key="k")).status == 200
            assert (await ask(house, body=chat(), key="k")).status == 429
            while len(house.rows) < 6:
                await asyncio.sleep(0.002)
            await house.gateway.keeper.flush()
            found.append(await asyncio.to_thread(observed, path))  # while it is at work

    found: list[Run] = []
    on_a_loop(live())
    (run,) = found
    assert len(run) == 6
    told = [run.names["reason"][code] for code in column(run, "reason")]
    assert told[:4] == ["", "", "queue full", "queue full"]
    assert told[5].startswith(NOT_ADMITTED)
    assert column(run, "outcome") == [FINISHED, FINISHED, REFUSED, REFUSED, FINISHED, REFUSED]
    assert column(run, "tokens") == [5, 5, 0, 0, 5, 0]
    assert threads() <= before  # all is let go


def cli(*words: str) -> Any:
    """The result of `eke serve run`; errors of the user become exit code 2."""
    result = CliRunner().invoke(entry, ["serve", "run", *words])
    if isinstance(result.exception, EkeError):
        result.exit_code = 2
    elif result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_on_the_command_line(tmp_path: Path) -> None:
    kept(tmp_path, {"g": [row(0, 0.0), row(1, 86400.0, tenant="b"), refused(2, 90000.0, "no")]})
    path, out = str(tmp_path / "eke.db"), tmp_path / "run.csv"
    said = cli(path)
    assert said.stdout.startswith("66.7 % of 3 requests were answered")
    assert "1 refused" in said.stdout and "who waited" in said.stdout
    assert "next       eke serve run" in said.stdout
    written = cli(path, "--out", str(out), "--since", "2026-12-01T12:00", "--tenant", "b")
    assert "next       eke simulate --replay" in written.stdout
    assert len(read_run(out)) == 1
    assert (
        json.loads(cli(path, "--json", "--until", "2026-12-01").stdout)["summary"]["arrived"] == 1
    )
    assert cli(path, "--since", "-9999d").exit_code == 0
    assert cli(path, "--since", "yesterday").exit_code == 2
    assert cli(path, "--out", str(tmp_path / "run.txt")).exit_code == 2
    assert cli(str(tmp_path / "none.db")).exit_code == 2


def test_an_address_with_a_password_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    from eke.cli.serve.run import _next

    assert "secret" not in _next("postgresql://eke:secret@host/eke", None)
