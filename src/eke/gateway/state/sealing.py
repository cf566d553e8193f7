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
from hashlib import sha256
from typing import TYPE_CHECKING

from eke.errors import BadInput, Sealed
from eke.types.record import Message, Record

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    from eke.gateway.settings import Tenant

KEY = 32  # bytes of a key
NONCE = 12  # bytes
HEAD = 16  # letters of a key's hash that it is called by
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
    """Who seals the text of a tenant: the keys in the environment variable that its settings
    name, as `sealer` reads them."""
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
    """The sealer of some keys: each in base64, with commas, the one to seal with first. One may
    have a name, NAME:BASE64; else it is called by the head of its hash. Raises BadInput."""
    keys: dict[str, bytes] = {}
    for each in text.split(","):
        name, _, value = each.strip().rpartition(":")
        key = _decoded(value)
        if len(key) != KEY:
            raise BadInput(
                f"the environment variable {variable} must hold {KEY} bytes in base64, such as "
                "`openssl rand -base64 32` prints; older keys behind it, with commas."
            )
        name = name or sha256(key).hexdigest()[:HEAD]
        if name in keys:
            raise BadInput(
                f"the environment variable {variable} holds two keys of the name {name!r}; "
                "leave one out, or give it another name, NAME:KEY."
            )
        keys[name] = key
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
    """The text that is stored. What was stored before its tenant had a key stays readable, and
    what a key sealed that had another name then.

    Raises Sealed where the key is missing or wrong, or the text is not the one stored here.
    """
    if stored[:1] == _OPEN:
        return stored[1:]
    if stored[:1] != _SEALED:
        raise Sealed(f"The {place.kind} {place.id!r} is damaged.")
    start = 2 + int.from_bytes(stored[1:2], "big")
    name = stored[2:start].decode(errors="replace")
    for each in sorted(sealer.keys, key=lambda each: each != name):  # the one of this name first
        text = _opened(sealer.keys[each], place, stored[start:])
        if text is not None:
            return text
    what, key = f"The {place.kind} {place.id!r}", f"the key {name!r} of tenant {place.tenant!r}"
    if name in sealer.keys:
        raise Sealed(
            f"{what} does not open with {key}: another key has this name, or the text was changed."
        )
    raise Sealed(f"{what} is sealed with {key}, which is not there.")


def _opened(key: bytes, place: Place, sealed: bytes) -> bytes | None:
    """The text; None where this is not its key, or not its place."""
    from cryptography.exceptions import InvalidTag

    try:
        return _cipher(key).decrypt(sealed[:NONCE], sealed[NONCE:], _bound(place))
    except (InvalidTag, ValueError):
        return None


def _decoded(value: str) -> bytes:
    """A key in base64; nothing where it is none."""
    try:
        return b64decode(value, validate=True)
    except ValueError:
        return b""


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
