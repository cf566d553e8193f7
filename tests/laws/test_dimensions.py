"""Every formula, called once with real units: what comes out has the unit it declares.

Bytes, operations, tokens and dollars are dimensions of their own, so that a forgotten factor of
bytes per number shows.
"""

from __future__ import annotations

import numpy as np
import pint
import pytest

from eke.physics import answer, compute, ownership, silicon  # noqa: F401  registers every formula
from eke.physics import demand as _demand  # noqa: F401
from eke.physics import retention as _retention  # noqa: F401
from eke.physics.formula import FORMULAS

UNITS = pint.UnitRegistry(None)
for line in (
    "second = [time]",
    "octet = [data]",
    "operation = [work]",
    "dollar = [money]",
    "watt = [power]",
    "metre = [length]",
    "year = [calendar]",
    "kilogram = [mass]",
):
    UNITS.define(line)
NAMES = {"s": "second", "B": "octet", "FLOP": "operation", "USD": "dollar", "W": "watt"}
NAMES |= {
    "m": "metre",
    "1": "",
    "J": "watt*second",
    "m2": "metre**2",
    "yr": "year",
    "kg": "kilogram",
}


def unit(text: str) -> pint.Unit:
    """ "B/s" in the registry above."""
    above, _, below = text.partition("/")
    found = UNITS.parse_units(NAMES[above] or "dimensionless")
    return found / UNITS.parse_units(NAMES[below]) if below else found


def arguments(name: str) -> dict[str, object]:
    """Every input of a formula as a quantity; plain counts stay plain."""
    values: dict[str, object] = {}
    for index, (key, text) in enumerate(FORMULAS[name].inputs.items()):
        number = {"percentile": 0.9, "busy": 0.5, "share": 0.5, "acceptance": 0.5}.get(
            key, 2.0 + index
        )
        values[key] = number if text == "1" else UNITS.Quantity(number, unit(text))
    return values


@pytest.mark.parametrize("name", sorted(FORMULAS))
def test_output_has_the_declared_unit(name: str) -> None:
    formula = FORMULAS[name]
    result = formula.function(**arguments(name))
    assert UNITS.Quantity(1.0, unit(formula.unit)).check(
        getattr(result, "dimensionality", UNITS.Quantity(1.0).dimensionality)
    )


@pytest.mark.parametrize("name", sorted(FORMULAS))
def test_every_input_states_its_unit(name: str) -> None:
    import inspect

    wanted = set(inspect.signature(FORMULAS[name].function).parameters)
    assert set(FORMULAS[name].inputs) == wanted


def test_a_forgotten_width_is_caught() -> None:
    """Without bytes per number, a cache size is not in bytes."""
    values = arguments("kv_cache_size")
    wrong = 2 * values["tokens"] * values["layers"] * values["kv_heads"] * values["head_size"]  # type: ignore[operator]
    assert not hasattr(wrong, "dimensionality")
    right = FORMULAS["kv_cache_size"].function(**values)
    assert right.check("[data]")


def test_arrays_equal_scalars() -> None:
    """Element i of an array of inputs gives element i of the outputs."""
    for name, formula in FORMULAS.items():
        plain = {k: (getattr(v, "magnitude", v)) for k, v in arguments(name).items()}
        many = {k: np.array([v, v * 1.5 if v > 1 else v]) for k, v in plain.items()}
        result = np.broadcast_to(formula.function(**many), (2,))
        for i in range(2):
            one = formula.function(**{k: float(v[i]) for k, v in many.items()})
            assert result[i] == pytest.approx(float(one), rel=1e-12), name
