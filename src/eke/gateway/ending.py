"""How a gateway ends, in words."""

from __future__ import annotations

from eke.gateway.gateway import Gateway


def ending(gateway: Gateway) -> str:
    """What a gateway that is to end waits for, in words."""
    patience, waits = gateway.settings.patience, []
    jobs = sum(engine.holder is not None for engine in gateway.engines.values())
    if calls := gateway.open_calls:
        requests = "1 request" if calls == 1 else f"{calls:,} requests"
        waits.append(f"{requests} under way, at most {patience.drain:g} s")
    if jobs:
        trainers = "1 trainer writes its" if jobs == 1 else f"{jobs} trainers write their"
        waits.append(f"{trainers} checkpoint, at most {patience.checkpoint:g} s")
    return f"ending: {'; '.join([*waits, 'again ends now'])}" if waits else "ending"
