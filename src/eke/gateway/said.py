"""What single fields of gateway.toml say. Each raises BadInput, with the field's place, for what
makes no sense."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from eke.errors import BadInput, BadQuantity
from eke.policy import values
from eke.units import quantity

_ORIGIN = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s/?#@*]+")


def count(where: str, value: str | int) -> int:
    """A whole number from 0."""
    if isinstance(value, int) and value >= 0:
        return value
    raise BadInput(f"{where} = {value!r:.60}: write a whole number from 0.")


def share(where: str, text: str) -> float | None:
    """A share such as "20%"; None where nothing is said."""
    if not text:
        return None
    try:
        return values.share(text)
    except BadQuantity as error:
        raise BadInput(f"{where}: {error}") from None


def per_token(where: str, text: str) -> float:
    """A price such as "0.5 USD/Mtoken" [USD/token]."""
    return amount(where, text or "0 USD/token", "USD/token")


def origin(text: str) -> str:
    """Where pages come from, as browsers write it."""
    if not _ORIGIN.fullmatch(text):
        like = "https://chat.example.com or http://localhost:3000"
        raise BadInput(f"origins: {text!r:.60} is none; write each with no path, such as {like}.")
    return text.lower()


def one_of(where: str, given: str, known: Sequence[str]) -> Any:
    """A word that is one of some."""
    if given not in known:
        raise BadInput(f"{where} = {given!r:.40}: there are {', '.join(known)}.")
    return given


def port_of(where: str, port: int) -> int:
    """A number of a port."""
    if not 0 <= port <= 65535:
        raise BadInput(f"{where} = {port}: ports are 0 to 65535.")
    return port


def amount(where: str, text: str, unit: str) -> float:
    """A quantity of a file that is not below 0, with its place in the message."""
    try:
        found = quantity(text, unit)
    except BadQuantity as error:
        raise BadInput(f"{where}: {error}") from None
    if found < 0:
        raise BadInput(f"{where}: {text!r:.60} is below 0.")
    return found


def key_from(where: str, name: str, environment: Mapping[str, str]) -> str:
    """What an environment variable holds; nothing for no variable."""
    if not name:
        return ""
    if not environment.get(name):
        raise BadInput(f"{where} key_env: the environment variable {name} is not set.")
    return environment[name]
