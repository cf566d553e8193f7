"""What is kept of responses: verbs for the state, each one transaction.

A response is a document; its input and output are its items. Its answer to be replayed, event by
event, is a blob of the same name.
"""

from __future__ import annotations

import zlib

import msgspec

from eke.errors import BadInput
from eke.gateway.refusal import Refusal, bad, not_found
from eke.gateway.responses.answer import CANCELLED, COMPLETED, ENDED, FAILED, INCOMPLETE, Answer
from eke.gateway.responses.ids import Ids, owner_of
from eke.gateway.responses.items import REFERENCE, Item, resolved
from eke.gateway.state import blobs, deleting, documents, items, works
from eke.gateway.state.documents import Document
from eke.gateway.state.transaction import Transaction
from eke.types.record import Record, replace

RESPONSE = "response"
FLEETING = (
    "fleeting"  # a background response that is not stored: kept for a while, followed by none
)
CONVERSATION = "conversation"
INPUT, OUTPUT = "input", "output"  # parts of a response's items
AWHILE = 600.0  # for which one that is not stored is kept when it is over [s]
DEPTH = 10_000  # responses of a chain, and items of a conversation, that are read at most

Text = msgspec.json.Decoder(Item)


class Body(msgspec.Struct):
    """The text of a response's document.

    answer: without its output.  session: what its chain is known by to policies.  events: whether
    its events are told anew to who asks.
    """

    answer: Answer
    session: str
    events: bool = False


class Wanted(Record):
    """What a request goes on from. now: UTC [s]."""

    tenant: str
    now: float
    previous: str | None = None
    conversation: str | None = None


class History(msgspec.Struct):
    """What was said before. session: that it belongs to; None for a new one."""

    items: list[Item] = []
    session: str | None = None


class Whole(msgspec.Struct):
    """A response with its items, to be stored.

    conversation: that gets them too, and until when it is kept then [s].  events: to be replayed.
    """

    document: Document
    input: list[Item]
    output: list[Item]
    conversation: str | None = None
    expires: float | None = None
    events: bytes = b""


def history(
    transaction: Transaction, wanted: Wanted, given: list[Item], ids: Ids
) -> tuple[History, list[Item]]:
    """What was said before, and the input with items in the place of references. Raises Refusal."""
    found = History()
    if wanted.previous is not None:
        found = _chain(transaction, wanted, wanted.previous)
    elif wanted.conversation is not None:
        found = _conversation(transaction, wanted, wanted.conversation)
    known = {item["id"]: item for item in found.items}
    for item in given:
        if item["type"] == REFERENCE and item["id"] not in known:
            _look_up(transaction, wanted.tenant, item["id"], known)
    return found, resolved(given, known, ids)


def _chain(transaction: Transaction, wanted: Wanted, previous: str) -> History:
    unknown = not_found(
        f"Previous response with id '{previous:.80}' not found.",
        "previous_response_id",
        "previous_response_not_found",
    )
    document = alive(documents.get(transaction, RESPONSE, previous, wanted.tenant), wanted.now)
    if document is None:
        raise unknown
    if document.status not in (COMPLETED, INCOMPLETE):
        words = f"Previous response with id '{previous:.80}' is {document.status}"
        raise bad(f"{words}; only one that is complete can be followed.", "previous_response_id")
    body = body_of(document)
    if body.answer["conversation"]:
        words = f"Response '{previous:.80}' is part of a conversation; send 'conversation' instead."
        raise bad(words, "previous_response_id")
    chain = items.chain(transaction, previous, wanted.tenant, DEPTH)
    if chain is None or chain.missing is not None:
        raise not_found(
            f"Response with id '{chain and chain.missing}', which this conversation goes on "
            "from, was deleted or has expired.",
            "previous_response_id",
            "previous_response_not_found",
        )
    return History([Text.decode(item.body) for item in chain.items], body.session)


def _conversation(transaction: Transaction, wanted: Wanted, id: str) -> History:
    document = alive(documents.get(transaction, CONVERSATION, id, wanted.tenant), wanted.now)
    if document is None:
        raise no_conversation(id)
    wide = items.Slice(owner=id, tenant=wanted.tenant, limit=DEPTH)
    found, _ = items.page(transaction, wide) or ([], False)
    return History([Text.decode(item.body) for item in reversed(found)], id)


def _look_up(transaction: Transaction, tenant: str, id: str, known: dict[str, Item]) -> None:
    owner = owner_of(id)
    found = items.get(transaction, owner, id, tenant) if owner else None
    if found is not None:
        known[id] = Text.decode(found.body)


def store(transaction: Transaction, whole: Whole) -> None:
    """Store a response that is over, and what its conversation gets of it."""
    documents.create(transaction, whole.document)
    _add(transaction, whole, _rows(whole.input, INPUT) + _rows(whole.output, OUTPUT))
    _over(transaction, whole)


def queue(transaction: Transaction, whole: Whole, work: works.Work) -> None:
    """Store a response that is to be made, and the work of making it."""
    documents.create(transaction, whole.document)
    _add(transaction, whole, _rows(whole.input, INPUT))
    works.add(transaction, [work])


def finish(transaction: Transaction, whole: Whole, work: works.Work) -> bool:
    """Store how a background response ended. False where it was cancelled or deleted meanwhile, or
    another gateway has it: then it is not ours to end."""
    new = whole.document
    if not works.finish(transaction, work, works.DONE, None):
        return False
    old = documents.get(transaction, new.kind, new.id, new.tenant)
    if old is None or old.status in ENDED:
        return False
    if not documents.update(transaction, replace(new, revision=old.revision)):
        return False
    _add(transaction, whole, _rows(whole.output, OUTPUT))
    _over(transaction, whole)
    return True


def _over(transaction: Transaction, whole: Whole) -> None:
    """What else there is of a response that is over: in its conversation, and to be replayed."""
    document = whole.document
    if whole.conversation and document.status in (COMPLETED, INCOMPLETE):
        said = _rows(whole.input + whole.output)
        if items.append(transaction, whole.conversation, document.tenant, said):
            _renew(transaction, whole)
    if whole.events:
        packed = zlib.compress(whole.events, 1)
        blobs.begin(transaction, document.id, document.tenant, document.created)
        for number, start in enumerate(range(0, len(packed), blobs.PIECE)):
            piece = packed[start : start + blobs.PIECE]
            blobs.put(transaction, document.id, document.tenant, number, piece)
        blobs.finish(transaction, document.id, document.tenant)


def _renew(transaction: Transaction, whole: Whole) -> None:
    """A conversation that goes on is kept longer."""
    assert whole.conversation is not None
    tenant = whole.document.tenant
    found = documents.get(transaction, CONVERSATION, whole.conversation, tenant)
    if found is not None:
        documents.update(transaction, replace(found, expires=whole.expires))


def _add(transaction: Transaction, whole: Whole, rows: list[items.Item]) -> None:
    document = whole.document
    items.append(transaction, document.id, document.tenant, rows)


def _rows(given: list[Item], part: str = "") -> list[items.Item]:
    return [items.Item(item["id"], msgspec.json.encode(item), part) for item in given]


def find(transaction: Transaction, id: str, tenant: str, now: float) -> Document | None:
    """The document of a response; None where the tenant has none such."""
    for kind in (RESPONSE, FLEETING):
        found = alive(documents.get(transaction, kind, id, tenant), now)
        if found is not None:
            return found
    return None


def get(transaction: Transaction, id: str, tenant: str, now: float) -> tuple[Document, Body]:
    """A response with its output. Raises Refusal 404."""
    document = find(transaction, id, tenant, now)
    if document is None:
        raise unknown(id)
    body = body_of(document)
    body.answer["status"] = document.status
    wide = items.Slice(owner=id, tenant=tenant, part=OUTPUT, limit=DEPTH, newest=False)
    found, _ = items.page(transaction, wide) or ([], False)
    body.answer["output"] = [Text.decode(item.body) for item in found]
    if document.status not in ENDED:
        work = works.get(transaction, id, tenant)
        if work is not None and work.state == works.CLAIMED:
            body.answer["status"] = "in_progress"
    return document, body


def input_page(
    transaction: Transaction, wanted: items.Slice, now: float
) -> tuple[list[Item], bool]:
    """A page of a response's input, and whether there is more. Raises Refusal 404."""
    if find(transaction, wanted.owner, wanted.tenant, now) is None:
        raise unknown(wanted.owner)
    return page(transaction, wanted) or ([], False)


def page(transaction: Transaction, wanted: items.Slice) -> tuple[list[Item], bool] | None:
    """Items of an owner, and whether there are more; None where the tenant has no such owner.
    Raises Refusal 400 where there is none to list after."""
    try:
        found = items.page(transaction, wanted)
    except BadInput as error:
        raise bad(str(error), "after") from None
    return found and ([Text.decode(item.body) for item in found[0]], found[1])


def cancel(transaction: Transaction, id: str, tenant: str, now: float) -> tuple[Document, Body]:
    """End a background response that nobody works on here; one that is over stays as it is."""
    document, body = get(transaction, id, tenant, now)
    if document.status in ENDED:
        return document, body
    works.cancel(transaction, id, tenant)
    return _ended(transaction, document, body, CANCELLED, now)


def again(
    transaction: Transaction, id: str, tenant: str, now: float
) -> tuple[Document, list[Item]] | None:
    """A background response that is to be made, and its input; None where it is over or gone."""
    document = find(transaction, id, tenant, now)
    if document is None or document.status in ENDED:
        return None
    wide = items.Slice(owner=id, tenant=tenant, part=INPUT, limit=DEPTH, newest=False)
    found, _ = items.page(transaction, wide) or ([], False)
    return document, [Text.decode(item.body) for item in found]


def unwanted(transaction: Transaction, work: works.Work) -> bool:
    """Whether nobody goes on with a background response that was claimed: its tenant cancelled or
    deleted it."""
    found = works.get(transaction, work.id, work.tenant)
    return found is None or found.state == works.CANCELLED


def fail(transaction: Transaction, id: str, tenant: str, now: float, why: str = "") -> None:
    """A background response will never be made: it ended its gateways too often, or why else."""
    document = find(transaction, id, tenant, now)
    if document is not None and document.status not in ENDED:
        body = body_of(document)
        words = why or "It was begun several times and never ended."
        body.answer["error"] = {"code": "server_error", "message": words}
        _ended(transaction, document, body, FAILED, now)


def _ended(
    transaction: Transaction, document: Document, body: Body, status: str, now: float
) -> tuple[Document, Body]:
    body.answer["status"] = status
    expires = document.expires
    if document.kind == FLEETING:
        expires = now + AWHILE if expires is None else min(expires, now + AWHILE)
    changed = replace(document, status=status, body=msgspec.json.encode(body), expires=expires)
    if not documents.update(transaction, changed):  # it just ended
        return get(transaction, document.id, document.tenant, now)
    return changed, body


def events(transaction: Transaction, id: str, tenant: str) -> bytes | None:
    """The events of a response that is over; None where they are not kept."""
    blob = blobs.get(transaction, id, tenant)
    if blob is None:
        return None
    pieces = [blobs.piece(transaction, blob, number) for number in range(blob.pieces)]
    return zlib.decompress(b"".join(pieces))


def delete(transaction: Transaction, id: str, tenant: str) -> bool:
    """Delete a response and all that belongs to it; whether it was there."""
    return any(deleting.delete(transaction, kind, id, tenant) for kind in (RESPONSE, FLEETING))


def body_of(document: Document) -> Body:
    """The text of a response's document."""
    return msgspec.json.decode(document.body, type=Body)


def alive(document: Document | None, now: float) -> Document | None:
    """The document, unless it has expired and is about to be swept."""
    if document is None or (document.expires is not None and document.expires < now):
        return None
    return document


def unknown(id: str) -> Refusal:
    """There is no such response, or it is another's."""
    return not_found(f"Response with id '{id:.80}' not found.")


def no_conversation(id: str) -> Refusal:
    """There is no such conversation, or it is another's."""
    return not_found(f"Conversation with id '{id:.80}' not found.")
