"""A chosen plan in words: what it takes, why it was chosen, and what would change the choice."""

from __future__ import annotations

from eke.report.text import entry, table
from eke.report.words import headline, layout, plan_words, shown_unit, spread
from eke.types.goal import Bind, Goal, Kept, Planned, Rival, Turn
from eke.types.need import Need
from eke.units import show

FIGURES: tuple[str, ...] = (
    *("memory", "time", "energy", "carbon", "money", "cost_per_million_tokens", "ttft", "tpot"),
    *("rate_most", "utilisation", "step_time", "mfu", "goodput", "chip_time"),
    *("rollout", "scoring", "update"),
)
BASIC = {"memory": "B", "time": "s", "energy": "J", "money": "USD"}
PER = {"USD/s": "USD/h"}


def planned_words(found: Planned, command: str, started: str = "") -> str:
    """The whole answer as text. command: the user's own words.  started: how to start what was
    written, where something was."""
    need = found.need
    who = f"least {goal_words(found.goal)} of {found.considered:,} plans"
    blocks = [
        headline(need),
        layout(need.plan, who, need.job),
        _figures(need),
        *(_kept(kept) for kept in found.kept),
        _bottleneck(found),
        *(_bind(bind, found.goal) for bind in found.binds),
        _rivals(found),
        *(_turn(turn) for turn in found.turns),
        *(entry("note", remark) for remark in (*need.remarks, *found.remarks)),
        entry("next", started or next_words(found, command)),
    ]
    return "\n".join(block for block in blocks if block) + "\n"


def goal_words(goal: Goal) -> str:
    """What is least, within what."""
    words = [goal.least.replace("_", " ")]
    if goal.headroom:
        words.append(f"with {goal.headroom:.0%} of memory free")
    if goal.sure > 0.5:
        words.append(f"{share(goal.sure)} sure")
    return ", ".join(words)


def share(part: float) -> str:
    """A share in percent, which is no 100 % while anything is missing."""
    text = f"{part:.0%}"
    if text == "100%" and part < 1:
        return f"{100 * part:.4g}%" if part < 0.9999 else "over 99.99%"
    return text


def _figures(need: Need) -> str:
    rows = []
    for name in FIGURES:
        if name in BASIC:
            span, unit, means = getattr(need, name), BASIC[name], ""
        elif name in need.figures:
            figure = need.figures[name]
            span, unit, means = figure.span, shown_unit(name, figure.unit), figure.means
        else:
            continue
        if span is not None:
            rows.append((name.replace("_", " "), spread(span, unit), means))
    return table(rows, indent="  ")


def _kept(kept: Kept) -> str:
    need = spread(kept.need, kept.unit)
    have = f"{kept.have:.0%}" if kept.unit == "%" else show(kept.have, kept.unit)
    return entry("kept", f"{kept.limit} {need} of {have}, with a chance of {share(kept.chance)}")


def _bottleneck(found: Planned) -> str:
    of = "a token" if found.need.job == "serve" else "the job"
    words = [f"{name} {share:.0%}" for name, share in found.bottleneck.items() if share >= 0.005]
    return entry("limited", f"by {', '.join(words)} of the time of {of}")


def _bind(bind: Bind, goal: Goal) -> str:
    change = bind.change
    now, at = show(change.now, change.unit), show(change.at, change.unit)
    return entry(
        "binds",
        f"{change.name}: at {at} instead of {now} {plan_words(change.plan)} would take "
        f"{1 - bind.factor:.0%} less {goal.least}",
    )


def _rivals(found: Planned) -> str:
    if not found.rivals:
        return ""
    rows = [_rival(rival, found) for rival in found.rivals]
    head = ("instead", f"more {found.goal.least.replace('_', ' ')}", "", "")
    return table(rows, head=head)


def _rival(rival: Rival, found: Planned) -> tuple[str, ...]:
    sure = "" if rival.told_apart else "cannot be told apart"
    shown = [
        f"{name} {show(rival.figures[name], 's')}"
        for name in (("ttft", "tpot") if found.need.job == "serve" else ("step_time",))
        if name in rival.figures
    ]
    low, likely, high = (_more(x) for x in (rival.loses.low, rival.loses.likely, rival.loses.high))
    more = f"{likely} %" if low == high else f"{likely} % ({low} – {high})"
    return (plan_words(rival.plan), more, ", ".join(shown), sure)


def _more(factor: float) -> str:
    """A factor as the percent it adds."""
    added = 100 * (factor - 1)
    return f"{added:+.0f}" if abs(added) >= 9.5 else f"{added:+.2g}"


def _turn(turn: Turn) -> str:
    unit = PER.get(turn.unit, turn.unit)
    hours = 3600.0 if turn.unit == "USD/s" else 1.0
    now, at = (
        f"{x * hours:.3g} {unit}" if hours > 1 else show(x, unit) for x in (turn.now, turn.at)
    )
    if turn.unit == "USD/s":
        text = f"{turn.name} down to {at} from {now}: {plan_words(turn.plan)} costs no more"
    else:
        text = f"{turn.name} tighter than {at} (now {now}): {plan_words(turn.plan)} takes over"
    return entry("turns", text)


def next_words(found: Planned, command: str) -> str:
    """How to start it."""
    engine = {"serve": "vllm", "train": "megatron", "tune": "trl", "align": "verl"}
    return f"{command} --write {engine[found.need.job]}"
