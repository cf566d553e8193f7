"""What is answered: words, JSON or the call of a tool, and how many tokens of it."""

from __future__ import annotations

from typing import Any

from eke.errors import BadInput
from eke.standin.bodies import Chat, Choice, Form, Refused, Spoken, limit
from eke.standin.english import number_of, spoken, usual_length
from eke.standin.prompt import Prompt
from eke.standin.schema import written
from eke.standin.tokens import pieces
from eke.types.record import Message

JSON_OBJECT = {"properties": {"answer": {}, "reasons": {"items": {}}, "chips": {"type": "integer"}}}


class Answer(Message):
    """texts: of each token; one that belongs to a stop string is empty.  finish: why it ends.
    tool: the function that is called, "" for none."""

    texts: list[str]
    finish: str
    tool: str = ""


def answer_of(body: Spoken, prompt: Prompt, context: int, median: float, length: int = 0) -> Answer:
    """The answer to a request. context: tokens of prompt and answer at most.  median: tokens of an
    answer.  length: so many are wanted instead, 0 for as many as the prompt's number says.
    Raises Refused where the context is too short, for a tool that is not there, and a bad schema.
    """
    most = _room(body, prompt, context)
    number = prompt.number if body.seed is None else number_of(f"{prompt.number}/{body.seed}")
    tool, shape = _tool(body, number) if isinstance(body, Chat) else ("", None)
    if shape is not None:
        said = pieces(_written(shape, number))
        end = _finish(body, tool) if len(said) <= most else "length"
        return Answer(said[:most], end, tool)
    said, finish = _words(body, number, most, length or usual_length(number, median), bool(length))
    stops = [body.stop] if isinstance(body.stop, str) else body.stop or []
    at, stop = _earliest("".join(said), [each for each in stops if each], said, body.min_tokens)
    if stop:
        return Answer(_up_to(said, at, at + len(stop)), "stop")
    return Answer(said, finish)


def _written(shape: Any, number: int) -> str:
    """JSON of a shape."""
    try:
        return written(shape, number)
    except BadInput as error:
        raise Refused(400, str(error)) from None


def _room(body: Spoken, prompt: Prompt, context: int) -> int:
    """The most tokens of the answer."""
    wanted = limit(body)
    whole = prompt.tokens + (wanted or 1)
    if whole > context:
        raise Refused(
            400,
            f"this model takes {context:,} tokens of context; the prompt has {prompt.tokens:,} and "
            f"the answer may have {wanted or 1:,}. Shorten one of them.",
            code="context_length_exceeded",
            param="messages" if isinstance(body, Chat) else "prompt",
        )
    return wanted or context - prompt.tokens


def _words(
    body: Spoken, number: int, most: int, length: int, exactly: bool
) -> tuple[list[str], str]:
    """Sentences of about `length` tokens, and why they end."""
    if body.ignore_eos:
        length = most + 1
    length = max(length, body.min_tokens)
    said = spoken(number, length, min(length, most + 1) if exactly else most + 1)
    return said[:most], "length" if len(said) > most else "stop"


def _tool(body: Chat, number: int) -> tuple[str, Any]:
    """The function to call and the schema of its arguments; or the schema of a JSON answer."""
    choice = body.tool_choice
    if body.tools and (choice == "required" or isinstance(choice, Choice)):
        known = {each["function"]["name"]: each for each in body.tools if _is_function(each)}
        named = choice.function if isinstance(choice, Choice) else None
        name = named.name if named else ""
        if choice == "required" and known:
            name = list(known)[number % len(known)]
        if name not in known:
            raise Refused(400, f"no tool {name!r:.80} is among tools.", param="tool_choice")
        return name, known[name]["function"].get("parameters") or {"type": "object"}
    wanted = body.response_format or Form()
    if wanted.type not in ("json_object", "json_schema"):
        return "", None
    shape = wanted.json_schema.schema if wanted.json_schema else None
    return "", JSON_OBJECT if wanted.type == "json_object" or shape is None else shape


def _is_function(tool: dict[str, Any]) -> bool:
    function = tool.get("function")
    return isinstance(function, dict) and isinstance(function.get("name"), str)


def _finish(body: Spoken, tool: str) -> str:
    """A call that was left to the model ends with another word than one that was named."""
    return "tool_calls" if tool and getattr(body, "tool_choice", None) == "required" else "stop"


def _earliest(text: str, stops: list[str], said: list[str], least: int) -> tuple[int, str]:
    """Where the first of the stop strings is complete after `least` tokens, and which it is."""
    if not stops:
        return 0, ""
    begun = len("".join(said[:least]))
    found = [(text.find(stop, max(begun - len(stop) + 1, 0)), stop) for stop in stops]
    there = [(at + len(stop), at, stop) for at, stop in found if at >= 0]
    return min(there)[1:] if there else (0, "")


def _up_to(said: list[str], at: int, end: int) -> list[str]:
    """The tokens that reach to `end`, of which the text only up to `at` is shown."""
    texts, place = [], 0
    for piece in said:
        if place >= end:
            break
        texts.append(piece[: max(at - place, 0)])
        place += len(piece)
    return texts
