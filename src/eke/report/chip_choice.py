"""Buy, rent or build in words: what a token costs, whether building pays, what would turn it."""

from __future__ import annotations

from collections.abc import Callable

from eke.catalog.nodes import YEAR, shown
from eke.report.text import table, wrap
from eke.report.words import KINDS, label, plan_words, spread
from eke.types.need import Ground
from eke.types.record import Record
from eke.types.silicon import ChipChoice, Gain, Offer, Swing, Turning
from eke.units import show

LABELS = {
    "area": "area of the die",
    "defects": "defects of the mature process",
    "defects_start": "defects of the new process",
    "wafer_price": "price of a wafer",
    "memory_price": "price of memory",
    "repairable": "share of the die with spares",
    "bond_yield": "yield of a bond",
    "nre": "cost of the design",
    "masks": "set of masks",
    "software": "share of the speed that software reaches",
    "software_start": "the same at first",
    "software_time": "time in which software matures",
    "software_team": "software team",
    "volume": "volume",
    "ramp": "share of the volume in the first year",
    "server": "board, host and network",
    "building": "building",
    "load": "mean load over peak",
    "discount": "interest",
    "price_trend": "prices of others fall by",
    "energy_trend": "power of others falls by",
    "failures": "chips that fail",
    "spares": "chips that stand by",
    "own_speed": "speed over what eke predicts",
    "delay": "delay",
    "power_share": "power at work over maximum",
    "idle_power": "power waiting over at work",
    "server_power": "power of servers over chips",
    "pue": "PUE",
}
SWINGS = 8  # shown
KNOWN = 12  # characters before the text of a line


def choice_words(found: ChipChoice, command: str) -> str:
    """The whole answer as text."""
    blocks = [
        wrap(_headline(found), indent="  "),
        _line("for", _for(found)),
        _offers(found),
        *(_unit(offer) for offer in found.offers if offer.unit),
        _gains(found),
        _pays(found),
        _swings(found.swings),
        _grounds(found.grounds),
        *(_line("note", remark) for remark in found.remarks),
        _line("next", f"{command} --json"),
    ]
    return "\n".join(block for block in blocks if block) + "\n"


def _line(name: str, text: str) -> str:
    return wrap(f"  {name:<10} {text}", indent=" " * 13) if text else ""


def _headline(found: ChipChoice) -> str:
    """Line one: what to do, and what it costs."""
    best = found.offers[0]
    if not found.gains:
        return f"{best.name} is cheapest: {_cost(best)} per million useful tokens"
    own = next(offer for offer in found.offers if offer.how == "build")
    rival = next(offer for offer in found.offers if offer.how != "build")
    gain = found.gains[-1]
    return (
        f"building {own.chip} pays off in {percent(gain.chance)} of cases: likely "
        f"{_signed(gain.likely)} ({_between(gain)}), {_cost(own)} per million useful tokens "
        f"against {_cost(rival)} of {rival.name}"
    )


def percent(share: float) -> str:
    """A share in percent that is no 0 or 100 % while it is not quite."""
    if 0 < share < 0.005:
        return "under 1 %"
    if 0.995 < share < 1:
        return "over 99 %"
    return f"{100 * share:.0f} %"


def _between(gain: Gain) -> str:
    return f"{_signed(gain.low)} to {_signed(gain.high)}"


def _signed(value: float) -> str:
    words = show(abs(value), "USD")
    return f"{'−' if value < 0 else '+'}{words}"


def _cost(offer: Offer) -> str:
    return spread(offer.cost, "USD") if offer.cost is not None else "cannot"


def _for(found: ChipChoice) -> str:
    words = f"{found.job}; {show(found.tokens * YEAR, '1')} useful tokens a year in full swing"
    if found.volume is not None:
        words += (
            f", as {show(found.volume * YEAR, '1')} chips of one's own a year give for "
            f"{found.years / YEAR:.3g} years"
        )
    else:
        words += f", for {found.years / YEAR:.3g} years"
    return words


def _offers(found: ChipChoice) -> str:
    """A row for each way, then what it is made of and the layout its speed rests on."""
    rows = [
        (offer.name, _cost(offer), f"{offer.speed.likely:,.0f}", f"{offer.chips:,.0f}")
        if offer.speed is not None
        else (offer.name, "cannot", "", "")
        for offer in found.offers
    ]
    head = ("", "per million useful tokens", "tokens/s of a chip", "chips")
    lines = [line for offer in found.offers for line in _made_of(offer)]
    return "\n".join([table(rows, head=head), *lines])


def _made_of(offer: Offer) -> list[str]:
    if offer.cost is None:
        return [_line("cannot", f"{offer.name}: {offer.why_not}")]
    total = sum(offer.parts.values())
    ranked = sorted(offer.parts.items(), key=lambda row: -row[1])
    parts = ", ".join(f"{name} {part / total:.0%}" for name, part in ranked if part > 0.005 * total)
    plans = " and ".join(plan_words(plan) for plan in offer.plans)
    return [_line("parts", f"{offer.name}: {parts}; on {plans}")]


def _unit(offer: Offer) -> str:
    total = sum(offer.unit.values())
    parts = ", ".join(f"{name} {part:,.0f}" for name, part in offer.unit.items())
    return _line("a chip", f"{offer.name}: {total:,.0f} USD to make ({parts})")


def _gains(found: ChipChoice) -> str:
    rows = [
        (
            gain.against,
            _signed(gain.likely),
            _signed(gain.low),
            _signed(gain.middle),
            _signed(gain.high),
            percent(gain.chance),
            _even(gain),
        )
        for gain in found.gains
    ]
    head = ("building against", "likely", "10 %", "50 %", "90 %", "pays off", "from")
    return table(rows, head=head) if rows else ""


def _even(gain: Gain) -> str:
    if gain.break_even is not None:
        return f"{show(float(f'{gain.break_even * YEAR:.3g}'), '1')} chips/yr"
    return "" if gain.against.startswith("the cheapest") else "no volume"


def _pays(found: ChipChoice) -> str:
    """What would have to be true, or, where it pays, until when it stays so."""
    if not found.gains:
        return ""
    if not found.turnings:
        return _line("turns", "no single change makes building pay off, however large")
    said = ", or ".join(_turning(turn) for turn in found.turnings)
    if found.gains[-1].likely > 0:
        said = ", and ".join(_turning(turn) for turn in found.turnings)
        return _line("turns", f"it pays off as long as, all else as likely: {said}")
    return _line("turns", f"it pays off, all else as likely, with: {said}")


def _turning(turn: Turning) -> str:
    over = "more than" if turn.above else "less than"
    at, now = _value(turn.at, turn), _value(turn.now, turn)
    return f"{name_words(turn.name)} {over} {at} (now {now})"


class _Unit(Record):
    """What a value is of, to be shown."""

    name: str
    unit: str


def _value(value: float, of: Turning | Swing | _Unit) -> str:
    """A value of an input as people read it."""
    special: dict[str, Callable[[float], str]] = {
        "volume": lambda x: f"{show(float(f'{x * YEAR:.3g}'), '1')} chips/yr",
        "own_speed": lambda x: f"×{x:.3g}",
    }
    if of.name in special:
        return special[of.name](value)
    if of.unit == "sd":
        return "low" if value < 0 else "high"
    if of.unit == "1" and of.name not in ("respins", "clusters", "pue", "server_power"):
        return f"{100 * value:.3g} %"
    if of.unit == "s":
        return f"{value / YEAR:.2g} year{'' if round(value / YEAR, 2) == 1 else 's'}"
    if of.unit == "USD/s" and of.name.startswith("price"):
        return f"{value * 3600:.3g} USD/h"
    if of.unit == "1/s":
        return f"{100 * value * YEAR:.3g} %/yr"
    return shown(value, of.unit)


def name_words(name: str) -> str:
    """An input as people call it."""
    own, of, rest = name.partition(" of ")
    words = LABELS.get(own) or label(own)
    return f"{words} ({rest})" if of and own != "price" else (name if own == "price" else words)


def _swings(swings: tuple[Swing, ...]) -> str:
    rows = [
        (
            name_words(swing.name),
            _value(swing.low, swing),
            _value(swing.high, swing),
            _signed(swing.gain_low),
            _signed(swing.gain_high),
        )
        for swing in swings[:SWINGS]
    ]
    head = ("what matters most", "low", "high", "gain at low", "at high")
    return table(rows, head=head) if rows else ""


def _grounds(grounds: tuple[Ground, ...]) -> str:
    """How many of each kind, and what is only assumed."""
    kinds: dict[str, list[Ground]] = {}
    for ground in grounds:
        kinds.setdefault(ground.kind, []).append(ground)
    counts = "; ".join(f"{len(kinds[kind])} {kind}" for kind in KINDS if kind in kinds)
    assumed = [_assumed(ground) for ground in kinds.get("assumed", []) if " of " not in ground.name]
    words = f"{counts}; --json lists each with its source"
    return "\n".join([_line("grounds", words), _line("assumed", ", ".join(assumed))])


def _assumed(ground: Ground) -> str:
    unit = _Unit(name=ground.name, unit=ground.unit)
    value = ground.value if isinstance(ground.value, float | int) else 0.0
    return f"{name_words(ground.name)} {_value(float(value), unit)}"
