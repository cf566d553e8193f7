"""How much a request may take, before any engine has seen it."""

from __future__ import annotations

from math import inf
from zlib import crc32

from eke.gateway.asked import CLASSES, HEAD
from eke.gateway.asker import Asker
from eke.gateway.desk import Desk
from eke.gateway.engines.engine import UNBOUNDED
from eke.gateway.gateway import Gateway
from eke.gateway.ledger import Use
from eke.gateway.refusal import Refusal, bad
from eke.types.request import Request

IMAGE = 1000  # tokens of an image or a sound, until an engine has counted (assumed)
ANY = UNBOUNDED >> 1  # tokens of an answer where nobody bounds it; with its prompt it fits anywhere
UNKNOWN = 1e15  # time that nobody can say [s]; more than any limit has
NOTHING = Use(0.0, 0.0, 0.0, 0.0)
ENDLESS = 10.0  # times its likely length that an answer without bound may have (assumed)


def sized(gateway: Gateway, asker: Asker) -> Request:
    """The request as policies see it. Raises Refusal 400 where its context is surely too short."""
    asked, endpoint, tenant, size = asker.asked, asker.endpoint, asker.tenant, asker.size
    lengths = gateway.lengths_of(asked.model)
    prompt = size.tokens or lengths.prompt(size.characters) + size.media * IMAGE
    most, likely, several = 0, 0.0, asker.copies > 1
    if endpoint.answers:
        likely = lengths.answer(tenant.name, asker.kind)
        longest, prompt = _longest(gateway, asker, prompt, likely)
        most, likely = longest * asker.copies, min(likely, longest) * asker.copies
    key, whose = asked.prompt_cache_key, crc32(tenant.name.encode())
    ttft = gateway.model(asked.model).ttft if asked.stream else None
    head = bytes(memoryview(getattr(asked, endpoint.text))[:HEAD])
    return Request(
        *(gateway.number(), gateway.clock.now(), prompt, likely, most, tenant.name, asker.kind),
        *(CLASSES[asker.tier], ttft, asker.deadline),
        session=None if key is None else crc32(key.encode(), whose),
        stem=crc32(head, whose),
        alone=max(int(prompt * size.longest), 1) if several else 0,
    )


def most_use(gateway: Gateway, desk: Desk, asker: Asker, request: Request) -> Use:
    """What a request may take at most, of what its tenant has limits on; an answer without bound is
    taken as ENDLESS times as long as it is likely to be."""
    limited = [limit.what for limit in asker.tenant.limits]
    if not limited:
        return NOTHING
    answer = request.most if request.most < ANY else ENDLESS * request.likely
    price = gateway.model(asker.asked.model).price
    usd = seconds = 0.0
    if "seconds" in limited or (price is None and "USD" in limited):
        time = _longest_time(gateway, desk, request.prompt, answer)
        engines = [engine.settings for engine in desk.engines.values()]
        seconds = time * max([each.chips for each in engines], default=1.0)
        usd = time * max([each.rate for each in engines], default=1.0)
    if price is not None:
        usd = price.prompt * request.prompt + price.answer * answer
    return Use(1.0, request.prompt + answer, usd, seconds)


def _longest_time(gateway: Gateway, desk: Desk, prompt: int, answer: float) -> float:
    """How long a request may have engines at most, whichever it comes to [s]: as long as on the
    slowest that is known; where none is, so long that no limit has room for two of them."""
    known = [each.durations for each in desk.engines.values() if each.durations.known]
    longest = max([each.most(prompt, answer) for each in known], default=UNKNOWN)
    return longest if gateway.settings.patience.hedge is None else 2.0 * longest  # and its twin


def too_long(gateway: Gateway, asker: Asker, prompt: int, said: int | None) -> Refusal:
    """A prompt, with the answer asked for, that is longer than the context its tenant has."""
    context = gateway.context(asker.tenant, asker.asked.model)
    whole = gateway.model_context(asker.asked.model)
    whose = "This model's maximum" if context >= whole else "The maximum of your plan's"
    return bad(
        f"{whose} context length is {context:,.0f} tokens. However, your request has about "
        f"{prompt:,} tokens of prompt and asks for {said or 0:,} more. Shorten either.",
        asker.endpoint.text,
        "context_length_exceeded",
    )


def _longest(gateway: Gateway, asker: Asker, prompt: int, likely: float) -> tuple[int, int]:
    """Longest answer there may be to each of its prompts, and how long a prompt it is taken for
    [tokens]: one that looks too long is believed to be as short as it may be, for a guess must not
    refuse what an engine would answer."""
    context, said = gateway.context(asker.tenant, asker.asked.model), asker.bound
    if context == inf:
        return min(said or ANY, ANY), prompt
    size = asker.size
    share, others = size.longest, int(prompt * (1.0 - size.longest))
    own = prompt - others
    wanted = said or max(int(likely), 1)
    if own + wanted > context:
        lengths = gateway.lengths_of(asker.asked.model)
        least = int((size.tokens or lengths.least(size.characters)) * share) or 1
        if least + (said or 1) > context:
            raise too_long(gateway, asker, prompt, said)
        own = max(least, min(own, int(context) - wanted))
    room = max(int(context) - own, 1)
    return room if said is None else min(said, room), own + others
