"""What a trainer says, line by line.

{"step": 7, "total_steps": 90, "loss": 1.2, …}    how far it is; other numbers are metrics
{"checkpoint": PATH, "step": 7}                    it can go on from there
{"model": PATH}                                    the tuned model is there
{…, "tokens": 123456}                              trained on so far, in any of these
anything else                                      is passed on as it is
"""

from __future__ import annotations

from typing import Any

import msgspec

from eke.gateway.state.items import Item
from eke.gateway.tuning import notes
from eke.gateway.tuning.job import Job
from eke.types.record import replace

NAMES = {
    "loss": "train_loss",
    "eval_loss": "valid_loss",
    "mean_token_accuracy": "train_mean_token_accuracy",
    "eval_mean_token_accuracy": "valid_mean_token_accuracy",
}
LONGEST = 1 << 16  # bytes of a line


class Heard:
    """What came of some lines. items: to be kept.  finished: the tuned model is there."""

    def __init__(self, id: str, name: str, job: Job, now: float) -> None:
        self.id, self.name, self.now = id, name, now
        self.step, self.steps, self.tokens = job.step, job.steps, job.tokens
        self.metrics: dict[str, Any] = {}
        self.items: list[Item] = []
        self.finished = False

    def hear(self, data: bytes) -> None:
        """Some whole lines."""
        for line in data.split(b"\n"):
            if line.strip():
                self._line(line[:LONGEST].strip())

    def edit(self, job: Job) -> Job:
        """The job with what is known by now."""
        return replace(job, step=self.step, steps=self.steps, tokens=self.tokens)

    def _line(self, line: bytes) -> None:
        try:
            found = msgspec.json.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            found = None
        if not isinstance(found, dict) or not self._object(found):
            self.items.append(notes.event(line.decode("utf-8", "replace"), self.now))

    def _object(self, found: dict[str, Any]) -> bool:
        """Something said in JSON; whether it is any of what a trainer may say."""
        step = _whole(found.get("step"))
        self.tokens = _whole(found.get("tokens")) or self.tokens
        self.steps = _whole(found.get("total_steps")) or self.steps
        if isinstance(found.get("model"), str):
            self.finished = True
            self.items.append(notes.event("The tuned model is there.", self.now))
        elif isinstance(found.get("checkpoint"), str):
            self._checkpoint(self.step if step is None else step)
        elif step is not None:
            self._step(step, found)
        else:
            return False
        return True

    def _checkpoint(self, step: int) -> None:
        self.items += [
            notes.checkpoint(self.id, self.name, step, self.metrics, self.now),
            notes.event(f"Checkpoint created at step {step}.", self.now),
        ]

    def _step(self, step: int, found: dict[str, Any]) -> None:
        self.step = step
        numbers = {
            NAMES.get(name, name): value
            for name, value in found.items()
            if isinstance(value, int | float) and name not in ("step", "total_steps", "tokens")
        }
        self.metrics = numbers
        words = f"Step {step}" + (f"/{self.steps}" if self.steps else "")
        told = ", ".join(f"{name}={value:.4g}" for name, value in numbers.items())
        data = {"step": step, "total_steps": self.steps, **numbers}
        self.items.append(notes.event(f"{words}: {told}" if told else words, self.now, data=data))


def _whole(value: Any) -> int | None:
    """A whole number that is not negative, as far as it is one."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
