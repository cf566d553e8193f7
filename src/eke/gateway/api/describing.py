"""The API's own description, for clients that are generated: GET /openapi.json."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from eke.gateway.api.routes import Asking, Route
from eke.gateway.asked import ENDPOINTS, Asked, Endpoint

NUMBERS = ("limit", "starting_after", "start_time", "end_time")
PART = re.compile(r"{(\w+)(?:\.\.\.)?}")
REF = "#/components/schemas/{name}"
ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": ["string", "null"]},
            },
        }
    },
}


def routes(others: Iterable[Route], version: str) -> tuple[Route, ...]:
    """The route to the description of some others."""
    found = msgspec.json.encode(described(others, version))

    async def tell(asking: Asking) -> None:
        """The API's description."""
        await asking.reply(200, found, [(b"content-type", b"application/json")])

    return (Route("GET", "/openapi.json", tell),)


def described(routes: Iterable[Route], version: str) -> dict[str, Any]:
    """Routes and the endpoints of engines by OpenAPI 3.1."""
    all_routes = list(routes)
    kinds = list(dict.fromkeys(each.body for each in all_routes if each.body is not None))
    schemas, components = msgspec.json.schema_components(kinds, ref_template=REF)
    bodies = dict(zip(kinds, schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for path, endpoint in ENDPOINTS.items():
        paths[path] = {"post": _operation(f"POST {path}, by an engine.", (), (), _taken(endpoint))}
    for route in all_routes:
        words = (route.handle.__doc__ or "").strip().split("\n\n")[0]
        names = PART.findall(route.path)
        body = bodies.get(route.body)
        there = paths.setdefault(PART.sub(r"{\1}", route.path), {})
        there[route.method.lower()] = _operation(words, names, route.query, body)
    return {
        "openapi": "3.1.0",
        "info": {"title": "eke", "version": version},
        "security": [{"key": []}],
        "paths": paths,
        "components": {
            "schemas": {**components, "Error": ERROR},
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(
    words: str, parts: Iterable[str], query: Iterable[str], body: dict[str, Any] | None
) -> dict[str, Any]:
    text = {"type": "string"}
    parameters = [{"name": name, "in": "path", "required": True, "schema": text} for name in parts]
    for name in query:
        schema = {"type": "integer"} if name in NUMBERS else text
        parameters.append({"name": name, "in": "query", "schema": schema})
    error = {"application/json": {"schema": {"$ref": REF.format(name="Error")}}}
    found: dict[str, Any] = {
        "summary": " ".join(words.split()),
        "parameters": parameters,
        "responses": {
            "200": {"description": "What was asked for."},
            "default": {"description": "Why not.", "content": error},
        },
    }
    if body is not None:
        content = {"application/json": {"schema": body}}
        found["requestBody"] = {"required": True, "content": content}
    return found


def _taken(endpoint: Endpoint) -> dict[str, Any]:
    """What an endpoint of engines takes: the fields that the gateway reads, and any others."""
    fields = {
        each.name: _schema(each.type)
        for each in msgspec.structs.fields(Asked)
        if each.type is not msgspec.Raw
    }
    return {
        "type": "object",
        "required": ["model", endpoint.text],
        "properties": {**fields, endpoint.text: {}},
        "additionalProperties": True,
    }


def _schema(kind: Any) -> dict[str, Any]:
    """A field's; whole numbers count something."""
    found: dict[str, Any] = msgspec.json.schema(kind)
    whole = any(each.get("type") == "integer" for each in found.get("anyOf", ()))
    return {"type": ["integer", "null"], "minimum": 1} if whole else found
