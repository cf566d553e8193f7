"""Laws of chains of products: what follows from a published forecast, and what tells two apart."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eke.catalog.forecasts import forecast_names, published
from eke.economics.chains import RELATIONS, solved
from eke.economics.ratios import difference, value
from eke.types.need import Span
from eke.types.published import Chain, Published, Stated

INPUTS = {  # what a chain is made of in the end
    "serving": (
        *("users", "asks_per_user", "tokens_per_ask", "active_parameters", "peak", "utilisation"),
        *("peak_over_mean", "chips_per_server", "chip_price", "life", "chip_hour", "chip_power"),
        *("pue", "electricity", "share"),
    ),
    "training": (
        *("active_parameters", "training_tokens", "peak", "utilisation", "chips", "chip_hour"),
        *("chips_per_server", "chip_price", "life", "chip_power", "pue", "electricity"),
    ),
}
NUMBERS = st.floats(0.01, 1e6)


def told(of: str, figures: dict[str, float], name: str = "made-up") -> Published:
    said = [
        Stated(quantity=each, value=Span(low=x, likely=x, high=x), mark="stated")
        for each, x in figures.items()
    ]
    words = dict.fromkeys(("title", "who", "where", "when", "seen", "source"), "")
    return Published(id=name, of=of, figures=tuple(said), **words)  # type: ignore[arg-type]


@st.composite
def whole_chains(draw: st.DrawFn, of: str | None = None) -> Chain:
    """A chain of which every input is known."""
    kind = of or draw(st.sampled_from(["serving", "training"]))
    return solved(told(kind, {name: draw(NUMBERS) for name in INPUTS[kind]}))


@given(whole_chains())
def test_every_relation_holds(chain: Chain) -> None:
    for relation in RELATIONS[chain.of]:
        right = relation.constant * math.prod(
            value(chain, name) ** power for name, power in relation.factors.items()
        )
        assert value(chain, relation.name) == pytest.approx(right, rel=1e-9)


@given(whole_chains(), st.randoms(use_true_random=False))
def test_any_sufficient_part_gives_the_same_rest(chain: Chain, random: object) -> None:
    """Whatever of its figures one is told, in whichever order, until nothing is unknown."""
    names = sorted(chain.known)
    random.shuffle(names)  # type: ignore[attr-defined]
    again = solved(told(chain.of, {name: value(chain, name) for name in names}))
    assert again.known.keys() == chain.known.keys() and not again.unknown
    used = [name for name, each in again.known.items() if not each.how]
    assert len(used) == len(INPUTS[chain.of])  # no more than the inputs, whichever they are
    for name in names:
        assert value(again, name) == pytest.approx(value(chain, name), rel=1e-6)
    for clash in again.clashes:
        assert clash.ratio == pytest.approx(1, rel=1e-6)


@given(st.data())
def test_what_cannot_be_known_really_can_be_anything(data: st.DataObject) -> None:
    """Two whole chains that agree on what was told may differ in what is called unknown; and what
    is called known is the same in both."""
    kind = data.draw(st.sampled_from(["serving", "training"]))
    one = data.draw(whole_chains(kind))
    names = data.draw(st.sets(st.sampled_from(sorted(one.known)), min_size=1, max_size=8))
    part = solved(told(kind, {name: value(one, name) for name in sorted(names)}))
    for name, known in part.known.items():
        assert known.value.likely == pytest.approx(value(one, name), rel=1e-6)
    if not part.unknown:
        return
    name = data.draw(st.sampled_from(sorted(part.unknown)))
    figures = {each: value(one, each) for each in sorted(names)}
    more = figures | {each: value(one, each) for each in part.unknown[name]}
    assert name in solved(told(kind, more)).known
    moved = solved(told(kind, figures | {name: value(one, name) * 3}))
    assert all(clash.ratio == pytest.approx(1, rel=1e-6) for clash in moved.clashes)
    assert value(moved, name) == pytest.approx(3 * value(one, name))


@given(st.data())
def test_factors_multiply_to_the_ratio(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(["serving", "training"]))
    chains = []
    for name in ("one", "other"):
        whole = data.draw(whole_chains(kind))
        names = data.draw(st.sets(st.sampled_from(sorted(whole.known)), min_size=3))
        chains.append(
            solved(told(kind, {each: value(whole, each) for each in sorted(names)}, name))
        )
    one, other = chains
    for name in sorted(one.known.keys() & other.known.keys()):
        found = difference(name, one, other)
        product = math.prod(factor.ratio for factor in found.factors)
        assert product == pytest.approx(found.ratio, rel=1e-9)
        assert found.ratio == pytest.approx(value(one, name) / value(other, name), rel=1e-12)
        back = difference(name, other, one)
        assert back.ratio == pytest.approx(1 / found.ratio, rel=1e-12)


@given(whole_chains("serving"), whole_chains("serving"))
def test_whole_chains_come_apart_into_inputs_alone(one: Chain, other: Chain) -> None:
    for name in ("chips", "cost", "cost_per_ask", "energy_per_ask", "capex", "power"):
        for factor in difference(name, one, other).factors:
            assert len(factor.names) == 1
            assert factor.names[0].removeprefix("/ ") in {*INPUTS["serving"], "servers"}


@given(whole_chains(), st.floats(1.01, 3.0))
def test_spans_are_ordered_and_hold_the_likeliest(chain: Chain, width: float) -> None:
    said = [
        Stated(
            quantity=name,
            value=Span(
                low=value(chain, name) / width,
                likely=value(chain, name),
                high=width * value(chain, name),
            ),
            mark="stated",
        )
        for name in INPUTS[chain.of]
    ]
    of = told(chain.of, {})
    wide = solved(Published(**{**_fields(of), "figures": tuple(said)}))
    for name, known in wide.known.items():
        assert known.value.low <= known.value.likely * (1 + 1e-12)
        assert known.value.likely <= known.value.high * (1 + 1e-12)
        assert known.value.likely == pytest.approx(value(chain, name), rel=1e-9)


def _fields(record: Published) -> dict[str, object]:
    from eke.types.record import fields

    return fields(record)


@pytest.mark.parametrize("name", forecast_names())
def test_published_chains_contradict_themselves_only_where_that_is_known(name: str) -> None:
    """Rounded figures agree; those that do not are the findings of the claims."""
    found = solved(published(name))
    known = {
        ("brokers-4874-2023", "work"): 30.44,  # of a month, said to be of a day
        ("goldstein-2022", "cost_per_ask"): 1.143,  # "about" a cent
        ("goldstein-2022", "cost"): 1.143,
        ("gpt-4-leak-2023", "training_cost"): 1.119,
    }
    for clash in found.clashes:
        wanted = known.get((name, clash.quantity))
        if wanted is None:
            assert clash.ratio == pytest.approx(1, abs=0.02), clash
        else:
            assert clash.ratio == pytest.approx(wanted, rel=1e-3)
