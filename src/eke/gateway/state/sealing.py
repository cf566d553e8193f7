"""Text at rest, sealed with a key of its tenant.

AES-256-GCM with a random nonce. What is sealed is bound to its place, so that rows cannot be
swapped unseen. Random nonces allow 2³² texts per key; rotate keys long before.
Source: dworkin2007, section 8.3.
"""

from __future__ import annotations

import os
from base64 import b64decode
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

from eke.errors import BadInput, Sealed
from eke.types.record import Message, Record

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    from eke.gateway.settings import Tenant

KEY = 32  # bytes of a key
NONCE = 12  # bytes
_OPEN, _SEALED = b"\x00", b"\x01"  # first byte of what is stored


class Place(Message):
    """Where a text stands: what kind of thing it is, which, and whose."""

    kind: str
    id: str
    tenant: str


class Sealer(Record):
    """The keys of one tenant by name, of 32 bytes each.

    current: name of the one that seals from now on, "" for none; the others still open.
    """

    keys: Mapping[str, bytes] = {}
    current: str = ""

    def __post_init__(self) -> None:
        for name, key in self.keys.items():
            if len(key) != KEY or not 0 < len(name.encode()) < 256:
                raise BadInput(
                    f"A sealing key has {KEY} bytes and a name of 1 to 255; "
                    f"{name!r} has {len(key)}."
                )
        if self.current and self.current not in self.keys:
            raise BadInput(f"There is no sealing key {self.current!r} to seal with.")
        if self.keys:
            _aes()

    def __repr__(self) -> str:  # keys do not belong into logs
        return f"Sealer({', '.join(self.keys)}; current={self.current!r})"

    __str__ = __repr__


OPEN = Sealer()  # of tenants without a key: text is stored as it is


def sealers(tenants: Callable[[], Mapping[str, Tenant]]) -> Callable[[str], Sealer]:
    """Who seals the text of a tenant: the key in the environment variable that its settings name,
    KEY bytes in base64. Keys that were in use before stand behind it, with commas."""
    found: dict[tuple[str, str], Sealer] = {}

    def of(name: str) -> Sealer:
        tenant = tenants().get(name)
        if tenant is None or tenant.seal is None:
            return OPEN
        text = os.environ.get(tenant.seal, "")
        key = (tenant.seal, text)
        if key not in found:
            found[key] = sealer(tenant.seal, text)
        return found[key]

    return of


def sealer(variable: str, text: str) -> Sealer:
    """The sealer of some keys: NAME:BASE64, the one to seal with first. Raises BadInput."""
    keys = {}
    for each in text.split(","):
        name, _, value = each.strip().rpartition(":")
        try:
            keys[name or "key"] = b64decode(value, validate=True)
        except ValueError:
            keys[name or "key"] = b""
    if not all(len(key) == KEY for key in keys.values()):
        raise BadInput(
            f"the environment variable {variable} must hold {KEY} bytes in base64, such as "
            "`openssl rand -base64 32` prints; older keys behind it, NAME:KEY with commas."
        )
    return Sealer(keys=keys, current=next(iter(keys)))


def seal(sealer: Sealer, place: Place, text: bytes) -> bytes:
    """Text as it is stored: marked as open, or sealed with the current key."""
    if not sealer.current:
        return _OPEN + text
    name = sealer.current.encode()
    nonce = os.urandom(NONCE)
    head = _SEALED + bytes([len(name)]) + name
    return head + nonce + _cipher(sealer.keys[sealer.current]).encrypt(nonce, text, _bound(place))


def unseal(sealer: Sealer, place: Place, stored: bytes) -> bytes:
    """The text that is stored. What was stored before its tenant had a key stays readable.

    Raises Sealed where the key is missing or wrong, or the text is not the one stored here.
    """
    if stored[:1] == _OPEN:
        return stored[1:]
    if stored[:1] != _SEALED:
        raise Sealed(f"The {place.kind} {place.id!r} is damaged.")
    start = 2 + int.from_bytes(stored[1:2], "big")
    name = stored[2:start].decode(errors="replace")
    key = sealer.keys.get(name)
    if key is None:
        raise Sealed(
            f"The {place.kind} {place.id!r} is sealed with the key {name!r} of tenant "
            f"{place.tenant!r}, which is not there."
        )
    return _opened(key, place, stored[start:], name)


def _opened(key: bytes, place: Place, sealed: bytes, name: str) -> bytes:
    from cryptography.exceptions import InvalidTag

    try:
        return _cipher(key).decrypt(sealed[:NONCE], sealed[NONCE:], _bound(place))
    except (InvalidTag, ValueError):
        raise Sealed(
            f"The {place.kind} {place.id!r} does not open with the key {name!r} of tenant "
            f"{place.tenant!r}: another key has this name, or the text was changed."
        ) from None


def _bound(place: Place) -> bytes:
    """A place in bytes, no two the same."""
    return b"".join(
        len(part).to_bytes(4, "big") + part
        for part in (place.kind.encode(), place.id.encode(), place.tenant.encode())
    )


@lru_cache(maxsize=1024)
def _cipher(key: bytes) -> AESGCM:
    return _aes()(key)


def _aes() -> type[AESGCM]:
    try:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    except ImportError:
        raise BadInput(
            "Sealing stored text needs cryptography, which is not installed: "
            "pip install 'eke[gateway]'."
        ) from None
    return AESGCM
