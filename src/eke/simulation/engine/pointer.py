"""The world as one address, for compiled code.

A call from Python into compiled code unpacks every array it is given, which takes longer than the
call does, and so does handing seventeen arrays from function to function. So compiled functions
get the address of a table that says where each array lies, and read `w.num` out of it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import from_dtype, types
from numba.core import cgutils
from numba.core.imputils import lower_getattr_generic
from numba.core.typing.templates import (
    AttributeTemplate,
    infer_getattr,
)
from numba.extending import (
    intrinsic,
    models,
    register_model,
)
from numba.np.arrayobj import make_array, populate_array

from eke.simulation.engine.layout import FIELDS, World

WIDE = 4  # numbers per array in the table: its address, and three lengths
ROWS = {name: row for row, name in enumerate(FIELDS)}


class WorldType(types.Type):
    """The type of that address."""

    def __init__(self) -> None:
        super().__init__(name="eke.World")


WORLD = WorldType()


@register_model(WorldType)
class _Model(models.OpaqueModel):
    """Held as a pointer."""


def address_table(w: World) -> Any:
    """Where each array lies; has to live as long as the address of it is used."""
    table = np.zeros((len(FIELDS), WIDE), dtype=np.int64)
    for name, row in ROWS.items():
        array = getattr(w, name)
        table[row, 0] = array.ctypes.data
        table[row, 1 : 1 + array.ndim] = array.shape
    return table


@intrinsic
def world_at(context: Any, address: Any) -> Any:
    """The world of an address table."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], cgutils.voidptr_t)

    return WORLD(types.int64), generate


@infer_getattr
class _Fields(AttributeTemplate):
    """What type `w.num` has."""

    key = WorldType

    def generic_resolve(self, w: Any, name: str) -> Any:
        if name not in FIELDS:
            return None
        dimensions, dtype = FIELDS[name]
        return types.Array(from_dtype(np.dtype(dtype)), dimensions, "C")


@lower_getattr_generic(WorldType)
def _field(context: Any, builder: Any, kind: Any, value: Any, name: str) -> Any:
    """`w.num` as an array that is where the table says it is."""
    dimensions, dtype = FIELDS[name]
    array = types.Array(from_dtype(np.dtype(dtype)), dimensions, "C")
    whole = cgutils.intp_t
    table = builder.bitcast(value, whole.as_pointer())

    def entry(column: int) -> Any:
        at = builder.gep(table, [cgutils.intp_t(WIDE * ROWS[name] + column)])
        return builder.load(at)

    shape = [entry(1 + axis) for axis in range(dimensions)]
    size = cgutils.intp_t(np.dtype(dtype).itemsize)
    strides = [size]
    for length in reversed(shape[1:]):
        strides.insert(0, builder.mul(strides[0], length))
    made = make_array(array)(context, builder)
    data = builder.inttoptr(entry(0), made.data.type)
    populate_array(made, data=data, shape=shape, strides=strides, itemsize=size, meminfo=None)
    return made._getvalue()
