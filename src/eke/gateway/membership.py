"""Tenants and keys that are managed while the gateway runs."""

from __future__ import annotations

import logging
import os
from collections import defaultdict
from collections.abc import Mapping, Sequence

import msgspec

from eke.errors import BadInput, StateError
from eke.gateway.gateway import Gateway
from eke.gateway.settings import Tenant, TenantFile
from eke.gateway.shares import check
from eke.gateway.state import deleting, members
from eke.gateway.state.deleting import Forgotten
from eke.gateway.state.state import State
from eke.gateway.tenant_tables import distinct, tenant_of
from eke.gateway.tenants import hashed, new_key, together
from eke.types.record import replace

log = logging.getLogger("eke.gateway")


class InFile(BadInput):
    """A tenant that is in the gateway's file, and changed nowhere else."""


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
        now = found, keys, bool(given), self.gateway.settings
        if now == self._seen:
            return
        self.gateway.keyed = self.gateway.keyed or bool(given)
        self.gateway.take_over(self.gateway.settings, self._possible(found, keys))
        self._seen = now

    async def used(self) -> None:
        """Note the keys that were used, each once a day. Raises StateError."""
        tenants, wall = self.gateway.tenants, self.gateway.clock.wall()
        came, tenants.used = tenants.used, set()
        today = {(wall // members.DAY, each) for each in came}
        if today - self._told:
            try:
                await self.state.write(members.used, came, wall)
            except StateError:
                self.gateway.tenants.used |= came
                raise
        self._told = {each for each in self._told if each[0] == wall // members.DAY} | today

    async def put(self, name: str, file: TenantFile) -> Tenant:
        """Add a tenant or change it. Raises BadInput, InFile."""
        self._not_in_file(name)
        tenant = tenant_of(name, file, os.environ)
        others = [each for each in self.gateway.members if each.name != name]
        if (conflict := self._conflict([*others, tenant])) is not None:
            raise conflict
        member = members.Member(name, msgspec.json.encode(file))
        await self.state.write(members.put, member)
        await self.refresh()
        return tenant

    async def remove(self, name: str) -> Forgotten | None:
        """Remove a tenant, its keys and budgets, and every text that is kept of it; None where none
        such was added. Raises InFile."""
        self._not_in_file(name)
        if not any(each.name == name for each in await self.state.read(members.members)):
            return None
        forgotten = await self.state.write(deleting.forget, name)
        await self.refresh()
        return forgotten

    async def new_key(self, tenant: str, name: str) -> str:
        """A new key of a tenant, which nobody can read again. Raises BadInput, InFile."""
        self._not_in_file(tenant)
        if not any(each.name == tenant for each in self.gateway.members):
            words = f"PUT /admin/tenants/{tenant:.60} adds it"
            raise BadInput(f"no tenant {tenant!r:.60} was added; {words}.")
        key = new_key()
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

    def _possible(
        self, found: Sequence[members.Member], keys: Mapping[str, list[str]]
    ) -> tuple[Tenant, ...]:
        """Those that this gateway can read, and have beside each other and the tenants of its file.
        The others are told of and left out, so that none of them keeps a key from being revoked."""
        there: list[Tenant] = []
        for each in found:
            try:
                there.append(_member(each, keys.get(each.name, [])))
            except (ValueError, msgspec.MsgspecError) as error:
                _left_out(each.name, error)
        if self._conflict(there) is None:
            return tuple(there)
        some: list[Tenant] = []
        for tenant in there:
            conflict = self._conflict([*some, tenant])
            if conflict is None:
                some.append(tenant)
            else:
                _left_out(tenant.name, conflict)
        return tuple(some)

    def _conflict(self, added: Sequence[Tenant]) -> BadInput | None:
        """Why these cannot be, all of them, beside the tenants of the file."""
        settings = self.gateway.settings
        everybody = together(settings.tenants, added).values()
        try:
            distinct(everybody)
            check(settings.policy, everybody)
        except BadInput as error:
            return error
        return None

    def _not_in_file(self, name: str) -> None:
        """Raises InFile."""
        if any(each.name == name for each in self.gateway.settings.tenants):
            raise InFile(f"tenant {name!r:.60} is in the gateway's file; change it there.")


def _left_out(name: str, error: Exception) -> None:
    log.error("tenant %s was added and cannot be here; its keys are no good: %s", name, error)


def _member(member: members.Member, keys: list[str]) -> Tenant:
    """A tenant as it was kept, with the keys it has."""
    tenant = tenant_of(member.name, msgspec.json.decode(member.body, type=TenantFile), os.environ)
    return replace(tenant, keys=(*tenant.keys, *keys))
