"""Buy, rent or build in words: what a token costs, whether building pays, what would turn it."""

from __future__ import annotations

from collections.abc import Sequence

from eke.catalog.nodes import YEAR
from eke.report.inputs import input_value, input_words, per_year
from eke.report.text import entry, table, wrap
from eke.report.words import counted, plan_words, spread
from eke.types.need import Ground
from eke.types.silicon import ChipChoice, Gain, Offer, Swing, Turning
from eke.units import show

SWINGS = 8  # shown


def choice_words(found: ChipChoice, command: str) -> str:
    """The whole answer as text. command: what to do next."""
    rival = rival_of(found)
    blocks = [
        wrap(headline(found), indent="  "),
        entry("for", f"{found.job}; {amount_words(found)}"),
        _offers(found.offers),
        *(_unit(offer) for offer in found.offers if offer.unit),
        _gains(found.gains),
        entry("turns", turning_words(rival)) if rival is not None else "",
        _swings(rival.swings) if rival is not None else "",
        _grounds(found.grounds),
        *(entry("note", remark) for remark in found.remarks),
        entry("next", command),
    ]
    return "\n".join(block for block in blocks if block) + "\n"


def rival_of(found: ChipChoice) -> Gain | None:
    """Building against the cheapest of the others, where there is something to build."""
    return min(one_by_one(found.gains), key=lambda gain: gain.likely, default=None)


def one_by_one(gains: Sequence[Gain]) -> Sequence[Gain]:
    """Against each of the others, without the row against whichever is cheapest."""
    return gains[:-1] or gains


def headline(found: ChipChoice) -> str:
    """Line one: what to do, and what it costs."""
    if not found.gains:
        return _cheapest(found)
    own = next(offer for offer in found.offers if offer.how == "build")
    rival = next(offer for offer in found.offers if offer.how != "build")
    gain = found.gains[-1]
    return (
        f"building {own.chip} pays off in {chance(gain.chance)} of cases: likely "
        f"{signed(gain.likely)} ({signed(gain.low)} to {signed(gain.high)}), {cost_words(own)} per "
        f"million useful tokens against {cost_words(rival)} of {rival.name}"
    )


def _cheapest(found: ChipChoice) -> str:
    """Which of what is sold, and how surely."""
    best = found.offers[0]
    able = sum(offer.cost is not None for offer in found.offers)
    surely = (
        f"cheapest in {chance(best.cheapest)} of cases is" if able > 1 else "all can be done by"
    )
    if able == 1 < len(found.offers):
        surely = "only this can:"
    return f"{surely} {best.name}, {cost_words(best)} per million useful tokens"


def chance(share: float) -> str:
    """A share of cases in percent that is no 0 or 100 % while it is not quite."""
    if 0 < share < 0.005:
        return "under 1 %"
    if 0.995 < share < 1:
        return "over 99 %"
    return f"{100 * share:.0f} %"


def signed(value: float) -> str:
    """Dollars gained or lost."""
    words = show(abs(value), "USD")
    return f"{'−' if value < 0 else '+'}{words}"


def cost_words(offer: Offer) -> str:
    """Of a million useful tokens."""
    return spread(offer.cost, "USD") if offer.cost is not None else "cannot"


def amount_words(found: ChipChoice) -> str:
    """How much is served, and for how long."""
    words = f"{show(found.tokens * YEAR, '1')} useful tokens a year in full swing"
    if found.volume is None:
        return f"{words}, for {found.years / YEAR:.3g} years"
    return (
        f"{words}, as {show(found.volume * YEAR, '1')} chips of one's own a year give for "
        f"{found.years / YEAR:.3g} years"
    )


OFFERS = ("", "per million useful tokens", "cheapest in", "tokens/s of a chip", "chips")


def offer_cells(offer: Offer) -> tuple[str, ...]:
    """A way in a row."""
    if offer.speed is None:
        return offer.name, "cannot", "", "", ""
    speed, chips = f"{offer.speed.likely:,.0f}", f"{offer.chips:,.0f}"
    return offer.name, cost_words(offer), chance(offer.cheapest), speed, chips


def _offers(offers: Sequence[Offer]) -> str:
    """A row for each way, then what it is made of and the layout its speed rests on."""
    lines = [_made_of(offer) for offer in offers]
    return "\n".join([table([offer_cells(offer) for offer in offers], head=OFFERS), *lines])


def _made_of(offer: Offer) -> str:
    if offer.cost is None:
        return entry("cannot", f"{offer.name}: {offer.why_not}")
    total = sum(offer.parts.values())
    ranked = sorted(offer.parts.items(), key=lambda row: -row[1])
    parts = ", ".join(f"{name} {part / total:.0%}" for name, part in ranked if part > 0.005 * total)
    return entry("parts", f"{offer.name}: {parts}; on {layout_words(offer)}")


def layout_words(offer: Offer) -> str:
    """The plans that its speed rests on."""
    return " and ".join(plan_words(plan) for plan in offer.plans)


def _unit(offer: Offer) -> str:
    return entry("a chip", f"{offer.name}: {unit_words(offer)}")


def unit_words(offer: Offer) -> str:
    """What making a chip costs, and of what parts."""
    parts = ", ".join(f"{name} {part:,.0f}" for name, part in offer.unit.items())
    return f"{sum(offer.unit.values()):,.0f} USD to make ({parts})"


GAINS = ("building against", "likely", "10 %", "50 %", "90 %", "pays off in", "from")


def gain_rows(gains: Sequence[Gain]) -> list[tuple[str, ...]]:
    """What building saves against each, and the volume from which it does."""
    alone = one_by_one(gains)
    return [
        (
            gain.against,
            *map(signed, (gain.likely, gain.low, gain.middle, gain.high)),
            chance(gain.chance),
            _from(gain) if gain in alone else "",
        )
        for gain in gains
    ]


def _gains(gains: Sequence[Gain]) -> str:
    return table(gain_rows(gains), head=GAINS) if gains else ""


def _from(gain: Gain) -> str:
    return "no volume" if gain.break_even is None else per_year(gain.break_even)


def turning_words(gain: Gain) -> str:
    """What would have to be true, or, where it pays, until when it stays so."""
    against = gain.against
    if not gain.turnings:
        does = "stop" if gain.likely > 0 else "make"
        return f"no single change, however large, would {does} building pay off against {against}"
    said = [_turning(turn) for turn in gain.turnings]
    if gain.likely > 0:
        return (
            f"against {against} it pays off as long as, all else as likely: {', and '.join(said)}"
        )
    return f"against {against} it pays off, all else as likely, with: {', or '.join(said)}"


def _turning(turn: Turning) -> str:
    name, at, now = turning_cells(turn)
    return f"{name} {at} (now {now})"


def turning_cells(turn: Turning) -> tuple[str, str, str]:
    """An input, what it would have to be, and what it is."""
    over = "more than" if turn.above else "less than"
    at, now = (input_value(value, turn.name, turn.unit) for value in (turn.at, turn.now))
    return input_words(turn.name), f"{over} {at}", now


SWUNG = ("what matters most", "low", "high", "gain at low", "at high")


def swing_cells(swing: Swing) -> tuple[str, ...]:
    """What an input does at its two ends, in a row."""
    ends = (input_value(value, swing.name, swing.unit) for value in (swing.low, swing.high))
    return input_words(swing.name), *ends, signed(swing.gain_low), signed(swing.gain_high)


def _swings(swings: Sequence[Swing]) -> str:
    rows = [swing_cells(swing) for swing in swings[:SWINGS]]
    return table(rows, head=SWUNG) if rows else ""


def _grounds(grounds: Sequence[Ground]) -> str:
    """How many of each kind, and what is only assumed."""
    rows = [each for each in grounds if each.kind == "assumed" and " of " not in each.name]
    words = f"{counted(grounds)}; --json lists each with its source"
    assumed = ", ".join(f"{input_words(each.name)} {ground_value(each)}" for each in rows)
    return "\n".join([entry("grounds", words), entry("assumed", assumed)])


def ground_value(ground: Ground) -> str:
    """The likeliest value."""
    value = ground.value
    return value if isinstance(value, str) else input_value(value, ground.name, ground.unit)
