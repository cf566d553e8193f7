"""The base of every noun."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

if TYPE_CHECKING:
    from typing import dataclass_transform

    # Type checkers do not inherit `frozen` and `kw_only` from a msgspec base; this says it once.
    @dataclass_transform(frozen_default=True, kw_only_default=True)
    class Record:
        """A frozen, keyword-only record."""

        def __init_subclass__(cls, *, tag: str = "", tag_field: str = "") -> None: ...

    @dataclass_transform(frozen_default=True)
    class Message:
        """A frozen record whose fields may be given by place."""

        def __init_subclass__(cls, *, tag: bool = False) -> None: ...
else:

    class _KeywordOnly(type(msgspec.Struct)):
        """msgspec inherits every option but `kw_only`; this sets it for each record."""

        def __new__(cls, name: str, bases: tuple, namespace: dict, **options: Any) -> type:
            options.setdefault("kw_only", True)
            return super().__new__(cls, name, bases, namespace, **options)

    class Record(msgspec.Struct, metaclass=_KeywordOnly, frozen=True, forbid_unknown_fields=True):
        """A frozen, keyword-only record; unknown fields are refused when it is read."""

    class Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
        """A frozen record of which millions are made: its fields may be given by place, which is
        eight times as fast. It holds nothing that refers back to it."""


R = TypeVar("R", bound=Record | Message)


def replace(record: R, /, **changes: Any) -> R:
    """The same record with some fields changed."""
    return msgspec.structs.replace(record, **changes)  # type: ignore[type-var]


def defaults(record: Record) -> dict[str, Any]:
    """Field name → the value it has when nobody sets it."""
    known = msgspec.structs.fields(record)  # type: ignore[arg-type]
    return {field.name: field.default for field in known}


def fields(record: Record) -> dict[str, Any]:
    """Field name → value, one level deep."""
    return msgspec.structs.asdict(record)  # type: ignore[arg-type]
