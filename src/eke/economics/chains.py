"""A forecast as a chain of products, solved: what follows from what its author says.

Every relation is a product, so that logarithms make it linear. Its exponents are whole numbers;
elimination with fractions then says exactly what is known, and what cannot be.
"""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Mapping, Sequence
from fractions import Fraction
from functools import cache

from eke.errors import BadInput
from eke.types.need import Span
from eke.types.published import (
    QUANTITIES,
    Chain,
    Clash,
    Known,
    Published,
    Relation,
    Stated,
)
from eke.types.record import Record, replace


def _is(name: str, constant: float = 1.0, /, **factors: int) -> Relation:
    return Relation(name=name, factors=factors, constant=constant)


COMMON = (
    _is("speed", peak=1, utilisation=1),
    _is("server_price", chip_price=1, chips_per_server=1),
    _is("capex", chips=1, chip_price=1),
    _is("depreciation", capex=1, life=-1),
    _is("power", chips=1, chip_power=1, pue=1),
    _is("energy_bill", power=1, electricity=1),
)
SERVING = (
    *COMMON,
    _is("asks", users=1, asks_per_user=1),
    _is("asks", searches=1, share=1),
    _is("tokens", asks=1, tokens_per_ask=1),
    _is("flop_per_token", 2.0, active_parameters=1),
    _is("work", tokens=1, flop_per_token=1),
    _is("tokens_per_chip", speed=1, flop_per_token=-1, peak_over_mean=-1),
    _is("chips", tokens=1, tokens_per_chip=-1),
    _is("chips", servers=1, chips_per_server=1),
    _is("cost_per_token", chip_hour=1, tokens_per_chip=-1),
    _is("cost_per_ask", tokens_per_ask=1, cost_per_token=1),
    _is("cost", asks=1, cost_per_ask=1),
    _is("cost", chips=1, chip_hour=1),
    _is("cost", work=1, cost_per_flop=1),
    _is("capex_over_cost", chip_price=1, chip_hour=-1),
    _is("capex_per_ask", cost_per_ask=1, capex_over_cost=1),
    _is("capex", asks=1, capex_per_ask=1),
    _is("capex_tenth", 0.1, searches=1, capex_per_ask=1),
    _is("energy_per_token", chip_power=1, pue=1, tokens_per_chip=-1),
    _is("energy_per_ask", tokens_per_ask=1, energy_per_token=1),
    _is("power", asks=1, energy_per_ask=1),
)
TRAINING = (
    *COMMON,
    _is("training_flop", 6.0, active_parameters=1, training_tokens=1),
    _is("chip_time", training_flop=1, speed=-1),
    _is("time", chip_time=1, chips=-1),
    _is("chips", servers=1, chips_per_server=1),
    _is("training_cost", chip_time=1, chip_hour=1),
    _is("training_cost", training_flop=1, cost_per_flop=1),
)
RELATIONS = {"serving": SERVING, "training": TRAINING}
# The same relations the other way round: nothing new to solve, but another way to take apart.
TURNED = {
    "serving": (_is("chips", capex=1, chip_price=-1), _is("chips", cost=1, chip_hour=-1)),
    "training": (_is("chips", chip_time=1, time=-1), _is("chips", capex=1, chip_price=-1)),
}
CLOSE = 1.02  # figures are printed rounded; nearer than this they agree

Exponents = dict[str, Fraction]


class _Row(Record):
    """Σ of `left` = constant + Σ of `right`, all of logarithms. left: quantities.  right: figures
    that were said."""

    left: dict[str, Fraction]
    right: dict[str, Fraction]
    constant: float


def solved(of: Published) -> Chain:
    """Everything that follows. A figure that the earlier ones already give is checked, not used."""
    said = {figure.quantity: figure for figure in of.figures}
    order = dict(_order(of.of))
    rows = dict(_eliminated(of.of))
    for relation in of.relations:
        if not _add(rows, _row_of(relation), order):
            _check_agrees(rows, of, relation)
    extra = [figure for figure in of.figures if not _use(rows, figure.quantity, order)]
    basis = [figure.quantity for figure in of.figures if figure not in extra]
    steps = _steps(basis, (*RELATIONS[of.of], *of.relations))
    known = {
        name: _known(name, row, said, steps.get(name, ""))
        for name, row in rows.items()
        if len(row.left) == 1
    }
    for figure in extra:  # its author says it too; the value is the one that follows
        known[figure.quantity] = replace(known[figure.quantity], mark=figure.mark)
    return Chain(
        id=of.id,
        who=of.who,
        when=of.when,
        of=of.of,
        topics=of.topics,
        known={name: known[name] for name in QUANTITIES if name in known},
        unknown={name: missing(name, known, of.of) for name in _asked(of) if name not in known},
        clashes=tuple(_clash(figure, known[figure.quantity]) for figure in extra),
    )


def _asked(of: Published) -> list[str]:
    """The quantities that such a forecast is about."""
    every = {n for each in RELATIONS[of.of] for n in (each.name, *each.factors)}
    return [name for name in QUANTITIES if name in every]


@cache
def _order(of: str) -> dict[str, int]:
    """What is made of others before what it is made of, so that elimination leaves the latter."""
    made: dict[str, set[str]] = {}
    for relation in RELATIONS[of]:
        made.setdefault(relation.name, set()).update(relation.factors)

    def depth(name: str) -> int:
        return 1 + max(map(depth, made[name])) if name in made else 0

    names = {*made, *(name for parts in made.values() for name in parts)}
    ranked = sorted(names, key=lambda name: (-depth(name), name))
    return {name: index for index, name in enumerate(ranked)}


@cache
def _eliminated(of: str) -> dict[str, _Row]:
    """The relations alone, each pivot in one row."""
    rows: dict[str, _Row] = {}
    for relation in RELATIONS[of]:
        _add(rows, _row_of(relation), _order(of))
    return rows


def _row_of(relation: Relation) -> _Row:
    left = {relation.name: Fraction(1)}
    for name, power in relation.factors.items():
        left[name] = left.get(name, Fraction(0)) - power
    return _Row(left=_trimmed(left), right={}, constant=math.log(relation.constant))


def _use(rows: dict[str, _Row], name: str, order: dict[str, int]) -> bool:
    """Put in a figure that was said; False where the others already give it."""
    one = Fraction(1)
    return _add(rows, _Row(left={name: one}, right={name: one}, constant=0.0), order)


def _check_agrees(rows: Mapping[str, _Row], of: Published, relation: Relation) -> None:
    """Refuse a relation that cannot hold beside the others. Raises BadInput."""
    left_over = _reduced(rows, _row_of(relation)).constant
    if not math.isclose(left_over, 0.0, abs_tol=1e-9):
        raise BadInput(
            f"{of.id}: relations: {relation.name} contradicts those that always hold, by "
            f"×{math.exp(abs(left_over)):.4g}; drop it, or mend its number."
        )


def _reduced(rows: Mapping[str, _Row], row: _Row) -> _Row:
    """What a row says beyond the others."""
    for pivot in [name for name in row.left if name in rows]:
        row = _less(row, rows[pivot], row.left.get(pivot, Fraction(0)))
    return row


def _add(rows: dict[str, _Row], row: _Row, order: dict[str, int]) -> bool:
    """Put a row in, keeping each pivot in one row alone; False where it says nothing new."""
    row = _reduced(rows, row)
    if not row.left:
        return False
    pivot = min(row.left, key=lambda name: order.get(name, len(order)))
    row = _scaled(row, 1 / row.left[pivot])
    for name, other in list(rows.items()):
        if pivot in other.left:
            rows[name] = _less(other, row, other.left[pivot])
    rows[pivot] = row
    return True


def _less(row: _Row, other: _Row, times: Fraction) -> _Row:
    return _Row(
        left=_trimmed(_sum(row.left, other.left, -times)),
        right=_trimmed(_sum(row.right, other.right, -times)),
        constant=row.constant - float(times) * other.constant,
    )


def _scaled(row: _Row, times: Fraction) -> _Row:
    return _Row(
        left={name: each * times for name, each in row.left.items()},
        right={name: each * times for name, each in row.right.items()},
        constant=row.constant * float(times),
    )


def _sum(one: Exponents, other: Exponents, times: Fraction) -> Exponents:
    names = (*one, *(name for name in other if name not in one))
    return {
        name: one.get(name, Fraction(0)) + times * other.get(name, Fraction(0)) for name in names
    }


def _trimmed(of: Exponents) -> Exponents:
    return {name: each for name, each in of.items() if each}


def _steps(basis: Iterable[str], relations: Sequence[Relation]) -> dict[str, str]:
    """How one comes to each quantity, a relation at a time."""
    told, steps = dict.fromkeys(basis), {}
    rows = [_row_of(relation) for relation in relations]
    found = True
    while found:
        found = False
        for row in rows:
            open_ones = [name for name in row.left if name not in told]
            if len(open_ones) == 1:
                name, found = open_ones[0], True
                power = -row.left[name]
                others = {n: each / power for n, each in row.left.items() if n != name}
                told[name], steps[name] = None, monomial(others, -row.constant / float(power))
    return steps


def _known(name: str, row: _Row, said: Mapping[str, Stated], step: str) -> Known:
    """A quantity out of the figures that were said; low and high as far as those reach."""
    if row.right == {name: Fraction(1)} and row.constant == 0.0:
        figure = said[name]
        return Known(quantity=name, value=figure.value, mark=figure.mark, note=figure.note)
    low = likely = high = row.constant
    for told, power in row.right.items():
        value, times = said[told].value, float(power)
        ends = (math.log(value.low) * times, math.log(value.high) * times)
        low, likely, high = (
            low + min(ends),
            likely + math.log(value.likely) * times,
            high + max(ends),
        )
    span = Span(low=math.exp(low), likely=math.exp(likely), high=math.exp(high))
    how = step or monomial(row.right, row.constant)
    return Known(quantity=name, value=span, mark="implied", how=how)


def monomial(powers: Mapping[str, Fraction], constant: float = 0.0) -> str:
    """A product of powers in words: ``cost / chips``. constant: of the logarithm."""
    above = [_power(name, each) for name, each in powers.items() if each > 0]
    below = [_power(name, -each) for name, each in powers.items() if each < 0]
    number = math.exp(constant)
    if not math.isclose(number, 1.0, rel_tol=1e-12):
        turned = number < 1 and math.isclose(1 / number, round(1 / number), rel_tol=1e-9)
        (below if turned else above).insert(0, f"{1 / number if turned else number:.4g}")
    top = " × ".join(above) or "1"
    if not below:
        return top
    return f"{top} / {below[0]}" if len(below) == 1 else f"{top} / ({' × '.join(below)})"


def _power(name: str, power: Fraction) -> str:
    words = name.replace("_", " ")
    return words if power == 1 else f"{words}^{power}"


def missing(name: str, known: Container[str], of: str) -> tuple[str, ...]:
    """The fewest inputs that would have to be known beside, for a quantity to follow."""
    return _least(name, known, (*RELATIONS[of], *TURNED[of]), frozenset())


def _least(
    name: str, known: Container[str], relations: Sequence[Relation], above: frozenset[str]
) -> tuple[str, ...]:
    if name in known:
        return ()
    ways = []
    for relation in relations:
        if relation.name == name and not above & relation.factors.keys():
            parts = [_least(each, known, relations, above | {name}) for each in relation.factors]
            ways.append(tuple(dict.fromkeys(each for part in parts for each in part)))
    return min(ways, key=len, default=(name,))


def _clash(figure: Stated, known: Known) -> Clash:
    follows = known.value.likely
    return Clash(
        quantity=figure.quantity,
        said=figure.value.likely,
        follows=follows,
        ratio=figure.value.likely / follows,
        how=known.how,
    )
