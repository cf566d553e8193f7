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
MOST = 10_000  # steps and words of a trainer that are told one by one
GOLDEN = (5**0.5 - 1) / 2


class Heard:
    """What came of some lines. items: to be kept.  finished: the tuned model is there.
    told: steps and words so far, also those of which nothing is kept."""

    def __init__(self, id: str, name: str, job: Job, now: float) -> None:
        self.id, self.name, self.now = id, name, now
        self.step, self.steps, self.tokens = job.step, job.steps, job.tokens
        self.told = job.told
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
        far = {"step": self.step, "steps": self.steps, "tokens": self.tokens}
        return replace(job, **far, told=self.told)

    def _line(self, line: bytes) -> None:
        try:
            found = msgspec.json.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            found = None
        if not isinstance(found, dict) or not self._object(found):
            self._tell(line.decode("utf-8", "replace"))

    def _object(self, found: dict[str, Any]) -> bool:
        """Something said in JSON; whether it is any of what a trainer may say."""
        step = _whole(found.get("step"))
        self.tokens = _whole(found.get("tokens")) or self.tokens
        self.steps = _whole(found.get("total_steps")) or self.steps
        if isinstance(found.get("model"), str):
            self._finish()
        elif isinstance(found.get("checkpoint"), str):
            self._checkpoint(self.step if step is None else step)
        elif step is not None:
            self._step(step, found)
        else:
            return False
        return True

    def _finish(self) -> None:
        words = "The tuned model is there."
        if self.finished:  # it says so again
            self._tell(words)
        else:
            self.items.append(notes.event(words, self.now))
        self.finished = True

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
        self._tell(f"{words}: {told}" if told else words, data)

    def _tell(self, words: str, data: dict[str, Any] | None = None) -> None:
        """Steps and words are all that a trainer may say without end."""
        if worth(self.told):
            self.items.append(notes.event(words, self.now, data=data))
        self.told += 1


def worth(number: int) -> bool:
    """Whether the step or word of a number is kept: each of the first MOST, then ever fewer, in all
    about MOST · (1 + ln(n / MOST)) of n, up to the last.

    Fractions of the multiples of the golden ratio are spread evenly, also of every second or every
    tenth multiple: of what a trainer tells by turns nothing is lost.
    """
    return number * GOLDEN % 1.0 < MOST / (number + 1)


def _whole(value: Any) -> int | None:
    """A whole number that is not negative, as far as it is one."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
