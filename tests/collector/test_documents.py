"""Inventories as spreadsheets, databases and clusters export them."""

import json

import msgspec
import pytest

from collector.inventory.documents import decode_text, guess_format, read_rows
from collector.inventory.rows import Inventory, read_identities
from schemas.messages import Identity

TABLE = (
    "id,kind,owner,environment,criticality,endpoints\n"
    "sa-1,service_account,payments,prod,critical,www.zone.test api.zone.test\n"
)


def read(content: bytes | str, format_name: str = "csv") -> Inventory:
    text = decode_text(content if isinstance(content, bytes) else content.encode(), "inv")
    return read_identities(read_rows(text, format_name, "inv"))


def only(inventory: Inventory) -> Identity:
    assert inventory.problems == ()
    (identity,) = inventory.identities
    return identity


def hosts(inventory: Inventory) -> list[str]:
    return [endpoint.host for identity in inventory.identities for endpoint in identity.endpoints]


EXPECTED = only(read(TABLE))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_a_table_reads_the_same_in_whatever_form_it_is_exported(encoding: str, line_end: str, delimiter: str) -> None:
    content = TABLE.replace(",", delimiter).replace("\n", line_end).encode(encoding)

    assert only(read(content)) == EXPECTED


def test_a_utf_16_mark_of_the_other_order_is_read() -> None:
    assert only(read(b"\xfe\xff" + TABLE.encode("utf-16-be"))) == EXPECTED


@pytest.mark.parametrize(
    "text",
    [
        TABLE + ",,,,,\n\n,,,,,\n  \n",
        "\n\n" + TABLE,
        "sep=,\r\n" + TABLE,
        TABLE.replace("endpoints\n", "endpoints,,\n").replace("api.zone.test\n", "api.zone.test,,\n"),
        TABLE.replace("www.zone.test api.zone.test", '"www.zone.test\napi.zone.test"'),
        TABLE.replace("www.zone.test api.zone.test", '"www.zone.test, api.zone.test"'),
        TABLE.replace("id,kind", "ID , Kind"),
        TABLE.replace("sa-1,service_account", '" sa-1 ","Service_Account"'),
    ],
)
def test_what_a_spreadsheet_adds_changes_nothing(text: str) -> None:
    assert only(read(text)) == EXPECTED


def test_the_line_of_a_bad_row_is_that_of_the_file() -> None:
    inventory = read("sep=;\n" + TABLE.replace(",", ";") + "\n\nsa-2;robot;;;;x.test\n")

    assert inventory.problems[0].startswith("inv:6: ")


def test_further_columns_are_labels_unless_they_may_hold_a_secret() -> None:
    inventory = read(
        "id,sys_id,Cost Center,password,Client Secret,notes,dsn,endpoints\n"
        "sa,0a1b2c3d4e5f60718293a4b5c6d7e8f9,4711,hunter2,hunter3,rotated yearly,redis://:hunter4@x.test,a.test\n"
    )

    assert only(inventory).labels == {
        "sys_id": "0a1b2c3d4e5f60718293a4b5c6d7e8f9",
        "Cost Center": "4711",
        "notes": "rotated yearly",
    }


@pytest.mark.parametrize(
    ("column", "meant"),
    [("criticalty", "criticality"), ("enviroment", "environment"), ("Owners", "owner"), ("endpoint", "endpoints")],
)
def test_a_column_that_nearly_has_our_name_is_refused_with_what_was_meant(column: str, meant: str) -> None:
    with pytest.raises(ValueError, match=f"'{column}' is unknown; '{meant}' is meant"):
        read(TABLE.replace(meant, column))


def test_a_field_that_nearly_has_our_name_is_refused_in_yaml_too() -> None:
    inventory = read("identities:\n- {id: sa, criticalty: high, team: blue, endpoints: [a.test]}\n", "yaml")

    assert "'criticality' is meant" in inventory.problems[0]
    assert inventory.broken[0].id == "sa"


def test_all_endpoints_of_a_row_share_its_columns() -> None:
    identity = only(read("id,endpoints,types,expect,port,purpose\nsa,a.test b.test,MX TXT,Secure,25,mail\n"))

    assert {(one.types, str(one.expect), one.port, one.purpose) for one in identity.endpoints} == {
        (("MX", "TXT"), "secure", 25, "mail")
    }


def test_yaml_merge_keys_and_anchors_are_followed() -> None:
    inventory = read(
        "x-base: &base {kind: workload, owner: ops, criticality: high}\n"
        "x-hosts: &hosts [a.test, b.test]\n"
        "identities:\n"
        "- {<<: *base, id: one, endpoints: *hosts}\n"
        "- &two\n  <<: [*base]\n  id: two\n  owner: other\n  endpoints:\n  - &e {host: c.test, types: [MX]}\n"
        "- id: three\n  endpoints: [{<<: *e, host: d.test}]\n",
        "yaml",
    )

    assert inventory.problems == ()
    assert hosts(inventory) == ["a.test", "b.test", "d.test", "c.test"]
    assert [(one.id, one.owner, one.criticality) for one in inventory.identities] == [
        ("one", "ops", "high"),
        ("three", "", "medium"),
        ("two", "other", "high"),
    ]
    assert inventory.identities[1].endpoints[0].types == ("MX",)


def test_aliases_that_unfold_without_end_are_refused() -> None:
    bomb = "x-0: &a0 [h.test]\n" + "".join(f"x-{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10))

    with pytest.raises(ValueError, match="unfold"):
        read(bomb + "identities:\n- {id: sa, notes: *a9, endpoints: [a.test]}\n", "yaml")


@pytest.mark.parametrize(
    ("text", "format_name"),
    [
        ("# ours\na.test\n\n  https://u:p@b.test:8443/x#frag # a comment\na.test\n", "txt"),
        ("- a.test\n- https://u:p@b.test/x\n", "yaml"),
        ('["a.test", "https://u:p@b.test/x"]', "json"),
    ],
)
def test_a_plain_list_of_hosts_is_an_inventory(text: str, format_name: str) -> None:
    inventory = read(text, format_name)

    assert inventory.problems == ()
    assert hosts(inventory) == ["a.test", "b.test"]
    assert [one.id for one in inventory.identities] == ["a.test", "b.test"]


@pytest.mark.parametrize(
    ("text", "format_name"),
    [
        (TABLE, "csv"),
        (TABLE.replace(",", ";"), "csv"),
        ("sep=;\n" + TABLE, "csv"),
        ("identities: []\n", "yaml"),
        ("- a.test\n", "yaml"),
        ('{"identities": []}', "json"),
        ('["a.test"]', "json"),
        ("# hosts\na.test\nb.test\n", "txt"),
        ("", "txt"),
    ],
)
def test_standard_input_is_recognised_by_its_looks(text: str, format_name: str) -> None:
    assert guess_format(text) == format_name


def test_another_encoding_is_named_with_its_line_and_what_to_do() -> None:
    with pytest.raises(ValueError, match=r"inv:2: not UTF-8 .*CSV UTF-8"):
        read(TABLE.replace("payments", "zahlungsverkehr-m\u00fcnchen").encode("latin-1"))


def test_a_cluster_export_in_json_keeps_its_further_fields() -> None:
    rows = [{"id": "ns/sa", "owner": "team", "namespace": "prod", "replicas": 3, "endpoints": "a.test b.test"}]

    identity = only(read(json.dumps(rows), "json"))

    assert identity.labels == {"namespace": "prod", "replicas": "3"}
    assert len(identity.endpoints) == 2


@pytest.mark.parametrize(
    ("format_name", "text"),
    [
        ("yaml", "identities:\n- {id: sa, endpoints: [*hunter2]}\n"),
        ("yaml", "identities:\n- {id: sa, endpoints: [!hunter2 x]}\n"),
        ("yaml", "identities:\n- {id: sa, https://u:hunter2@x: 1, https://u:hunter2@x: 2}\n"),
        ("json", '{"identities": [{"id": "sa", "u:hunter2@x": 1, "u:hunter2@x": 2}]}'),
        ("csv", "id,u:hunter2@x,u:hunter2@x,endpoints\n"),
        ("csv", "id,endpoints,kind\nsa,a.test,Password=hunter2\n"),
        ("csv", "id,endpoints,owner\nsa,Server=a.test,Pwd=hunter2\n"),
        ("csv", "id,endpoints,expect\nsa,a.test,token:hunter2\n"),
        ("csv", "id,endpoints,types\nsa,a.test,pwd=hunter2\n"),
        ("yaml", "identities:\n- {id: sa, endpoints: [{host: a.test, port: 'x:hunter2'}]}\n"),
        ("yaml", "identities:\n- {id: sa, endpoints: [{host: a.test, purpose: 'password=hunter2'}]}\n"),
    ],
)
def test_no_problem_repeats_what_may_be_a_secret(format_name: str, text: str) -> None:
    try:
        said = repr(read(text, format_name))
    except ValueError as problem:
        said = str(problem)

    assert said
    assert "hunter2" not in said


@pytest.mark.parametrize(
    "row",
    [
        {"id": "\ud800x", "endpoints": ["a.test"]},
        {"id": "sa", "owner": "\ud800", "endpoints": ["a.test"]},
        {"id": "sa", "note": "\ud800", "endpoints": ["a.test"]},
        {"id": "sa", "n\udfff": "x", "endpoints": ["a.test"]},
        {"id": "sa", "endpoints": [{"host": "a.test", "purpose": "\ud800"}]},
        {"id": "sa", "endpoints": ["\ud800.test"]},
    ],
)
def test_half_of_a_character_breaks_its_row_alone_and_all_that_is_told_can_be_written(row: object) -> None:
    inventory = read(json.dumps([row, {"id": "good", "endpoints": ["good.test"]}]), "json")

    assert "good.test" in hosts(inventory)
    assert len(inventory.problems) == 1
    assert msgspec.json.encode((inventory.identities, inventory.problems, [one.id for one in inventory.broken]))
