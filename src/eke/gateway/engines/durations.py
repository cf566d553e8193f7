"""How long requests have an engine: what one takes at most, told from those before it."""

from __future__ import annotations

MARGIN = 2.0  # times as long as others like it, that a request may have an engine (assumed)
SMOOTH = 0.1  # of a new request in running means
FADES = 0.05  # of the longest, with each request after it


class Durations:
    """Times that an engine's requests were on it, by their lengths.

    Where a prompt token takes a, one of an answer b, and whatever else a request needs c, one that
    in nothing is r times as long as the mean takes at most r times the mean, whichever a, b and c
    are. More requests at once take no longer together than one after the other, so the time that
    one was there, in any company, is more than its part will be in any other.

    prompt, answer, seconds: running means [tokens, s].  longest: lately, by how long the request
    was [s].  known: whether there was any.
    """

    __slots__ = ("answer", "known", "longest", "prompt", "seconds")

    def __init__(self) -> None:
        self.prompt = self.answer = self.seconds = self.longest = 0.0
        self.known = False

    def add(self, prompt: int, answer: int, seconds: float) -> None:
        """A request is answered."""
        part = SMOOTH if self.known else 1.0
        self.known = True
        self.prompt += part * (prompt - self.prompt)
        self.answer += part * (answer - self.answer)
        self.seconds += part * (seconds - self.seconds)
        faded = (1.0 - FADES) * self.longest
        self.longest = max(seconds / self._times(prompt, answer), self.seconds, faded)

    def most(self, prompt: float, answer: float) -> float:
        """How long a request may be there [s]."""
        return MARGIN * self.longest * self._times(prompt, answer)

    def _times(self, prompt: float, answer: float) -> float:
        """How many times as long as the mean a request is, at least once."""
        return max(1.0, prompt / max(self.prompt, 1.0), answer / max(self.answer, 1.0))
