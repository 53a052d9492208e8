"""Inventory files to placed rows: YAML, CSV, JSON.

YAML is read with the line of every identity and endpoint, and duplicate keys are refused: the last one would win
silently.
"""

import csv
import io
import json
from collections.abc import Callable
from typing import Any

import yaml

from collector.inventory import ENDPOINT_FIELDS, IDENTITY_FIELDS, Placed

COLUMNS = ("id", "kind", "owner", "environment", "criticality", "endpoints")


def read_rows(text: str, format_name: str, source: str) -> list[Placed]:
    """Return the identities of one document as placed mappings.

    Raises:
        ValueError: the document as a whole can't be read; the sentence has the place.
    """
    try:
        return FORMATS[format_name](text, source)
    except RecursionError as error:
        raise ValueError(f"{source}: nested deeper than any inventory") from error


def _read_yaml(text: str, source: str) -> list[Placed]:
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{source}:{mark.line + 1}" if mark else source
        raise ValueError(f"{place}: not YAML: {getattr(error, 'problem', None) or error}") from error
    if node is None:
        raise ValueError(f"{source}: the file is empty; an inventory has 'identities:', a list")
    return _identities_of(node, source)


def _identities_of(node: yaml.Node, source: str) -> list[Placed]:
    top = _fields(node, source)
    if set(top) != {"identities"} or not isinstance(top["identities"], yaml.SequenceNode):
        line = node.start_mark.line + 1
        raise ValueError(f"{source}:{line}: an inventory has one key, 'identities', and it is a list")
    rows = []
    for item in top["identities"].value:
        fields = _fields(item, source) if isinstance(item, yaml.MappingNode) else None
        if fields is None:
            rows.append(Placed(_value(item, source), _place(item, source)))
            continue
        value: dict[str, Any] = {key: _value(child, source) for key, child in fields.items()}
        endpoints = fields.get("endpoints")
        if isinstance(endpoints, yaml.SequenceNode):
            value["endpoints"] = [Placed(_value(child, source), _place(child, source)) for child in endpoints.value]
        rows.append(Placed(value, _place(item, source)))
    return rows


def _place(node: yaml.Node, source: str) -> str:
    return f"{source}:{node.start_mark.line + 1}"


def _fields(node: yaml.Node, source: str) -> dict[str, yaml.Node]:
    if not isinstance(node, yaml.MappingNode):
        raise ValueError(f"{_place(node, source)}: a mapping is expected here")
    fields: dict[str, yaml.Node] = {}
    for key, child in node.value:
        name = str(key.value)
        if name in fields:
            raise ValueError(f"{_place(key, source)}: the key {name!r} is there twice")
        fields[name] = child
    return fields


def _value(node: yaml.Node, source: str) -> Any:
    if isinstance(node, yaml.MappingNode):
        return {key: _value(child, source) for key, child in _fields(node, source).items()}
    if isinstance(node, yaml.SequenceNode):
        return [_value(child, source) for child in node.value]
    try:
        return yaml.SafeLoader("").construct_object(node, deep=True)
    except (yaml.YAMLError, ValueError) as error:
        raise ValueError(
            f"{_place(node, source)}: can't be read: {getattr(error, 'problem', None) or error}"
        ) from error


def _read_json(text: str, source: str) -> list[Placed]:
    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in items:
            if key in found:
                raise ValueError(f"{source}: the key {key!r} is there twice")
            found[key] = value
        return found

    try:
        document = json.loads(text, object_pairs_hook=pairs)
    except json.JSONDecodeError as error:
        raise ValueError(f"{source}:{error.lineno}: not JSON: {error.msg}") from error
    if not isinstance(document, dict) or not isinstance(document.get("identities"), list) or len(document) != 1:
        raise ValueError(f"{source}: an inventory has one key, 'identities', and it is a list")
    return [Placed(row, f"{source}: identities[{number}]") for number, row in enumerate(document["identities"])]


def _read_csv(text: str, source: str) -> list[Placed]:
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    columns = reader.fieldnames or []
    unknown = sorted(set(columns) - set(COLUMNS) - (set(ENDPOINT_FIELDS) & {"types", "expect"}))
    if "id" not in columns or "endpoints" not in columns or unknown:
        raise ValueError(
            f"{source}:1: the columns are {', '.join(COLUMNS)} and perhaps types, expect; "
            f"here: {', '.join(columns) or 'none'}"
        )
    rows = []
    try:
        for row in reader:
            rows.append(Placed(_csv_row(row), f"{source}:{reader.line_num}"))
    except csv.Error as error:
        raise ValueError(f"{source}:{reader.line_num}: not CSV: {error}") from error
    return rows


def _csv_row(row: dict[str, str | None]) -> dict[str, Any]:
    value: dict[str, Any] = {key: row[key] or None for key in IDENTITY_FIELDS if key in row}
    shared: dict[str, Any] = {}
    if row.get("types"):
        shared["types"] = str(row["types"]).split()
    if row.get("expect"):
        shared["expect"] = row["expect"]
    value["endpoints"] = [{"host": host, **shared} for host in str(row.get("endpoints") or "").split()]
    if None in row:
        value["more fields than columns"] = row.get(None)  # type: ignore[call-overload]  # csv's rest key
    return value


FORMATS: dict[str, Callable[[str, str], list[Placed]]] = {"yaml": _read_yaml, "json": _read_json, "csv": _read_csv}
SUFFIXES = {".yaml": "yaml", ".yml": "yaml", ".json": "json", ".csv": "csv"}
