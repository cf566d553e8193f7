"""Names in the settings that nothing bears."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from eke.errors import BadInput, closest
from eke.gateway.settings import Settings
from eke.gateway.tenants import Tenants


def check_models(settings: Settings) -> None:
    """Refuse a name of a model that no engine serves, where all engines are told which they serve.
    Raises BadInput."""
    known: set[str] = set()
    for engine in settings.engines:
        if engine.models is None:
            return
        known |= engine.models.keys()
    for where, name in _models(settings):
        if name not in known:
            raise BadInput(f"{where}: no engine serves {name!r:.60}{_near(name, known)}.")


def unknown_tiers(settings: Settings, tenants: Tenants) -> list[str]:
    """Which names in [tiers] are neither a tenant's nor a group's, in words. Where no tenant has a
    name, anybody's key may be one."""
    there = tenants.by_name.values()
    known = {"all", *(each.name for each in there), *(each.group for each in there)}
    called = dict.fromkeys(name for whose in settings.contexts.values() for name in whose)
    return [
        f"[tiers]: no tenant or group is called {name!r:.60}{_near(name, known)}"
        for name in (called if there else ())
        if name not in known
    ]


def _models(settings: Settings) -> Iterator[tuple[str, str]]:
    """Where a model is named, and its name."""
    for model in settings.models:
        if model.smaller is not None:
            yield f"[models.{model.name}] smaller", model.smaller
    for tenant in settings.tenants:
        for name in tenant.models or ():
            yield f"[tenants.{tenant.name}] models", name


def _near(name: str, known: Iterable[str]) -> str:
    near = closest(name, [each for each in known if each])
    return f"; closest: {near}" if near else ""
