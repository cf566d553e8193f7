"""The status page: who waits, for whom the engines work, and what they cost."""

from __future__ import annotations

from html import escape
from time import gmtime, strftime

from eke.gateway.pages import tables
from eke.gateway.pages.charts import Line, chart
from eke.gateway.pages.document import document
from eke.gateway.seeing.histogram import FINE
from eke.gateway.seeing.history import MINUTE, History
from eke.gateway.seeing.states import Status, TierState, Totals, Waits
from eke.units import show

TITLE = "eke gateway"


def page(status: Status, history: History) -> bytes:
    """The whole page as it is first sent."""
    return document(TITLE, body(status, history))


def body(status: Status, history: History) -> str:
    """What is in it, and is brought up to date every second."""
    admin = status.tenants is not None
    parts = [
        f"<h1>{TITLE}</h1>",
        f'<p class="lead" id="lead" data-live>{escape(lead(status))}</p>',
        f'<p class="about"><span id="about" data-live>{escape(_about(status))}</span> '
        '<span id="late" role="status"></span></p>',
        f'<div class="figures">{"".join(_charts(status.totals, history))}</div>',
    ]
    queues = _section("queues", "Who waits", "", tables.queues(status.queues, admin))
    parts.append(_pair(queues, _section("policy", "Rules", "", _rules(status))))
    if status.tenants is not None:
        words = (
            "Share of the tokens of about the last two minutes, those of answers counted twice, "
            "and what it would be by weight among those who asked."
        )
        parts.append(_section("tenants", "Tenants", words, tables.tenants(status.tenants)))
    parts += [
        _section("engines", "Engines", "", tables.engines(status.engines, admin)),
        _pair(
            _section("reasons", "Not answered", "", tables.reasons(status.reasons)),
            _section("used", "Used so far", "", _used(status.totals)),
        ),
        f'<footer><p id="process" data-live>{escape(_process(status))}</p></footer>',
    ]
    return "\n".join(parts)


def lead(status: Status) -> str:
    """The state in a sentence."""
    totals = status.totals
    alive = sum(engine.alive for engine in status.engines)
    if not alive:
        waits = f"; {_requests(totals.waiting)} wait" if totals.waiting else ""
        return f"No engine takes requests{waits}."
    words = f"{_rate(totals.per_second)} requests answered a second, {totals.running} under way"
    words += f", {tables.count(totals.waiting)} waiting" if totals.waiting else ", nobody waits"
    if totals.first.median is not None:
        words += f"; the first token comes after {_after(totals.first.median)}"
        words += _slowest(totals.first)
    return words + "."


def _slowest(waits: Waits) -> str:
    return "" if waits.p95 is None else f", for one in twenty after {_after(waits.p95)}"


def _about(status: Status) -> str:
    time = strftime("%H:%M:%S", gmtime(status.at))
    alive = sum(engine.alive for engine in status.engines)
    words = f"As of {time} UTC. {alive} of {len(status.engines)} engines take requests"
    slow = "" if status.lag < 0.05 else f"; the gateway itself is late by {show(status.lag, 's')}"
    words += slow + ("; it is closing." if status.closing else ".")
    return words + (
        f" What is to be kept is not stored: {status.trouble}." if status.trouble else ""
    )


def _charts(totals: Totals, history: History) -> list[str]:
    """Six small ones; beside the names of their lines stands what the first sentence says."""
    return [
        chart(
            "rate",
            "Requests per second",
            [_lately(history, "answered", "finished"), _lately(history, "refused", "refused")],
            _rate,
        ),
        chart(
            "first",
            "Time to first token",
            _within(history, "first"),
            _time,
        ),
        chart(
            "wait",
            "Wait in the queue",
            _within(history, "wait"),
            _time,
        ),
        chart(
            "there",
            "Requests there",
            [
                Line("at engines", history.rates("running"), tables.count(totals.running)),
                Line("waiting", history.rates("waiting"), tables.count(totals.waiting)),
            ],
            tables.count,
        ),
        chart("tokens", "Tokens per second", [_lately(history, "of answers", "answer")], _rate),
        chart("lag", "How late the gateway is", [Line("at most", history.most("lag"))], _time),
    ]


def _lately(history: History, words: str, name: str) -> Line:
    """How much there was per second; beside its name of the last minute."""
    return Line(words, history.rates(name), _rate(history.lately(name)))


def _within(history: History, name: str) -> list[Line]:
    """How long half of them took, and 95 %; beside their names of the last minute."""
    found = []
    for words, share in (("half within", 0.5), ("95 % within", 0.95)):
        now = history.percentile(name, share, MINUTE)
        told = "none" if now is None else _after(now)
        found.append(Line(words, history.percentiles(name, share), told))
    return found


def _section(key: str, title: str, words: str, inside: str) -> str:
    about = f"<p>{escape(words)}</p>" if words else ""
    return f'<section><h2 id="h-{key}">{escape(title)}</h2>{about}{inside}</section>'


def _pair(one: str, other: str) -> str:
    """Two sections side by side where there is room."""
    return f'<div class="pair">{one}{other}</div>'


def _used(totals: Totals) -> str:
    """What all requests took, and what caches saved."""
    reuse = tables.percent(totals.cached / totals.prompt) if totals.prompt else "none"
    rows = [
        ("requests answered", tables.count(totals.finished)),
        ("refused", tables.count(totals.refused)),
        ("stopped by their clients", tables.count(totals.stopped)),
        ("failed", tables.count(totals.failed)),
        ("tokens of prompts", tables.count(totals.prompt)),
        ("of them from a cache", reuse),
        ("tokens of answers", tables.count(totals.answer)),
    ]
    if totals.seconds is not None and totals.energy is not None:
        rows += [
            ("time of accelerators", show(totals.seconds, "s")),
            ("energy", show(totals.energy, "J")),
        ]
    amounts = (
        ("cost of accelerators", totals.cost),
        ("charged", totals.charged),
        ("saved by caches", totals.saved),
    )
    rows += [(name, show(value, "USD")) for name, value in amounts if value is not None]
    return tables.table("used", ["what", "so far"], rows, "")


def _rules(status: Status) -> str:
    """The policy, and the context tiers, in words."""
    rules = "".join(f"<li>{escape(each)}</li>" for each in status.rules)
    tiers = "".join(f"<li>{escape(_tier(each))}</li>" for each in status.tiers)
    return f'<ul id="rules" data-live>{rules}{tiers}</ul>'


def _tier(tier: TierState) -> str:
    whose = f" for {', '.join(tier.whose)}" if tier.whose else ""
    return f"Contexts up to {tables.count(tier.context)} tokens{whose}."


def _process(status: Status) -> str:
    since = strftime("%Y-%m-%d %H:%M", gmtime(status.since))
    words = f"eke {status.version}, since {since} UTC; {show(status.memory, 'B')} of memory, "
    return words + f"{show(status.processor, 's')} of processor time."


def _requests(number: int) -> str:
    return f"{tables.count(number)} request{'' if number == 1 else 's'}"


def _rate(value: float) -> str:
    return f"{value:.3g}" if value < 1000 else tables.count(value)


def _time(value: float) -> str:
    return show(value, "s", 2)


def _after(value: float) -> str:
    """A time told from a histogram, which does not look closer than its first edge."""
    return "less than 1 ms" if value < FINE[0] else _time(value)
