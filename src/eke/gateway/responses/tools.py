"""Tools as this API has them, and as chat completions have them."""

from __future__ import annotations

from typing import Any

from eke.gateway.refusal import bad

CHOICES = ("none", "auto", "required")
_COPIED = ("description", "parameters", "strict")

Tool = dict[str, Any]
Choice = str | dict[str, Any] | None


def check_tools(tools: list[Tool] | None, choice: Choice) -> None:
    """Refuse tools that would have to run here, and choices among what is not there."""
    names = set()
    for place, tool in enumerate(tools or ()):
        kind = tool.get("type")
        if kind != "function":
            raise bad(
                f"Tools of type {kind!r:.40} are not supported: nothing hosted runs here. "
                "Supported tools: function.",
                f"tools[{place}].type",
            )
        if not isinstance(tool.get("name"), str) or not tool["name"]:
            where = f"tools[{place}].name"
            raise bad(f"Missing required parameter: '{where}'.", where)
        names.add(tool["name"])
    for name in _chosen(choice):
        if name not in names:
            raise bad(f"Tool choice {name!r:.64} is not among the tools.", "tool_choice")


def chat_tools(tools: list[Tool] | None, choice: Choice) -> dict[str, Any]:
    """The fields of a chat completion that say the same. Only those allowed are told of, which
    every engine understands."""
    if not tools:
        return {}
    told = tools
    if isinstance(choice, dict):
        names = _chosen(choice)
        if choice["type"] == "allowed_tools":
            told, choice = [tool for tool in tools if tool["name"] in names], choice["mode"]
        else:
            choice = {"type": "function", "function": {"name": names[0]}}
    fields: dict[str, Any] = {"tools": [_told(tool) for tool in told]}
    return fields if choice is None else {**fields, "tool_choice": choice}


def shown(tools: list[Tool] | None) -> list[Tool]:
    """Tools as a response repeats them, every key there."""
    usual = {"description": None, "parameters": None, "strict": False}
    return [{**usual, **tool} for tool in tools or ()]


def _chosen(choice: Choice) -> list[str]:
    """Names of the functions that a choice is about. Raises Refusal."""
    if choice is None or (isinstance(choice, str) and choice in CHOICES):
        return []
    kind = choice.get("type") if isinstance(choice, dict) else choice
    if isinstance(choice, dict):
        if kind == "function" and isinstance(choice.get("name"), str):
            return [choice["name"]]
        tools = choice.get("tools")
        if kind == "allowed_tools" and choice.get("mode") in CHOICES[1:] and _functions(tools):
            return [tool["name"] for tool in tools]  # type: ignore[union-attr]
    raise bad(
        f"Invalid 'tool_choice': {kind!r:.40}. Use none, auto, required, "
        '{"type": "function", "name": …} or {"type": "allowed_tools", "mode": …, "tools": […]}.',
        "tool_choice",
    )


def _functions(tools: Any) -> bool:
    return isinstance(tools, list) and all(
        isinstance(tool, dict)
        and tool.get("type") == "function"
        and isinstance(tool.get("name"), str)
        for tool in tools
    )


def _told(tool: Tool) -> Tool:
    function = {
        "name": tool["name"],
        **{key: tool[key] for key in _COPIED if tool.get(key) is not None},
    }
    return {"type": "function", "function": function}
