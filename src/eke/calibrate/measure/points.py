"""What is timed: each point of each sweep, with its FLOP and bytes as the physics counts them."""

from __future__ import annotations

from typing import Literal

from eke.physics.attention import causal_pairs
from eke.physics.operations import ACTIVATION
from eke.types.plan import BYTES
from eke.types.record import Record

Sweep = Literal["launch", "memory", "matmul", "attention", "attention_backward", "link"]
SIXTEEN = ("bf16", "fp16")
OPERATIONS = 7  # of a dense block, as the physics counts them
BACKWARD = 2.5  # FLOP of the attention core backward over forward, see physics/learn.py


class Point(Record):
    """One thing to time.

    form: the number format; of a memory stream "copy", "triad" or "weights"; of a launch "call"
    or "block".  shape: see the function of each sweep below.
    """

    sweep: Sweep
    form: str
    shape: tuple[int, ...]

    @property
    def words(self) -> str:
        """How people name it."""
        return f"{self.sweep} {self.form} {'×'.join(map(str, self.shape))}".replace("_", " ")


CALL = Point(sweep="launch", form="call", shape=(1,))  # one of the smallest operations
BLOCK = Point(sweep="launch", form="block", shape=(16,))  # so many tiny decoder blocks


class Sizes(Record):
    """How large the points are: small for processors, large for accelerators."""

    matrices: tuple[tuple[int, int], ...]  # inputs and outputs, of few outputs too
    rows: tuple[int, ...]
    prompts: tuple[tuple[int, int, int, int, int, int], ...]
    decodes: tuple[tuple[int, int, int, int, int, int], ...]
    streams: tuple[int, ...]  # [B]
    cold: int  # weights are used in turn out of at least so many bytes [B]


SMALL = Sizes(
    matrices=((1024, 4096), (2048, 2048), (4096, 256)),
    rows=(1, 4, 16, 64, 256, 1024),
    prompts=((1, 16, 16, 64, 256, 0), (1, 16, 4, 64, 1024, 0), (4, 16, 16, 64, 512, 0)),
    decodes=((8, 16, 16, 64, 1, 1023), (8, 16, 4, 64, 1, 2047)),
    streams=(1 << 26, 1 << 28),
    cold=1 << 27,
)
LARGE = Sizes(
    matrices=((4096, 4096), (4096, 14336), (8192, 8192), (8192, 1024)),
    rows=(1, 8, 32, 64, 128, 256, 1024, 4096, 8192),
    prompts=((16, 32, 8, 128, 512, 0), (4, 32, 8, 128, 2048, 0), (1, 32, 8, 128, 8192, 0)),
    decodes=((64, 32, 8, 128, 1, 2047), (16, 32, 8, 128, 1, 8191)),
    streams=(1 << 28, 1 << 30),
    cold=1 << 29,
)
MESSAGES = (1 << 12, 1 << 16, 1 << 20, 1 << 24, 1 << 26)  # bytes of an all-reduce


def points(*, sizes: Sizes, formats: tuple[str, ...], ranks: int, memory: float) -> list[Point]:
    """Every point of a machine, in the order they are timed: small before large.

    formats: of its matrix units.  ranks: devices or processes that exchange.  memory [B].
    """
    attention = [form for form in formats if form in (*SIXTEEN, "fp32")]
    if sizes is LARGE:
        attention = [form for form in attention if form in SIXTEEN][:1] or attention
    found = [CALL, BLOCK]
    found += [
        Point(sweep="memory", form=form, shape=(size,))
        for size in sizes.streams
        if 12 * size < memory
        for form in ("copy", "triad", "weights")
    ]
    found += [
        Point(sweep="matmul", form=form, shape=(rows, *matrix))
        for form in formats
        for rows in sizes.rows
        for matrix in sizes.matrices
    ]
    found += [
        Point(sweep="attention", form=form, shape=shape)
        for form in attention
        for shape in (*sizes.prompts, *sizes.decodes)
    ]
    found += [
        Point(sweep="attention_backward", form=form, shape=shape)
        for form in attention
        for shape in sizes.prompts
    ]
    if ranks > 1:
        found += [Point(sweep="link", form="all-reduce", shape=(s, ranks)) for s in MESSAGES]
    return found


def flop(point: Point) -> float:
    """Arithmetic of a point [FLOP]; 0 where only bytes count.

    matmul: rows, inputs, outputs.  attention: sequences, heads, key-value heads, head size, new
    and cached tokens.
    """
    if point.sweep == "matmul":
        rows, inputs, outputs = point.shape
        return 2.0 * rows * inputs * outputs
    if point.sweep.startswith("attention"):
        sequences, heads, _, size, new, cached = point.shape
        pairs = float(causal_pairs(new=new, cached=cached, window=1e18))
        backward = BACKWARD if point.sweep == "attention_backward" else 1.0
        return backward * 4.0 * sequences * pairs * heads * size
    return 0.0


def sides(point: Point) -> tuple[float, ...]:
    """What the arithmetic speeds up with: rows and columns of a result, keys of a sequence.

    Of a link, the ranks.
    """
    if point.sweep == "matmul":
        return float(point.shape[0]), float(point.shape[2])
    if point.sweep.startswith("attention"):
        return (float(point.shape[4] + point.shape[5]),)
    return (float(point.shape[-1]),)


def moved(point: Point) -> float:
    """Bytes of a point to and from memory, or of one rank's message [B]."""
    if point.sweep == "memory":
        return {"copy": 2.0, "triad": 3.0, "weights": 1.0}[point.form] * point.shape[0]
    if point.sweep == "matmul":
        rows, inputs, outputs = point.shape
        width = 4.0 if point.form == "tf32" else BYTES[point.form]
        return width * inputs * outputs + ACTIVATION * rows * (inputs + outputs)
    if point.sweep.startswith("attention"):
        sequences, heads, kv_heads, size, new, cached = point.shape
        cache = BYTES[point.form] * (new + cached) * kv_heads * 2 * size
        return sequences * (cache + ACTIVATION * new * heads * 2 * size)
    return float(point.shape[0]) if point.sweep == "link" else 0.0
