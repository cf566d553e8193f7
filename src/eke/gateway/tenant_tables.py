"""Tables of tenants, of gateway.toml or of the administration, as settings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import inf

from eke.errors import BadInput
from eke.gateway.limits import limits_of
from eke.gateway.said import amount, key_from, share
from eke.gateway.settings import Tenant, TenantFile
from eke.gateway.state.sealing import sealer
from eke.gateway.tenants import hashed


def tenant_of(name: str, file: TenantFile, environment: Mapping[str, str]) -> Tenant:
    """A tenant of a file's table, or of the administration. Raises BadInput."""
    if not name.strip() or not name.isprintable():
        raise BadInput(f"{name!r:.60} is no name of a tenant: write characters that can be seen.")
    where = f"[tenants.{name}]"
    if not 0 < file.weight < inf:
        raise BadInput(f"{where} weight = {file.weight:g}: it must be a number above 0.")
    names = [file.key_env] if isinstance(file.key_env, str) else file.key_env
    keys = [_hash(where, key) for key in file.keys]
    keys += [hashed(key_from(where, each, environment)) for each in names if each]
    ceiling = share(f"{where} ceiling", file.ceiling)
    if ceiling == 0:
        raise BadInput(
            f"{where} ceiling = {file.ceiling!r:.60}: with nothing it would wait for ever; leave "
            "ceiling out, or give it models = [] to answer nothing."
        )
    tiers = tuple(file.service_tiers) or Tenant(name="").tiers
    if unknown := set(tiers) - {"default", "priority", "flex"}:
        raise BadInput(f"{where} service_tiers: {unknown.pop()!r} is none; default, priority, flex")
    if file.seal_env:
        sealer(file.seal_env, environment.get(file.seal_env, ""))
    return Tenant(
        name=name,
        keys=tuple(keys),
        key_env=tuple(each for each in names if each),
        group=file.group,
        weight=file.weight,
        floor=share(f"{where} floor", file.floor),
        ceiling=ceiling,
        context=amount(f"{where} context", file.context, "token") if file.context else inf,
        tiers=tiers,
        limits=limits_of(file.limits, where),
        models=None if file.models is None else tuple(file.models),
        store=file.store,
        retention=amount(f"{where} retention", file.retention, "s"),
        seal=file.seal_env,
        said=file,
    )


def distinct(tenants: Iterable[Tenant]) -> None:
    """Refuse a key that two tenants have."""
    owner: dict[str, str] = {}
    for tenant in tenants:
        for key in tenant.keys:
            if owner.setdefault(key, tenant.name) != tenant.name:
                raise BadInput(
                    f"[tenants.{tenant.name}] has a key that [tenants.{owner[key]}] has too; give "
                    "each its own."
                )


def _hash(where: str, key: str) -> str:
    """A key as it is kept. In a file it is only its hash."""
    kind, _, digest = key.partition(":")
    if kind != "sha256" or len(digest) != 64 or set(digest) - set("0123456789abcdef"):
        raise BadInput(
            f"{where} keys: write each as sha256:HEX, never the key itself; `eke serve key NAME` "
            "makes one. A key in an environment variable goes into key_env."
        )
    return digest
