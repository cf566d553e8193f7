"""The state of a gateway as one record."""

from __future__ import annotations

from collections import Counter
from math import inf
from typing import TYPE_CHECKING, Any

from eke.gateway.asked import CLASSES
from eke.gateway.engines.engine import Engine
from eke.gateway.row import FAILED, FINISHED, REFUSED, STOPPED
from eke.gateway.seeing.budgets import budgets
from eke.gateway.seeing.census import Census
from eke.gateway.seeing.history import MINUTE
from eke.gateway.seeing.labels import OTHER
from eke.gateway.seeing.policy_words import policy_words
from eke.gateway.seeing.process import memory, processor
from eke.gateway.seeing.states import (
    BudgetState,
    EngineState,
    QueueState,
    Reason,
    Status,
    TenantState,
    TierState,
    Totals,
    Waits,
)

if TYPE_CHECKING:
    from eke.gateway.seeing.seeing import Seeing

TIERS = {level: name for name, level in CLASSES.items()}
SHOWN = 50  # tenants that are listed


def status(seeing: Seeing, census: Census, admin: bool) -> Status:
    """The state now. admin: whether names of tenants and amounts of money may be in it."""
    gateway = seeing.gateway
    clock, settings = gateway.clock, gateway.settings
    return Status(
        at=clock.wall(),
        since=clock.wall(0.0),
        version=seeing.version,
        policy=settings.policy,
        rules=policy_words(settings.policy),
        closing=gateway.closing,
        totals=_totals(seeing, admin),
        queues=_queues(seeing, census, admin),
        engines=[_engine(each, clock.now(), admin) for each in gateway.engines.values()],
        reasons=[
            Reason(outcome=outcome, reason=reason, count=count)
            for (outcome, reason), count in seeing.meters.reasons.most_common()
        ],
        tiers=[
            TierState(context=context, whose=list(whose) if admin else [])
            for context, whose in sorted(settings.contexts.items())
        ],
        tenants=_tenants(seeing, census) if admin else None,
        lag=seeing.lag,
        memory=memory(),
        processor=processor(),
        trouble="" if gateway.keeper is None else _told(gateway.keeper.trouble, admin),
    )


def _told(trouble: str, admin: bool) -> str:
    """What is wrong; only that something is, to strangers."""
    return trouble if admin or not trouble else "in trouble"


def _totals(seeing: Seeing, admin: bool) -> Totals:
    whole, history, gateway = seeing.meters.total(), seeing.history, seeing.gateway
    counts = {name: seeing.meters.count(name) for name in (FINISHED, REFUSED, STOPPED, FAILED)}
    money = ("seconds", "energy", "cost", "charged", "saved")
    return Totals(
        per_second=history.lately("finished"),
        tokens_per_second=history.lately("answer"),
        waiting=sum(desk.waiting for desk in gateway.all_desks()),
        running=sum(engine.running for engine in gateway.engines.values()),
        first=_waits(seeing, "first"),
        wait=_waits(seeing, "wait"),
        **counts,
        prompt=whole.prompt,
        cached=whole.cached,
        answer=whole.answer,
        **({name: getattr(whole, name) for name in money} if admin else {}),
    )


def _waits(seeing: Seeing, name: str) -> Waits:
    history = seeing.history
    half, most = (history.percentile(name, share, MINUTE) for share in (0.5, 0.95))
    return Waits(median=half, p95=most)


def _queues(seeing: Seeing, census: Census, admin: bool) -> list[QueueState]:
    now = seeing.gateway.clock.now()
    lines: dict[tuple[str, int, str], tuple[int, float]] = {}
    shown = {name for name, _ in census.longest(SHOWN)} if admin else set()
    for line, queue in census.queues.items():
        tenant = "" if not admin else line.tenant if line.tenant in shown else OTHER
        key = (line.models, line.priority, tenant)
        count, since = lines.get(key, (0, now))
        lines[key] = count + queue.count, min(since, queue.since)
    return [
        QueueState(
            models=models,
            tier=TIERS.get(priority, f"class {priority}"),
            tenant=tenant,
            waiting=count,
            oldest=max(now - since, 0.0),
        )
        for (models, priority, tenant), (count, since) in sorted(lines.items())
    ]


def _engine(engine: Engine, now: float, admin: bool) -> EngineState:
    busy, idle = engine.meter.read(now)
    said = engine.settings
    troubled = not engine.alive or engine.breaker.failures > 0
    trouble = _told(engine.trouble if troubled else "", admin)
    return EngineState(
        name=engine.name,
        models=sorted(engine.models),
        alive=engine.alive,
        draining=engine.draining,
        limit=engine.slots,
        running=engine.running,
        inside=engine.inside,
        cache=engine.used if engine.metered else None,
        pace=engine.pace,
        busy=busy / (busy + idle) if busy + idle else 0.0,
        finished=engine.finished,
        failed=engine.failed,
        trouble=trouble,
        rate=said.rate if admin else None,
        energy=busy * said.power + idle * said.idle if admin else None,
    )


def _tenants(seeing: Seeing, census: Census) -> list[TenantState]:
    """Those with most to do, SHOWN of them at most."""
    running, waiting = Counter[str](), Counter[str]()
    of = seeing.meters.tenants.of
    for name, count in census.running.items():
        running[of(name)] += count
    for line, queue in census.queues.items():
        waiting[of(line.tenant)] += queue.count
    lately = {name: work.lately for name, work in seeing.meters.work.items()}
    known = seeing.gateway.tenants.by_name
    names = {*known, *running, *waiting, *lately}
    weights = {name: known[name].weight if name in known else 1.0 for name in names}
    active = sum(weights[name] for name in names if lately.get(name) or waiting[name])
    tokens = sum(lately.values())

    def order(name: str) -> tuple[float, float, str]:
        return -waiting[name] - running[name], -lately.get(name, 0.0), name

    left = _budgets(seeing)
    return [
        TenantState(
            name=name,
            running=running[name],
            waiting=waiting[name],
            weight=weights[name],
            share=lately.get(name, 0.0) / tokens if tokens else 0.0,
            due=weights[name] / active if lately.get(name) or waiting[name] else 0.0,
            budgets=left.get(name, []),
            **_said(seeing, name),
        )
        for name in sorted(names, key=order)[:SHOWN]
    ]


def _said(seeing: Seeing, name: str) -> dict[str, Any]:
    """What the configuration says of a tenant."""
    gateway = seeing.gateway
    tenant = gateway.tenants.by_name.get(name)
    if tenant is None:
        return {"group": "", "context": None, "floor": None, "ceiling": None}
    context = max((gateway.context(tenant, model) for model in gateway.names()), default=inf)
    return {
        "group": tenant.group,
        "context": None if context == inf else context,
        "floor": tenant.floor,
        "ceiling": tenant.ceiling,
    }


def _budgets(seeing: Seeing) -> dict[str, list[BudgetState]]:
    found: dict[str, list[BudgetState]] = {}
    wall = seeing.gateway.clock.wall()
    for each in budgets(seeing.gateway):
        left = max(each.limit.amount - each.used - each.reserved, 0.0)
        again = None if each.ends == inf else max(each.ends - wall, 0.0)
        limit = each.limit
        state = BudgetState(
            name=limit.name, text=limit.words, amount=limit.amount, left=left, again=again
        )
        found.setdefault(each.tenant, []).append(state)
    return found
