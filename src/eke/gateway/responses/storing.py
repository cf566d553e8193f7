"""A response as it is stored: under which kind, for how long, with what."""

from __future__ import annotations

import msgspec

from eke.gateway.responses.answer import ENDED
from eke.gateway.responses.kept import AWHILE, FLEETING, RESPONSE, Body, Whole
from eke.gateway.responses.making import Making
from eke.gateway.state.documents import Document


def whole_of(making: Making, events: bytes = b"") -> Whole:
    """All that is stored of a response, as it stands."""
    answer, tenant, now = making.answer, making.tenant, making.gateway.clock.wall()
    fleeting = not making.stored and answer["status"] in ENDED
    expires = now + (min(AWHILE, tenant.retention) if fleeting else tenant.retention)
    session = making.turn.session or making.id
    body = Body({**answer, "output": []}, session, making.log is not None)
    document = Document(
        id=making.id,
        kind=RESPONSE if making.stored else FLEETING,
        tenant=tenant.name,
        created=making.created,
        status=answer["status"],
        body=msgspec.json.encode(body),
        expires=expires,
        previous=making.ask.previous_response_id,
    )
    conversation = making.ask.conversation_id if making.stored else None
    kept_until = now + tenant.retention
    return Whole(document, making.turn.input, answer["output"], conversation, kept_until, events)
