"""How long prompts and answers are, before anybody has counted them."""

from __future__ import annotations

from collections import OrderedDict

CHARACTERS = 4.0  # of JSON per token, until an engine has counted some (assumed)
ANSWER = 300.0  # tokens of an answer, until some were seen (assumed)
SPREAD = 0.5  # of that from prompt to prompt, likewise (assumed)
SMOOTH = 0.05  # of a new request in running means
WIDE = 3.0  # spreads beyond which hardly any prompt is
SURE = 1.1  # times the mean that is in doubt in any case
SHORT = 40  # characters of a prompt that tell nothing
KEPT = 4096  # tenants and kinds whose answers are remembered


class Lengths:
    """Forecasts for one model, from what its engines counted so far.

    A prompt is as many tokens as its characters over a running mean; an answer as long as the
    running mean of its tenant's answers of that kind.
    """

    __slots__ = ("_answers", "_characters", "_count", "_mean", "_spread", "_tokens")

    def __init__(self) -> None:
        self._spread = SPREAD
        self._characters, self._tokens = CHARACTERS * 1000.0, 1000.0
        self._mean, self._count = ANSWER, 0
        self._answers: OrderedDict[tuple[str, str], float] = OrderedDict()

    def prompt(self, characters: int) -> int:
        """Tokens of a prompt, at least 1."""
        return int(characters * self._tokens / self._characters) + 1

    def least(self, characters: int) -> int:
        """Tokens that a prompt has at least, but for one that is unlike all others."""
        mean = self._characters / self._tokens
        return int(characters / max(mean + WIDE * self._spread, SURE * mean))

    def answer(self, tenant: str, kind: str) -> float:
        """Tokens of an answer."""
        return self._answers.get((tenant, kind), self._mean)

    def counted(self, characters: int, tokens: int) -> None:
        """An engine counted a prompt. Long ones count for more; old ones are forgotten."""
        if characters < SHORT or not tokens:
            return  # what is put around every prompt would be most of it
        away = abs(characters / tokens - self._characters / self._tokens)
        self._spread += SMOOTH * (away - self._spread)
        keep = 1.0 - min(characters / (characters + 20_000.0), 0.5)
        self._characters = keep * self._characters + characters
        self._tokens = keep * self._tokens + tokens

    def answered(self, tenant: str, kind: str, tokens: float) -> None:
        """An answer of so many tokens was complete."""
        key = (tenant, kind)
        before = self._answers.pop(key, None)
        self._answers[key] = tokens if before is None else before + SMOOTH * (tokens - before)
        self._count += 1
        self._mean += max(SMOOTH, 1.0 / self._count) * (tokens - self._mean)
        if len(self._answers) > KEPT:
            self._answers.popitem(last=False)
