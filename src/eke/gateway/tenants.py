"""Whose request it is, by its key."""

from __future__ import annotations

import logging
import re
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from hashlib import sha256
from hmac import compare_digest
from secrets import token_urlsafe

from eke.gateway.refusal import Refusal
from eke.gateway.settings import EVERYONE, Tenant
from eke.types.record import replace

log = logging.getLogger("eke.gateway")

STRANGERS = 10_000  # keys of an open gateway that are told apart; older ones are forgotten
_PLAIN = re.compile(rb"[a-z][a-z0-9_-]{0,23}")  # a word, not a secret
_SECRET = (b"sk-", b"sk_", b"key-")


class Tenants:
    """Tenants by the SHA-256 of their keys; keys themselves are not kept.

    An open gateway answers keys it does not know too: each is a tenant of its own, called by the
    key where it is a plain word, else by the head of its hash.
    tenants: of the file.  is_open: None for as long as nobody has keys.  members: tenants that were
    added.  keyed: whether any of them ever had a key.
    used: hashes of the keys of tenants that came, until somebody takes them.
    """

    def __init__(
        self,
        tenants: Sequence[Tenant],
        is_open: bool | None,
        members: Sequence[Tenant] = (),
        keyed: bool = False,
    ) -> None:
        self.by_name = together(tenants, members)
        self.by_hash = {key: tenant for tenant in self.by_name.values() for key in tenant.keys}
        keyed = keyed or bool(self.by_hash)
        self.open = not keyed if is_open is None else is_open
        for name in sorted({each.name for each in tenants} & {each.name for each in members}):
            log.warning(
                "tenant %s is in the gateway's file and was added too: what the file says counts, "
                "and its added keys are good for nothing",
                name,
            )
        self.used: set[str] = set()
        self._strangers: OrderedDict[str, Tenant] = OrderedDict()
        self._anybody = self.by_name.get(EVERYONE) or Tenant(name=EVERYONE)

    def named(self, name: str) -> Tenant:
        """The tenant of a name, also one that nobody set up."""
        return self.by_name.get(name) or replace(self._anybody, name=name, keys=())

    def of(self, authorization: bytes) -> Tenant:
        """The tenant of an Authorization header. Raises Refusal 401."""
        scheme, _, key = authorization.partition(b" ")
        key = key.strip()
        if scheme.lower() != b"bearer" or not key:
            if self.open:
                return self._anybody
            raise Refusal(
                401,
                "You didn't provide an API key. Send it as 'Authorization: Bearer KEY'.",
                code="invalid_api_key" if authorization else None,
            )
        digest = sha256(key).hexdigest()
        tenant = self.by_hash.get(digest)
        if tenant is not None and any(compare_digest(digest, each) for each in tenant.keys):
            self.used.add(digest)
            return tenant
        if self.open:
            return self._stranger(key, digest)
        raise Refusal(401, "Incorrect API key provided.", code="invalid_api_key")

    def _stranger(self, key: bytes, digest: str) -> Tenant:
        plain = _PLAIN.fullmatch(key) and not key.startswith(_SECRET)
        name = key.decode() if plain else ""
        named = self.by_name.get(name)
        if named is not None and not named.keys:
            return named
        if not name or named is not None:  # a name alone does not make anybody a tenant with keys
            name = f"key-{digest[:16]}"  # so long that nobody finds a key of somebody else's name
        found = self._strangers.pop(name, None) or replace(self._anybody, name=name, keys=())
        self._strangers[name] = found
        if len(self._strangers) > STRANGERS:
            self._strangers.popitem(last=False)
        return found


def together(tenants: Iterable[Tenant], members: Iterable[Tenant]) -> dict[str, Tenant]:
    """Tenants of the file and those that were added, by name; of two of one name the file's."""
    return {each.name: each for each in (*members, *tenants)}


def new_key() -> str:
    """A key that nobody has."""
    return f"sk-eke-{token_urlsafe(32)}"


def hashed(key: str) -> str:
    """What is kept of a key: the SHA-256 of it, in hex."""
    return sha256(key.encode()).hexdigest()
