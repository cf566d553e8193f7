"""How much a request may take, before any engine has seen it."""

from __future__ import annotations

from itertools import islice
from math import inf
from zlib import crc32

from eke.gateway.asked import CLASSES, HEAD
from eke.gateway.asker import Asker
from eke.gateway.desk import Desk
from eke.gateway.engines.engine import UNBOUNDED
from eke.gateway.gateway import Gateway
from eke.gateway.ledger import Use
from eke.gateway.parts import characters_of
from eke.gateway.refusal import Refusal, bad
from eke.types.request import Request

SLACK = 1.1  # of a context, since prompts are only estimated before an engine counts them
IMAGE = 1000  # tokens of an image or a sound, until an engine has counted (assumed)
ANY = UNBOUNDED >> 1  # tokens of an answer where nobody bounds it; with its prompt it fits anywhere
ENDLESS = 10.0  # times its likely length that an answer without bound may have (assumed)


def sized(gateway: Gateway, asker: Asker) -> tuple[Request, int]:
    """The request as policies see it, and the characters of its prompt. Raises Refusal 400 where
    its context is too short."""
    asked, endpoint, tenant = asker.asked, asker.endpoint, asker.tenant
    raw = bytes(getattr(asked, endpoint.text))
    characters, media = characters_of(raw)
    lengths = gateway.lengths_of(asked.model)
    prompt = lengths.prompt(characters) + media * IMAGE
    most, likely = 0, 0.0
    if endpoint.answers:
        copies = max(asked.n or 1, asked.best_of or 1)
        longest = _longest(gateway, asker, prompt)
        most = longest * copies
        likely = min(lengths.answer(tenant.name, asker.kind), longest) * copies
    key, whose = asked.prompt_cache_key, crc32(tenant.name.encode())
    ttft = gateway.model(asked.model).ttft if asked.stream else None
    request = Request(
        *(gateway.number(), gateway.clock.now(), prompt, likely, most, tenant.name, asker.kind),
        *(CLASSES[asker.tier], ttft, asker.deadline),
        session=None if key is None else crc32(key.encode(), whose),
        stem=crc32(raw[:HEAD], whose),
    )
    return request, characters


def most_use(gateway: Gateway, desk: Desk, model: str, request: Request) -> Use:
    """What a request may take at most; an answer without bound is taken as ENDLESS times as long
    as it is likely to be."""
    answer = request.most if request.most < ANY else ENDLESS * request.likely
    tokens = request.prompt + answer
    seconds = usd = 0.0
    for engine in islice(desk.engines.values(), 1):  # the first; there may be none
        share = tokens * (engine.pace or 0.0)  # of its time [s]
        seconds, usd = share * engine.settings.chips, share * engine.settings.rate
    price = gateway.model(model).price
    if price is not None:
        usd = price.prompt * request.prompt + price.answer * answer
    return Use(1.0, tokens, usd, seconds)


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


def _longest(gateway: Gateway, asker: Asker, prompt: int) -> int:
    """Longest answer there may be [tokens]."""
    context = gateway.context(asker.tenant, asker.asked.model)
    said = asker.asked.max_completion_tokens or asker.asked.max_tokens
    if prompt + (said or 0) > context * SLACK:
        raise too_long(gateway, asker, prompt, said)
    if context == inf:
        return min(said or ANY, ANY)
    room = max(int(context) - prompt, 1)
    return room if said is None else min(said, room)
