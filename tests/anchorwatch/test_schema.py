"""The JSON Schemas say what the readers say: what loads is valid, and an unknown key is refused by both."""

import ast
import contextlib
import json
import re
import textwrap
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
import yaml

from anchorwatch.configuration.documents import Document, decode_struct, read_document
from anchorwatch.configuration.loading import FileSections, assemble
from anchorwatch.configuration.rules import RulesFile
from anchorwatch.configuration.schema import schemas
from collector.config import InventorySource
from collector.inventory.sources import parse_source
from schemas.wire import TYPES
from tests.support.running import call_here

TESTS = Path(__file__).parents[1]
ROOT = TESTS.parent
BAD = sorted((Path(__file__).parent / "bad").glob("*.yaml"))
SCHEMAS = schemas()
FREE = ("owners", "hours", "stubs")
"""Mappings whose keys are names of the operator's own."""


def validator(name: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(SCHEMAS[name])


CONFIG = validator("config")


def as_json(value: Any) -> Any:
    """Return a document as an editor sees it: JSON has no dates."""
    if isinstance(value, dict):
        return {key: as_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [as_json(item) for item in value]
    return value.isoformat() if isinstance(value, datetime | date) else value


GAPS = ("1s", "1", "x")
"""What stands for a value that a test fills in: a duration, a number, a word."""


def texts_in_tests() -> Iterator[str]:
    """Yield each text in the tests' code that may be a configuration, or a part of one, with its gaps filled."""
    for path in sorted(TESTS.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield from (re.sub(r"(?<!{){[a-z_]+}", gap, node.value) for gap in GAPS)
            elif isinstance(node, ast.JoinedStr):
                for gap in GAPS:
                    yield "".join(str(one.value) if isinstance(one, ast.Constant) else gap for one in node.values)


def texts_in_documents() -> Iterator[str]:
    for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "compose").rglob("*.md")]:
        text = path.read_text(encoding="utf-8")
        for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL):
            yield textwrap.dedent(block)
        yield from (line.strip() for line in text.splitlines() if line.startswith("    "))


@pytest.fixture(scope="module")
def configurations() -> dict[str, Any]:
    """Return every document here, and every part of one, whose sections can be decoded; by its text."""
    shipped = [path.read_text(encoding="utf-8") for path in (ROOT / "compose" / "etc").glob("*.yaml")]
    sections, found = set(FileSections.__struct_fields__), {}
    for text in {*texts_in_tests(), *texts_in_documents(), *shipped}:
        if not re.search(rf"^({'|'.join(sections)}):", text, re.MULTILINE):
            continue
        document = read_document(text.replace("{{", "{").replace("}}", "}"), "x.yaml")
        if document.problems or not isinstance(document.value, dict) or not document.value.keys() <= sections:
            continue
        value = {"inventory": [{"path": "i.yaml"}]} | document.value
        sections_read = decode_struct(value, FileSections, "", document)
        if sections_read is not None:
            assemble(sections_read, Path("/nowhere"), document)  # files are not there, durations are looked at
            if not any("is no duration" in one for one in document.problems):
                found[text] = value
    return found


@pytest.mark.slow
def test_every_configuration_in_tests_and_documents_that_loads_is_valid(configurations: dict[str, Any]) -> None:
    assert len(configurations) > 60
    for text, value in configurations.items():
        assert [one.message for one in CONFIG.iter_errors(as_json(value))] == [], text


def mappings_in(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of each mapping whose keys are ours."""
    if isinstance(value, dict):
        if not path or path[-1] not in FREE:
            yield path
        for key, item in value.items():
            yield from mappings_in(item, (*path, key))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from mappings_in(item, (*path, number))


@pytest.mark.slow
def test_an_unknown_key_anywhere_is_refused_by_the_reader_and_by_the_schema(configurations: dict[str, Any]) -> None:
    tried = set()
    for text, value in configurations.items():
        for path in mappings_in(value):
            shape = tuple(0 if isinstance(part, int) else part for part in path)
            if shape in tried or (len(path) > 1 and path[-2] in FREE and path[-2] != "hours"):
                continue
            tried.add(shape)
            changed = json.loads(json.dumps(as_json(value)))
            place = changed
            for part in path:
                place = place[part]
            place["colour"] = "blue"
            document = Document("x.yaml")
            assert decode_struct(changed, FileSections, "", document) is None, (path, text)
            assert any("unknown key" in one for one in document.problems), (path, document.problems)
            assert not CONFIG.is_valid(changed), (path, text)
    assert {(), ("poll",), ("vantages", 0), ("receivers", 0), ("routes", 0), ("http",), ("alerts",)} <= tried


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_what_the_reader_refuses_for_its_form_is_refused_by_the_schema(path: Path) -> None:
    document = read_document(path.read_text(), "x.yaml")
    value = document.value
    if document.problems:
        return  # no YAML, or a key twice: nothing for a schema
    decoded = decode_struct(value, FileSections, "", document)

    if decoded is not None:
        return  # a schema knows nothing of files, and of names that refer to others
    assert not CONFIG.is_valid(as_json(value))


def test_a_duration_that_is_none_is_marked_by_an_editor() -> None:
    value = {"inventory": [{"path": "a.csv"}], "poll": {"interval": "sixty"}}

    assert not CONFIG.is_valid(value)
    assert CONFIG.is_valid(value | {"poll": {"interval": "1h30m"}, "routes": [{"repeat": ""}]})


def test_the_shipped_rules_are_valid() -> None:
    value = yaml.safe_load((ROOT / "alerts" / "rules.yaml").read_text(encoding="utf-8"))

    assert msgspec.convert(value, RulesFile)
    assert validator("rules").is_valid(value)
    value["rules"][0]["colour"] = "blue"
    assert not validator("rules").is_valid(value)


INVENTORIES = [
    "- a.example\n- b.example\n",
    "identities:\n- {id: sa, endpoints: [a.example, {host: b.example, port: 443, types: [A], expect: secure}]}\n",
    "identities:\n- {id: sa, team: blue, kind: ai_agent, endpoints: [{host: a, answers: [192.0.2.1]}]}\nx-more: 1\n",
    "identities:\n- {id: sa, endpoints: [{host: a.example, unsigned_alias_ok: true, purpose: x}]}\n",
    "identities:\n",
]
NO_INVENTORIES = [
    "identities:\n- {endpoints: [a.example]}\n",
    "identities:\n- {id: sa, endpoints: [{host: a.example, colour: blue}]}\n",
    "identities:\n- {id: sa, endpoints: [{port: 443}]}\n",
    "identities:\n- {id: sa, endpoints: [{host: a.example, port: 0}]}\n",
    "identities:\n- {id: sa, endpoints: [{host: a.example, expect: fine}]}\n",
    "identities:\n- {id: sa, kind: robot, endpoints: [a.example]}\n",
    "accounts: []\n",
]


@pytest.mark.parametrize("text", INVENTORIES)
def test_an_inventory_that_is_read_is_valid(text: str) -> None:
    assert parse_source(InventorySource(path=Path("i.yaml"), format="yaml"), text.encode()).problems == ()
    assert validator("inventory").is_valid(yaml.safe_load(text))


@pytest.mark.parametrize("text", NO_INVENTORIES)
def test_an_inventory_with_a_row_that_cannot_be_used_is_not(text: str) -> None:
    source = InventorySource(path=Path("i.yaml"), format="yaml")

    with contextlib.suppress(ValueError):
        assert parse_source(source, text.encode()).problems
    assert not validator("inventory").is_valid(yaml.safe_load(text))


def test_the_example_of_the_compose_folder_is_valid() -> None:
    text = (ROOT / "compose" / "etc" / "inventory.yaml").read_text(encoding="utf-8")

    assert validator("inventory").is_valid(yaml.safe_load(text))


@pytest.mark.parametrize("name", SCHEMAS)
def test_each_schema_is_one_and_has_an_id(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMAS[name])

    assert SCHEMAS[name]["$id"] == f"urn:anchorwatch:schema:{name}"


@pytest.mark.parametrize("path", sorted((TESTS / "schemas" / "golden").glob("*.json")), ids=lambda path: path.stem)
def test_each_golden_message_is_valid(path: Path) -> None:
    message = json.loads(path.read_text(encoding="utf-8"))

    assert message["type"] in {str(one.__struct_config__.tag) for one in TYPES}
    assert [one.message for one in validator(message["type"]).iter_errors(message)] == []


def test_the_command_prints_one_by_its_name_and_names_them_all() -> None:
    assert set(call_here("schema").stdout.split()) == set(SCHEMAS)
    assert json.loads(call_here("schema", "config").stdout) == SCHEMAS["config"]
    assert json.loads(call_here("schema", "notification").stdout)["$id"] == "urn:anchorwatch:schema:notification.v1"
    refused = call_here("schema", "colour")
    assert refused.returncode == 2
    assert "one of" in refused.stderr
