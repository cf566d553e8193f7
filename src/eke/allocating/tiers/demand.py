"""The demand for context tiers as its user writes it: a TOML file, units in the text."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from eke.asking import promise
from eke.asking import tiers as context_tiers
from eke.catalog.files import read_toml
from eke.errors import BadFile, BadInput, BadQuantity, EkeError, closest
from eke.types.job import Promise
from eke.types.need import Ground, GroundKind
from eke.types.record import Record, replace
from eke.types.tiers import Conversations, Demand, TierUse
from eke.units import quantity

Words = str | int | float
FILLED, ANSWER, PEAK = 0.5, 300.0, 2.0  # where nobody says: assumed
MOST = 16  # longer tiers of one question


class TierWords(Record):
    """A tier's own table. Lengths of prompt and answer are those of a mean request."""

    prompt: Words | None = None
    answer: Words | None = None
    asks: str | None = None
    price: str | None = None
    per_million: str | None = None
    ttft: str | None = None
    wanted: Words | None = None


class ConversationWords(Record):
    """How people talk, and whether what they said is kept."""

    turns: Words
    think: str
    repeats: Words
    variation: Words | None = None
    keep: str | None = None
    kept: str | None = None


class DemandWords(Record):
    """The whole file."""

    users: Words
    asks: str
    base: str
    longer: list[str]
    name: str = ""
    peak: Words | None = None
    day: list[float] | None = None
    filled: Words | None = None
    prompt: Words | None = None
    answer: Words | None = None
    spread: Words | None = None
    ttft: str | None = None
    tpot: str | None = None
    tiers: dict[str, TierWords] = {}
    conversations: ConversationWords | None = None


class Reader:
    """Turns words into numbers, and remembers which were given and which assumed."""

    def __init__(self, path: str, instead: Mapping[str, Any]) -> None:
        self.path, self.instead = path, instead
        self.grounds: list[Ground] = []

    def number(self, field: str, words: Words, unit: str) -> float:
        """A quantity of the file. Raises BadFile naming file and field."""
        try:
            found = quantity(str(words), unit)
        except BadQuantity as error:
            raise BadFile(f"{self.where(field)}: {field}: {error}") from None
        if found < 0:
            raise BadFile(f"{self.where(field)}: {field} is {words!r:.60}; it cannot be negative.")
        return self.noted(field, found, unit, "given")

    def usual(self, field: str, value: float, unit: str, note: str = "") -> float:
        """What stands where nobody says."""
        return self.noted(field, value, unit, "assumed", note)

    def noted(self, field: str, value: float, unit: str, kind: GroundKind, note: str = "") -> float:
        source = self.where(field) if kind == "given" else "eke"
        self.grounds.append(
            Ground(name=field, value=value, unit=unit, kind=kind, source=source, note=note)
        )
        return value

    def promise(self, field: str, words: str | None) -> Promise | None:
        """ "2s@p90", or nothing."""
        return None if words is None else self.said(field, promise, words)

    def context(self, field: str, words: str) -> int:
        """ "32k" as tokens."""
        if not isinstance(words, str) or ":" in words or "," in words:
            raise BadFile(f"{self.where(field)}: {field} is {words!r:.40}; expected one, as 32k.")
        found: int = self.said(field, lambda text: context_tiers(text)[0].context, words)
        return found

    def said(self, field: str, read: Any, words: Any) -> Any:
        """What a reader of words finds in them. Raises BadFile naming file and field."""
        try:
            return read(words)
        except EkeError as error:
            raise BadFile(f"{self.where(field)}: {field}: {error}") from None

    def made(self, kind: Any, **given: Any) -> Any:
        """A record, whose own checks name the file too."""
        try:
            return kind(**given)
        except BadInput as error:
            raise BadFile(f"{self.path}: {error}") from None

    def where(self, field: str) -> str:
        """The file, or the option that said it instead."""
        return f"--{field}" if field in self.instead else self.path


def read_demand(path: str | Path, instead: Mapping[str, Any] | None = None) -> Demand:
    """The demand a file describes. instead: fields that were said elsewhere and stand in place of
    the file's: users, longer, ttft, tpot. Raises BadFile naming file and field."""
    said = {name: value for name, value in (instead or {}).items() if value is not None}
    raw = read_toml(Path(path), DemandWords)
    named = {raw.base, *raw.longer, *said.get("longer", ())}
    for name in raw.tiers:
        if name not in named:
            near = closest(name, named)
            hint = f"; closest: {near}" if near else ""
            longer = ", ".join(raw.longer)
            raise BadFile(
                f"{path}: tiers.{name[:40]} is neither base ({raw.base[:40]}) nor longer "
                f"({longer[:200]}){hint}."
            )
    return _demand(Reader(str(path), said), replace(raw, **said))


def _demand(read: Reader, raw: DemandWords) -> Demand:
    if len(raw.longer) > MOST:
        raise BadFile(f"{read.where('longer')}: longer names more than {MOST} tiers.")
    users = read.number("users", raw.users, "1")
    peak = _peak(read, raw)
    tiers = [_tier(read, raw, name) for name in (raw.base, *raw.longer)]
    spread = 1.0 if raw.spread is None else read.number("spread", raw.spread, "1")
    talks = _conversations(read, raw.conversations) if raw.conversations else None
    found: Demand = read.made(
        Demand,
        users=users,
        peak=peak,
        base=tiers[0],
        longer=tuple(tiers[1:]),
        tpot=read.promise("tpot", raw.tpot),
        spread=spread,
        conversations=talks,
        name=raw.name,
    )
    return replace(found, grounds=tuple(read.grounds))


def _peak(read: Reader, raw: DemandWords) -> float:
    """Busiest time over the mean, said as such or by the shape of a day."""
    if raw.peak is not None and raw.day is not None:
        raise BadFile(f"{read.path}: peak and day say the same; give one of them.")
    if raw.day is not None:
        if len(raw.day) < 2 or min(raw.day) < 0 or not 0 < sum(raw.day) < 1e30:
            raise BadFile(f"{read.path}: day is the asks of each hour, none below zero, not all 0.")
        peak = max(raw.day) * len(raw.day) / sum(raw.day)
        return read.noted("peak", peak, "1", "given", "from day")
    if raw.peak is None:
        return read.usual("peak", PEAK, "1", "busiest time over the mean of the day")
    return read.number("peak", raw.peak, "1")


def _tier(read: Reader, raw: DemandWords, name: str) -> TierUse:
    """A tier with its own words, else those of the whole file, else what is usual."""
    own = raw.tiers.get(name, TierWords())
    context = read.context("base" if name == raw.base else "longer", name)
    at = f"tiers.{name}"
    answer = _either(read, f"{at}.answer", own.answer, raw.answer, "answer")
    if answer is None:
        answer = read.usual(f"{at}.answer", min(ANSWER, context / 4), "token")
    return read.made(  # type: ignore[no-any-return]
        TierUse,
        name=name,
        context=context,
        prompt=_prompt(read, raw, own, (name, context, answer)),
        answer=answer,
        asks=read.number(f"{at}.asks" if own.asks else "asks", own.asks or raw.asks, "1/s"),
        price=read.number(f"{at}.price", own.price, "USD/s") if own.price else 0.0,
        token_price=(
            read.number(f"{at}.per_million", own.per_million, "USD") / 1e6
            if own.per_million
            else 0.0
        ),
        ttft=(
            read.promise("ttft", raw.ttft)
            if own.ttft is None or "ttft" in read.instead
            else read.promise(f"{at}.ttft", own.ttft)
        ),
        wanted=1.0 if own.wanted is None else read.number(f"{at}.wanted", own.wanted, "1"),
    )


def _either(
    read: Reader, field: str, own: Words | None, whole: Words | None, word: str
) -> float | None:
    if own is not None:
        return read.number(field, own, "token")
    return None if whole is None else read.number(word, whole, "token")


def _prompt(read: Reader, raw: DemandWords, own: TierWords, tier: tuple[str, int, float]) -> float:
    """As said for the tier or, of the base, for all; else what fills a share of the context."""
    name, context, answer = tier
    whole = raw.prompt if name == raw.base else None
    said = _either(read, f"tiers.{name}.prompt", own.prompt, whole, "prompt")
    if said is not None:
        return said
    if raw.filled is not None:
        filled = read.number("filled", raw.filled, "1")
    else:
        note = "share of the context that a mean request fills"
        filled = read.usual(f"tiers.{name}.filled", FILLED, "1", note)
    if not 0 < filled <= 1:
        raise BadFile(f"{read.path}: filled is {filled:g}; it is a share of the context, to 100 %.")
    return max(filled * context - answer, 1.0)


def _conversations(read: Reader, raw: ConversationWords) -> Conversations:
    at = "conversations"
    spread = raw.variation
    if raw.keep not in (None, "nowhere", "chip", "host"):
        raise BadFile(f"{read.path}: {at}.keep is {raw.keep!r:.40}; expected chip or host.")
    if spread is None:
        note = "exponential thinking"
        read.usual(f"{at}.variation", 1.0, "1", note)
    found: Conversations = read.made(
        Conversations,
        turns=read.number(f"{at}.turns", raw.turns, "1"),
        think=read.number(f"{at}.think", raw.think, "s"),
        repeats=read.number(f"{at}.repeats", raw.repeats, "1"),
        variation=None if spread is None else read.number(f"{at}.variation", spread, "1"),
        keep=raw.keep or "nowhere",
        kept=0.0 if raw.kept is None else read.number(f"{at}.kept", raw.kept, "s"),
    )
    return found
