"""Trees of field names: what a JSON schema allows where, and whether a document keeps to it.

A tree maps a path such as "spec.template.spec.containers[]" to the fields allowed there; "*" stands
for names of one's own, as of labels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

Schema = dict[str, Any]


def strangers(document: Any, tree: dict[str, list[str]], path: str = "") -> Iterator[str]:
    """Paths of a document that the tree does not have."""
    if isinstance(document, list):
        for each in document:
            yield from strangers(each, tree, f"{path}[]")
    elif isinstance(document, dict):
        allowed = tree.get(path, [])
        for name, value in document.items():
            if "*" not in allowed and name not in allowed:
                yield f"{path}.{name}".lstrip(".")
            elif "*" not in allowed:
                yield from strangers(value, tree, f"{path}.{name}".lstrip("."))


def tree(
    document: Any, schema: Schema, resolve: Callable[[Schema], Schema], path: str = ""
) -> dict[str, list[str]]:
    """What the schema allows at every object of a document."""
    schema = resolve(schema)
    if isinstance(document, list):
        found: dict[str, list[str]] = {}
        for each in document:
            found |= tree(each, schema.get("items", {}), resolve, f"{path}[]")
        return found
    if not isinstance(document, dict):
        return {}
    properties = schema.get("properties")
    if not properties:
        return {path: ["*"]}
    found = {path: sorted(properties)}
    for name, value in document.items():
        found |= tree(value, properties[name], resolve, f"{path}.{name}".lstrip("."))
    return found
