"""Laws of the simulation: nobody is lost, clocks never run back, the same seed gives the same."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.engines import table
from tests.fleets import REPLICA, deployed, play, same, traffic
from tests.scenes import POLICIES, SCENES, asks, fleets

from eke.simulation.traffic import Traffic
from eke.simulation.watch import Failures, Scaling, Watch
from eke.types.record import replace
from eke.types.run import COLUMNS, FINISHED, OUTCOMES, REFUSED, RUNNING, STOPPED, WAITING, Run


@given(SCENES)
def test_everybody_who_came_is_somewhere(scene):
    run = scene.run()
    outcome = run.requests["outcome"]
    counts = np.bincount(outcome, minlength=len(OUTCOMES))
    assert counts.sum() == len(run) <= len(next(scene.asks.chunks()))
    assert counts[OUTCOMES.index("failed")] == 0  # who fails waits again, or is refused
    assert (run.requests["arrived"] <= run.end).all()
    if scene.watch.until is None and not run.remarks:
        assert counts[WAITING] == counts[RUNNING] == 0


@pytest.mark.parametrize("policy", ["fcfs", "fair", "deadline"])
def test_who_loses_its_engine_before_anybody_waited_is_answered_later(policy):
    """The policy was not told yet that it had started."""
    asked = traffic([0.0, 2.0, 2.5], [31, 7, 70], [73, 58, 82])
    watch = Watch(samples=20, failures=Failures(every=3.0, restart=1.0))
    run = play(replace(REPLICA, blocks=60), asked, policy, watch)
    assert run.facts["failures"] == 1.0
    assert run.requests["started"][0] > 1.0
    assert (run.requests["outcome"] == FINISHED).all()


@given(SCENES)
def test_clocks_never_run_back(scene):
    run = scene.run()
    arrived, started, scheduled, first, finished = (
        run.requests[name] for name in ("arrived", "started", "scheduled", "first", "finished")
    )
    assert no_later(arrived, started)
    assert no_later(arrived, scheduled)
    assert no_later(scheduled, first)
    assert no_later(first, finished)
    assert no_later(arrived, finished)
    assert (np.nan_to_num(finished) <= run.end).all()
    if not (scene.watch.failures or scene.watch.scaling):  # nobody was started a second time
        users = run.requests["prompt"] > 0
        assert no_later(started[users], scheduled[users])
    ended = run.requests["outcome"] >= FINISHED
    assert (np.isfinite(finished) == ended).all()
    assert (np.diff(run.timeline["time"]) >= 0).all()


def no_later(one, other) -> bool:
    """Whether the one never comes after the other, where both came."""
    both = np.isfinite(one) & np.isfinite(other)
    return bool((one[both] <= other[both]).all())


@given(SCENES, SCENES)
def test_the_same_seed_gives_the_same_bytes(scene, another):
    run = scene.run(seed=3)
    another.run(seed=4)
    assert same(run, scene.run(seed=3))


@given(SCENES)
def test_a_policy_that_is_told_of_ends_together_does_the_same(scene):
    def curious(machine) -> None:
        machine.quiet = False

    assert same(scene.run(), scene.run(change=curious))


@given(SCENES)
def test_answers_are_whole_and_the_engines_gave_them(scene):
    run = scene.run()
    tokens, answer, outcome = (run.requests[name] for name in ("tokens", "answer", "outcome"))
    answered = (outcome == FINISHED) & np.isfinite(run.requests["scheduled"])
    assert (tokens[answered] == answer[answered]).all()
    assert (tokens <= answer).all()
    assert (tokens[np.isnan(run.requests["first"])] == 0).all()
    if any(half.replica.drafts for half in scene.where.halves):
        return  # the last step of an answer may give more than was asked for
    given_there, kept = run.timeline["tokens"].sum(), tokens.sum(dtype=float)
    assert given_there >= kept - 1e-6
    if not (scene.watch.failures or scene.watch.patience):
        assert given_there <= kept + np.sum(outcome == RUNNING)  # a step that ends with watching


@given(SCENES)
def test_engines_are_never_over_what_they_have(scene):
    line = scene.run().timeline
    most = max(half.replica.most for half in scene.where.halves)
    for name in ("cache", "busy"):
        assert (line[name] >= 0).all()
        assert (line[name] <= 1).all()
    for name in ("running", "waiting", "queued", "tokens"):
        assert (line[name] >= 0).all()
    assert (line["running"] <= most).all()


@given(SCENES)
def test_rent_is_for_the_time_that_chips_are_held(scene):
    run = scene.run()
    facts, half = run.facts, scene.where.halves[0]
    chips = sum(half.count for half in scene.where.halves)
    held = facts["chip_seconds"]
    rent = half.pool.rent * (1.0 if half.pool.quoted else half.knobs.price)
    assert facts["cost"] == pytest.approx(held * rent)
    assert facts["seconds"] == run.end
    if scene.watch.scaling is None:
        assert held == pytest.approx(chips * run.end)
    idle, full = (scene.where.costs(0, held, busy)[0] for busy in (0.0, held))
    assert idle * (1 - 1e-9) <= facts["energy"] <= full * (1 + 1e-9)


@given(SCENES, st.floats(0.05, 12.0))
def test_whoever_watches_longer_sees_the_same_and_more(scene, until):
    """What is over by then is as it was; who is under way gets on."""
    whole = play(scene.where, scene.asks, scene.policy, replace(scene.watch, until=None))
    cut = play(scene.where, scene.asks, scene.policy, replace(scene.watch, until=until))
    came = whole.requests["arrived"] <= cut.end
    assert came.sum() == len(cut)
    over = cut.requests["outcome"] >= FINISHED
    for name in COLUMNS:
        if name == "reason":
            continue  # codes are given in the order in which reasons come up
        assert np.array_equal(
            whole.requests[name][came][over], cut.requests[name][over], equal_nan=True
        )
    assert (whole.requests["tokens"][came] >= cut.requests["tokens"])[~over].all() or (
        scene.watch.failures or scene.watch.patience
    )


@given(fleets(), asks(), st.sampled_from(POLICIES))
def test_stretches_taken_at_once_end_as_if_stepped(where, wanted, policy):
    def stepped(half):
        return replace(half, replica=replace(half.replica, jumps=False))

    slow = replace(where, halves=tuple(map(stepped, where.halves)))
    one, other = play(where, wanted, policy), play(slow, wanted, policy)
    for name in COLUMNS:
        assert np.allclose(
            one.requests[name], other.requests[name], rtol=1e-12, atol=1e-9, equal_nan=True
        )


@given(asks(), st.integers(1, 3))
def test_nobody_is_held_back_while_an_engine_has_places(wanted, replicas):
    """Under first come, first served, with room for all, and no work for whole replicas."""
    chunk = replace(next(wanted.chunks()), work=np.zeros(len(next(wanted.chunks()))))
    wanted = replace(wanted, chunks=lambda: iter([chunk]))
    run = play(deployed((replace(REPLICA, blocks=10_000), replicas)), wanted)
    line = run.timeline
    inside = line["running"] + line["waiting"]
    assert (inside[line["queued"] > 0] == REPLICA.most).all()
    order = np.argsort(run.requests["arrived"], kind="stable")
    assert (np.diff(run.requests["started"][order]) >= 0).all()  # nobody overtakes


@given(asks())
def test_with_one_more_replica_nobody_starts_later(wanted):
    """One place each, first come, first served: Kiefer and Wolfowitz's workloads only fall."""
    chunk = next(wanted.chunks())
    chunk = replace(chunk, after=np.full(len(chunk), -1), work=np.zeros(len(chunk)))
    chunk = replace(chunk, arrived=np.cumsum(chunk.arrived) / 4)
    alone = traffic(chunk.arrived, chunk.prompt, chunk.answer)
    kind, before = replace(REPLICA, most=1), np.inf
    for replicas in (1, 2, 3, 5):
        run = play(deployed((kind, replicas)), alone)
        assert (run.requests["first"] <= before + 1e-9).all()
        before = run.requests["first"]


def poisson(
    rate: float, many: int, prompt: float = 300.0, answer: float = 40.0, seed: int = 0, **columns
) -> Traffic:
    """Requests at random, of lengths that vary as an exponential does."""
    numbers = np.random.default_rng(seed)
    lengths = (np.ceil(numbers.exponential(mean, many)) for mean in (prompt, answer))
    return traffic(np.cumsum(numbers.exponential(1 / rate, many)), *lengths, **columns)


def ttft(run: Run) -> float:
    """Mean time to the first token [s]."""
    return float(np.nanmean(run.requests["first"] - run.requests["arrived"]))


def test_a_failed_request_is_started_again():
    """Two replicas, of which one or the other is always just failing."""
    watch = Watch(failures=Failures(every=4.0, restart=2.0), samples=50)
    run = play(deployed((REPLICA, 2)), poisson(3.0, 300), "fcfs", watch, seed=1)
    outcome = run.requests["outcome"]
    again = run.requests["started"] > run.requests["first"]
    assert run.facts["failures"] > 10
    assert ((outcome == FINISHED) | (outcome == REFUSED)).all()
    assert (outcome == FINISHED).mean() > 0.95
    assert again.sum() > 10
    assert (run.requests["tokens"] == run.requests["answer"])[outcome == FINISHED].all()
    assert (run.timeline["alive"] == 0).any()
    lost = run.timeline["tokens"].sum() - run.requests["tokens"].sum()
    assert lost > 0  # and given again


def test_replicas_come_with_the_load_and_go_with_it():
    rule = Scaling(least=2, target=0.5, start=3.0, every=1.0, calm=5.0)
    busy, quiet = poisson(12.0, 600), poisson(0.5, 60, seed=1)
    chunks = next(busy.chunks()), next(quiet.chunks())
    arrived = [chunks[0].arrived, chunks[0].arrived[-1] + chunks[1].arrived]
    prompt, answer = (
        np.concatenate([getattr(c, name) for c in chunks]) for name in ("prompt", "answer")
    )
    run = play(
        deployed((REPLICA, 6)),
        traffic(np.concatenate(arrived), prompt, answer),
        "fcfs",
        Watch(scaling=rule, report=1.0, samples=200),
    )
    alive = run.timeline["alive"].reshape(-1, 6).sum(axis=1)
    time = run.timeline["time"].reshape(-1, 6)[:, 0]
    assert alive.min() == rule.least == alive[0] == alive[-1]
    assert alive.max() == 6
    assert time[alive > 2].min() >= rule.start  # nobody is there at once
    assert (run.requests["outcome"] == FINISHED).all()
    # paid are the ones that serve, those that start and those that finish what they have
    served = np.sum(alive[1:] * np.diff(time))
    assert served < run.facts["chip_seconds"] < 6 * run.end
    assert run.facts["chip_seconds"] <= served + run.facts["starts"] * (rule.start + 10)


def test_clients_leave_when_their_patience_ends():
    run = play(REPLICA, poisson(8.0, 200), "fcfs", Watch(patience=2.0, samples=50))
    outcome, waited = run.requests["outcome"], run.requests["first"] - run.requests["arrived"]
    gone = outcome == STOPPED
    assert gone.any()
    assert (outcome == FINISHED).any()
    assert (waited[outcome == FINISHED] <= 2.0).all()
    left = run.requests["finished"] - run.requests["arrived"]
    assert left[gone] == pytest.approx(2.0)
    assert {run.names["reason"][code] for code in run.requests["reason"][gone]} == {
        "the client left"
    }


@pytest.mark.parametrize("users", [1, 3, 9])
def test_a_closed_loop_keeps_to_its_users(users):
    """No more conversations than users, and Little's law: users = rate x (response + pause)."""
    numbers = np.random.default_rng(2)
    turns, many = 2, 600
    pause = numbers.exponential(1.0, many * turns)
    after = np.where(np.arange(many * turns) % turns, np.arange(many * turns) - 1, -1)
    session = np.arange(many * turns) // turns
    asked = traffic(
        pause,
        numbers.integers(1, 500, many * turns),
        numbers.integers(1, 60, many * turns),
        users=users,
        after=after,
        session=session,
    )
    run = play(deployed((REPLICA, 2)), asked, "fcfs", Watch(until=200.0, samples=50))
    arrived, finished = run.requests["arrived"], run.requests["finished"]
    conversation, answered = run.requests["session"], np.isfinite(finished)
    under_way = np.zeros(len(run))
    for each in np.unique(conversation):
        rows = conversation == each
        over = rows.sum() == turns and answered[rows].all()
        end = finished[rows].max() if over else np.inf
        under_way += (arrived >= arrived[rows].min()) & (arrived < end)
    assert under_way.max() <= users
    spent = np.sum(finished[answered] - arrived[answered]) + np.sum(pause[: answered.sum()])
    assert spent / run.end == pytest.approx(users, rel=0.05)


def test_who_follows_comes_a_pause_after_the_answer():
    """An agent's calls of tools, one after the other, under way among others."""
    many, calls = 30, 4
    place = np.arange(many * calls)
    first = place % calls == 0
    numbers = np.random.default_rng(3)
    pause = numbers.uniform(0, 3, many * calls)
    asked = traffic(
        np.where(first, place / 5, pause),
        numbers.integers(50, 400, many * calls),
        numbers.integers(1, 60, many * calls),
        after=np.where(first, -1, place - 1),
        session=place // calls,
    )
    run = play(deployed((replace(REPLICA, caching=True), 2)), asked, "fair@sticky")
    arrived, finished = run.requests["arrived"], run.requests["finished"]
    assert arrived[~first] == pytest.approx((finished[:-1] + pause[1:])[~first[1:]])
    assert (run.requests["cached"][~first] > 0).any()
    assert (run.requests["cached"][first] == 0).all()


def test_who_follows_a_refused_one_never_comes():
    asked = traffic([0.0, 1.0, 1.0], [900, 5, 5], [9, 9, 9], after=[-1, 0, 1])
    run = play(deployed((replace(REPLICA, blocks=50), 1)), asked)
    assert list(run.requests["outcome"]) == [REFUSED]


def test_work_of_a_whole_replica_gives_way_and_goes_on_where_it_was():
    """Ten seconds of it, a question in the third, and then ten quiet seconds before it goes on."""
    kind = replace(REPLICA, step=table(own=1.0))
    asked = traffic([0.0, 3.0], [1, 1], [1, 4], work=[10.0, 0.0], kind=[0, 1], kinds=("tune", "a"))
    run = play(kind, asked, "fcfs", Watch(samples=200))
    assert run.requests["started"][1] == 3.0
    assert run.requests["finished"][1] == 7.0
    assert run.requests["started"][0] == 13.0
    assert run.requests["finished"][0] == 20.0
    line = run.timeline
    worked = np.sum(line["busy"] * np.diff(line["time"], prepend=0.0))
    assert worked == pytest.approx(10.0 + 4.0)


def test_work_under_way_when_watching_ends_has_been_paid_for():
    asked = traffic([0.0], [1], [1], work=[10.0])
    cut, whole = (play(REPLICA, asked, "fcfs", Watch(until=u, samples=9)) for u in (4.0, None))
    assert list(cut.requests["outcome"]) == [RUNNING]
    assert cut.facts["energy"] == pytest.approx(0.4 * whole.facts["energy"])
    assert cut.timeline["busy"][-1] == 1.0


def test_a_prompt_goes_from_one_half_of_a_plan_to_the_other():
    """On paper: 100 ms for the prompt, 60 ms to hand it over, four steps of 10 ms."""
    taking = replace(REPLICA, step=table(per_token=1e-3), role="fills")
    answering = replace(REPLICA, step=table(own=0.01), role="answers")
    where = deployed((taking, 1), (answering, 2), handover=(0.05, 1e-4))
    run = play(where, traffic([0.0, 0.0, 9.0], [100, 100, 100], [5, 5, 1]))
    assert run.requests["first"] == pytest.approx([0.2, 0.2, 9.1])
    assert run.requests["replica"].tolist() == [1, 2, 0]  # one token is all of the last answer
    # the second prompt waits 10 ms for the link
    assert run.requests["finished"] == pytest.approx([0.3, 0.31, 9.1])
    alone = play(where, traffic([0.0], [100], [5]))
    assert alone.requests["first"] == pytest.approx([0.1])
    assert alone.requests["finished"] == pytest.approx([0.1 + 0.06 + 0.04])


def test_what_is_swapped_is_not_computed_again():
    """A cache too small for what grows in it."""
    step = table(own=0.01, per_token=1e-3)
    asked = poisson(5.0, 80, prompt=100.0, answer=60.0)
    again, swapped = (
        play(replace(REPLICA, step=step, blocks=24, swap=swap), asked) for swap in (None, 1e-6)
    )
    for run in (again, swapped):
        assert run.requests["preempted"].sum() > 0
        assert (run.requests["outcome"] != WAITING).all()
    assert swapped.end < again.end


def test_batches_that_end_together_serve_worse():
    asked = poisson(2.0, 300)
    static, usual = (play(replace(REPLICA, static=static), asked) for static in (True, False))
    assert ttft(static) > 1.5 * ttft(usual)
    assert (static.requests["tokens"] == usual.requests["tokens"]).all()


def test_an_interrupted_run_is_the_run_until_then():
    asked, many = poisson(50.0, 6000, prompt=20.0, answer=3.0), 0

    def progress(now: float, requests: int) -> None:
        nonlocal many
        many += 1
        if many == 2:
            raise KeyboardInterrupt

    run = play(REPLICA, asked, progress=progress)
    assert 0 < len(run) < 6000
    first, *others = run.remarks
    assert first.startswith("interrupted")
    whole = play(REPLICA, asked, watch=Watch(until=np.nextafter(run.end, np.inf), samples=50))
    assert [remark.split()[0] for remark in whole.remarks] == ["policies"]  # what they are told
    assert tuple(others) == whole.remarks
    for name in COLUMNS:
        assert np.array_equal(run.requests[name], whole.requests[name], equal_nan=True)


NASTY = """
from tests.laws.test_simulation import nasty
from eke.simulation.engine.compiled import COMPILED
import sys
assert not COMPILED
run = nasty()
for columns in (run.requests, run.timeline):
    for name in sorted(columns):
        sys.stdout.buffer.write(columns[name].tobytes())
"""


def nasty() -> Run:
    """Sessions that share beginnings on three replicas with small caches, preempted and chunked."""
    many = 300
    place = np.arange(many)
    first = place % 3 == 0
    numbers = np.random.default_rng(5)
    asked = traffic(
        np.where(first, place / 30, numbers.uniform(0, 1, many)),
        numbers.integers(1, 300, many) + 200 * (place % 3),
        np.where(numbers.random(many) < 0.3, 200, 3),
        after=np.where(first, -1, place - 1),
        session=place // 3,
        stem=numbers.integers(0, 2, many),
        stem_tokens=48,
        tenant=place // 3 % 4,
        tenants=tuple("abcd"),
        priority=place // 3 % 3,
    )
    kind = replace(REPLICA, blocks=100, caching=True, ordered=True, most=8)
    watch = Watch(late=0.3, patience=6.0, failures=Failures(every=9.0, restart=1.0), samples=50)
    return play(deployed((kind, 3)), asked, "fair@prefix", watch, seed=1)


def test_compiled_and_plain_code_agree_bit_for_bit():
    run = nasty()
    assert run.requests["preempted"].sum() > 5
    assert run.requests["cached"].sum() > 5000
    assert run.facts["failures"] > 2
    plain = subprocess.run(
        [sys.executable, "-c", NASTY],
        env={**os.environ, "EKE_PLAIN": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        check=True,
    ).stdout
    compiled = b"".join(
        columns[name].tobytes()
        for columns in (run.requests, run.timeline)
        for name in sorted(columns)
    )
    assert plain == compiled
