"""One request inside the engine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

Text = Callable[[int, int], Sequence[str]]  # the tokens of a text from one place up to another


class Request:
    """What is asked of the engine, and how far it has come.

    prompt, answer: tokens.  keys: of the prompt's full blocks.  text: tokens of the prompt and the
    answer, by which blocks beyond those keys are found again.  encoding: time of its images and
    sound [s].  priority: lower goes first.  client: whoever waits for it, of no concern here.
    """

    __slots__ = (
        *("prompt", "answer", "keys", "text", "encoding", "priority", "client"),
        *("arrived", "scheduled", "number", "admitted", "waits"),
        *("need", "done", "takes", "given", "begun", "steps", "blocks", "cached", "preempted"),
    )

    def __init__(
        self,
        prompt: int,
        answer: int,
        *,
        keys: list[int] | None = None,
        text: Text | None = None,
        encoding: float = 0.0,
        priority: int = 0,
        client: Any = None,
    ) -> None:
        self.prompt, self.answer, self.client = prompt, answer, client
        self.keys, self.text = keys or [], text
        self.encoding, self.priority = encoding, priority
        self.arrived = 0.0
        self.scheduled: float | None = None  # when it was first taken into a step
        self.number = self.admitted = 0  # in the order of arrival, and of admission
        self.waits = False  # in the queue
        self.need = self.done = self.takes = 0  # tokens to compute, computed, in this step
        self.given = 0  # tokens of the answer
        self.begun = self.steps = 0  # tokens when it began to decode, steps since
        self.blocks: list[int] = []
        self.cached = 0  # of the prompt, in the cache when it was first taken in
        self.preempted = 0

    @property
    def stored(self) -> int:
        """Tokens in the cache while it decodes."""
        return self.prompt + self.given - 1

    def more_keys(self, blocks: int, block: int, keys_of: Callable[..., list[int]]) -> None:
        """Work out the keys of the first `blocks` blocks of its text."""
        first = len(self.keys)
        if self.text is None or first >= blocks:
            return
        pieces = self.text(first * block, blocks * block)
        self.keys += keys_of(pieces, block, self.keys[-1] if self.keys else 0)
