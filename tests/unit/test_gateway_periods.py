"""Months of limits are those of the calendar, and every window begins where the one before ends."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eke.gateway.ledger import FREE, Ledger, Use
from eke.gateway.periods import begin_of, number_of
from eke.gateway.refusal import Refusal
from eke.gateway.settings import MONTH, PERIODS, Limit, Tenant


def wall(*when: int) -> float:
    return datetime(*when, tzinfo=UTC).timestamp()  # type: ignore[misc]


@given(st.sampled_from([*PERIODS.values(), 7.0]), st.floats(0.0, 4e9))
def test_a_moment_lies_in_its_window(period: float, when: float) -> None:
    number = number_of(period, when)
    assert begin_of(period, number) <= when < begin_of(period, number + 1)
    assert number_of(period, begin_of(period, number)) == number


@given(st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1)))
def test_a_month_is_one_of_the_calendar(when: datetime) -> None:
    first = when.replace(day=1, hour=0, minute=0, second=0, microsecond=0, tzinfo=UTC)
    following = (first + timedelta(days=31)).replace(day=1)
    number = number_of(MONTH, when.replace(tzinfo=UTC).timestamp())
    assert begin_of(MONTH, number) == first.timestamp()
    assert begin_of(MONTH, number + 1) == following.timestamp()


@pytest.mark.parametrize(
    ("last", "first"),
    [
        ((2024, 2, 29, 23, 59, 59), (2024, 3, 1)),
        ((2026, 2, 28, 23, 59, 59), (2026, 3, 1)),
        ((2025, 12, 31, 23, 59, 59), (2026, 1, 1)),
        ((2026, 4, 30, 23, 59, 59), (2026, 5, 1)),
    ],
)
def test_a_month_s_budget_is_new_on_the_first(last: tuple, first: tuple) -> None:
    ledger, use = Ledger(), Use(1.0, 0.0, 500.0, 0.0)
    who = Tenant(name="a", limits=(Limit(what="USD", amount=500.0, period=MONTH),))
    ledger.settle(ledger.reserve(who, use, wall(*last[:2], 1)) or FREE, use)
    for moment in (wall(*last), wall(*first) - 1e-6):
        with pytest.raises(Refusal, match="500 USD/month"):
            ledger.reserve(who, use, moment)
    hold = ledger.reserve(who, use, wall(*first))
    assert hold is not None
    assert hold.windows[0].ends == wall(*first) + timedelta(days=31).total_seconds()


def test_for_ever_is_one_window() -> None:
    assert number_of(inf, 0.0) == number_of(inf, 4e9) == 0
    assert (begin_of(inf, 0), begin_of(inf, 1)) == (0.0, inf)
