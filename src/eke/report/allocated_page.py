"""Who gets which chips as a page: charts over dates, prices, what is refused, what moves."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np

from eke.report.allocated import (
    grounds_words,
    headline,
    moved_values,
    prices_words,
    signed,
    takes_words,
)
from eke.report.allocated_figures import (
    CENT,
    MOST,
    OTHERS,
    Times,
    capacity,
    chips_by_use,
    inks,
    line_figures,
    mean,
    money_figures,
    pool_figures,
    power_figures,
    price_figures,
    ranked_pools,
    times,
)
from eke.report.allocated_lines import LINES, bar_figures, lines_table, rows_of, said_table
from eke.report.areas import ink_key
from eke.report.charts import short
from eke.report.document import document
from eke.report.footer import footer
from eke.report.html import STORY, Cell, listed, section, sentence, table, unbroken
from eke.report.words import plan_words
from eke.types.record import replace
from eke.types.share import Allocation, Difference, Moved, PoolShare, Share
from eke.units import show

LACKING = 12  # promises told


def allocated_page(found: Allocation, moved: Difference | None, command: str) -> str:
    """The page as text. moved: since another answer, if there is one.  command: what made it."""
    at = times(found)
    rows = rows_of(found)
    blocks = [
        f"<h1>{escape(short(found.name, 300))}</h1>",
        f'<p class="lead">{escape(sentence(headline(found)))}.</p>',
        f'<p class="promise">{escape(sentence(takes_words(found)))}.</p>',
        _lacking(found.lacking),
        _key(found),
        _chips(found, at),
        _pools(found),
        _worth(found, at),
        section("What is asked and what is done", ASKED, bar_figures(rows) if rows else []),
        lines_table(found, rows) if rows else "",
        section("Where more is asked than done", OVER, line_figures(found, at)),
        _difference("If deliveries come later", found.slip),
        _difference("What moved", moved),
        section("Power and money", SITES, [*power_figures(found, at), *money_figures(found, at)]),
        _footer(found, command),
    ]
    return document(found.name, blocks)


ASKED = "Of every line, all that it asks for over the whole time. Colours say what becomes of it."
OVER = "The lines that lose most by what is refused, or still waits at the end, the most first."
SITES = "Dashed are caps, and the budget where more than a tenth of it is spent."


def _lacking(promises: Sequence[str]) -> str:
    """Promises that whole replicas cannot keep to the last."""
    told = list(promises[:LACKING])
    if len(promises) > LACKING:
        told.append(f"and {len(promises) - LACKING} more")
    return listed("Promises not kept to the last", [short(each, STORY) for each in told])


def _key(found: Allocation) -> str:
    """Which colour is which use, and how many chips it has."""
    held = chips_by_use(found)
    own, number = inks(held), len(found.dates)
    sums = {use: sum(float(v.sum()) for v in pools.values()) for use, pools in held.items()}
    names = [(f"{short(use, 60)}: {_counted(sums[use] / number)}", ink) for use, ink in own.items()]
    rest = [use for use in sums if use not in own and sums[use] > 0]
    if rest:
        chips = sum(sums[use] for use in rest) / number
        names.append((f"{len(rest)} other uses: {_counted(chips)}", OTHERS))
    return ink_key(names) if len(names) > 1 else ""


def _counted(number: float) -> str:
    return f"{number:,.0f} chips" if number >= 0.5 else "less than a chip"


def _chips(found: Allocation, at: Times) -> str:
    """Charts of the pools at work."""
    title, figures = "Who has the chips", pool_figures(found, at)
    if not figures:
        return _only(title, "No chip is at work.")
    return section(title, _chips_said(found, at), figures)


def _only(title: str, words: str) -> str:
    """A section without charts."""
    return f"<section><h2>{escape(title)}</h2><p>{escape(words)}</p></section>"


def _chips_said(found: Allocation, at: Times) -> str:
    """What the charts of pools show, and which of them are left out."""
    working = [pool for pool in found.pools if mean(pool.used) > 1e-6]
    words = "Chips at work on average over the day, by use; dashed is what is there and rented."
    if len(working) > MOST:
        words += (
            f" Drawn are the {MOST} of {len(working)} pools at work whose chips are worth most, "
            "by price and number; the table has all."
        )
    if (many := int(at.counts.max())) > 1:
        words += f" Charts over time show means of {many} periods."
    return words


# pools


POOLS = ("", "chip", "there", "rented", "at work", "at the fullest", "one more", "at most", "from")


def _pools(found: Allocation) -> str:
    """Every pool, the one worth most first; the last of very many are one row."""
    ranked = ranked_pools(found)
    rows = [_pool_cells(found, pool) for pool in ranked[:LINES]]
    if rest := ranked[LINES:]:
        rows.append(_together(rest))
    return said_table(POOLS, rows, "pools")


def _pool_cells(found: Allocation, pool: PoolShare) -> tuple[str, ...]:
    have, most = float(capacity(pool).mean()), max(pool.price)
    used, full = (f"{mean(each) / have:.0%}" if have else "" for each in (pool.used, pool.peak))
    if most <= CENT:
        worth = ("nothing", "", "")
    else:
        when = found.dates[pool.price.index(most)]
        worth = (show(mean(pool.price), "USD/s"), show(most, "USD/s"), when)
    return (pool.pool, pool.chip, *_counts([pool]), used, full, *worth)


def _counts(pools: Sequence[PoolShare]) -> tuple[str, str]:
    """Chips there and rented, on average."""
    there, rented = (
        f"{sum(mean(getattr(pool, name)) for pool in pools):,.0f}" for name in ("there", "rented")
    )
    return there, rented


def _together(pools: Sequence[PoolShare]) -> tuple[str, ...]:
    have = sum(float(capacity(pool).mean()) for pool in pools)
    used = sum(mean(pool.used) for pool in pools)
    return (
        f"and {len(pools)} more",
        "",
        *_counts(pools),
        f"{used / have:.0%}" if have else "",
        *("",) * 4,
    )


def _worth(found: Allocation, at: Times) -> str:
    """Shadow prices as charts; those of sites and money in words too."""
    title, figures = "What one more is worth", price_figures(found, at)
    if not figures:
        return _only(title, "Nothing: there is enough of everything.")
    words = "How much more value one more would bring, beyond what it costs to run, by period."
    enough = [short(pool.pool, 40) for pool in found.pools if max(pool.price) <= CENT]
    if enough:
        more = f" and {len(enough) - MOST} more" if len(enough) > MOST else ""
        words += f" There are enough chips of {', '.join(enough[:MOST])}{more}."
    others = [said for _, said in prices_words(replace(found, pools=()))]
    said = "".join(f"<li>{escape(unbroken(short(each, STORY)))}</li>" for each in others[:LINES])
    return section(title, words, figures) + (f"<ul>{said}</ul>" if said else "")


# what moves


MOVES = ("", "what", "before", "after", "first from", Cell(words="why", style="why"))
FIELDS = ("field", "before", "after")


def _difference(title: str, found: Difference | None) -> str:
    """Another answer: how much it is worth, which fields differ, what moves."""
    if found is None:
        return ""
    change = found.value_after - found.value_before
    named = f"{found.title}: " if found.title.lower() not in ("", title.lower()) else ""
    words = f"{named}{signed(change)} of value"
    if found.expected is not None:
        words += f"; by the shadow prices alone it would be {signed(found.expected)}"
    values = (show(found.value_before, "USD"), show(found.value_after, "USD"))
    first = Moved(name="everything", what="value", before=0.0, after=0.0, unit="USD", first="")
    rows = [_move_cells(first, values), *(_move_cells(m, moved_values(m)) for m in found.moved)]
    fields = [(short(at, 60), before, after) for at, before, after in found.changes]
    tables = [table(FIELDS, fields[:LINES], "fields changed")] if fields else []
    tables.append(said_table(MOVES, rows, "what moves"))
    return (
        f"<section><h2>{escape(title)}</h2><p>{escape(sentence(short(words, STORY)))}.</p>"
        f'<div class="tables">{"".join(tables)}</div></section>'
    )


def _move_cells(moved: Moved, values: tuple[str, str]) -> list[Cell | str]:
    why = Cell(words=moved.why, style="words why")
    return [moved.name, moved.what, *values, moved.first, why]


# the end


PLANS: tuple[Cell | str, ...] = (
    *("", "on", "chips, mean"),
    *(Cell(words=each, style="why") for each in ("as", "gives up")),
)


def _footer(found: Allocation, command: str) -> str:
    """How the work is done, what that rests on, and what made the page."""
    before = [_plans(found), listed("Grounds", [grounds_words(found)])]
    return footer(before, found.notes, (), lambda value, of: "", command)


def _plans(found: Allocation) -> str:
    """How each line is done on each pool; the least of very many are one row."""
    ranked = sorted(found.shares, key=lambda share: -sum(share.chips))
    ranked = [share for share in ranked if sum(share.chips) > 0]
    if not ranked:
        return ""
    rows = [_plan_cells(share) for share in ranked[:LINES]]
    if rest := ranked[LINES:]:
        chips = sum(float(np.mean(share.chips)) for share in rest)
        rows.append([f"and {len(rest)} more", "", _mean_chips(chips), "", ""])
    return f"<h2>How it is done</h2>{said_table(PLANS, rows, 'ways')}"


def _plan_cells(share: Share) -> list[Cell | str]:
    name = f"{share.use}: {share.line}" if share.line else share.use
    way = plan_words(share.plan) if share.plan is not None else "as the file says"
    lesser = f"{share.way} (keeps {100 * share.keeps:.3g} %)" if share.keeps < 1 else ""
    words = [Cell(words=each, style="words why") for each in (way, lesser)]
    return [name, share.pool, _mean_chips(float(np.mean(share.chips))), *words]


def _mean_chips(chips: float) -> str:
    return f"{chips:,.0f}" if chips >= 10 else f"{chips:.2g}"
