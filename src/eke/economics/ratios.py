"""Which input tells two forecasts apart: the ratio of a quantity as the product of the ratios of
its inputs, as finely as both are known."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from eke.economics.chains import RELATIONS, TURNED, missing
from eke.errors import BadInput
from eke.types.published import Chain, Difference, Factor, Mark, Relation
from eke.types.record import Record

Powers = dict[str, int]
SAME = 1.005  # ratios closer to one say nothing


class _Split(Record):
    """A quantity as a product: inputs that both know, and products of which they know only the
    whole, each with what is left of that whole after the inputs known."""

    known: Powers
    rests: tuple[_Rest, ...] = ()


class _Rest(Record):
    parts: Powers  # that are not known
    whole: str
    less: Powers  # known inputs to take out of the whole
    power: int = 1


def difference(quantity: str, one: Chain, other: Chain) -> Difference:
    """Why two forecasts differ in a quantity. The ratios of the factors multiply to its ratio."""
    for chain in (one, other):
        if quantity not in chain.known:
            raise BadInput(f"{quantity.replace('_', ' ')} cannot be known from {chain.id}.")
    if one.of != other.of:
        raise BadInput(f"{one.id} is of {one.of}, {other.id} of {other.of}: no common chain.")
    factors = sorted(
        _factors(quantity, one, other), key=lambda each: (-abs(math.log(each.ratio)), each.names)
    )
    first = factors[0] if factors else None
    matters = first is not None and max(first.ratio, 1 / first.ratio) > SAME
    return Difference(
        quantity=quantity,
        one=one.id,
        other=other.id,
        ratio=value(one, quantity) / value(other, quantity),
        factors=tuple(factors),
        hidden=_told(first.names) if first is not None and matters else "",
        untold=_untold(quantity, factors, one, other),
    )


def _untold(
    quantity: str, factors: Sequence[Factor], one: Chain, other: Chain
) -> dict[str, tuple[str, ...]]:
    """Where the two share no input: what each would have to tell."""
    if any(each.names != (quantity,) for each in factors):
        return {}
    inputs = _inputs(quantity, (*RELATIONS[one.of], *TURNED[one.of]))
    short = {
        chain.id: tuple(name for name in inputs if missing(name, chain.known, chain.of))
        for chain in (one, other)
    }
    return {name: lacks for name, lacks in short.items() if lacks and lacks != (quantity,)}


def _inputs(
    quantity: str, relations: Sequence[Relation], above: frozenset[str] = frozenset()
) -> tuple[str, ...]:
    """What a quantity is made of in the end, by the relations that look furthest."""
    ways: list[tuple[str, ...]] = [(quantity,)]
    for relation in relations:
        if relation.name == quantity and not above & relation.factors.keys():
            parts = [_inputs(each, relations, above | {quantity}) for each in relation.factors]
            ways.append(tuple(dict.fromkeys(name for part in parts for name in part)))
    return max(ways, key=len)


def value(chain: Chain, name: str) -> float:
    """The likeliest value of a quantity."""
    return chain.known[name].value.likely


def factor_words(names: Iterable[str]) -> str:
    """ "tokens per ask × price of a chip / utilisation", or "1 / utilisation"."""
    words = [name.replace("_", " ") for name in names]
    above = " × ".join(word for word in words if not word.startswith("/ ")) or "1"
    return " ".join([above, *(word for word in words if word.startswith("/ "))])


def _told(names: Sequence[str]) -> str:
    """The same where it only matters which input it is."""
    single = len(names) == 1
    return factor_words([names[0].removeprefix("/ ")] if single else names)


def _factors(quantity: str, one: Chain, other: Chain) -> list[Factor]:
    both = [name for name in one.known if name in other.known]
    found = _split(quantity, set(both), RELATIONS[one.of], TURNED[one.of])
    known = [_factor(name, power, one, other) for name, power in found.known.items() if power]
    return [*known, *(_rest(rest, one, other) for rest in found.rests)]


def _factor(name: str, power: int, one: Chain, other: Chain) -> Factor:
    marks: tuple[Mark, Mark] = (one.known[name].mark, other.known[name].mark)
    first, second = value(one, name), value(other, name)
    return Factor(
        names=(_signed(name, power),),
        one=first,
        other=second,
        ratio=(first / second) ** power,
        marks=marks,
    )


def _rest(rest: _Rest, one: Chain, other: Chain) -> Factor:
    first, second = (_left(chain, rest) for chain in (one, other))
    return Factor(
        names=tuple(_signed(name, power * rest.power) for name, power in rest.parts.items()),
        one=first**rest.power,
        other=second**rest.power,
        ratio=(first / second) ** rest.power,
        marks=("implied", "implied"),
    )


def _left(chain: Chain, rest: _Rest) -> float:
    left = value(chain, rest.whole)
    for name, power in rest.less.items():
        left /= value(chain, name) ** power
    return left


def _signed(name: str, power: int) -> str:
    return name if power > 0 else f"/ {name}"


def _split(
    name: str, both: set[str], relations: Sequence[Relation], turned: Sequence[Relation] = ()
) -> _Split:
    """A quantity that both know, by the first relation of which they know every factor; else by
    one of which they know some. turned: relations whose factors are not looked into."""
    made = [each for each in relations if each.name == name]
    for relation in made:
        if relation.factors.keys() <= both:
            return _product(relation.factors, both, relations)
    for relation in turned:
        if relation.name == name and relation.factors.keys() <= both:
            return _Split(known=dict(relation.factors))
    for relation in made:
        known, unknown = _deep(relation.factors, both, relations)
        if known:
            rest = _Rest(parts=unknown, whole=name, less=known)
            whole = _product(known, both, relations)
            return _Split(known=whole.known, rests=(*whole.rests, rest))
    return _Split(known={name: 1})


def _product(powers: Mapping[str, int], both: set[str], relations: Sequence[Relation]) -> _Split:
    known: Powers = {}
    rests: list[_Rest] = []
    for name, power in powers.items():
        part = _split(name, both, relations)
        for inner, times in part.known.items():
            known[inner] = known.get(inner, 0) + times * power
        rests += [
            _Rest(parts=each.parts, whole=each.whole, less=each.less, power=each.power * power)
            for each in part.rests
        ]
    return _Split(known=known, rests=tuple(rests))


def _deep(
    powers: Mapping[str, int], both: set[str], relations: Sequence[Relation]
) -> tuple[Powers, Powers]:
    """What both know of a product, looking into the factors they do not know, and the rest."""
    known: Powers = {}
    unknown: Powers = {}
    for name, power in powers.items():
        made = next((each for each in relations if each.name == name), None)
        parts: Powers = {}
        others: Powers = {}
        if name in both:
            parts = {name: 1}
        elif made is not None:
            parts, others = _deep(made.factors, both, relations)
        else:
            others = {name: 1}
        for into, found in ((known, parts), (unknown, others)):
            for inner, times in found.items():
                into[inner] = into.get(inner, 0) + times * power
    return _trimmed(known), _trimmed(unknown)


def _trimmed(powers: Powers) -> Powers:
    return {name: power for name, power in powers.items() if power}
