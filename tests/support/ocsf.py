"""OCSF 1.8.0 as the schema says it: what is required, known, of which type, and one of which values."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SCHEMA = json.loads((Path(__file__).parents[1] / "data/ocsf/ocsf-1.8.0.json").read_text(encoding="utf-8"))
BY_UID = {one["uid"]: one for one in SCHEMA["classes"].values()}


def problems(event: dict[str, Any]) -> Iterator[str]:
    """Yield a line for each place where an event is not as its class says; no profile counts as applied."""
    kind = BY_UID.get(event.get("class_uid"))
    if kind is None:
        yield f"class_uid: {event.get('class_uid')!r} is no class"
        return
    yield from _object_problems(event, kind, "")
    if event.get("type_uid") != kind["uid"] * 100 + event.get("activity_id", -1):
        yield "type_uid: it is not class_uid * 100 + activity_id"
    if event.get("class_name") != kind["caption"]:
        yield "class_name: it is not that of the class"


def _object_problems(value: dict[str, Any], kind: dict[str, Any], where: str) -> Iterator[str]:
    attributes = kind["attributes"]
    for name, one in attributes.items():
        if one.get("requirement") == "required" and not one.get("profiles") and name not in value:
            yield f"{where}{name}: it is missing"
    for name in value.keys() - attributes.keys():
        yield f"{where}{name}: it is not known"
    if not any(name in value for name in kind.get("constraints", {}).get("at_least_one", value)) and value:
        yield f"{where}: one of {kind['constraints']['at_least_one']} is missing"
    for name in value.keys() & attributes.keys():
        one = attributes[name]
        items = value[name] if one.get("is_array") else [value[name]]
        if not isinstance(items, list):
            yield f"{where}{name}: it is no list"
            continue
        for item in items:
            yield from _value_problems(item, one, f"{where}{name}")
        if "enum" in one and "sibling" in one and one["sibling"] in value:
            caption = one["enum"].get(str(value[name]))
            if value[one["sibling"]] != caption:
                yield f"{where}{one['sibling']}: {value[one['sibling']]!r} is not {caption!r}"


def _value_problems(value: Any, attribute: dict[str, Any], where: str) -> Iterator[str]:
    if attribute["type"] == "object_t":
        kind = SCHEMA["objects"].get(attribute["object_type"])
        if kind is None:
            raise NotImplementedError(f"object {attribute['object_type']}")
        if not isinstance(value, dict):
            yield f"{where}: it is no object"
        elif attribute["object_type"] != "object":
            yield from _object_problems(value, kind, f"{where}.")
        return
    yield from _scalar_problems(value, attribute["type"], where)
    if "enum" in attribute and str(value) not in attribute["enum"]:
        yield f"{where}: {value!r} is none of its values"


def _scalar_problems(value: Any, name: str, where: str) -> Iterator[str]:
    kind = SCHEMA["types"][name]
    base = kind.get("type", name)
    wanted: dict[str, type] = {"string_t": str, "integer_t": int, "long_t": int, "float_t": float, "boolean_t": bool}
    if base in wanted and (not isinstance(value, wanted[base]) or (base != "boolean_t" and isinstance(value, bool))):
        yield f"{where}: {value!r} is not {base}"
        return
    if "regex" in kind and not re.search(kind["regex"], value):
        yield f"{where}: {value!r} does not match"
    if "max_len" in kind and len(value) > kind["max_len"]:
        yield f"{where}: it is too long"
    if "range" in kind and not kind["range"][0] <= value <= kind["range"][1]:
        yield f"{where}: {value!r} is out of range"
    if name == "timestamp_t" and not 10**12 < value < 10**13:
        yield f"{where}: {value!r} is not in milliseconds"
