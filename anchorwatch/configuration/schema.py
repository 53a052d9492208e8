"""The JSON Schemas of what people write: the configuration, rule files, inventories; for editors that complete keys.

That of the configuration is made of the very types that read it, so what is refused for an unknown key is refused by
the schema. What only shows when files are read and names are compared (a receiver that is not there, a file that is
gone) is beyond a schema.
"""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from anchorwatch.configuration.loading import FileSections
from anchorwatch.configuration.rules import RulesFile
from collector.inventory.rows import CRITICALITIES, ENDPOINT_FIELDS, IDENTITY_FIELDS, KINDS
from schemas.export import identified, message_schemas
from schemas.judgement import Verdict

_TEXT = {"type": ["string", "number", "null"]}
_WORDS = {"type": "array", "items": {"type": "string"}}
_IDENTITY: dict[str, Any] = {
    "id": {"type": "string", "minLength": 1},
    "kind": {"enum": [*KINDS, None]},
    "owner": _TEXT,
    "environment": _TEXT,
    "criticality": {"enum": [*CRITICALITIES, None]},
}
_ENDPOINT: dict[str, Any] = {
    "host": {"type": "string", "minLength": 1},
    "port": {"type": ["integer", "null"], "minimum": 1, "maximum": 65_535},
    "types": {**_WORDS, "minItems": 1},
    "purpose": _TEXT,
    "expect": {"enum": [*map(str, Verdict), None]},
    "answers": {"anyOf": [_WORDS, {"type": "null"}]},
    "unsigned_alias_ok": {"type": "boolean"},
}


def schemas() -> dict[str, dict[str, Any]]:
    """Return every schema by its name: ``config``, ``rules``, ``inventory``, and each message by its tag."""
    found = {
        "config": identified("config", _tidy(msgspec.json.schema(FileSections))),
        "rules": identified("rules", _tidy(msgspec.json.schema(RulesFile))),
        "inventory": identified("inventory", _inventory()),
    }
    return {**message_schemas(), **found}


def _inventory() -> dict[str, Any]:
    """Return the schema of an inventory in YAML or JSON: fields beyond ours are kept as labels."""
    fields = {name: _ENDPOINT.get(name, {}) for name in ENDPOINT_FIELDS}
    endpoint = {"type": "object", "properties": fields, "required": ["host"], "additionalProperties": False}
    listed = {"type": ["array", "null"], "items": {"anyOf": [{"type": "string", "minLength": 1}, endpoint]}}
    known = {name: _IDENTITY.get(name, {}) for name in IDENTITY_FIELDS} | {"endpoints": listed}
    identity = {"type": "object", "properties": known, "required": ["id"]}
    rows = {"type": "array", "items": {"anyOf": [{"type": "string", "minLength": 1}, {"$ref": "#/$defs/identity"}]}}
    whole = {
        "type": "object",
        "properties": {"identities": {"anyOf": [{"$ref": "#/$defs/rows"}, {"type": "null"}]}},
        "patternProperties": {r"^(\.|x-)": {}},
        "required": ["identities"],
        "additionalProperties": False,
    }
    return {"anyOf": [{"$ref": "#/$defs/rows"}, whole], "$defs": {"identity": identity, "rows": rows}}


def _tidy(node: Any) -> Any:
    """Return a schema with docstrings as editors show them: without indentation and without markup of ours."""
    if isinstance(node, Mapping):
        found = {key: _tidy(value) for key, value in node.items()}
        if isinstance(found.get("description"), str):
            found["description"] = re.sub(r"\n +", "\n", found["description"]).replace("``", "")
        return found
    return [_tidy(one) for one in node] if isinstance(node, list | tuple) else node
