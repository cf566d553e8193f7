"""A work is claimed by one gateway at a time and ends once."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from functools import partial
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.states import KINDS, address, opened, read, results, run, together, write

from eke.gateway.state import works
from eke.gateway.state.sealing import Sealer
from eke.gateway.state.state import State
from eke.gateway.state.works import Claim, Work
from eke.types.record import replace

ROOT = Path(__file__).parents[2]
_numbers = count()


@pytest.fixture(scope="module", params=KINDS)
def state(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> State:
    with opened(address(request.param, tmp_path_factory.mktemp("works"))) as state:
        yield state


def batch(state: State, size: int, **fields) -> tuple[str, str]:
    """A queued batch of a kind of its own: its name, which is its kind too, and its tenant."""
    name = f"batch {next(_numbers)}"
    lines = [
        Work(f"{name}/{i}", name, "acme", b"line %d" % i, 0.0, name, i, **fields)
        for i in range(size)
    ]
    run(state.add_works(lines))
    return name, "acme"


def claim(state: State, owner: str, kind: str, most: int = 1, **fields) -> list[Work]:
    fields = {"now": 0.0, "until": 10.0, **fields}
    return write(state, works.claim, Claim(owner=owner, kinds=(kind,), most=most, **fields))


steps = st.lists(
    st.one_of(
        st.tuples(st.just("claim"), st.sampled_from("ab"), st.integers(0, 4)),
        st.tuples(st.just("finish"), st.sampled_from("ab"), st.integers(0, 8)),
        st.tuples(st.just("release"), st.sampled_from("ab"), st.integers(0, 8)),
        st.tuples(st.just("cancel"), st.integers(0, 8)),
        st.tuples(st.just("cancel_queued")),
        st.tuples(st.just("requeue"), st.sampled_from([5.0, 15.0])),
    ),
    max_size=30,
)


@given(size=st.integers(1, 8), steps=steps)
@settings(max_examples=40)
def test_every_work_is_somewhere_and_ends_once(state: State, size: int, steps: list) -> None:
    kind, tenant = batch(state, size)
    stands = dict.fromkeys(range(size), ("queued", None, 0))  # state, owner, attempts
    for name, *words in steps:
        if name == "claim":
            owner, most = words
            queued = [i for i in stands if stands[i][0] == "queued"][:most]
            taken = claim(state, owner, kind, most)
            assert [work.position for work in taken] == queued
            assert all(work.body == b"line %d" % work.position for work in taken)
            for i in queued:
                stands[i] = ("claimed", owner, stands[i][2] + 1)
        elif name in ("finish", "release"):
            owner, i = words
            work = Work(f"{kind}/{i}", kind, tenant, b"", 0.0, owner=owner)
            holds = i in stands and stands[i][:2] == ("claimed", owner)
            if name == "finish":
                assert write(state, works.finish, work, "done", owner.encode()) == holds
            else:
                assert write(state, works.release, work, 0.0, False) == holds
            if holds:
                back = ("queued", None, stands[i][2] - 1)
                stands[i] = back if name == "release" else ("done", owner, stands[i][2])
        elif name == "cancel":
            open_yet = words[0] in stands and stands[words[0]][0] in ("queued", "claimed")
            assert write(state, works.cancel, f"{kind}/{words[0]}", tenant) == open_yet
            if open_yet:
                stands[words[0]] = ("cancelled", None, 0)
        elif name == "cancel_queued":
            queued = [i for i in stands if stands[i][0] == "queued"]
            assert write(state, works.cancel_queued, kind, tenant) == len(queued)
            stands |= dict.fromkeys(queued, ("cancelled", None, 0))
        else:
            late = [i for i in stands if stands[i][0] == "claimed" and words[0] > 10.0]
            found = write(state, works.requeue, words[0], 3)
            assert sorted(each.id for each in found if each.kind == kind) == sorted(
                f"{kind}/{i}" for i in late
            )
            for i in late:
                stands[i] = ("failed" if stands[i][2] >= 3 else "queued", None, stands[i][2])
        assert read(state, works.counts, kind) == Counter(each[0] for each in stands.values())
    ended = [i for i in stands if stands[i][0] not in ("queued", "claimed")]
    found = results(state, kind, tenant)
    assert [result.position for result in found] == ended
    for result in found:
        stand, owner, _ = stands[result.position]
        assert (result.state, result.result) == (stand, owner and owner.encode())
    write(state, works.cancel_queued, kind, tenant)


def test_at_once_nobody_gets_what_another_has(state: State) -> None:
    kind, _ = batch(state, 100)
    wants = [Claim(owner=f"g{i % 5}", kinds=(kind,), most=3, now=0.0, until=9.0) for i in range(50)]
    taken = together(state, [partial(works.claim, wanted=wanted) for wanted in wants])
    ids = [work.id for part in taken for work in part]
    assert len(ids) == len(set(ids)) == 100


PROCESS = """
import asyncio, sys
from eke.gateway.state import works
from eke.gateway.state.state import open_state

async def work(address, owner):
    state = open_state(address)
    wanted = works.Claim(owner=owner, kinds=("batch",), most=4, now=0.0, until=9.0)
    while taken := await state.write(works.claim, wanted):
        for each in taken:
            print(each.id, await state.write(works.finish, each, "done", owner.encode()))
    await state.close()

asyncio.run(work(*sys.argv[1:]))
"""


@pytest.mark.parametrize("kind", KINDS)
def test_processes_share_the_works_of_a_batch(kind: str, tmp_path: Path) -> None:
    where = address(kind, tmp_path)
    with opened(where) as state:
        lines = [Work(f"w{i}", "batch", "acme", b"{}", 0.0, "b", i) for i in range(120)]
        run(state.add_works(lines))
        running = [
            subprocess.Popen(
                [sys.executable, "-c", PROCESS, where, name],
                stdout=subprocess.PIPE,
                text=True,
                cwd=ROOT,
            )
            for name in "ab"
        ]
        said = [line for each in running for line in each.communicate(timeout=60)[0].splitlines()]
        assert sorted(said) == sorted(f"w{i} True" for i in range(120))
        assert [each.id for each in results(state, "b", "acme")] == [f"w{i}" for i in range(120)]


def test_a_result_is_stored_once_though_two_worked_on_it(state: State) -> None:
    kind, tenant = batch(state, 1)
    (slow,) = claim(state, "slow", kind)
    (taken,) = [each for each in write(state, works.requeue, 11.0, 5) if each.kind == kind]
    assert (taken.state, taken.parent) == ("queued", kind)
    (quick,) = claim(state, "quick", kind)
    assert quick.attempts == 2
    assert not write(state, works.finish, slow, "done", b"slow")
    assert write(state, works.finish, quick, "done", b"quick")
    assert not write(state, works.finish, quick, "done", b"again")
    (result,) = results(state, kind, tenant)
    assert result.result == b"quick"


def test_who_extends_keeps_what_it_has_and_learns_what_it_lost(state: State) -> None:
    kind, tenant = batch(state, 3)
    owner = f"owner of {kind}"
    mine = claim(state, owner, kind, most=3)
    assert write(state, works.cancel, mine[0].id, tenant)
    assert write(state, works.extend, owner, 99.0) == {mine[1].id, mine[2].id}
    assert [each for each in write(state, works.requeue, 50.0, 5) if each.kind == kind] == []
    assert not write(state, works.finish, mine[0], "done", b"late")


def test_what_is_due_later_is_claimed_later(state: State) -> None:
    kind, _ = batch(state, 1)
    (work,) = claim(state, "a", kind)
    assert write(state, works.release, work, 60.0, True)
    assert claim(state, "a", kind, now=59.0) == []
    (again,) = claim(state, "a", kind, now=60.0)
    assert again.attempts == 2


def test_kinds_go_in_the_order_asked_and_tenants_apart(state: State) -> None:
    first, _ = batch(state, 2)
    second, _ = batch(state, 2)
    other = Work(f"other of {second}", second, "other", b"", -1.0)
    write(state, works.add, [other])
    wanted = Claim(owner="a", kinds=(first, second), most=3, now=0.0, until=9.0)
    taken = write(state, works.claim, replace(wanted, tenant="acme"))
    assert [work.id for work in taken] == [f"{first}/0", f"{first}/1", f"{second}/0"]
    assert [w.id for w in write(state, works.claim, wanted)] == [other.id, f"{second}/1"]


def test_works_added_again_stay_as_they_are(state: State) -> None:
    kind, tenant = batch(state, 2)
    (work,) = claim(state, "a", kind)
    run(state.add_works([replace(work, state="queued", owner=None, until=None)]))
    assert read(state, works.get, work.id, tenant) == work
    assert read(state, works.get, work.id, "another") is None


def test_a_work_whose_key_is_gone_fails_alone(tmp_path: Path) -> None:
    pytest.importorskip("cryptography")
    where = address("sqlite", tmp_path)
    sealed = Sealer(keys={"k": bytes(32)}, current="k")
    with opened(where, sealers=lambda tenant: sealed if tenant == "acme" else Sealer()) as state:
        batch = [
            Work("secret", "batch", "acme", b"x", 0.0, "b", 0),
            Work("open", "batch", "other", b"y", 0.0, "b", 1),
        ]
        write(state, works.add, batch)
    with opened(where) as state:
        assert [work.id for work in claim(state, "a", "batch", most=2)] == ["open"]
        assert read(state, works.counts, "b") == {"failed": 1, "claimed": 1}
