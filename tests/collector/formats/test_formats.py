"""MCP clients, issuers and bills of materials; how each is recognised, and what is told of a bad one."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.inventory.formats.known import NAMES, Document, Options, read_documents, recognise, recognise_text
from collector.inventory.rows import Inventory

MCP = {
    "mcpServers": {
        "crm": {
            "type": "http",
            "url": "https://user:hunter2@mcp.crm.example:8443/hunter2?key=hunter2",
            "headers": {"Authorization": "Bearer hunter2"},
        },
        "files": {"command": "npx", "args": ["-y", "server", "/hunter2"], "env": {"TOKEN": "hunter2"}},
        "bridge": {"command": "npx", "args": ["mcp-remote", "https://mcp.docs.example/sse", "--header", "X: hunter2"]},
        "local": {"url": "http://127.0.0.1:3000/hunter2"},
        "here": {"url": "http://localhost:3000"},
        "variable": {"url": "https://${MCP_HOST}/hunter2"},
    }
}
BOM = {
    "bomFormat": "CycloneDX",
    "specVersion": "1.6",
    "metadata": {"component": {"type": "application", "group": "shop", "name": "checkout", "version": "1.2"}},
    "services": [
        {"bom-ref": "s1", "name": "rates", "endpoints": ["https://rates.example/v1", "https://rates-eu.example"]},
        {"name": "outer", "services": [{"name": "inner", "endpoints": ["amqps://u:hunter2@mq.example:5671/x"]}]},
        {"name": "bucket", "endpoints": ["s3://hunter2/x", "https://192.0.2.1/"]},
    ],
}


def read(value: object, file: str = "mcp.json", **options: Any) -> Inventory:
    text = value if isinstance(value, str) else json.dumps(value)
    return read_documents([Document("", file, text.encode())], Options(**options))


def hosts(inventory: Inventory) -> dict[str, list[str]]:
    return {one.id: [endpoint.host for endpoint in one.endpoints] for one in inventory.identities}


class TestClients:
    def test_servers_with_a_url_are_watched_and_commands_are_noted(self) -> None:
        inventory = read(MCP)

        assert inventory.problems == ()
        assert hosts(inventory) == {"mcp:mcp/bridge": ["mcp.docs.example"], "mcp:mcp/crm": ["mcp.crm.example"]}
        crm = inventory.identities[1]
        assert (crm.kind, crm.endpoints[0].port, crm.endpoints[0].origin) == ("ai_agent", 8443, "server crm")
        assert any("mcpServers.files: it starts a command on its own machine" in one for one in inventory.notes)
        assert len(inventory.notes) == 4

    def test_nothing_secret_is_kept_or_told(self) -> None:
        assert "hunter2" not in repr(read(MCP))

    @pytest.mark.parametrize(
        ("file", "value", "identity"),
        [
            ("/home/a/.cursor/mcp.json", {"mcpServers": {"x": {"url": "https://a.test"}}}, "mcp:cursor/x"),
            ("/home/a/.vscode/mcp.json", {"servers": {"x": {"type": "sse", "url": "https://a.test"}}}, "mcp:vscode/x"),
            ("claude_desktop_config.json", {"mcpServers": {"x": {"url": "https://a.test"}}}, "mcp:claude-desktop/x"),
            (".mcp.json", {"mcpServers": {"x": {"url": "https://a.test"}}}, "mcp:claude-code/x"),
            ("settings.json", {"mcp": {"servers": {"x": {"url": "https://a.test"}}}}, "mcp:settings/x"),
            ("mcp_config.json", {"mcpServers": {"x": {"serverUrl": "https://a.test"}}}, "mcp:mcp_config/x"),
            (
                ".claude.json",
                {"projects": {"/w": {"mcpServers": {"x": {"url": "https://a.test"}}}}},
                "mcp:claude-code/x",
            ),
        ],
    )
    def test_clients_differ_in_where_they_list_servers(self, file: str, value: object, identity: str) -> None:
        assert hosts(read(value, file)) == {identity: ["a.test"]}

    def test_a_client_may_be_given_a_name(self) -> None:
        assert "mcp:desk-7/crm" in hosts(read(MCP, identity="desk-7"))

    def test_comments_are_allowed_as_editors_allow_them(self) -> None:
        text = '{\n  // ours\n  "servers": {"x": {"url": "https://a.test//b",},},\n}\n'

        assert hosts(read(text, format="mcp")) == {"mcp:mcp/x": ["a.test"]}

    @pytest.mark.parametrize(
        ("servers", "problem"),
        [
            ([], "a mapping of servers"),
            ({"x": "https://u:hunter2@a.test"}, "mcpServers.x: a server is a mapping"),
            ({"x": {}}, "'url' or 'command'"),
            ({"x": {"url": 7}}, "a host name or a URL"),
            ({"x": {"url": ""}}, "a host name or a URL"),
            ({"x": {"url": "https://a..test/hunter2"}}, "it is not shown"),
            ({"password=hunter2": {"url": "https://a.test"}}, "a server has a name that can be shown"),
            ({"x\n<script>": {"url": "https://a.test"}}, "a server has a name that can be shown"),
        ],
    )
    def test_a_bad_server_is_told_and_its_neighbours_stand(self, servers: Any, problem: str) -> None:
        if isinstance(servers, dict):
            servers = {**servers, "good": {"url": "https://good.test"}}

        inventory = read({"mcpServers": servers})

        assert problem in " | ".join(inventory.problems)
        assert "hunter2" not in repr(inventory)
        if isinstance(servers, dict):
            assert hosts(inventory)["mcp:mcp/good"] == ["good.test"]


class TestIssuers:
    @pytest.mark.parametrize(
        "value",
        [
            "# ours\nhttps://idp.example/realms/prod  # main\nhttps://token.actions.example\n",
            ["https://idp.example/realms/prod", "https://token.actions.example/"],
            {
                "issuers": [
                    {"issuer": "https://idp.example/realms/prod", "owner": "iam"},
                    "https://token.actions.example",
                ]
            },
            {
                "OpenIDConnectProviderList": [
                    {"Arn": "arn:aws:iam::123456789012:oidc-provider/idp.example/realms/prod"},
                    {"Arn": "arn:aws-cn:iam::123456789012:oidc-provider/token.actions.example"},
                ]
            },
            [
                {"name": "p", "oidc": {"issuerUri": "https://idp.example/realms/prod"}},
                {"name": "q", "oidc": {"issuerUri": "https://token.actions.example"}},
            ],
            [
                {"issuer": "https://idp.example/realms/prod", "subject": "a", "audiences": ["x"]},
                {"issuer": "https://idp.example/realms/prod", "subject": "b", "audiences": ["x"]},
                {"issuer": "https://token.actions.example", "subject": "c"},
            ],
        ],
        ids=["txt", "list", "ours", "aws", "gcp", "azure"],
    )
    def test_lists_of_issuers_are_read_as_clouds_print_them(self, value: object) -> None:
        inventory = read(value, "issuers.json", format="oidc")

        assert inventory.problems == ()
        assert hosts(inventory) == {
            "oidc:idp.example/realms/prod": ["idp.example"],
            "oidc:token.actions.example": ["token.actions.example"],
        }

    @pytest.mark.parametrize(
        ("entry", "problem"),
        [
            ("http://idp.example", "an https:// URL"),
            ("https://u:hunter2@idp.example", "no user, query or fragment"),
            ("https://idp.example?t=hunter2", "no user, query or fragment"),
            ("https://idp..example", "empty label"),
            ({"issuer": 7}, "an https:// URL"),
            (7, "an https:// URL"),
            ({}, "an https:// URL"),
            ("arn:aws:iam::1:role/hunter2", "oidc-provider"),
        ],
    )
    def test_a_bad_issuer_is_told_and_its_neighbours_stand(self, entry: object, problem: str) -> None:
        inventory = read({"issuers": ["https://good.test", entry]}, "i.json", format="oidc")

        assert problem in " | ".join(inventory.problems)
        assert "issuers[1]" in inventory.problems[0]
        assert hosts(inventory)["oidc:good.test"] == ["good.test"]
        assert "hunter2" not in repr(inventory)

    def test_an_address_is_noted(self) -> None:
        assert len(read(["https://192.0.2.1/x"], "i.json", format="oidc").notes) == 1


class TestBills:
    def test_the_component_of_a_bill_consumes_its_services(self) -> None:
        inventory = read(BOM, "bom.json")

        assert inventory.problems == ()
        assert hosts(inventory) == {"shop/checkout": ["rates.example", "rates-eu.example", "mq.example"]}
        assert inventory.identities[0].endpoints[2].origin == "service inner"
        assert "hunter2" not in repr(inventory)
        assert len(inventory.notes) == 3

    @pytest.mark.parametrize("version", ["1.4", "1.5", "1.6", "1.7"])
    def test_known_versions_are_read(self, version: str) -> None:
        assert hosts(read({**BOM, "specVersion": version}, "bom.json"))

    def test_without_a_component_each_service_stands_for_itself(self) -> None:
        assert list(hosts(read({**BOM, "metadata": {}}, "bom.json"))) == ["service inner", "service rates"]

    @pytest.mark.parametrize(
        ("change", "problem"),
        [
            ({"specVersion": "1.2"}, "'specVersion' is one of"),
            ({"specVersion": None}, "'specVersion' is one of"),
            ({"services": {}}, "'services' is a list"),
            ({"bomFormat": "SPDX"}, "no bill of materials"),
        ],
    )
    def test_what_is_no_bill_is_told(self, change: dict[str, object], problem: str) -> None:
        with pytest.raises(ValueError, match=problem):
            read({**BOM, **change}, "bom.json", format="cyclonedx")

    def test_xml_is_told_with_what_to_do(self) -> None:
        with pytest.raises(ValueError, match="export it as JSON"):
            read('<?xml version="1.0"?><bom/>', "bom.xml", format="cyclonedx")

    @pytest.mark.parametrize(
        ("service", "problem"),
        [
            (7, "services[0]: a service is a mapping"),
            ({"endpoints": ["https://a.test"]}, "a service has a 'name'"),
            ({"name": "x", "endpoints": "https://a.test"}, "'endpoints' is a list"),
            ({"name": "x", "endpoints": [7]}, "a host name or a URL"),
            ({"name": "x", "endpoints": ["https://a..test/hunter2"]}, "it is not shown"),
            ({"name": "\u202ex", "endpoints": []}, "a service has a 'name'"),
        ],
    )
    def test_a_bad_service_is_told_and_its_neighbours_stand(self, service: object, problem: str) -> None:
        inventory = read({**BOM, "services": [service, *BOM["services"]]}, "bom.json")

        assert problem in " | ".join(inventory.problems)
        assert "rates.example" in hosts(inventory)["shop/checkout"]
        assert "hunter2" not in repr(inventory)

    @pytest.mark.slow
    def test_sixty_thousand_services_are_read(self) -> None:
        services = [{"name": f"s{n}", "endpoints": [f"https://h{n}.test/x"]} for n in range(60_000)]

        assert len(read({**BOM, "services": services}, "bom.json").identities[0].endpoints) == 60_000


@pytest.mark.parametrize(
    ("text", "file", "format_name"),
    [
        (json.dumps(MCP), "x.json", "mcp"),
        (json.dumps(BOM), "x.json", "cyclonedx"),
        ('{"issuers": []}', "x.json", "oidc"),
        ('[{"issuer": "https://a.test"}]', "x.json", "oidc"),
        ("issuers: [https://a.test]\n", "x.yaml", "oidc"),
        ("apiVersion: v1\nkind: Pod\n", "x.yml", "kubernetes"),
        ("# x\n---\n# y\n---\napiVersion: v1\nkind: Pod\n", "x.yml", "kubernetes"),
        ('{"apiVersion": "v1", "kind": "List", "items": []}', "x.json", "kubernetes"),
        ('{"identities": [], "mcpServers": {}}', "x.json", "json"),
        ('[{"owner": "x", "id": "sa", "issuer": "https://a.test"}]', "x.json", "json"),
        ("# ours\n---\nidentities: []\n", "x.yaml", "yaml"),
        ("identities: []\n", "x.yaml", "yaml"),
        ("x-base: &b {}\nidentities: []\n", "x.yaml", "yaml"),
        ("- a.test\n- b.test\n", "x.yaml", "yaml"),
        ('["a.test"]', "x.json", "json"),
        ("[", "x.json", "json"),
        ("a.test\n", "x.txt", "txt"),
        ("id,endpoints\n", "x.tsv", "csv"),
    ],
)
def test_a_document_is_recognised_by_its_name_and_looks(text: str, file: str, format_name: str) -> None:
    assert recognise(text, file) == format_name
    assert format_name in NAMES


def test_standard_input_is_recognised_by_its_looks_alone() -> None:
    assert recognise_text(json.dumps(MCP).encode(), "standard input") == "mcp"
    assert recognise_text(b"a.test\nb.test\n", "standard input") == "txt"


def test_what_nothing_speaks_for_is_refused_with_what_to_say() -> None:
    with pytest.raises(ValueError, match="say 'format', one of"):
        recognise("hello", "x.bin")


def test_the_hosts_of_a_plain_list_may_be_one_identity() -> None:
    inventory = read("a.test\nb.test:8443\n*.c.test\n", "x.txt", identity="batch", defaults={"owner": "ops"})

    (identity,) = inventory.identities
    assert (identity.id, identity.owner, [(e.host, e.port) for e in identity.endpoints]) == (
        "batch",
        "ops",
        [("a.test", None), ("b.test", 8443)],
    )
    assert inventory.broken[0].id == "batch"
    assert inventory.problems[0].startswith("x.txt:3: ")


KEYS = [
    *["url", "command", "args", "kind", "metadata", "name", "spec", "hosts", "items", "services", "endpoints"],
    *["template", "containers", "env", "value", "externalName", "type", "egress", "toFQDNs", "issuer", "oidc"],
]
LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=8)
JSON = st.recursive(
    LEAVES | st.sampled_from(["https://a.test", "*.b", "1.2.3.4"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=15,
)
OBJECTS = ["Pod", "Deployment", "CronJob", "ServiceEntry", "CiliumNetworkPolicy", "List", "Service"]


@settings(max_examples=300, deadline=None)
@given(value=JSON, kind=st.sampled_from(OBJECTS))
def test_whatever_stands_in_a_document_is_read_or_told(value: object, kind: str) -> None:
    inner = value if isinstance(value, dict) else {"spec": value}
    for document in (
        {"mcpServers": value},
        {"servers": {"x": value}},
        {"issuers": value},
        {**BOM, "services": value},
        {**BOM, "services": [value]},
        {"apiVersion": "v1", "metadata": {"name": "x"}, **inner, "kind": kind},
    ):
        try:
            inventory = read(document, "x.json", env_urls=True)
        except ValueError as problem:
            told: tuple[str, ...] = (str(problem),)
        else:
            told = (*inventory.problems, *inventory.notes)
        assert all(sentence.startswith("x.json") for sentence in told)
