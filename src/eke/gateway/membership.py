"""Tenants and keys that are managed while the gateway runs."""

from __future__ import annotations

import os
from collections import defaultdict
from secrets import token_urlsafe

import msgspec

from eke.errors import BadInput
from eke.gateway.configuration import TenantFile, distinct, tenant_of
from eke.gateway.gateway import Gateway
from eke.gateway.settings import Tenant
from eke.gateway.shares import check
from eke.gateway.state import members
from eke.gateway.state.state import State
from eke.gateway.tenants import hashed, together
from eke.types.record import replace

PREFIX = "sk-eke-"


class Membership:
    """What the administration added, kept in the state and shared by all gateways."""

    def __init__(self, gateway: Gateway, state: State) -> None:
        self.gateway, self.state = gateway, state
        self._seen: object = None
        self._told: set[tuple[float, str]] = set()  # day, and key that was used on it

    async def refresh(self) -> None:
        """Take over what has changed, here or through another gateway. Raises StateError."""
        found = await self.state.read(members.members)
        keys: defaultdict[str, list[str]] = defaultdict(list)
        given = await self.keys()
        for key in given:
            if key.revoked is None:
                keys[key.tenant].append(key.hash)
        if (found, keys, bool(given)) == self._seen:
            return
        self._seen = found, keys, bool(given)
        self.gateway.keyed = self.gateway.keyed or bool(given)
        there = tuple(_member(each, keys[each.name]) for each in found)
        self.gateway.take_over(self.gateway.settings, there)

    async def used(self) -> None:
        """Note the keys that were used, each once a day. Raises StateError."""
        tenants, wall = self.gateway.tenants, self.gateway.clock.wall()
        came, tenants.used = tenants.used, set()
        today = {(wall // members.DAY, each) for each in came}
        if today - self._told:
            await self.state.write(members.used, came, wall)
        self._told = {each for each in self._told if each[0] == wall // members.DAY} | today

    async def put(self, name: str, file: TenantFile) -> Tenant:
        """Add a tenant or change it. Raises BadInput."""
        self._not_in_file(name)
        tenant = tenant_of(name, file, os.environ)
        others = [each for each in self.gateway.members if each.name != name]
        everybody = together(self.gateway.settings.tenants, [*others, tenant]).values()
        distinct(everybody)
        check(self.gateway.settings.policy, everybody)
        member = members.Member(name, msgspec.json.encode(file))
        await self.state.write(members.put, member)
        await self.refresh()
        return tenant

    async def new_key(self, tenant: str, name: str) -> str:
        """A new key of a tenant, which nobody can read again. Raises BadInput."""
        self._not_in_file(tenant)
        if not any(each.name == tenant for each in self.gateway.members):
            raise BadInput(f"no tenant {tenant!r:.60} was added here; add it first.")
        key = PREFIX + token_urlsafe(32)
        wall = self.gateway.clock.wall()
        await self.state.write(members.add_key, members.Key(hashed(key), tenant, name, wall))
        await self.refresh()
        return key

    async def keys(self) -> list[members.Key]:
        """All keys, by their hashes."""
        return await self.state.read(members.keys)

    async def revoke(self, digest: str) -> bool:
        """A key that is good no longer, by its hash or the head of it; whether it was until now.
        Raises BadInput where several begin so."""
        found = [each.hash for each in await self.keys() if each.hash.startswith(digest)]
        if len(found) > 1:
            raise BadInput(f"{len(found)} keys begin with {digest!r:.20}; write more of it.")
        if not found:
            return False
        wall = self.gateway.clock.wall()
        was = await self.state.write(members.revoke, found[0], wall)
        await self.refresh()
        return was

    def _not_in_file(self, name: str) -> None:
        """Raises BadInput."""
        if any(each.name == name for each in self.gateway.settings.tenants):
            raise BadInput(f"tenant {name!r:.60} is in the gateway's file; change it there.")


def _member(member: members.Member, keys: list[str]) -> Tenant:
    """A tenant as it was kept, with the keys it has."""
    tenant = tenant_of(member.name, msgspec.json.decode(member.body, type=TenantFile), os.environ)
    return replace(tenant, keys=(*tenant.keys, *keys))
