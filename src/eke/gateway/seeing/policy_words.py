"""What a policy does, in words for whoever waits under it."""

from __future__ import annotations

from eke.policy import values

WORDS = {
    "fcfs": "First come, first served.",
    "priority": "Lower classes first; who waits long moves up.",
    "fair": "The tenant that had least service for its weight goes next, by tokens.",
    "classes": "Higher service tiers first, and who waits long moves up; in each, the tenant that "
    "had least service for its weight, by tokens.",
    "deficit": "Tenants in rounds, requests with the same beginning together.",
    "deadline": "The promise that runs out first goes next.",
    "shortest": "The least work goes next; who waits long moves up.",
    "tiers": "By length of context, each with a share that it is sure of.",
    "promise": "Who would miss its promise anyway is refused at once.",
    "queue": "Who would have too many before it is refused at once.",
    "ladder": "When waits grow: shorter answers, then a smaller model, then no.",
    "backfill": "Work that can wait fills what others leave.",
    "anticipate": "A place is kept for who will be back at once.",
    "least-load": "Each to the engine with most room.",
    "round-robin": "To the engines in turn.",
    "prefix": "To the engine that has seen the same beginning, unless it is much fuller.",
    "sticky": "Each conversation to its engine, unless that is much fuller.",
    "direct": "Every request to an engine at once: nobody waits here.",
}


def policy_words(policy: str) -> list[str]:
    """A sentence for each part of a policy, with its settings as they were given."""
    words, _, router = policy.partition("@")
    parts = values.split(words, "+") + ([router] if router else [])
    return [_sentence(part, policy) for part in parts]


def _sentence(part: str, policy: str) -> str:
    name, settings = values.part(part, policy)
    told = WORDS.get(name, f"{name}.")
    return f"{told[:-1]} ({', '.join(settings)})." if settings else told
