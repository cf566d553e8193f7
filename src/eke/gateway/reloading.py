"""A changed configuration, taken over while requests are under way."""

from __future__ import annotations

from collections.abc import Iterable

from eke.gateway.engines.engine import Engine
from eke.gateway.gateway import Gateway
from eke.gateway.settings import EngineSettings, Settings
from eke.gateway.shares import check
from eke.gateway.tenant_tables import distinct
from eke.gateway.tenants import together
from eke.types.record import fields, replace

FIXED = (  # only a restart changes them
    *("host", "port", "admin", "state", "record"),
    *("log", "log_form", "log_file", "traces"),
)
SECRET = ("state", "traces")  # addresses that may have a password in them
TOLD = ("engines", "policy", *FIXED)  # in words of their own


def reload(gateway: Gateway, new: Settings) -> tuple[list[Engine], list[str]]:
    """Take over new settings. Engines that are new, to be looked at, and what changed, in words.

    Engines that are gone get nothing new and are forgotten when they are empty. Those waiting wait
    on under the new policy in the order it gives them. An administration that the new settings do
    not have is served on, under its key.
    """
    everybody = together(new.tenants, gateway.members).values()
    distinct(everybody)
    check(new.policy, everybody)
    old = gateway.settings
    fixed = {name: getattr(old, name) for name in FIXED}
    said = [
        f"{name} stays {'as it is' if name in SECRET else repr(value)}"
        for name, value in fixed.items()
        if _differs(name, old, new)
    ]
    new = replace(new, **fixed, admin_key=new.admin_key or old.admin_key)
    said += [
        f"{name} changed" for name in fields(new) if name not in TOLD and _differs(name, old, new)
    ]
    added = _engines(gateway, new, said)
    if gateway.take_over(new, gateway.members):
        said.append(f"policy {new.policy}")
    return added, said


def newest(engines: Iterable[Engine]) -> list[Engine]:
    """One of each name: one that moved is empty soon, and the new one is what is meant."""
    return list({engine.name: engine for engine in engines}.values())


def _differs(name: str, old: Settings, new: Settings) -> bool:
    """Whether two settings differ in a field."""
    return bool(getattr(old, name) != getattr(new, name))


def _engines(gateway: Gateway, new: Settings, said: list[str]) -> list[Engine]:
    """Bring engines to what the settings say; those that are new."""
    wanted = {each.name: each for each in new.engines}
    here = {each.name: each for each in gateway.engines.values() if not each.draining}
    for name, engine in here.items():
        if name not in wanted or _moved(engine.settings, wanted[name]):
            engine.draining = True
            said.append(f"engine {name} drains")
        elif engine.change(wanted[name], new.patience):
            said.append(f"engine {name} changed")
    added = []
    for name, settings in wanted.items():
        if name not in here or here[name].draining:
            engine = gateway.add_engine(settings)
            engine.resting = name in here and here[name].resting
            added.append(engine)
            said.append(f"engine {name} is new")
    return added


def _moved(old: EngineSettings, new: EngineSettings) -> bool:
    """Whether it is another engine under the same name."""
    return (old.url, old.key, old.models) != (new.url, new.key, new.models)
