"""A forecast held against what others counted for the same quarter or year."""

from __future__ import annotations

from collections.abc import Sequence

from eke.catalog.forecast_anchors import Anchor, anchors
from eke.catalog.sources import source
from eke.types.forecast import Held, Quarter

WORDS = {  # what of the forecast is held against what
    "chips": ("wanted, as H100s", "sold in the world"),
    "standing": ("there, as H100s", "sold in the world"),
    "energy": ("electricity in a year", "of all data centres"),
    "capex": ("to buy in a year", "spent by hyperscalers"),
    "tokens": ("tokens", "processed by Google"),
    "asks": ("asks", "sent to ChatGPT"),
}


def held(quarters: Sequence[Quarter]) -> tuple[Held, ...]:
    """Every figure for which there is one to hold it against, by time."""
    found = []
    for anchor in anchors():
        during = [each for each in quarters if each.name.startswith(anchor.when)]
        if during:
            found += [_held(anchor, what, own) for what, own in _own(anchor, during).items()]
    return tuple(sorted(found, key=lambda each: (each.quarter[:4], each.what, each.quarter)))


def _held(anchor: Anchor, what: str, own: float) -> Held:
    return Held(
        quarter=anchor.when,
        what=WORDS[what][0],
        own=own,
        theirs=anchor.value,
        unit=anchor.unit,
        against=WORDS[what][1],
        ratio=own / anchor.value.likely,
        who=source(anchor.source).title.split(",")[0].split(" (")[0],
        source=anchor.source,
        note=anchor.note,
    )


def _own(anchor: Anchor, during: Sequence[Quarter]) -> dict[str, float]:
    """The forecast's own figures of that time; of a year begun, as if it went on so."""
    count = len(during)
    if anchor.what == "chips":
        own = {"chips": during[-1].h100.likely}
        standing = during[-1].h100_supply
        return own | ({"standing": standing.likely} if standing is not None else {})
    if anchor.what == "energy":
        return {"energy": sum(each.energy.likely for each in during) * 4 / count}
    if anchor.what == "capex":
        spent = [each.buying.likely for each in during if each.buying is not None]
        return {"capex": sum(spent) * 4 / count} if spent else {}
    found = getattr(during[-1], anchor.what).likely
    return {anchor.what: found} if found > 0 else {}
