"""Who gets which chips, in words."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from eke.report.text import table, wrap
from eke.report.words import plan_words, spread
from eke.types.need import Span
from eke.types.share import Allocation, Clash, Difference, Moved, PoolShare, Series, Served
from eke.units import show

STRETCHES = 6  # of time, in tables
SLIGHT = 5e-4  # share that is told as none
MOVES = 12  # told of a difference


def allocated_words(found: Allocation, command: str) -> str:
    """The whole answer as text. command: what to do next."""
    blocks = [
        headline(found),
        *(_line(name, words) for name, words in prices_words(found)),
        "",
        _uses(found),
        "",
        _pools(found),
        *(_line("refused", words) for words in refused_words(found)),
        *(_line("lacking", words) for words in found.lacking),
        *(_line("way", words) for words in _ways(found)),
        _line("takes", takes_words(found)),
        *([difference_words(found.slip)] if found.slip else []),
        _line("grounds", grounds_words(found)),
        *(_line("note", note) for note in found.notes),
        _line("next", command),
    ]
    return "\n".join(block for block in blocks if block or block == "") + "\n"


def _line(name: str, text: str) -> str:
    return wrap(f"  {name:<10} {text}", indent=" " * 13)


def headline(found: Allocation) -> str:
    """Line one: what is served of what is asked, and how far from the best that may be."""
    length = show(found.period * len(found.dates), "s")
    proven = (
        "the best there is" if found.gap < 1e-6 else f"within {_percent(found.gap)} of the best"
    )
    if found.goal == "cost":
        least = spread(_negative(found), "USD")
        return f"{least} over {length} keep every promise, {proven}"
    return (
        f"{spread(found.span, 'USD')} of value over {length}, of {show(found.asked, 'USD')} asked "
        f"for, {proven}{_aim(found)}"
    )


def _negative(found: Allocation) -> Span:
    span = found.span
    return Span(low=-span.high, likely=-span.likely, high=-span.low)


def _aim(found: Allocation) -> str:
    aims = {"max-min": ", the least served first", "proportional": ", in fair proportion"}
    return aims.get(found.goal, "")


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def prices_words(found: Allocation) -> list[tuple[str, str]]:
    """What one more chip, watt, rack and dollar are worth."""
    told = []
    for pool in found.pools:
        mean, most = _mean(pool.price), max(pool.price, default=0.0)
        if most * 3600 < 0.005:
            words = f"one more {pool.pool} chip is worth nothing: there are enough"
        else:
            first = next(i for i, price in enumerate(pool.price) if price >= most * 0.999)
            when = found.dates[first]
            words = (
                f"one more {pool.pool} chip is worth {show(mean, 'USD/s')} on average, at most "
                f"{show(most, 'USD/s')} (from {when})"
            )
        told.append(("worth", words))
    for site in found.sites:
        for what, price, unit in (
            ("kilowatt", _mean(site.power_price) * 1e3, "USD/s"),
            ("rack", _mean(site.rack_price), "USD/s"),
        ):
            if price > 1e-9:
                told.append(("worth", f"one more {what} at {site.site} {show(price, unit)}"))
    dollar = _mean(found.dollar_price)
    if dollar > 1e-6:
        told.append(
            ("worth", f"one more dollar of the budget brings {show(dollar, 'USD')} beyond itself")
        )
    if found.carbon_price > 1e-9:
        told.append(("worth", f"one more tonne of carbon {show(found.carbon_price * 1e3, 'USD')}"))
    return told


def _mean(values: Series) -> float:
    return sum(values) / len(values) if values else 0.0


def _uses(found: Allocation) -> str:
    rows = [
        (
            name(line),
            amount(sum(line.asked), line.unit),
            done_words(line),
            show(line.value, "USD"),
            _late(line),
            where(found, line),
        )
        for line in found.lines
        if sum(line.asked) > 0
    ]
    return table(rows, head=("use", "asks for", "done", "value", "", "on"))


def name(line: Served) -> str:
    """A line as it is called in tables."""
    return f"{line.use}: {line.line}" if line.line else line.use


def amount(value: float, unit: str) -> str:
    """Work in its unit."""
    if unit == "chip s":
        return f"{show(value / 3600.0)} chip-hours"
    many = "" if value == 1 else "s"
    return f"{show(value)} {unit}{many}"


def done_words(line: Served) -> str:
    """How much of a line is done; of a project, when."""
    if line.kind == "project":
        return line.finished if line.finished else "never"
    return _percent(line.share) if line.share < 1 - SLIGHT else "all"


def _late(line: Served) -> str:
    done = sum(line.done)
    words = []
    if done and sum(line.late) / done > SLIGHT:
        words.append(f"{_percent(sum(line.late) / done)} late")
    if line.degraded > SLIGHT:
        words.append(f"{_percent(line.degraded)} lesser")
    return ", ".join(words)


def where(found: Allocation, line: Served) -> str:
    """The pools that do its work, by their part of it."""
    work: dict[str, float] = {}
    for share in found.shares:
        if (share.use, share.line) == (line.use, line.line):
            work[share.pool] = work.get(share.pool, 0.0) + sum(share.work)
    total = sum(work.values())
    ordered = sorted(work.items(), key=lambda each: -each[1])
    return ", ".join(f"{pool} {part / total:.0%}" for pool, part in ordered if part > 0.005 * total)


def stretches(found: Allocation) -> list[tuple[int, int]]:
    """The periods in a few stretches, as first and last excluded."""
    number = len(found.dates)
    count = min(STRETCHES, number)
    edges = [round(i * number / count) for i in range(count + 1)]
    return list(pairwise(edges))


def _pools(found: Allocation) -> str:
    parts = stretches(found)
    head = (
        "pool: chips used over the day; one more, USD/h",
        *(f"from {found.dates[a]}" for a, _ in parts),
    )
    rows = [(pool.pool, *(_pool_cell(pool, a, b) for a, b in parts)) for pool in found.pools]
    return table(rows, head=head)


def _pool_cell(pool: PoolShare, first: int, last: int) -> str:
    there = _mean(pool.there[first:last]) + _mean(pool.rented[first:last])
    used, price = _mean(pool.used[first:last]), _mean(pool.price[first:last]) * 3600
    part = f"{used / there:.0%}" if there else "none"
    return f"{part} of {there:,.0f}, {price:.2f}"


def refused_words(found: Allocation) -> list[str]:
    """What is not done, and what stands in the way."""
    told = []
    for line in found.lines:
        missing = sum(line.refused)
        if line.kind == "project":
            if line.why and sum(line.asked) > 0:
                told.append(f"{name(line)}: {line.why}")
        elif missing > SLIGHT * sum(line.asked):
            lost = _percent(missing / sum(line.asked))
            told.append(f"{name(line)}: {lost} of it; {line.why or 'there is no room for it'}")
    return told


def _ways(found: Allocation) -> list[str]:
    """How the work of each line is mostly done on each pool, where eke planned that."""
    best: dict[tuple[str, str, str], tuple[float, str]] = {}
    for share in found.shares:
        if share.plan is None:
            continue
        chips = sum(share.chips)
        key = (share.use, share.line, share.pool)
        way = f" ({share.way})" if share.way else ""
        words = f"{plan_words(share.plan)}{way}"
        if chips > best.get(key, (0.0, ""))[0]:
            best[key] = (chips, words)
    return [
        f"{use}{': ' + line if line else ''} on {pool}: {words}"
        for (use, line, pool), (_, words) in best.items()
    ]


def takes_words(found: Allocation) -> str:
    """Money, energy and carbon of the whole."""
    words = [
        f"{show(found.rent, 'USD')} of rent" if found.rent else "",
        f"{show(found.electricity, 'USD')} of electricity",
        f"{show(found.energy, 'J')}, {show(found.carbon, 'kg')} of carbon dioxide",
        f"the chips that are there cost {show(found.held, 'USD')} whether used or not",
    ]
    return "; ".join(word for word in words if word)


def grounds_words(found: Allocation) -> str:
    """Where the speeds come from."""
    planned, given = found.grounds["planned"], found.grounds["given"]
    words = []
    if planned:
        words.append(f"{planned} ways planned by eke (`eke plan` shows each), ±: {_off(found)}")
    if given:
        words.append(f"{given} given in the file")
    return "; ".join(words)


def _off(found: Allocation) -> str:
    return f"{spread(found.span, 'USD')} where all are as slow, or as fast, as may be"


def difference_words(found: Difference) -> str:
    """What moved, and why."""
    change = found.value_after - found.value_before
    words = f"{found.title}: {signed(change)} of value"
    if found.expected is not None:
        words += f" ({signed(found.expected)} by shadow prices)"
    lines = [_line("moved" if found.changes else "later", words)]
    lines += [_line("changed", f"{at} from {a} to {b}") for at, a, b in found.changes[:MOVES]]
    lines += [_line("", moved_words(each)) for each in found.moved[:MOVES]]
    if not found.moved and not change:
        lines.append(_line("", "nothing else moves"))
    return "\n".join(lines)


def signed(value: float) -> str:
    """Dollars more or less."""
    return f"{'−' if value < 0 else '+'}{show(abs(value), 'USD')}"


def moved_words(moved: Moved) -> str:
    """One thing that moved."""
    before, after = moved_values(moved)
    when = f", first from {moved.first}" if moved.first else ""
    why = f" ({moved.why})" if moved.why else ""
    return f"{moved.name}: {moved.what} {before} → {after}{when}{why}"


def moved_values(moved: Moved) -> tuple[str, str]:
    """Before and after."""
    before, after = (_moved_value(moved, value) for value in (moved.before, moved.after))
    return before, after


def _moved_value(moved: Moved, value: float) -> str:
    if moved.unit == "USD/s":
        return show(value, "USD/s")
    return f"{value:,.0f}" if moved.what == "chips" else amount(value, moved.unit)


def clash_words(found: Clash, command: str = "") -> str:
    """Which promises cannot all be kept, and what is short."""
    many = len(found.promises)
    first = (
        "this promise cannot be kept"
        if many == 1
        else f"these {many} promises cannot all be kept, though without any one of them they can"
    )
    blocks = [
        f"not feasible: {first}",
        *(_line("promised", promise) for promise in found.promises),
        *(_line("lacks", words) for words in found.lacks),
        *(_line("short", words) for words in _some(found.short)),
        _line("hint", "lower one of these floors, move its dates, or add what is short"),
    ]
    return "\n".join(blocks) + "\n"


def _some(words: Sequence[str]) -> Sequence[str]:
    return words[:4]
