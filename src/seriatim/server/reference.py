"""The reference at /docs, written from the OpenAPI description: one page without script, style or anything fetched."""

from collections.abc import Mapping
from html import escape
from itertools import groupby
from typing import Any


def reference_page(schema: Mapping[str, Any]) -> str:
    """HTML that lists every operation with its parameters and body."""
    operations = [
        (operation.get("tags", ["other"])[0], method.upper(), path, operation)
        for path, methods in schema["paths"].items()
        for method, operation in methods.items()
    ]
    parts = [
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Seriatim: HTTP API</title>',
        f"<h1>Seriatim {escape(schema['info']['version'])}: HTTP API</h1>",
        f"<p>{escape(schema['info'].get('description', ''))}</p>",
        '<p>For programs: <a href="/openapi.json">openapi.json</a>.</p>',
    ]
    for tag, group in groupby(operations, key=lambda each: each[0]):
        parts.append(f"<h2>{escape(tag)}</h2>")
        parts += [_operation(method, path, operation, schema) for _, method, path, operation in group]
    return "\n".join(parts)


def _operation(method: str, path: str, operation: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    rows = [
        (f"{each['name']} ({each['in']})", each["schema"], each.get("required", False))
        for each in operation.get("parameters", ())
    ]
    for content in operation.get("requestBody", {}).get("content", {}).values():
        body = _resolved(content["schema"], schema)
        required = body.get("required", ())
        rows += [(name, each, name in required) for name, each in body.get("properties", {}).items()]
    items = "".join(
        f"<li><code>{escape(name)}</code>: {escape(_kind(each))}{'' if required else ', optional'}"
        for name, each, required in rows
    )
    said = escape(operation.get("description", ""))
    return f"<h3><code>{method} {escape(path)}</code></h3><p>{said}</p>" + (f"<ul>{items}</ul>" if items else "")


def _resolved(part: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    reference = part.get("$ref")
    if reference is None:
        return part
    found: Mapping[str, Any] = schema["components"]["schemas"][reference.rpartition("/")[2]]
    return found


def _kind(part: Mapping[str, Any]) -> str:
    if "anyOf" in part:
        return " or ".join(_kind(each) for each in part["anyOf"])
    if "enum" in part or "const" in part:
        return " | ".join(f'"{each}"' for each in part.get("enum", [part.get("const")]))
    if "$ref" in part:
        return str(part["$ref"]).rpartition("/")[2]
    if part.get("type") == "array":
        return f"list of {_kind(part.get('items', {}))}"
    return str(part.get("type", "any"))
