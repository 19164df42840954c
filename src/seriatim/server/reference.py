"""The HTTP API's reference, from its OpenAPI description; at /docs as one page without script, style or anything
fetched."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape
from itertools import groupby
from typing import Any


@dataclass(frozen=True, slots=True)
class Operation:
    """What can be asked: `fields` are parameters and the body's parts, with what they hold and whether they must be;
    `answer` is what comes back, empty where nothing does."""

    tag: str
    method: str
    path: str
    description: str
    fields: tuple[tuple[str, str, bool], ...]
    answer: str


def operations(schema: Mapping[str, Any]) -> list[Operation]:
    """Every operation of an OpenAPI description, in its order."""
    return [
        Operation(
            operation.get("tags", ["other"])[0], method.upper(), path, operation.get("description", ""),
            tuple(_fields(operation, schema)), _answer(operation, schema),
        )
        for path, methods in schema["paths"].items()
        for method, operation in methods.items()
    ]  # fmt: skip


def reference_page(schema: Mapping[str, Any]) -> str:
    """HTML that lists every operation with its parameters and body."""
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Seriatim: HTTP API</title>',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<link rel="icon" href="/page/icon.svg"><link rel="stylesheet" href="/page/theme.css">',
        '<link rel="stylesheet" href="/page/reference.css"></head><body><main>',
        f"<h1>Seriatim {escape(schema['info']['version'])}: HTTP API</h1>",
        f"<p>{escape(schema['info'].get('description', ''))}</p>",
        '<p>For programs: <a href="/openapi.json">openapi.json</a>.</p>',
    ]
    for tag, group in groupby(operations(schema), key=lambda each: each.tag):
        parts.append(f"<h2>{escape(tag)}</h2>")
        parts += map(_html, group)
    parts.append("</main></body></html>")
    return "\n".join(parts)


def _html(operation: Operation) -> str:
    items = "".join(
        f"<li><code>{escape(name)}</code>: {escape(kind)}{'' if required else ', optional'}"
        for name, kind, required in operation.fields
    )
    head = f"<h3><code>{operation.method} {escape(operation.path)}</code></h3>"
    answer = f"<p>Answers with <code>{escape(operation.answer)}</code></p>" if operation.answer else ""
    return f"{head}<p>{escape(operation.description)}</p>" + (f"<ul>{items}</ul>" if items else "") + answer


def _fields(operation: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[tuple[str, str, bool]]:
    for each in operation.get("parameters", ()):
        yield (
            f"{each['name']} ({each['in']})",
            _kind(each["schema"]) + _default(each["schema"]),
            each.get("required", False),
        )
    for content in operation.get("requestBody", {}).get("content", {}).values():
        body = _resolved(content["schema"], schema)
        for name, each in body.get("properties", {}).items():
            yield name, _kind(each) + _default(each), name in body.get("required", ())


def _answer(operation: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    """What comes back where all is well: a media type, or the parts of a JSON object."""
    said: Iterator[Mapping[str, Any]] = (
        each for status, each in operation["responses"].items() if status.startswith("2")
    )
    kinds = []
    for media, content in next(said, {}).get("content", {}).items():
        part = content.get("schema") or {}
        several = part.get("type") == "array"
        held = _resolved(part.get("items", {}) if several else part, schema).get("properties", {})
        parts = ", ".join(f"{name}: {_kind(each)}" for name, each in held.items())
        if parts or media != "application/json":
            kinds.append(f"{'list of ' if several else ''}{{{parts}}}" if parts else media)
    return " or ".join(kinds)


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
        return " | ".join(json.dumps(each) for each in part.get("enum", [part.get("const")]))
    if "$ref" in part:
        return str(part["$ref"]).rpartition("/")[2]
    if part.get("type") == "array":
        items = _range(part.get("minItems"), part.get("maxItems"))
        return f"list of {_kind(part.get('items', {}))}" + (f" ({items})" if items else "")
    kind = str(part.get("type", "any"))
    if "pattern" in part:
        return f"{kind} matching {part['pattern']}"
    if length := _range(part.get("minLength"), part.get("maxLength")):
        return f"{kind} of {length} characters"
    return f"{kind} {_range(part.get('minimum'), part.get('maximum'))}".rstrip()


def _default(part: Mapping[str, Any]) -> str:
    return f", else {json.dumps(part['default'])}" if part.get("default") is not None else ""


def _range(least: float | None, most: float | None) -> str:
    low, high = (None if bound is None else f"{bound:,}".removesuffix(".0") for bound in (least, most))
    if high is None:
        return "" if low is None else f"at least {low}"
    return f"at most {high}" if low is None else f"{low} to {high}"
