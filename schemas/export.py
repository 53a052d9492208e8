"""The JSON Schemas of the messages: ``python -m schemas.export`` writes ``schemas/json``; a test compares."""

from pathlib import Path
from typing import Any

import msgspec

from schemas.wire import TYPES

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def identified(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema with its dialect, and an id that stays the same wherever it is kept."""
    return {"$schema": DIALECT, "$id": f"urn:anchorwatch:schema:{name}", **schema}


def message_schemas() -> dict[str, dict[str, Any]]:
    """Return the JSON Schema of each message by its tag."""
    tags = {str(one.__struct_config__.tag): one for one in TYPES}
    return {tag: identified(tag, msgspec.json.schema(one)) for tag, one in tags.items()}


def json_schemas() -> dict[str, bytes]:
    """Return the JSON Schema of each message as file name and content."""
    encoded = {tag: msgspec.json.encode(schema, order="sorted") for tag, schema in message_schemas().items()}
    return {f"{tag}.json": msgspec.json.format(content, indent=1) + b"\n" for tag, content in encoded.items()}


def write_schemas(folder: Path) -> None:
    """Write every JSON Schema below ``folder``."""
    folder.mkdir(exist_ok=True)
    for name, content in json_schemas().items():
        (folder / name).write_bytes(content)


if __name__ == "__main__":
    write_schemas(Path(__file__).parent / "json")
