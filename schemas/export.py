"""The JSON Schemas of the messages: ``python -m schemas.export`` writes ``schemas/json``; a test compares."""

from pathlib import Path

import msgspec

from schemas.wire import TYPES


def json_schemas() -> dict[str, bytes]:
    """Return the JSON Schema of each message as file name and content."""
    out = {}
    for message_type in TYPES:
        schema = msgspec.json.schema(message_type)
        tag = message_type.__struct_config__.tag
        out[f"{tag}.json"] = msgspec.json.format(msgspec.json.encode(schema, order="sorted"), indent=1) + b"\n"
    return out


def write_schemas(folder: Path) -> None:
    """Write every JSON Schema below ``folder``."""
    folder.mkdir(exist_ok=True)
    for name, content in json_schemas().items():
        (folder / name).write_bytes(content)


if __name__ == "__main__":
    write_schemas(Path(__file__).parent / "json")
