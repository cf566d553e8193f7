"""What POST /v1/responses is asked for, read and checked."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

import msgspec

from eke.gateway.api.routes import decoded
from eke.gateway.refusal import bad
from eke.gateway.responses.tools import check_tools

Positive = Annotated[int, msgspec.Meta(ge=1)]

# Fields of other ways to ask → what is meant here
INSTEAD = {
    "messages": "input",
    "max_tokens": "max_output_tokens",
    "max_completion_tokens": "max_output_tokens",
    "response_format": "text.format",
    "reasoning_effort": "reasoning.effort",
    "verbosity": "text.verbosity",
    "functions": "tools",
    "function_call": "tool_choice",
    "logprobs": "include: ['message.output_text.logprobs']",
    "n": "several requests",
}
ABSENT = {
    "prompt": "send its text as 'instructions' and 'input'",
    "moderation": "leave it out",
    "context_management": "use POST /v1/responses/compact, or truncation 'auto'",
}
INCLUDED = (
    "file_search_call.results",
    "web_search_call.results",
    "web_search_call.action.sources",
    "message.input_image.image_url",
    "computer_call_output.output.image_url",
    "code_interpreter_call.outputs",
    "reasoning.encrypted_content",
    "message.output_text.logprobs",
)
WINDOWS = {"2h": 7200.0, "8h": 28800.0}  # time to the end of a background response [s]
UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
PAIRS, NAME, VALUE = 16, 64, 512  # of metadata, and characters of each


class Text(msgspec.Struct):
    """What the answer's text is to look like."""

    format: dict[str, Any] | None = None
    verbosity: Literal["low", "medium", "high"] | None = None


class Reasoning(msgspec.Struct):
    """How much is thought before it."""

    effort: str | None = None
    summary: str | None = None
    generate_summary: str | None = None


class CacheOptions(msgspec.Struct, omit_defaults=True):
    """How long the beginning of the conversation is to stay in an engine's cache."""

    mode: Literal["implicit", "explicit"] = "implicit"
    ttl: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,6}[smhd]$")] | None = None
    comparison_response_id: str | None = None


class BackgroundOptions(msgspec.Struct):
    """By when a background response is wanted."""

    completion_window: Literal["soonest", "2h", "8h"] = "soonest"
    continuation_id: str | None = None


class Named(msgspec.Struct):
    """A conversation, by its name."""

    id: str


class Ask(msgspec.Struct, kw_only=True):
    """The fields of a request. others: what this API does not know, handed to the engine."""

    model: str
    input: str | list[dict[str, Any]] | None = None
    instructions: str | None = None
    previous_response_id: str | None = None
    conversation: str | Named | None = None
    store: bool | None = None
    background: bool | None = None
    background_options: BackgroundOptions | None = None
    stream: bool | None = None
    stream_options: dict[str, Any] | None = None
    truncation: Literal["auto", "disabled"] | None = None
    max_output_tokens: Positive | None = None
    max_tool_calls: Positive | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    text: Text | None = None
    reasoning: Reasoning | None = None
    temperature: Annotated[float, msgspec.Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    top_logprobs: Annotated[int, msgspec.Meta(ge=0, le=20)] | None = None
    prompt_cache_key: str | None = None
    prompt_cache_options: CacheOptions | None = None
    prompt_cache_retention: str | None = None
    safety_identifier: str | None = None
    metadata: dict[str, str] | None = None
    include: list[str] | None = None
    service_tier: str | None = None
    user: str | None = None
    access_programs: dict[str, Any] | None = None
    image: dict[str, Any] | None = None
    others: dict[str, msgspec.Raw] = {}

    @property
    def conversation_id(self) -> str | None:
        """The conversation it belongs to."""
        named = self.conversation
        return named.id if isinstance(named, Named) else named

    @property
    def deadline(self) -> float | None:
        """By when it is wanted, from its arrival [s]."""
        options = self.background_options
        return WINDOWS.get(options.completion_window) if options else None

    @property
    def ttl(self) -> float | None:
        """How long its conversation is to stay in an engine's cache [s]."""
        options = self.prompt_cache_options
        if options is None or options.ttl is None:
            return None
        return float(options.ttl[:-1]) * UNITS[options.ttl[-1]]

    def includes(self, name: str) -> bool:
        """Whether something is to be told besides."""
        return name in (self.include or ())


FIELDS = frozenset(Ask.__struct_fields__) - {"others"}


def read(body: bytes) -> Ask:
    """The fields of a body. Raises Refusal 400 saying which is wrong."""
    ask = decoded(body, Ask)
    given: dict[str, msgspec.Raw] = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    ask.others = {name: value for name, value in given.items() if name not in FIELDS}
    check(ask)
    return ask


def check(ask: Ask) -> None:
    """Refuse what makes no sense together, or is not done here."""
    for name in ask.others:
        if name in INSTEAD:
            raise bad(f"Unknown parameter: '{name}'. Use {INSTEAD[name]} instead.", name)
        if name in ABSENT:
            raise bad(f"'{name}' is not supported by this gateway; {ABSENT[name]}.", name)
    if ask.previous_response_id is not None and ask.conversation is not None:
        raise bad(
            "Mutually exclusive parameters: 'previous_response_id' and 'conversation'. Send one.",
            "previous_response_id",
            "mutually_exclusive_parameters",
        )
    for name in ask.include or ():
        if name not in INCLUDED:
            raise bad(
                f"Invalid 'include': {name!r:.60}. Known are {', '.join(INCLUDED)}.", "include"
            )
    check_metadata(ask.metadata)
    check_tools(ask.tools, ask.tool_choice)
    check_format(ask.text)


def check_metadata(metadata: dict[str, str] | None) -> None:
    """Refuse more, or longer, than OpenAI takes."""
    pairs = metadata or {}
    if len(pairs) > PAIRS:
        raise bad(f"Invalid 'metadata': {len(pairs)} pairs; {PAIRS} is the most.", "metadata")
    for key, value in pairs.items():
        if len(key) > NAME:
            words = f"Invalid 'metadata': a key has {len(key)} characters; {NAME} is the most."
            raise bad(words, "metadata")
        if len(value) > VALUE:
            words = f"the value of {key!r} has {len(value):,} characters; {VALUE} is the most."
            raise bad(f"Invalid 'metadata': {words}", f"metadata.{key}")


def check_format(text: Text | None) -> None:
    """Refuse forms of text that nobody knows."""
    form = (text and text.format) or {"type": "text"}
    kind = form.get("type")
    if kind not in ("text", "json_object", "json_schema"):
        words = f"Invalid 'text.format': {kind!r:.40}. Use text, json_object or json_schema."
        raise bad(words, "text.format.type")
    if kind != "json_schema":
        return
    if not isinstance(form.get("schema"), dict):
        raise bad("Missing required parameter: 'text.format.schema'.", "text.format.schema")
    if not re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", str(form.get("name", ""))):
        words = "'text.format.name' is needed: letters, digits, _ and -, at most 64."
        raise bad(words, "text.format.name")
