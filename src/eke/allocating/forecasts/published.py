"""Published forecasts beside each other: a table per quantity, what each implies, and which input
tells the largest from the smallest."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from eke.allocating.forecasts.beside import eke_chain
from eke.allocating.forecasts.plans import ROOM
from eke.catalog.forecasts import forecast_names, published
from eke.economics.chains import CLOSE, solved
from eke.economics.ratios import SAME, difference, value
from eke.errors import BadInput
from eke.types.published import (
    QUANTITIES,
    Chain,
    Difference,
    Published,
    Row,
    SideBySide,
    Table,
)

OWN = "eke:"  # before the names of forecasts that eke answered
Told = Callable[[int, int, str], None]  # how many questions are answered, of how many, and which

TABLES = (  # title, quantity, topic
    ("cost of an ask", "cost_per_ask", "query"),
    ("chips for ChatGPT, of any kind, 2020 to 2023", "chips", "chatgpt"),
    ("searches of Google", "searches", "google"),
    ("money for the chips of a tenth of Google", "capex_tenth", "google"),
    ("cost of a million tokens", "cost_per_token", "tokens"),
    ("cost of the GPT-3 run", "training_cost", "gpt-3"),
    ("FLOP of the GPT-4 run", "training_flop", "gpt-4"),
    ("chips of the GPT-4 run", "chips", "gpt-4"),
    ("chips of the GPT-5 run", "chips", "gpt-5"),
    ("energy of an ask", "energy_per_ask", "energy"),
    ("power of 100,000 H100", "power", "cluster"),
)


def published_forecasts(
    names: Sequence[str] = (), told: Told | None = None, own: bool = True
) -> SideBySide:
    """Those forecasts, or all of them. Of a few named ones every chain is told, and every quantity
    that two of them share is taken apart. own: eke answers the same questions too."""
    twice = next((name for name in names if list(names).count(name) > 1), None)
    if twice is not None:
        raise BadInput(f"{twice} is named twice; name each forecast once.")
    every = [published(name) for name in (names or forecast_names())]
    theirs = [solved(each) for each in every]
    mine = _own(every, theirs, told) if own else []
    chains = [*theirs, *mine]
    return SideBySide(
        chains=tuple(chains),
        tables=() if names else tuple(table(chains, *each) for each in TABLES),
        differences=tuple(_differences(chains)) if names else (),
        remarks=(*_remarks(every, bool(names)), *_own_remarks(mine)),
    )


def _own(every: Sequence[Published], theirs: Sequence[Chain], told: Told | None) -> list[Chain]:
    """eke's answers, one for equal questions."""
    asked = [(of, chain) for of, chain in zip(every, theirs, strict=True) if of.same is not None]
    found = []
    for index, (of, chain) in enumerate(asked):
        if told is not None:
            told(index, len(asked), f"eke's own, as {of.id}")
        found.append(eke_chain(of, chain))
    return found


def table(chains: Sequence[Chain], title: str, quantity: str, topic: str) -> Table:
    """One quantity as the forecasts of a topic have it, the smallest first."""
    about = [chain for chain in chains if topic in chain.topics]
    have = sorted(
        (chain for chain in about if quantity in chain.known),
        key=lambda chain: (value(chain, quantity), chain.id),
    )
    said = [chain for chain in have if not chain.id.startswith(OWN)] or have
    least = value(said[0], quantity) if said else 1.0
    rows = tuple(
        Row(
            id=chain.id,
            who=chain.who,
            when=chain.when,
            value=chain.known[quantity].value,
            mark=chain.known[quantity].mark,
            ratio=value(chain, quantity) / least,
        )
        for chain in have
    )
    silent = {
        chain.id: chain.unknown.get(quantity, (quantity,))
        for chain in about
        if quantity not in chain.known
    }
    return Table(
        title=title,
        quantity=quantity,
        rows=rows,
        silent=silent,
        differences=_apart(have, quantity),
    )


def _apart(have: Sequence[Chain], quantity: str) -> tuple[Difference, ...]:
    """What tells the largest from the smallest of those people published; the same of the pair
    furthest apart of which inputs are known; and what tells each from eke's own answer."""
    said = [chain for chain in have if not chain.id.startswith(OWN)]
    pairs = [
        difference(quantity, large, small)
        for small in said
        for large in said
        if large.of == small.of and value(large, quantity) > value(small, quantity) * CLOSE
    ]
    widest = max(pairs, key=lambda each: each.ratio, default=None)
    told = max(
        (each for each in pairs if not each.untold and len(each.factors) > 1),
        key=lambda each: each.ratio,
        default=None,
    )
    by_id = {chain.id: chain for chain in have}
    mine = [
        difference(quantity, chain, by_id[OWN + chain.id])
        for chain in said
        if OWN + chain.id in by_id
    ]
    found = [each for each in (widest, told) if each is not None]
    return (*found[:1], *(each for each in found[1:] if each != found[0]), *mine)


def _differences(chains: Sequence[Chain]) -> list[Difference]:
    """Of every pair, those quantities that end a chain; from eke only what answers the same."""
    found = []
    for index, one in enumerate(chains):
        for other in chains[index + 1 :]:
            comparable = other.id == OWN + one.id or not (one.id + other.id).count(OWN)
            if one.of == other.of and comparable:
                shared = [name for name in ENDS if name in one.known and name in other.known]
                found += [difference(name, one, other) for name in shared]
    return [each for each in found if max(each.ratio, 1 / each.ratio) > SAME]


ENDS = tuple(
    name
    for name in QUANTITIES
    if name
    in {
        *("chips", "capex", "capex_tenth", "cost", "cost_per_ask", "cost_per_token", "power"),
        *("energy_per_ask", "work", "training_flop", "training_cost", "chip_time"),
    }
)


def _remarks(every: Sequence[Published], few: bool) -> tuple[str, ...]:
    return tuple(note for of in every for note in of.notes) if few else ()


def _own_remarks(mine: Sequence[Chain]) -> tuple[str, ...]:
    """What eke's own answers have that others leave out."""
    if not any("peak_over_mean" in chain.known for chain in mine):
        return ()
    return (
        f"eke plans with {ROOM:.0%} of a service's throughput, which leaves room for queues: "
        f"×{1 / ROOM:.3g} in its peak over mean that figures of busy chips leave out",
    )
