"""Lines for /v1/responses: made on engines that know chat completions only.

Such a response is not stored: it stands in the file. It may go on from one that is.
"""

from __future__ import annotations

from eke.gateway.asked import CHAT
from eke.gateway.batches.deferred import TIER, Deferred, Turn, deferred
from eke.gateway.gateway import Gateway
from eke.gateway.refusal import bad
from eke.gateway.responses.answer import CANCELLED
from eke.gateway.responses.ask import read
from eke.gateway.responses.ids import Ids
from eke.gateway.responses.making import Making as Made
from eke.gateway.responses.turn import turn_of
from eke.gateway.settings import Tenant

__all__ = ["CANCELLED", "Making", "making_of", "nobody"]


class Making(Made):
    """A response whose errand is a line's."""

    errand: Deferred


async def making_of(gateway: Gateway, tenant: Tenant, body: bytes, turn: Turn) -> Making:
    """The response that a line asks for, not asked for yet. Raises Refusal."""
    ask = read(body)
    if ask.background:
        raise bad("Lines of a batch run in the background as it is; leave it out.", "background")
    if ask.conversation_id is not None:
        raise bad("Lines of a batch are in no conversation; leave it out.", "conversation")
    said = await turn_of(gateway, tenant, ask, Ids())
    making = Making(gateway, tenant, ask, said, stored=False)
    making.errand = deferred(gateway, tenant, CHAT, said.asked, said.body, turn)
    making.asked = True
    making.answer["service_tier"] = TIER
    return making


async def nobody(events: list[bytes]) -> None:
    """Nobody listens to its events."""
