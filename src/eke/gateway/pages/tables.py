"""Tables of a gateway's state."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from eke.gateway.seeing.states import BudgetState, EngineState, QueueState, Reason, TenantState
from eke.units import show

Row = Sequence[str]  # cells that are HTML already; the first is the row's head


def table(key: str, heads: Sequence[str], rows: Sequence[Row], none: str) -> str:
    """A table that scrolls by itself where it is too wide. none: what it says without rows.

    heads: of columns; one that begins with "!" has words in its cells and not numbers.
    """
    words = [head.startswith("!") for head in heads]
    head = "".join(
        f'<th scope="col"{_kind(wordy)}>{escape(each.removeprefix("!"))}</th>'
        for each, wordy in zip(heads, words, strict=True)
    )
    body = "".join(
        f'<tr><th scope="row">{row[0]}</th>'
        + "".join(
            f"<td{_kind(wordy)}>{cell}</td>" for cell, wordy in zip(row[1:], words[1:], strict=True)
        )
        + "</tr>"
        for row in rows
    )
    if not rows:
        body = f'<tr><td class="none" colspan="{len(heads)}">{escape(none)}</td></tr>'
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-labelledby="h-{key}"><table>'
        f'<thead><tr>{head}</tr></thead><tbody id="{key}" data-live>{body}</tbody></table></div>'
    )


def engines(states: Sequence[EngineState], admin: bool) -> str:
    """One line per engine."""
    heads = ["engine", "!takes requests", "running", "places", "in its own queue", "cache"]
    heads += ["pace", "busy", "answered"]
    heads += ["cost per hour", "energy"] if admin else []
    rows = []
    for each in states:
        row = [escape(each.name), _alive(each), str(each.running), str(each.limit)]
        row += [str(each.inside), percent(each.cache), _or_none(each.pace, "s")]
        row += [percent(each.busy), count(each.finished)]
        if admin:
            hourly = None if each.rate is None else each.rate * 3600
            row += [_or_none(hourly, "USD"), _or_none(each.energy, "J")]
        rows.append(row)
    return table("engines", heads, rows, "no engines are configured")


def queues(states: Sequence[QueueState], admin: bool) -> str:
    """One line per tier, and tenant for the administration."""
    heads = ["tier", *(["!tenant"] if admin else []), "waiting", "the first for", "!models"]
    rows = [
        [
            escape(each.tier),
            *([escape(each.tenant)] if admin else []),
            count(each.waiting),
            show(each.oldest, "s"),
            escape(each.models),
        ]
        for each in states
    ]
    return table("queues", heads, rows, "nobody waits")


def tenants(states: Sequence[TenantState]) -> str:
    """One line per tenant."""
    heads = ["tenant", "running", "waiting", "share of tokens", "by weight", "weight"]
    heads += ["sure of", "at most", "context", "!left of its limits"]
    rows = [
        [
            escape(each.name) + (f" <small>{escape(each.group)}</small>" if each.group else ""),
            count(each.running),
            count(each.waiting),
            percent(each.share),
            percent(each.due),
            f"{each.weight:g}",
            percent(each.floor),
            percent(each.ceiling),
            "" if each.context is None else count(each.context),
            "<br>".join(_budget(budget) for budget in each.budgets),
        ]
        for each in states
    ]
    return table("tenants", heads, rows, "nobody asked yet")


def reasons(states: Sequence[Reason]) -> str:
    """One line per reason."""
    rows = [[escape(each.reason), escape(each.outcome), count(each.count)] for each in states]
    return table(
        "reasons",
        ["why", "!what became of it", "requests"],
        rows,
        "every admitted request was answered",
    )


def percent(share: float | None) -> str:
    """A share; nothing for None."""
    return "" if share is None else f"{100 * share:.3g} %"


def count(number: float) -> str:
    """A number of things."""
    return f"{number:,.0f}" if number < 1e5 else show(float(number))


def _alive(engine: EngineState) -> str:
    words = "yes" if engine.alive else ("no, it drains" if engine.draining else "no")
    if engine.trouble:
        words += f": {engine.trouble}"
    kind = ' class="bad"' if not engine.alive else ""
    return f"<span{kind}>{escape(words)}</span>"


def _budget(budget: BudgetState) -> str:
    again = (
        f"<small>whole again in {escape(show(budget.again, 's'))}</small>" if budget.again else ""
    )
    share = budget.left / budget.amount if budget.amount else 0.0
    kind = ' class="bad"' if share < 0.05 else ""
    left = f"{percent(share)} of {budget.text}"
    return f"<span{kind}>{escape(left)}</span>{again}"


def _or_none(value: float | None, unit: str) -> str:
    return "" if value is None else escape(show(value, unit))


def _kind(words: bool) -> str:
    return ' class="words"' if words else ""
