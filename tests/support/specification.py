"""The part of JSON Schema draft 7 that the schemas of our tests use; a keyword it does not know is an error."""

import re
from collections.abc import Iterator
from typing import Any

import re2

IGNORED = {
    "$schema", "$id", "$comment", "definitions", "title", "description", "default", "deprecated", "contentEncoding",
}  # fmt: skip
KNOWN = {
    "$ref", "type", "enum", "required", "properties", "patternProperties", "additionalProperties", "items",
    "uniqueItems", "minimum", "maximum", "pattern", "oneOf", "anyOf", "allOf", "minItems", "const",
    "format",
}  # fmt: skip


def problems(value: Any, schema: dict[str, Any], root: dict[str, Any], where: str = "") -> Iterator[str]:
    """Yield a line for each place where ``value`` is not as ``schema`` says."""
    unknown = schema.keys() - KNOWN - IGNORED
    if unknown:
        raise NotImplementedError(f"schema keywords {sorted(unknown)}")
    if "$ref" in schema:
        target: Any = root
        for part in schema["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        yield from problems(value, target, root, where)
        return
    if "type" in schema and not _is_of(value, schema["type"]):
        yield f"{where}: {value!r} is not {schema['type']}"
        return
    if "enum" in schema and value not in schema["enum"]:
        yield f"{where}: {value!r} is not one of {schema['enum']}"
    if "const" in schema and value != schema["const"]:
        yield f"{where}: {value!r} is not {schema['const']!r}"
    if "oneOf" in schema:
        tried = [list(problems(value, one, root, where)) for one in schema["oneOf"]]
        if sum(not one for one in tried) != 1:
            yield f"{where}: {value!r} fits {sum(not one for one in tried)} of {len(tried)} forms: {tried}"
    if "anyOf" in schema:
        tried = [list(problems(value, one, root, where)) for one in schema["anyOf"]]
        if all(tried):
            yield f"{where}: {value!r} fits none of {len(tried)} forms: {tried}"
    for one in schema.get("allOf", ()):
        yield from problems(value, one, root, where)
    if isinstance(value, str) and "pattern" in schema and not _matches(schema["pattern"], value):
        yield f"{where}: {value!r} does not match {schema['pattern']}"
    if isinstance(value, int | float) and not schema.get("minimum", value) <= value <= schema.get("maximum", value):
        yield f"{where}: {value!r} is out of range"
    if isinstance(value, list):
        yield from _list_problems(value, schema, root, where)
    if isinstance(value, dict):
        yield from _object_problems(value, schema, root, where)


def _matches(pattern: str, text: str) -> bool:
    r"""Return whether a pattern is found in a text; Python knows no classes such as \p{L}."""
    return bool((re2 if r"\p{" in pattern else re).search(pattern, text))


def _is_of(value: Any, types: str | list[str]) -> bool:
    known: dict[str, type | tuple[type, ...]] = {
        "string": str, "object": dict, "array": list, "boolean": bool, "null": type(None), "integer": int,
        "number": (int, float),
    }  # fmt: skip
    wanted = [types] if isinstance(types, str) else types
    if isinstance(value, bool):
        return "boolean" in wanted
    return any(isinstance(value, known[one]) for one in wanted)


def _list_problems(value: list[Any], schema: dict[str, Any], root: dict[str, Any], where: str) -> Iterator[str]:
    if schema.get("uniqueItems") and any(one in value[:n] for n, one in enumerate(value)):
        yield f"{where}: something is there twice"
    if len(value) < schema.get("minItems", 0):
        yield f"{where}: too short"
    for number, one in enumerate(value):
        yield from problems(one, schema.get("items", {}), root, f"{where}[{number}]")


def _object_problems(value: dict[str, Any], schema: dict[str, Any], root: dict[str, Any], where: str) -> Iterator[str]:
    for name in schema.get("required", ()):
        if name not in value:
            yield f"{where}: {name} is missing"
    for name, one in value.items():
        fitting = [schema["properties"][name]] if name in schema.get("properties", {}) else []
        fitting += [sub for pattern, sub in schema.get("patternProperties", {}).items() if re.search(pattern, name)]
        for sub in fitting:
            yield from problems(one, sub, root, f"{where}.{name}")
        rest = schema.get("additionalProperties", True)
        if not fitting and rest is False:
            yield f"{where}: {name} is not known"
        if not fitting and isinstance(rest, dict):
            yield from problems(one, rest, root, f"{where}.{name}")
