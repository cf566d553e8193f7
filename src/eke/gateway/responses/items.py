"""Items of input: read, checked and written out in full, as they are kept and told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from eke.gateway.refusal import Refusal, bad
from eke.gateway.responses.ids import Ids

Item = dict[str, Any]
Part = dict[str, Any]

REFERENCE = "item_reference"
PARTS = ("input_text", "input_image", "input_audio")
SPOKEN = ("output_text", "refusal")  # parts of what an assistant said
ROLES = ("user", "assistant", "system", "developer")


def items_of(given: str | list[Item] | None, ids: Ids, param: str = "input") -> list[Item]:
    """Items in full, each with a name. References stay as they are, to be looked up.

    param: where they came from, for messages.  Raises Refusal 400.
    """
    if given is None:
        return []
    if isinstance(given, str):
        given = [{"role": "user", "content": given}]
    return [_item(item, ids, f"{param}[{place}]") for place, item in enumerate(given)]


def resolved(items: list[Item], known: dict[str, Item], ids: Ids) -> list[Item]:
    """The same with copies of known items in the place of references.

    Raises Refusal 404; and 400 for one that is referred to twice, as a few bytes would stand for
    any number of long texts.
    """
    names = [item["id"] for item in items if item["type"] == REFERENCE]
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        words = f"Duplicate item found with id '{twice[0]:.80}'. Remove duplicate items."
        raise bad(words, "input")
    return [_copy(item["id"], known, ids) if item["type"] == REFERENCE else item for item in items]


def _copy(id: str, known: dict[str, Item], ids: Ids) -> Item:
    if id not in known:
        words = f"Item with id '{id:.80}' not found. Items are not kept when 'store' is false."
        raise Refusal(404, words, param="input")
    return {**known[id], "id": ids.item(id.partition("_")[0])}


def _item(item: Item, ids: Ids, where: str) -> Item:
    kind = item.get("type") or ("message" if "role" in item else None)
    read = _READERS.get(kind) if isinstance(kind, str) else None
    if read is None:
        raise bad(
            f"Invalid value: {kind!r:.60}. Supported types of items are {', '.join(_READERS)}.",
            f"{where}.type",
        )
    return read(item, ids, where)


def _message(item: Item, ids: Ids, where: str) -> Item:
    role = item.get("role")
    if role not in ROLES:
        raise bad(f"Invalid role: {role!r:.40}. Use {', '.join(ROLES)}.", f"{where}.role")
    content = item.get("content")
    spoken = role == "assistant"
    if isinstance(content, str):
        content = [{"type": "output_text" if spoken else "input_text", "text": content}]
    if not isinstance(content, list):
        raise bad(f"'{where}.content' must be a text or a list of parts.", f"{where}.content")
    read = _said if spoken else _part
    parts = [read(part, f"{where}.content[{place}]") for place, part in enumerate(content)]
    return {
        **_rest(item, ids, "msg"),
        "type": "message",
        "role": role,
        "content": parts,
    }


def _part(part: Any, where: str) -> Part:
    """A part of what a user said."""
    kind = part.get("type") if isinstance(part, dict) else None
    if kind == "input_text":
        return {**part, "text": _text(part, "text", where)}
    if kind == "input_image":
        if not isinstance(part.get("image_url"), str):
            words = "Pictures are taken by 'image_url' only, a web address or data:image/…;base64."
            raise bad(words, f"{where}.image_url")
        return {"detail": "auto", **part}
    if kind == "input_audio" and isinstance(part.get("input_audio"), dict):
        return {**part}
    if kind == "input_file":
        words = "Files are not supported as input; send their text as input_text."
        raise bad(words, f"{where}.type")
    raise bad(
        f"Invalid value: {kind!r:.60}. Supported parts are {', '.join(PARTS)}.", f"{where}.type"
    )


def _said(part: Any, where: str) -> Part:
    """A part of what an assistant said."""
    kind = part.get("type") if isinstance(part, dict) else None
    if kind in ("output_text", "input_text"):
        usual: Part = {"annotations": [], "logprobs": []}
        return {**usual, **part, "type": "output_text", "text": _text(part, "text", where)}
    if kind == "refusal":
        return {**part, "refusal": _text(part, "refusal", where)}
    words = f"Invalid value: {kind!r:.60}. An assistant's parts are {', '.join(SPOKEN)}."
    raise bad(words, f"{where}.type")


def _call(item: Item, ids: Ids, where: str) -> Item:
    texts = {key: _text(item, key, where) for key in ("call_id", "name", "arguments")}
    return {**_rest(item, ids, "fc"), "type": "function_call", **texts}


def _output(item: Item, ids: Ids, where: str) -> Item:
    call, output = _text(item, "call_id", where), item.get("output")
    if isinstance(output, list):
        parts = [_part(part, f"{where}.output[{place}]") for place, part in enumerate(output)]
        output = parts
    elif not isinstance(output, str):
        raise bad(f"'{where}.output' must be a text or a list of parts.", f"{where}.output")
    kept = {**_rest(item, ids, "fco"), "type": "function_call_output"}
    return {**kept, "call_id": call, "output": output}


def _reasoning(item: Item, ids: Ids, where: str) -> Item:
    kept = {**_rest(item, ids, "rs"), "type": "reasoning"}
    for key in ("summary", "content"):
        parts = item.get(key) or []
        if not isinstance(parts, list):
            raise bad(f"'{where}.{key}' must be a list of parts.", f"{where}.{key}")
        for place, part in enumerate(parts):
            _text(part, "text", f"{where}.{key}[{place}]")
        kept[key] = parts
    if item.get("encrypted_content") is not None:
        _text(item, "encrypted_content", where)
    return kept


def _compaction(item: Item, ids: Ids, where: str) -> Item:
    text = _text(item, "encrypted_content", where)
    return {"id": ids.item("cmp"), "type": "compaction", "encrypted_content": text}


def _reference(item: Item, ids: Ids, where: str) -> Item:
    return {"type": REFERENCE, "id": _text(item, "id", where)}


def _rest(item: Item, ids: Ids, prefix: str) -> Item:
    """What is kept of an item as it is, under a name of its own."""
    return {"status": "completed", **item, "id": ids.item(prefix)}


def _text(given: Any, key: str, where: str) -> str:
    """A text inside something. Raises Refusal 400 where there is none."""
    value = given.get(key) if isinstance(given, dict) else None
    if not isinstance(value, str):
        raise bad(f"'{where}.{key}' is needed, and is a text.", f"{where}.{key}")
    return value


_READERS: dict[str, Callable[[Item, Ids, str], Item]] = {
    "message": _message,
    "function_call": _call,
    "function_call_output": _output,
    "reasoning": _reasoning,
    "compaction": _compaction,
    REFERENCE: _reference,
}
