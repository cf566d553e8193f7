"""Usage as CSV with the columns of FOCUS 1.2, for tools that read bills of any provider.

BilledCost is what a tenant is charged, ListCost what it would be without caches. Columns that begin
with x_ are eke's own: what the accelerators took. Source: FinOps Open Cost and Usage Specification,
version 1.2.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

import msgspec

from eke.gateway.seeing.usage import (
    HOUR,
    EngineTime,
    Group,
    Sums,
    whole_times,
    written,
)

COLUMNS = (
    *("BilledCost", "BillingAccountId", "BillingAccountName", "BillingCurrency"),
    *("BillingPeriodEnd", "BillingPeriodStart", "ChargeCategory", "ChargeClass"),
    *("ChargeDescription", "ChargeFrequency", "ChargePeriodEnd", "ChargePeriodStart"),
    *("ConsumedQuantity", "ConsumedUnit", "ContractedCost", "EffectiveCost"),
    *(
        "InvoiceId",
        "InvoiceIssuerName",
        "ListCost",
        "PricingCategory",
        "PricingQuantity",
        "PricingUnit",
    ),
    *("ProviderName", "PublisherName", "ResourceId", "ResourceName", "ResourceType"),
    *("ServiceCategory", "ServiceName", "ServiceSubcategory", "SkuId", "SkuMeter"),
    *("SubAccountId", "SubAccountName", "SubAccountType", "Tags"),
    *("x_AcceleratorCost", "x_AcceleratorSeconds", "x_EnergyJoules"),
)
METERS = {"prompt": "Input Tokens", "cached": "Cached Input Tokens", "answer": "Output Tokens"}
IDLE = "Idle Time of Engines"
LEFT = "Busy Time Without a Request That Is Over"


def focus(
    groups: Mapping[Group, Sums], times: Sequence[EngineTime] = (), provider: str = "eke"
) -> Iterator[str]:
    """The export, line by line. times: what engines' meters counted in the same time; with them
    two more lines say what no tenant is charged with.  provider: who sends the bill."""
    yield _line(COLUMNS)
    for group in sorted(groups):
        yield _line(_columns(_usage(group, groups[group]), provider))
    if times:
        since, until = min(each.since for each in times), max(each.until for each in times)
        for name, sums in zip((IDLE, LEFT), whole_times(times, groups), strict=True):
            yield _line(_columns(_no_tenant(name, sums, since, until), provider))


def _usage(group: Group, sums: Sums) -> dict[str, str]:
    """A line of what a tenant used."""
    meter = METERS[group.part]
    return {
        "ChargeDescription": f"{meter} of {group.model}, {group.kind}",
        **_period(group.hour, group.hour + HOUR),
        "ConsumedQuantity": str(sums.tokens),
        "ConsumedUnit": "Tokens",
        "PricingQuantity": str(sums.tokens),
        "PricingUnit": "Tokens",
        "ResourceId": group.model,
        "ResourceName": group.model,
        "ResourceType": "Model",
        "SkuId": f"{group.model}/{group.kind}/{group.part}",
        "SkuMeter": meter,
        "SubAccountId": group.tenant,
        "SubAccountName": group.tenant,
        "SubAccountType": "Tenant",
        "Tags": msgspec.json.encode({"kind": group.kind}).decode(),
        **_amounts(sums),
    }


def _no_tenant(name: str, sums: Sums, since: float, until: float) -> dict[str, str]:
    """A line of time that nobody is charged with."""
    seconds = written(sums.seconds)
    return {
        "ChargeDescription": name,
        **_period(since, until),
        "ConsumedQuantity": seconds,
        "ConsumedUnit": "Seconds",
        "PricingQuantity": seconds,
        "PricingUnit": "Seconds",
        "SkuId": "engines/idle" if name == IDLE else "engines/busy",
        "SkuMeter": name,
        **_amounts(sums),
    }


def _amounts(sums: Sums) -> dict[str, str]:
    charged = written(sums.charged)
    return {
        "BilledCost": charged,
        "EffectiveCost": charged,
        "ContractedCost": charged,
        "ListCost": written(sums.listed),
        "x_AcceleratorCost": written(sums.cost),
        "x_AcceleratorSeconds": written(sums.seconds),
        "x_EnergyJoules": written(sums.energy),
    }


def _period(since: float, until: float) -> dict[str, str]:
    """When it was used, and the calendar month it is billed in."""
    start = datetime.fromtimestamp(int(since), UTC)
    month = start.replace(day=1, hour=0, minute=0, second=0)
    after = month.replace(year=month.year + month.month // 12, month=month.month % 12 + 1)
    return {
        "BillingPeriodStart": _time(month),
        "BillingPeriodEnd": _time(after),
        "ChargePeriodStart": _time(start),
        "ChargePeriodEnd": _time(datetime.fromtimestamp(int(until), UTC)),
    }


def _columns(values: dict[str, str], provider: str) -> list[str]:
    """A line's columns, in order; nothing stands where there is no value."""
    fixed = {
        "BillingAccountId": provider,
        "BillingAccountName": provider,
        "BillingCurrency": "USD",
        "ChargeCategory": "Usage",
        "ChargeFrequency": "Usage-Based",
        "InvoiceIssuerName": provider,
        "PricingCategory": "Standard",
        "ProviderName": provider,
        "PublisherName": provider,
        "ServiceCategory": "AI and Machine Learning",
        "ServiceName": "Language Models",
        "ServiceSubcategory": "Generative AI",
        **values,
    }
    return [fixed.get(name, "") for name in COLUMNS]


def _line(values: Sequence[str]) -> str:
    file = io.StringIO()
    csv.writer(file, lineterminator="\r\n").writerow(values)
    return file.getvalue()


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
