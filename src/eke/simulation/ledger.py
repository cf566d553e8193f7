"""Everything that is kept of requests while a run goes on, growing as they come."""

from __future__ import annotations

from typing import Any

import numpy as np

from eke.simulation.deployment import Deployment
from eke.simulation.engine import gates
from eke.simulation.engine import layout as at
from eke.simulation.engine.layout import CLASSES, World
from eke.types.arrivals import Arrivals
from eke.types.run import WAITING

KEPT = ("most", "tenant", "kind", "priority", "session", "ttft", "deadline")  # for the table
GROWS = 1.5


class Ledger:
    """The columns of all requests, inside the engine's world and beside it.

    world, address: as the engine's gates take them.  many: requests so far.
    """

    def __init__(self, world: World, deployment: Deployment) -> None:
        self.world = world
        self.deployment = deployment
        self.many = 0
        self.names: dict[str, dict[str, int]] = {"tenant": {}, "kind": {}}
        self._columns: dict[str, list[Any]] = {name: [] for name in KEPT}
        self._hashes = 0
        self._renew()

    def add(self, chunk: Arrivals, known: Any) -> int:
        """Take in a stretch of requests; the number of its first one. known: of whom it is known
        beforehand when they come."""
        first, count = self.many, len(chunk)
        self._room(first + count)
        rows = slice(first, first + count)
        times, counts = self.world.times[rows], self.world.count[rows]
        times[:] = np.nan
        times[:, at.ARRIVED] = np.where(known, chunk.arrived, np.nan)
        times[:, at.ENCODING] = self.deployment.encoding(chunk.images, chunk.sound)
        counts[:] = 0
        counts[:, at.PROMPT] = np.minimum(chunk.prompt, np.iinfo(np.int32).max // 2)
        counts[:, at.ANSWER] = np.minimum(chunk.answer, np.iinfo(np.int32).max // 2)
        counts[:, at.REPLICA], counts[:, at.OUTCOME] = at.NONE, WAITING
        counts[:, at.CLASS] = np.clip(chunk.priority, 0, CLASSES - 1)
        self._share(chunk, rows)
        self._keep(chunk)
        self.many += count
        return first

    def _keep(self, chunk: Arrivals) -> None:
        for name in KEPT:
            column = getattr(chunk, name)
            if name in self.names:
                column = self._recoded(name, getattr(chunk, f"{name}s"), column)
            self._columns[name].append(_narrow(column))

    def _recoded(self, name: str, words: tuple[str, ...], column: Any) -> Any:
        """Codes of a stretch as codes of the run."""
        known = self.names[name]
        codes = np.array([known.setdefault(word, len(known)) for word in words], dtype=np.int32)
        return codes[column]

    def column(self, name: str) -> Any:
        """One of the columns kept beside the engine, whole."""
        parts = self._columns[name]
        return np.concatenate(parts) if parts else np.zeros(0)

    def _share(self, chunk: Arrivals, rows: slice) -> None:
        """What prompts share with others, for engines that keep prefixes."""
        w = self.world
        if w.block.shape[2] <= 1:
            return
        shared = w.shared[rows]
        shared[:, at.SESSION], shared[:, at.STEM] = chunk.session, chunk.stem
        shared[:, at.STEM_TOKENS] = chunk.stem_tokens
        start = self._hashes
        if chunk.hashes is not None:
            self._hashes += len(chunk.hashes)
            if self._hashes > len(w.hashes):
                self._grow("hashes", self._hashes)
            self.world.hashes[start : self._hashes] = chunk.hashes
            self.world.hash_tokens[0] = chunk.hash_tokens
            starts = chunk.hash_start[1:] + start
        else:
            starts = start
        self.world.hash_start[rows.start + 1 : rows.stop + 1] = starts

    def _room(self, many: int) -> None:
        """Make room for so many requests."""
        if many > len(self.world.times):
            wanted = max(many, int(GROWS * len(self.world.times)))
            for name in ("times", "count", "size"):
                self._grow(name, wanted)
            if self.world.block.shape[2] > 1:
                self._grow("shared", wanted)
                self._grow("hash_start", wanted + 1)

    def _grow(self, name: str, wanted: int) -> None:
        old = getattr(self.world, name)
        new = np.zeros((max(wanted, int(GROWS * len(old))), *old.shape[1:]), dtype=old.dtype)
        new[: len(old)] = old
        self.world = self.world._replace(**{name: new})
        self._renew()

    def _renew(self) -> None:
        """The engine is told where everything lies now."""
        self.address, self._table = gates.handle(self.world)


def _narrow(column: Any) -> Any:
    """A column that says the same for everybody takes no room."""
    if len(column) and column.strides == (0,):
        return column
    if column.dtype == np.float64:
        return column.astype(np.float32)
    return column
