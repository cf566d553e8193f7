"""Sessions of a profile: turns, calls of tools, searches and speech as rows that follow another.

A block is drawn all at once: how many turns each session has, how many calls each turn, and then
every length and pause of every row.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from eke.simulation.traffic.chance import stream
from eke.simulation.traffic.profiles import Figure, Profile, counts, drawn, tokens
from eke.types.arrivals import NOBODY, Arrivals, arrivals
from eke.types.record import Record

WINDOW = 131_072  # tokens; assumed context of the model where nobody says
ROWS = 32_768  # requests drawn at once, about


class Tier(Record):
    """A context length [tokens], and the share of sessions that need it."""

    tokens: int
    share: float


class Draw(Record):
    """Where chance comes from: a seed, and which part of the traffic and block of it this is."""

    seed: int
    part: int
    block: int

    def __call__(self, purpose: str) -> np.random.Generator:
        return stream(self.seed, self.part, purpose, self.block)


class Rows(Record):
    """The shape of a block. session, ask: which each row belongs to.  turn: of the session.
    opening: first row of an ask.  rewrite: the one that rewrites the question.  question: first
    row that holds what the person said.  closing: the one that answers.
    """

    session: Any
    ask: Any
    turn: Any
    opening: Any
    rewrite: Any
    question: Any
    closing: Any


def mean_turns(profile: Profile) -> float:
    """Asks of a session."""
    return max(profile.turns.mean, 1.0) if profile.turns else 1.0


def mean_calls(profile: Profile) -> float:
    """Requests to the model for one ask."""
    tools = profile.tools.mean if profile.tools else 0.0
    return 1.0 + tools + (profile.rewrite_prompt is not None)


def sessions(
    profile: Profile, seed: int, part: int, tiers: tuple[Tier, ...] = (), window: int = WINDOW
) -> Iterator[Arrivals]:
    """Sessions without end, which all begin at 0; a stretch holds a block of them."""
    count = max(1, int(ROWS / (mean_turns(profile) * mean_calls(profile))))
    block = 0
    while True:
        draw = Draw(seed=seed, part=part, block=block)
        yield _block(profile, draw, count, tiers, window)
        block += 1


def _block(
    profile: Profile, draw: Draw, count: int, tiers: tuple[Tier, ...], window: int
) -> Arrivals:
    rows = _shape(profile, draw, count)
    tier, first = _tiers(tiers, draw, count)
    limit = _limits(tiers, tier, window)[rows.session]
    sound, added = _said(profile, draw, rows, first)
    answer = np.minimum(_answers(profile, draw, rows), np.maximum(limit // 2, 1))
    stem = round(profile.stem.mean) if profile.stem else 0
    prompt = np.where(rows.rewrite, added, stem + _before(rows, added, answer) + added)
    opened = rows.opening & (rows.turn == 0)
    # What somebody says first is cut to the context; a later turn that overflows ends the session.
    prompt = np.where(opened | rows.rewrite, np.minimum(prompt, limit - answer), prompt)
    columns = {
        "arrived": _pauses(profile, draw, rows, sound, answer),
        "prompt": prompt,
        "answer": answer,
        "most": np.maximum(np.minimum(profile.answer.most, limit).astype(np.int64), answer),
        "kind": tier[rows.session],
        "session": _talks(profile, draw, rows, count),
        "stem": np.where(rows.rewrite | (stem == 0), NOBODY, 0),
        "stem_tokens": np.where(rows.rewrite, 0, np.minimum(prompt, stem)),
        "images": np.where(opened & rows.question, _mean(profile.pictures), 0.0),
        "sound": np.where(rows.question, sound[rows.ask], 0.0),
        "work": drawn(profile.work, draw("work"), len(prompt)) if profile.work else prompt * 0.0,
    }
    fits = _before_overflow(rows, prompt + answer > limit)
    return arrivals(
        **{name: column[fits] for name, column in columns.items()},
        after=_followed(opened[fits]),
        kinds=tuple(f"{profile.name} {_size(each.tokens)}" for each in tiers) or (profile.name,),
        priority=profile.priority,
        deadline=profile.deadline.mean if profile.deadline else np.inf,
    )


def _shape(profile: Profile, draw: Draw, count: int) -> Rows:
    turns = counts(profile.turns, draw("turns"), count, 1)
    session_of_ask = np.repeat(np.arange(count), turns)
    asks = len(session_of_ask)
    turn_of_ask = np.arange(asks) - np.repeat(np.cumsum(turns) - turns, turns)
    rewrites = int(profile.rewrite_prompt is not None)
    calls = 1 + rewrites + counts(profile.tools, draw("calls"), asks, 0)
    ask = np.repeat(np.arange(asks), calls)
    place = np.arange(len(ask)) - np.repeat(np.cumsum(calls) - calls, calls)
    return Rows(
        session=session_of_ask[ask],
        ask=ask,
        turn=turn_of_ask[ask],
        opening=place == 0,
        rewrite=(place == 0) & bool(rewrites),
        question=place == rewrites,
        closing=place == calls[ask] - 1,
    )


def _tiers(tiers: tuple[Tier, ...], draw: Draw, count: int) -> tuple[Any, Any]:
    """Which tier each session needs, and how long its first text must be for that; 0 for any."""
    if not tiers:
        return np.zeros(count, np.int64), np.zeros(count, np.int64)
    chance = draw("tier")
    edges = np.cumsum([each.share for each in tiers])
    tier = np.searchsorted(edges / edges[-1], chance.random(count), side="right")
    sizes = np.array([0, *(each.tokens for each in tiers)], np.float64)
    low, high = np.maximum(sizes[tier], 1.0), sizes[tier + 1]
    # Evenly spread over the orders of magnitude between two tiers: assumed.
    long = low * (high / low) ** chance.random(count)
    return tier, np.where(tier > 0, np.ceil(long), 0).astype(np.int64)


def _limits(tiers: tuple[Tier, ...], tier: Any, window: int) -> Any:
    return np.array([each.tokens for each in tiers] or [window])[tier]


def _said(profile: Profile, draw: Draw, rows: Rows, first: Any) -> tuple[Any, Any]:
    """What each row adds to the text [tokens], and the speech of each ask [s]."""
    asks, count = int(rows.ask[-1]) + 1, len(rows.ask)
    sound = drawn(profile.sound, draw("sound"), asks) if profile.sound else np.zeros(asks)
    if profile.sound and profile.speaking:
        text = np.maximum(np.rint(sound * profile.speaking.mean), 1).astype(np.int64)
    else:
        text = tokens(profile.text, draw("text"), asks)
    opening = np.zeros(asks, np.bool_)
    opening[rows.ask[rows.turn == 0]] = True
    if profile.first:
        text[opening] = tokens(profile.first, draw("first"), int(opening.sum()))
    text[opening] = np.maximum(text[opening], first)
    text[opening] += round(_mean(profile.pictures) * _mean(profile.picture))
    if profile.documents:
        text = text + tokens(profile.documents, draw("documents"), asks)
    added = np.where(rows.question, text[rows.ask], 0)
    for figure, which in ((profile.rewrite_prompt, rows.rewrite), (profile.result, _later(rows))):
        if figure:
            added = np.where(which, tokens(figure, draw("result"), count), added)
    return sound, added


def _later(rows: Rows) -> Any:
    """The calls that begin with what a tool gave back."""
    return ~rows.question & ~rows.rewrite


def _answers(profile: Profile, draw: Draw, rows: Rows) -> Any:
    """Length of what the model writes in each row [tokens]."""
    count = len(rows.ask)
    answer = tokens(profile.answer, draw("answer"), count)
    if profile.call:
        answer = np.where(rows.closing, answer, tokens(profile.call, draw("call"), count))
    if profile.rewrite_answer:
        rewritten = tokens(profile.rewrite_answer, draw("rewrite"), count)
        answer = np.where(rows.rewrite, rewritten, answer)
    return answer


def _before(rows: Rows, added: Any, answer: Any) -> Any:
    """What was said and written in a session before each row, rewriting left out [tokens]."""
    said = np.where(rows.rewrite, 0, added + answer)
    total = np.cumsum(said) - said
    starts = np.flatnonzero(rows.opening & (rows.turn == 0))
    return total - total[starts][rows.session]


def _before_overflow(rows: Rows, over: Any) -> Any:
    """Whether neither a row nor one before it in its session is too long."""
    total = np.cumsum(over & ~rows.rewrite)
    starts = np.flatnonzero(rows.opening & (rows.turn == 0))
    return total - total[starts][rows.session] == 0


def _pauses(profile: Profile, draw: Draw, rows: Rows, sound: Any, answer: Any) -> Any:
    """How long after the end of the one before each row comes [s]; 0 for the first of a session,
    whose time is set later.
    """
    count = len(rows.ask)
    pause = np.zeros(count)
    turns = rows.opening & (rows.turn > 0)
    finding = rows.question & ~rows.opening
    for figure, purpose, which in (
        (profile.think, "think", turns),
        (profile.rewrite_pause, "pause", finding),
        (profile.pause, "pause", _later(rows)),
        (profile.recognition, "recognition", turns),
        (profile.synthesis, "synthesis", turns),
    ):
        if figure:
            pause += np.where(which, drawn(figure, draw(purpose), count), 0.0)
    if profile.speaking:
        # A person hears the answer out and then speaks.
        heard = np.concatenate(([0], answer[:-1])) / profile.speaking.mean
        pause += np.where(turns, heard + sound[rows.ask], 0.0)
    return pause


def _talks(profile: Profile, draw: Draw, rows: Rows, count: int) -> Any:
    """Number of the conversation of each row; a rewriting stands alone."""
    alone = rows.rewrite | (profile.turns is None and profile.tools is None)
    return np.where(alone, NOBODY, draw.block * count + rows.session)


def _followed(opened: Any) -> Any:
    """Which request each follows: the one before it, or nobody."""
    return np.where(opened, NOBODY, np.arange(len(opened)) - 1)


def _mean(figure: Figure | None) -> float:
    return figure.mean if figure else 0.0


def _size(tokens: int) -> str:
    return f"{tokens // 1000}k" if tokens >= 1000 else str(tokens)
