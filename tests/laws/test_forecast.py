"""Laws of forecasts: demand against supply. No model is named, so that nothing is planned."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eke.allocating.forecasts.answer import forecast
from eke.allocating.forecasts.curves import LARGEST, SMALL, curve, sizes
from eke.allocating.forecasts.plans import ROOM, per_ask, per_run
from eke.allocating.forecasts.reading import ForecastText, asked_of
from eke.catalog.chips import chip
from eke.catalog.files import to_record
from eke.catalog.fleets import pool, resized
from eke.catalog.models import model
from eke.physics.demand import bass_share, bass_years, logistic_users
from eke.planning import plan
from eke.report.json import to_json
from eke.types.fleet import Fleet
from eke.types.forecast import Forecast
from eke.types.goal import Goal, Planned
from eke.types.job import Promise, Serve
from eke.types.need import Need, Span
from eke.types.record import replace
from eke.verbs import need

LINE = {
    "users": "13M",
    "asks": "15/day",
    "prompt": "1000",
    "answer": "1000",
    "active": "175B",
    "utilisation": "17.5%",
    "peak_over_mean": "1",
}


def answered(**said: object) -> Forecast:
    """The forecast of a file's contents."""
    text = {"start": "2026 Q1", "quarters": 4, "samples": 400, "count_in": "a100-sxm-80", **said}
    return forecast(asked_of(to_record(text, ForecastText, "file.toml"), "file.toml"))


def chat(**changes: object) -> dict[str, object]:
    return {"chat": {**LINE, **changes}}


RUNS = {
    "active": "405B",
    "tokens": "15T",
    "utilisation": "40%",
    "runs": "2",
    "companies": "5",
    "within": "100d",
}
SPANS = st.tuples(st.floats(0.2, 1.0), st.floats(1.0, 5.0))


def wide(value: float, ends: tuple[float, float], unit: str = "") -> str:
    low, high = value * ends[0], value * ends[1]
    return f"{value:.12g}{unit} ({low:.12g}{unit}..{high:.12g}{unit})"


def test_the_published_chips_of_chatgpt() -> None:
    """13 million users, 15 asks of 2,000 tokens, a dense 175B at 17.5 % of an A100's peak."""
    chips = answered(demand=chat()).quarters[0].chips
    assert chips.likely == pytest.approx(28936, rel=1e-3)
    assert chips.low == chips.likely == chips.high


def test_the_chips_of_training_by_hand() -> None:
    """5 companies × 2 runs × 6 N D over the peak of H100s at 40 % for 100 days."""
    found = answered(training={"frontier": RUNS}, count_in="h100-sxm").quarters[0]
    wanted = 5 * 2 * 6 * 405e9 * 15e12 / (989e12 * 0.40 * 100 * 86400)
    assert found.chips.likely == pytest.approx(wanted)
    assert found.uses["frontier"] == found.chips
    assert found.tokens.likely == 0


@settings(max_examples=25)
@given(SPANS, SPANS, st.floats(1.1, 4.0))
def test_more_users_never_want_fewer_chips(
    users: tuple[float, float], tokens: tuple[float, float], times: float
) -> None:
    def chips(factor: float) -> list[Span]:
        demand = chat(users=wide(13e6 * factor, users), prompt=wide(1000, tokens), growth="30%/yr")
        return [each.chips for each in answered(demand=demand).quarters]

    for few, many in zip(chips(1.0), chips(times), strict=True):
        assert many.low >= few.low and many.likely >= few.likely and many.high >= few.high
        assert many.likely == pytest.approx(times * few.likely)


@settings(max_examples=25)
@given(SPANS, st.sampled_from(["asks", "prompt", "answer", "active", "peak_over_mean"]))
def test_each_input_that_grows_adds_chips(ends: tuple[float, float], name: str) -> None:
    usual = {"asks": (15, "/day"), "active": (175e9, ""), "peak_over_mean": (1, "")}
    value, unit = usual.get(name, (1000, ""))
    few = answered(demand=chat()).quarters[0].chips.likely
    many = answered(demand=chat(**{name: f"{value * 2:.6g}{unit}"})).quarters[0].chips.likely
    assert few < many <= 2 * few * (1 + 1e-9)


@settings(max_examples=25)
@given(st.floats(1.2, 6.0), st.floats(1.2, 6.0))
def test_spans_of_a_product_are_those_of_logarithms(users: float, asks: float) -> None:
    """Independent factors: deviations add in squares; shares of the variance likewise."""
    demand = chat(users=wide(13e6, (1 / users, users)), active=wide(175e9, (1 / asks, asks)))
    found = answered(demand=demand, samples=20_000, quarters=1)
    chips, whole = found.quarters[0].chips, math.hypot(math.log(users), math.log(asks))
    assert chips.likely == pytest.approx(28936, rel=1e-3)
    assert math.log(chips.high / chips.likely) == pytest.approx(whole, rel=0.06)
    assert math.log(chips.likely / chips.low) == pytest.approx(whole, rel=0.06)
    shares = {each.name: each.share for each in found.matters}
    assert shares["chat users"] == pytest.approx((math.log(users) / whole) ** 2, abs=0.04)
    ends = {each.name: (each.low, each.high) for each in found.matters}
    assert ends["chat users"][1] == pytest.approx(chips.likely * users, rel=1e-4)
    assert found.together < 0.03


def every_span(found: Forecast) -> list[Span]:
    spans = [each for quarter in found.quarters for each in quarter.uses.values()]
    names = ("chips", "supply", "gap", "h100", "power", "energy", "capex", "buying", "running")
    spans += [getattr(quarter, name) for quarter in found.quarters for name in names]
    return [each for each in spans if each is not None]


@st.composite
def supplies(draw: st.DrawFn) -> dict[str, dict[str, str]]:
    found = {}
    for kind in draw(st.sets(st.sampled_from(["a100-sxm-80", "h100-sxm"]), min_size=1)):
        line = {
            "installed": f"{draw(st.integers(0, 60_000))}",
            "shipments": f"{draw(st.integers(0, 20_000))}/quarter",
            "growth": f"{draw(st.integers(-50, 100))}%/yr",
            "retire": f"{draw(st.integers(0, 60))}%/yr",
            "price": f"{draw(st.integers(5, 60))} kUSD",
            "power": f"{draw(st.integers(400, 2000))} W",
        }
        if draw(st.booleans()):
            line |= {"wafers": f"{draw(st.integers(1, 900))}/quarter", "per_wafer": "28"}
        if draw(st.booleans()):
            line |= {"since": "2026 Q2", "until": "2026 Q3"}
        found[kind] = line
    return dict(sorted(found.items()))


@given(supplies(), st.booleans(), st.booleans())
def test_chips_are_neither_lost_nor_made(
    supply: dict[str, dict[str, str]], power: bool, budget: bool
) -> None:
    """What stands is what stood, and shipped, less what retired; within wafers, money and power."""
    caps = {"power": "30 MW"} if power else {}
    caps |= {"budget": "1.5 GUSD/yr"} if budget else {}
    found = answered(demand=chat(), supply=supply, caps=caps)
    for kind, line in supply.items():
        stands = float(line["installed"])
        for quarter in found.quarters:
            row = next(each for each in quarter.standing if each.chip == kind)
            assert row.standing == pytest.approx(stands + row.shipped - row.retired, abs=1e-6)
            assert row.retired <= stands + 1e-9 and row.shipped >= 0
            stands = row.standing
            if "wafers" in line:
                assert row.shipped <= float(line["wafers"].split("/")[0]) * 28 * 0.9 * (1 + 1e-9)
            if "since" in line and quarter.name not in ("2026 Q2", "2026 Q3"):
                assert row.shipped == 0
    for quarter in found.quarters:
        spent = sum(
            each.shipped * float(supply[each.chip]["price"].split()[0]) * 1e3
            for each in quarter.standing
        )
        assert not budget or spent <= 1.5e9 / 4 * (1 + 1e-9)
        assert quarter.supply is not None
        worth = sum(each.standing * each.worth for each in quarter.standing)
        taken = sum(
            each.standing * float(supply[each.chip]["power"].split()[0])
            for each in quarter.standing
        )
        runs = min(1.0, 30e6 / taken) if power and taken else 1.0
        assert quarter.supply.likely == pytest.approx(worth * runs)
    for span in every_span(found):
        assert span.low <= span.likely <= span.high


@settings(max_examples=25)
@given(st.integers(0, 2**31), SPANS)
def test_the_same_seed_gives_the_same_bytes(seed: int, ends: tuple[float, float]) -> None:
    demand = chat(users=wide(13e6, ends), growth="30%/yr (10%..60%)")
    one, other = (to_json(answered(demand=demand, seed=seed)) for _ in range(2))
    assert one == other


def test_a_further_use_moves_none_of_the_others() -> None:
    demand = chat(users="13M (5M..40M)", growth="30%/yr (10%..60%)")
    alone = answered(demand=demand)
    both = answered(demand=demand, training={"frontier": {**RUNS, "tokens": "15T (5T..40T)"}})
    for one, two in zip(alone.quarters, both.quarters, strict=True):
        assert one.uses["chat"].likely == two.uses["chat"].likely
        assert one.uses["chat"] == two.uses["chat"]


@given(st.floats(0.05, 2.0), st.floats(1.5, 50.0), st.floats(0.0, 20.0))
def test_logistic_growth_solves_its_equation(growth: float, room: float, years: float) -> None:
    """dn/dt = k n (1 − n / L), by small steps."""
    found = float(logistic_users(ceiling=room, now=1.0, growth=growth, years=years))
    users, steps = 1.0, 4000
    for _ in range(steps):
        users += math.log1p(growth) * users * (1 - users / room) * years / steps
    assert found == pytest.approx(users, rel=0.01)
    assert 1.0 <= found * (1 + 1e-12) <= room * (1 + 1e-9)


@given(st.floats(0.005, 0.1), st.floats(0.1, 0.8), st.floats(0.0, 25.0))
def test_diffusion_solves_its_equation(p: float, q: float, years: float) -> None:
    """Bass: dF/dt = (p + q F)(1 − F), by small steps; and the years of a share are its inverse."""
    found = float(bass_share(innovation=p, imitation=q, years=years))
    share, steps = 0.0, 4000
    for _ in range(steps):
        share += (p + q * share) * (1 - share) * years / steps
    assert found == pytest.approx(share, abs=0.004)
    if 0.001 < found < 0.999:
        back = float(bass_years(innovation=p, imitation=q, share=found))
        assert back == pytest.approx(years, rel=1e-6)


@given(st.floats(50, 5000), st.floats(1.2, 60.0), st.floats(0, 1), st.floats(0, 1))
def test_between_the_lengths_planned_lines_are_straight(
    least: float, times: float, u: float, v: float
) -> None:
    """A time that is linear in both lengths, with a term of both, is read exactly."""

    def time(prompt: float, answer: float) -> Span:
        at = 0.2 + 1e-4 * prompt + 1e-3 * answer + 1e-8 * prompt * answer
        return Span(low=at / 2, likely=at, high=at * 2)

    lengths = np.geomspace(least, least * times, 101)
    made = curve(lengths, lengths, time)
    prompt, answer = (made.prompts[0] * (times**x) for x in (u, v))
    if len(made.prompts) > 1:
        found = float(made.at(np.array(prompt), np.array(answer)))
        assert found == pytest.approx(time(prompt, answer).likely, rel=1e-9)
    assert made.speed == Span(low=0.5, likely=1.0, high=2.0)


@given(st.floats(0.0, 0.9), st.floats(1e3, 1e12), st.floats(1.0, 1e5), st.floats(1.0, 9.0))
def test_a_run_has_the_chips_that_do_it_in_time(
    power: float, base: float, chips: float, times: float
) -> None:
    """Chip time that grows as a power of the chips: chips = rate × chip time of so many, read
    exactly, beside the sizes planned too."""
    rate = chips ** (1 - power) / base
    looked: list[int] = []

    def planned(count: int) -> tuple[float, float]:
        looked.append(count)
        return count, base * count**power

    made = sizes(rate, rate * times, planned)
    assert len(looked) == len(set(looked)) <= 6 and SMALL in looked
    rates = np.array([rate, rate * times, rate / 7])
    found = made.at(rates)
    within = found < LARGEST * 0.99
    assert found[within] == pytest.approx((rates * base * found**power)[within], rel=1e-6)
    assert found[0] == pytest.approx(chips, rel=1e-6) and np.all(found <= LARGEST * (1 + 1e-9))


@given(st.lists(st.floats(1e6, 1e9), min_size=1, max_size=6), st.floats(1e-9, 1e3))
def test_more_runs_never_have_fewer_chips(times: list[float], rate: float) -> None:
    """Whatever the physics says of each size, even that more chips are slower: those are left out,
    and what no number does has the fastest."""
    every = iter([*times, *times])
    made = sizes(rate, rate * 2, lambda count: (float(count), next(every, 1e7)))
    speeds = [n / t for n, t in zip(made.chips, made.times, strict=True)]
    assert speeds == sorted(speeds)
    few, many = made.at(np.array([rate, rate * 1.5]))
    assert 0 < few <= many <= made.chips[-1] * (1 + 1e-9)
    if many < made.chips[-1] * 0.999:
        assert few < many and made.done(rate) == 1
    else:
        assert made.done(rate * 1.5) >= 1 - 1e-9


def test_more_chips_of_a_run_wait_for_each_other() -> None:
    of = model("llama-3.1-70b")
    times = [
        per_run(of, 1e12, "h100-sxm", chips, None).chip_time.likely for chips in (256, 4096, 32768)
    ]
    assert times[0] < times[1] < times[2]
    larger = per_run(of, 1e12, "h100-sxm", 32768, 32e6).chip_time.likely
    assert larger < times[2]


@pytest.mark.parametrize("name", ["llama-3.1-8b", "gpt-oss-20b"])
def test_what_is_looked_at_comes_close_to_the_whole_search(name: str) -> None:
    job = Serve(model=model(name), prompt=900, answer=250, rate=1.0)
    one = replace(pool(chip("h100-sxm"), 8), rent=1.0, quoted=True)
    whole = plan(job, Fleet(pools=(one,)), Goal(least="cost_per_million_tokens_full"))
    assert isinstance(whole, Planned)
    least = whole.need.chips.likely / whole.need.figures["rate_most"].span.likely
    assert per_ask(job, "h100-sxm").chip_time.likely < 1.03 * least


@pytest.mark.parametrize("limit", [0.008, 0.015, 0.06])
def test_a_promise_is_kept_and_costs_chips(limit: float) -> None:
    """At the load that the chip time stands for, words come as fast as promised."""
    job = Serve(model=model("llama-3.1-8b"), prompt=900, answer=250, tpot=Promise(limit=limit))
    kept = per_ask(job, "h100-sxm")
    free = per_ask(replace(job, tpot=None), "h100-sxm")
    assert kept.chip_time.likely >= 0.99 * free.chip_time.likely
    rate = ROOM * kept.need.chips.likely / kept.chip_time.likely
    one = resized(pool(chip("h100-sxm"), 1), kept.need.plan.chips)
    busy = need(replace(job, rate=rate * (1 - 1e-6)), kept.need.plan, Fleet(pools=(one,)))
    assert isinstance(busy, Need) and busy.figures["tpot"].span.likely <= limit


def test_power_at_the_meter_widens_energy_but_no_chips() -> None:
    """Without the file's own figure, power at work and PUE are uncertain; with it PUE is not."""
    free = answered(demand=chat(), count_in="a100-sxm-80").quarters[0]
    said = {"a100-sxm-80": {"power": "1 kW"}}
    metered = answered(demand=chat(), supply=said, count_in="a100-sxm-80").quarters[0]
    assert free.chips.low == free.chips.high
    assert free.power.low < free.power.likely < free.power.high
    assert metered.power.low == metered.power.high == pytest.approx(1000 * metered.chips.likely)
    assert metered.energy.low < metered.energy.likely < metered.energy.high
