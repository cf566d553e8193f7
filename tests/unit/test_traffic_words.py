"""The words of traffic, the profiles, and what they come to."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eke.errors import BadInput, EkeError
from eke.simulation.traffic import HELP, Traffic, traffic
from eke.simulation.traffic.columns import first_of_group, joined, unnumbered
from eke.simulation.traffic.profiles import Figure, profiles
from eke.simulation.traffic.sessions import mean_calls
from eke.simulation.traffic.words import parts
from eke.types.arrivals import Arrivals
from eke.types.record import fields

DATA = Path(__file__).parents[1] / "data" / "traffic"


def whole(found: Traffic) -> Arrivals:
    return joined(list(unnumbered(found.chunks())))


@pytest.mark.parametrize("word", [word for word in HELP if not word.startswith("only")])
def test_every_word_of_the_help_is_understood(word: str) -> None:
    other = "" if word.startswith(("1h", "20/s", "users")) else ", 20/s"
    length = "" if word.startswith(("1h", "users")) else ", 40min"
    found = traffic(f"chat, {word}{other}{length}, at most 200")
    assert 0 < len(whole(found)) <= 200


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "nothing given"),
        ("chatt, 5/s", "closest: chat"),
        (", 5/s", "begins with no profile"),
        ("chat, dirnal", "no such word; closest: diurnal"),
        ("chat, 5/s, 6/s", "rate is said twice"),
        ("chat, 5 apples", "no unit 'apples'"),
        ("chat, 0/s", "must be from 1e-09 to 1e+09 requests a second"),
        ("chat, -5/s", "no such word"),
        ("chat, cv -1", "from 0 to 100"),
        ("chat, users 2.5", "a whole number"),
        ("chat, users 5, 5/s", "exclude each other"),
        ("chat, users 5 & code, 1/s", "closed loop and cannot be mixed"),
        ("chat, users 5, speed 2x", "a closed loop"),
        ("chat, prompt 1B", "from 1 to 100,000,000 tokens"),
        ("chat, spike 10", "expected such as spike 10x at 30min"),
        ("chat, 1min, spike 10x at 5min", "comes after the end"),
        ("chat, tenants gold", "no name and weight"),
        ("chat, tiers 8k", "no name and weight"),
        ("chat, scale 2", "scale prompts 1.5"),
        ("chat, at 5", "expected such as at most"),
        ("chat, keep 150%", "from 0 % to 100 %"),
        ("chat, from 20min to 10min", "ends before it begins"),
        ("chat, diurnal 200%", "from 0 % to 100 %"),
        ("chat, even more", "takes nothing behind it"),
        ("chat, only m", "only is for files"),
        ("chat, ttft -1s", "must be from 0 to"),
        ("chat, 1e999/s", "too large"),
    ],
)
def test_words_that_make_no_sense(text: str, why: str) -> None:
    with pytest.raises(BadInput) as caught:
        traffic(text)
    assert why in str(caught.value)


def test_words_for_profiles_are_refused_for_files(tmp_path: object) -> None:
    path = f"{tmp_path}/trace.csv"
    with open(path, "w") as file:
        file.write("req_time_s,client,prompt_len,output_len\n0,a,1,1\n")
    with pytest.raises(BadInput, match="turns is for profiles"):
        traffic(f"{path}, turns 3")
    with pytest.raises(BadInput, match="say scale prompts 2"):
        traffic(f"{path}, prompt 3")
    only = whole(traffic(f"{path}, ttft 1s, most 50, tenants a:1+b:1"))
    assert only.ttft.tolist() == [1] and only.most.tolist() == [50] and len(only.tenants) == 2


def test_every_figure_of_a_profile_has_a_source_and_a_sense() -> None:
    for use in profiles().values():
        for figure in fields(use).values():
            if isinstance(figure, Figure):
                assert figure.source and figure.mean > 0
                assert figure.median is None or 0 < figure.median <= figure.mean
                assert figure.ground in ("published", "derived", "assumed")


def test_chat_is_as_long_as_the_conversations_it_is_taken_from() -> None:
    chunk = whole(traffic("chat, 100/s, 1h"))
    assert chunk.prompt.mean() == pytest.approx(1154.7, rel=0.02)
    assert chunk.answer.mean() == pytest.approx(211.1, rel=0.02)


@pytest.mark.parametrize("name", sorted(profiles()))
def test_a_rate_counts_what_people_ask(name: str) -> None:
    chunk = whole(traffic(f"{name}, 20/s, 20min"))
    calls = mean_calls(profiles()[name])
    assert len(chunk) / calls == pytest.approx(20 * 1200, rel=0.06)


def test_the_first_minutes_are_as_busy_as_the_last() -> None:
    """Sessions that began earlier come in as far as they have got."""
    chunk = whole(traffic("chat, 50/s, 2h"))
    first = first_of_group(chunk)
    total = np.cumsum(chunk.arrived)
    begun = (total - chunk.arrived)[first]
    at = total - begun[np.cumsum(first) - 1]
    counts, _ = np.histogram(at, bins=12, range=(0, 7200))
    assert at.max() <= 7200
    assert counts == pytest.approx(50 * 600, rel=0.05)


def test_tools_are_called_before_the_answer() -> None:
    chunk = whole(traffic("customer-service, 5/s, tools 4, turns 1, fixed, at most 500 requests"))
    assert len(chunk) == 5 * first_of_group(chunk).sum()
    session = chunk.prompt[:5]
    assert (np.diff(session) == 22 + 100).all() and chunk.answer[:5].tolist() == [22] * 4 + [60]
    assert chunk.arrived[1:5] == pytest.approx(0.37) and chunk.after[:5].tolist() == [
        -1,
        0,
        1,
        2,
        3,
    ]


def test_a_search_rewrites_finds_and_answers() -> None:
    chunk = whole(traffic("search, 5/s, 10min, turns 1, fixed"))
    assert chunk.prompt[:2].tolist() == [300, 400 + 25 + 2000]
    assert chunk.arrived[1] == pytest.approx(0.3) and chunk.session[:2].tolist() == [-1, 0]
    assert chunk.stem_tokens[:2].tolist() == [0, 400]


def test_a_spoken_turn_waits_for_answer_and_speech() -> None:
    chunk = whole(traffic("voice, 1/s, 10min, turns 2, fixed"))
    assert chunk.sound[:2].tolist() == [5, 5]
    assert chunk.arrived[1] == pytest.approx(0.2 + 0.2 + 0.3 + 50 / 3.33 + 5)


def test_tiers_say_who_needs_how_much_context() -> None:
    chunk = whole(traffic("chat, 50/s, 20min, tiers 8k:90%+32k:10%"))
    assert chunk.kinds == ("chat 8k", "chat 32k")
    first = first_of_group(chunk)
    assert (chunk.kind[first] == 1).mean() == pytest.approx(0.1, abs=0.01)
    total = chunk.prompt + chunk.answer
    assert (total[chunk.kind == 0] <= 8000).all() and (total <= 32_000).all()
    assert (total[(chunk.kind == 1) & first] > 8000).all()


def test_the_promises_of_a_batch() -> None:
    chunk = whole(traffic("batch, 2/s, 1h"))
    assert (chunk.deadline == 86_400).all() and (chunk.priority == 10).all()
    hurried = whole(traffic("batch, 2/s, 1h, deadline 1h, priority 3"))
    assert (hurried.deadline == 3600).all() and (hurried.priority == 3).all()


def test_zipf_tenants_differ_in_weight() -> None:
    chunk = whole(traffic("code, 50/s, 20min, tenants 20"))
    share = np.bincount(chunk.tenant, minlength=20) / len(chunk)
    assert share[0] / share[9] == pytest.approx(10, rel=0.2) and len(chunk.tenants) == 20


def test_parts_are_told_apart() -> None:
    found = parts("chat, 20/s, 1h & batch, 2/s; code, from 1min to 2min, speed 2x")
    assert [part.head for part in found] == ["chat", "batch", "code"]
    assert found[2].changes == (("between", (60.0, 120.0)), ("speed", 2.0))


def test_changes_come_in_the_order_they_are_said() -> None:
    one = traffic("code, 20/s, 1h, speed 2x, from 10min to 20min")
    other = traffic("code, 20/s, 1h, from 20min to 40min, speed 2x")
    assert one.seconds == other.seconds == 600
    assert np.allclose(whole(one).arrived, whole(other).arrived)


def test_a_mix_says_what_all_parts_assumed() -> None:
    found = traffic("chat, 1/s & batch, 1/s")
    assert found.name == "chat & batch" and found.seconds == 3600
    assert any("batch" in remark for remark in found.remarks)
    assert any("1 h, as nobody said how long" in remark for remark in found.remarks)


def test_spaces_and_capitals_in_names_are_fine() -> None:
    assert traffic("Meeting Minutes, 1/s").name == "meeting-minutes"


WORDS = st.sampled_from(
    [
        *HELP,
        "cv 0.5",
        "burst",
        "at most 5",
        "spike 2x at 0s",
        "users",
        "tenants a:1",
        "1e12/s",
        "0s",
    ]
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.one_of(WORDS, st.text(max_size=12)), max_size=5), st.sampled_from("&;, "))
def test_any_words_are_understood_or_refused(words: list[str], between: str) -> None:
    try:
        found = traffic(f"{between.join(['code', *words])}, at most 3")
        assert sum(map(len, found.chunks())) <= 3 * (1 + len(words))
    except EkeError:
        pass


def test_long_prompts_have_room() -> None:
    chunk = whole(traffic("code, prompt 1M, answer 10, fixed, 1/s, 1min"))
    assert (chunk.prompt == 1_000_000).all()


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("diurnal", "diurnal needs a rate"),
        ("cv 2", "needs a rate"),
        ("users 3, spike 2x at 1s", "spike needs a rate"),
        ("users 3, 5/s", "exclude each other"),
    ],
)
def test_words_that_would_change_nothing_are_refused(words: str, why: str) -> None:
    for head in (DATA / "arena.csv", "chat" if "users" in words else DATA / "arena.csv"):
        with pytest.raises(BadInput, match=why):
            traffic(f"{head}, {words}")
    with pytest.raises(BadInput, match="tiers are windows"):
        traffic("chat, window 8k, tiers 8k:1")


def test_only_what_is_there() -> None:
    with pytest.raises(BadInput, match="no kind or tenant 'lora-1': lora-"):
        whole(traffic(f"{DATA / 'arena.csv'}, only lora-1"))


def test_a_wave_of_unknown_length_is_a_day() -> None:
    found = traffic("code, 1/s, diurnal, at most 50")
    assert not any("squeezed" in remark for remark in found.remarks)
    assert any("squeezed" in remark for remark in traffic("code, 1/s, 1h, diurnal").remarks)
