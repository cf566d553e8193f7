"""Lines for /v1/responses: made on engines that know chat completions only.

Such a response is not stored: it stands in the file. It may go on from one that is.
"""

from __future__ import annotations

from eke.gateway.asked import CHAT
from eke.gateway.batches.errands import Turn, errand_of
from eke.gateway.gateway import Gateway
from eke.gateway.refusal import bad
from eke.gateway.responses.answer import CANCELLED
from eke.gateway.responses.ask import read
from eke.gateway.responses.ids import Ids
from eke.gateway.responses.making import Deferring, in_own_words
from eke.gateway.responses.turn import turn_of
from eke.gateway.settings import Tenant

__all__ = ["CANCELLED", "making_of"]


async def making_of(gateway: Gateway, tenant: Tenant, body: bytes, turn: Turn) -> Deferring:
    """The response that a line asks for, not asked for yet. Raises Refusal."""
    ask = read(body)
    if ask.background:
        raise bad("Lines of a batch run in the background as it is; leave it out.", "background")
    if ask.conversation_id is not None:
        raise bad("Lines of a batch are in no conversation; leave it out.", "conversation")
    said = await turn_of(gateway, tenant, ask, Ids())
    with in_own_words():
        errand = errand_of(gateway, tenant, CHAT, said.asked, said.body, turn)
    making = Deferring(errand, ask, said, stored=False)
    making.asked = True
    return making
