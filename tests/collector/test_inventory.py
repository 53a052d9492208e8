import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.inventory.documents import read_rows
from collector.inventory.hosts import parse_host
from collector.inventory.rows import Inventory, merge_inventories, read_identities
from schemas.judgement import Verdict
from schemas.messages import Endpoint, Identity


def read(text: str, format_name: str = "yaml") -> Inventory:
    return read_identities(read_rows(text, format_name, f"inventory.{format_name}"))


WHOLE = """\
identities:
  - id: sa-settlement
    kind: service_account
    owner: payments
    environment: prod
    criticality: critical
    endpoints:
      - {host: api.partner.example, port: 443, types: [A, AAAA], purpose: token exchange, expect: secure}
      - https://user:secret@Token.Partner.Example:8443/oauth?key=123
"""


def test_a_whole_identity_is_read() -> None:
    inventory = read(WHOLE)

    assert inventory.problems == ()
    (identity,) = inventory.identities
    assert (identity.id, identity.kind, identity.criticality) == ("sa-settlement", "service_account", "critical")
    assert identity.endpoints == (
        Endpoint(host="api.partner.example", port=443, purpose="token exchange", expect=Verdict.SECURE),
        Endpoint(host="token.partner.example", port=8443),
    )


def test_yaml_csv_and_json_say_the_same() -> None:
    from_csv = read("id,kind,owner,criticality,endpoints\nsa,pipeline,ops,high,a.example b.example\n", "csv")
    from_json = read(
        '{"identities": [{"id": "sa", "kind": "pipeline", "owner": "ops", "criticality": "high",'
        ' "endpoints": ["a.example", {"host": "b.example"}]}]}',
        "json",
    )
    from_yaml = read(
        "identities:\n- {id: sa, kind: pipeline, owner: ops, criticality: high, endpoints: [a.example, b.example]}\n"
    )

    assert from_csv == from_json == from_yaml
    assert from_csv.identities


@given(st.text(alphabet="abcXYZ019._~%!$&'()*+,;=-", min_size=1), st.text(alphabet="abcXYZ019._~!$;=-", min_size=1))
def test_credentials_in_urls_are_never_kept_nor_told(user: str, password: str) -> None:
    password = "PW" + password + "PW"
    text = f"https://{user}:{password}@api.example/{password}"

    assert parse_host(text) == "api.example"
    with pytest.raises(ValueError, match="wildcard") as caught:
        parse_host(f"https://{user}:{password}@*.example/{password}")
    assert password not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("api.example", "api.example"),
        ("API.Example.", "api.example"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("https://api.example:8443/v1/x?y=z#f", "api.example"),
        ("postgres://u:p@db.example/main", "db.example"),
        ("_dmarc.example", "_dmarc.example"),
        ("api.example:443", "api.example"),
    ],
)
def test_hosts_are_normalised(text: str, host: str) -> None:
    assert parse_host(text) == host


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("192.0.2.1", "IP address"),
        ("https://192.0.2.1:8443/x", "IP address"),
        ("[2001:db8::1]", "IP address"),
        ("https://[2001:db8::1]/", "IP address"),
        ("2001:db8::1", "IP address"),
        ("*.example", "wildcard"),
        ("", "no host"),
        ("https:///path", "no host"),
        ("a..example", "empty label"),
        ("-a.example", "hyphen"),
        ("a b.example", "character"),
        ("a" * 64 + ".example", "64 octets"),
        ("<script>.example", "character"),
        ("api.example:99999", "port"),
    ],
)
def test_what_can_not_be_watched_gets_a_sentence(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_host(text)


BAD = """\
identities:
  - id: good
    endpoints: [a.example]
  - kind: workload
  - id: wrong-kind
    kind: robot
  - id: good
  - id: half
    endpoints:
      - 192.0.2.1
      - "*.example"
      - {host: b.example, types: [BOGUS]}
      - {host: c.example, expect: maybe}
      - {host: d.example, colour: blue}
      - e.example
  - id: no
    owner: yes
  - just a text
  - id: odd
    criticality: extreme
"""


def test_what_a_name_may_answer_is_read_in_one_form() -> None:
    answers = "[192.0.2.0/24, '2001:DB8::1', Edge.CDN.example]"

    (identity,) = read(f"identities: [{{id: sa, endpoints: [{{host: a.example, answers: {answers}}}]}}]").identities
    assert identity.endpoints[0].answers == ("192.0.2.0/24", "2001:db8::1", "edge.cdn.example.")
    assert read("id,endpoints,answers\nsa,a.example,192.0.2.0/24 2001:DB8::1 Edge.CDN.example\n", "csv").identities == (
        identity,
    )


@pytest.mark.parametrize(
    ("answers", "why"),
    [
        ("[0.0.0.0/0]", "allows everybody: a network has at least /8"),
        ("['::/8']", "allows everybody: a network has at least /16"),
        ("[192.0.2.1/24]", "has host bits set"),
        ("[192.0.2.300]", "is no address"),
        ("[yes]", "'answers' is a list"),
        ("[1.5]", "'answers' is a list"),
        ("192.0.2.1", "'answers' is a list"),
        ("['hunter2:secret@x']", "a text that is not shown here"),
        (f"[{', '.join(['192.0.2.1'] * 1001)}]", "has 1001 entries"),
    ],
)
def test_what_no_name_can_answer_is_refused(answers: str, why: str) -> None:
    inventory = read(f"identities: [{{id: sa, endpoints: [{{host: a.example, answers: {answers}}}, b.example]}}]")

    assert [endpoint.host for endpoint in inventory.identities[0].endpoints] == ["b.example"]
    (problem,) = inventory.problems
    assert why in problem
    assert "hunter2" not in problem


def test_every_problem_is_named_with_its_line_and_good_rows_stay() -> None:
    inventory = read(BAD)

    assert [identity.id for identity in inventory.identities] == ["good", "half"]
    assert [endpoint.host for endpoint in inventory.identities[1].endpoints] == ["e.example"]
    lines = {int(problem.split(":")[1]): problem for problem in inventory.problems}
    assert sorted(lines) == [4, 5, 7, 10, 11, 12, 13, 14, 16, 18, 19]
    assert "needs an 'id'" in lines[4]
    assert "unknown kind 'robot'" in lines[5]
    assert "is there already, at inventory.yaml:2" in lines[7]
    assert "IP address" in lines[10]
    assert "wildcard" in lines[11]
    assert "boolean" in lines[16]


@pytest.mark.parametrize(
    ("format_name", "text", "why"),
    [
        ("yaml", "identities: [\n", "inventory.yaml:2: not YAML"),
        ("yaml", "", "empty"),
        ("yaml", "other: 1\n", "one key, 'identities'"),
        ("yaml", "identities:\n- id: a\n  id: b\n", "inventory.yaml:3: the key 'id' is there twice"),
        ("json", "{", "inventory.json:1: not JSON"),
        ("json", '{"identities": [], "identities": []}', "there twice"),
        ("json", "[]", "one key, 'identities'"),
        ("csv", "", "columns"),
        ("csv", "id,hosts\n", "columns"),
        ("csv", 'id,endpoints\n"a,b\n', "not CSV"),
    ],
)
def test_a_document_that_is_none_is_refused_with_its_place(format_name: str, text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why.replace("(", r"\(")):
        read(text, format_name)


def test_a_csv_row_with_too_many_fields_is_named() -> None:
    inventory = read("id,endpoints\nsa,a.example,surplus\n", "csv")

    assert inventory.identities == ()
    assert "inventory.csv:2" in inventory.problems[0]


def test_sources_are_joined_by_identity() -> None:
    one = Inventory((Identity(id="sa", owner="ops", endpoints=(Endpoint(host="a.example"),)),))
    other = Inventory((Identity(id="sa", owner="other", endpoints=(Endpoint(host="b.example"),)),), ("a problem",))

    merged = merge_inventories([one, other])

    (identity,) = merged.identities
    assert identity.owner == "ops"
    assert [endpoint.host for endpoint in identity.endpoints] == ["a.example", "b.example"]
    assert merged.problems == ("a problem",)


@given(st.text())
def test_no_text_makes_the_yaml_reader_fail_otherwise(text: str) -> None:
    try:
        read(text)
    except ValueError:
        return
