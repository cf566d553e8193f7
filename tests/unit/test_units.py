"""Text ↔ SI."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eke.errors import BadQuantity
from eke.units import dimension, quantity, show


@pytest.mark.parametrize(
    "text,value,unit",
    [
        ("4.8 TB/s", 4.8e12, "B/s"),
        ("80 GB", 80e9, "B"),
        ("80 GiB", 80 * 2**30, "B"),
        ("400 Gb/s", 50e9, "B/s"),
        ("989 TFLOP/s", 989e12, "FLOP/s"),
        ("624 TOPS", 624e12, "FLOP/s"),
        ("3640 PF-days", 3640 * 86400e15, "FLOP"),
        ("2.95 USD/h", 2.95 / 3600, "USD/s"),
        ("0.08 USD/kWh", 0.08 / 3.6e6, "USD/J"),
        ("30d", 30 * 86400.0, "s"),
        ("500ms", 0.5, "s"),
        ("814 mm2", 814e-6, "m2"),
        ("85 %", 0.85, "1"),
        ("1.3 MW", 1.3e6, "W"),
        ("48.1 GUSD", 48.1e9, "USD"),
        ("120 mg", 1.2e-4, "kg"),
        ("5.3 kt", 5.3e6, "kg"),
        ("400 g/kWh", 0.4 / 3.6e6, "kg/J"),
        ("0.4 kg/kWh", 0.4 / 3.6e6, "kg/J"),
    ],
)
def test_quantities(text: str, value: float, unit: str) -> None:
    assert quantity(text) == pytest.approx(value)
    assert quantity(text, unit) == pytest.approx(value)
    assert dimension(text) == unit


def test_counts_depend_on_what_is_wanted() -> None:
    assert quantity("300B", "token") == 300e9
    assert quantity("300B") == 300  # bytes
    assert quantity("15T tokens", "token") == 15e12
    assert quantity("100k", "1") == 1e5
    assert quantity("5/s", "1/s") == 5
    assert quantity("120/min", "1/s") == 2
    assert quantity("2000", "token") == 2000


@pytest.mark.parametrize(
    "text", ["", "fast", "4.8 TB/parsec", "1e999 B", "5 kg/s/s", "nan", "--3 s", "9" * 200]
)
def test_nonsense_is_refused(text: str) -> None:
    with pytest.raises(BadQuantity):
        quantity(text, "B/s")


def test_a_wrong_dimension_says_what_is_allowed() -> None:
    with pytest.raises(BadQuantity, match=r"is in W; expected bytes per second, such as"):
        quantity("700 W", "B/s")
    with pytest.raises(BadQuantity, match="closest: TFLOP"):
        quantity("3 TFLPO", "FLOP")


@pytest.mark.parametrize("text", ["5", " 5 ", "5e3"])
def test_a_number_without_a_unit_is_told_so(text: str) -> None:
    with pytest.raises(BadQuantity, match="has no unit; expected a duration, such as 500ms"):
        quantity(text, "s")


@pytest.mark.parametrize(
    "value,unit,text",
    [
        (4.8e12, "B/s", "4.8 TB/s"),
        (0.0251, "s", "25.1 ms"),
        (3e6, "s", "34.7 days"),
        (1.2e7, "USD", "12 million USD"),
        (3e-4, "USD/s", "1.08 USD/h"),
        (3.14e23, "FLOP", "3.14e23 FLOP"),
        (16384, "1", "16,384"),
        (7.2e6, "J", "2 kWh"),
        (0, "B", "0 B"),
        (2.3e-8, "USD/J", "0.0828 USD/kWh"),
        (2e-30, "1", "2.00e-30"),
        (1.2e-4, "kg", "0.12 g"),
        (2.5e-5, "kg", "25 mg"),
        (0.0123, "kg", "12.3 g"),
        (5300, "kg", "5.3 t"),
        (2.2e9, "kg", "2.2 Mt"),
        (0.4 / 3.6e6, "kg/J", "400 g/kWh"),
    ],
)
def test_show(value: float, unit: str, text: str) -> None:
    assert show(value, unit) == text


@given(st.floats(1e-6, 1e24), st.sampled_from(["B", "B/s", "FLOP/s", "W", "kg"]))
def test_what_is_shown_reads_back(value: float, unit: str) -> None:
    assert quantity(show(value, unit, 6), unit) == pytest.approx(value, rel=1e-5)


@given(st.text(max_size=30))
def test_any_text_is_a_number_or_a_clear_error(text: str) -> None:
    try:
        assert quantity(text) == quantity(text)
    except BadQuantity as error:
        assert len(str(error)) < 400
