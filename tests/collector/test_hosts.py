"""The right host of every connection string, or a refusal that tells nothing of it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.inventory.documents import read_rows
from collector.inventory.hosts import parse_endpoints, split_cell
from collector.inventory.rows import read_identities

HOST = "db.zone.test"
# Where a secret stands in what people paste; {s} is the secret, {h} the host.
SHAPES = [
    "jdbc:sqlserver://{h}:1433;databaseName=ledger;user=svc_pay;password={s}",
    "jdbc:sqlserver://;serverName={h};port=1433;user=sa;password={s}",
    "jdbc:sqlserver://{h}\\SQLEXPRESS:1433;password={s};encrypt=true",
    "jdbc:postgresql://{h}/ledger?user=svc&password={s}",
    "jdbc:postgresql://{h}:5432/ledger?password={s}&user=svc",
    "jdbc:mysql://svc:{s}@{h}:3306/ledger",
    "jdbc:mariadb:replication://svc:{s}@{h}/ledger",
    "jdbc:oracle:thin:svc/{s}@//{h}:1521/orcl",
    "jdbc:oracle:thin:svc/{s}@{h}:1521:orcl",
    "jdbc:db2://{h}:50000/ledger:user=svc;password={s};",
    "Server=tcp:{h},1433;Database=ledger;User Id=sa;Password={s}",
    "Server={h};Database=ledger;User Id=sa;Password={s};Encrypt=True",
    "Data Source={h},1433;Initial Catalog=ledger;User ID=sa;Password={s}",
    "Driver={{ODBC Driver 18 for SQL Server}};Server=tcp:{h},1433;Uid=sa;Pwd={s};",
    "Password={s};Server={h};Database=ledger",
    "host={h} port=5432 dbname=ledger user=svc password={s}",
    "user=svc password={s} host={h}",
    "Host={h};Username=svc;Password={s}",
    "redis://:{s}@{h}:6379/0",
    "rediss://default:{s}@{h}:6380",
    "{h}:6380,password={s},ssl=True,abortConnect=False",
    "amqp://svc:{s}@{h}/vhost",
    "amqps://svc:{s}@{h}:5671/%2f",
    "mongodb://svc:{s}@{h}:27017/ledger?authSource=admin",
    "mongodb+srv://svc:{s}@{h}/ledger",
    "postgres://svc:{s}@{h}:5432/ledger",
    "postgres://{s}@{h}/ledger",
    "mysql://svc:{s}@{h}/ledger?ssl=true",
    "svc:{s}@tcp({h}:3306)/ledger?parseTime=true",
    "svc:{s}@{h}:3306/ledger",
    "svc/{s}@{h}:1521/orcl",
    "https://svc:{s}@{h}/api",
    "https://{h}/api?token={s}",
    "https://{h}/hook/{s}",
    "https://{h}/#access_token={s}",
    "https://{s}@{h}/api",
    "ldap://{h}/dc=zone,dc=test??sub?(pw={s})",
    "Endpoint=sb://{h}/;SharedAccessKeyName=Root;SharedAccessKey={s}",
    "BlobEndpoint=https://{h}/;SharedAccessSignature={s}",
    "nats://{s}@{h}:4222",
    "ftp://svc:{s}@{h}",
    "smtp://svc:{s}@{h}:587",
    "//svc:{s}@{h}/x",
]
PLAIN = "Xq7ZkW9pLm"
ODD = st.text(alphabet="XQZ479/#?@%;:&=+,.!$'\"\\(){} ", min_size=1, max_size=10)
SECRETS = st.one_of(
    ODD.map(lambda text: f"W8{text}V6"),
    ODD.map(lambda text: f"4711{text}V6"),
    ODD.map(lambda text: f"W8{text};Server=evil.example"),
    ODD.map(lambda text: f"W8{text}@tcp(evil.example)/"),
    ODD.map(lambda text: f"W8{text}@evil.example"),
)
ENOUGH = settings(derandomize=True, max_examples=60, deadline=None)


def leaks(text: str, secret: str) -> bool:
    """Return whether a text has a piece of the secret that is long enough to be no accident."""
    own = secret.removesuffix(";Server=evil.example")  # messages have these words, too
    return "evil" in text or any(own[n : n + 4] in text for n in range(len(own) - 3))


def outcome(text: str) -> tuple[list[str], str]:
    """Return the hosts of a cell, or none and the refusal."""
    try:
        return [host for entry in split_cell(text) for host, _ in parse_endpoints(entry)], ""
    except ValueError as refusal:
        return [], str(refusal)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_host_is_found_where_the_secret_has_no_odd_character(shape: str) -> None:
    found = parse_endpoints(shape.format(s=PLAIN, h=HOST))

    assert [host for host, _ in found] == [HOST]


@pytest.mark.parametrize("shape", SHAPES)
@ENOUGH
@given(secret=SECRETS)
def test_with_any_secret_it_is_the_right_host_or_a_refusal_that_tells_nothing(shape: str, secret: str) -> None:
    hosts, said = outcome(shape.format(s=secret, h=HOST))

    assert hosts in ([HOST], [])
    assert not leaks(said, secret), said


@pytest.mark.parametrize("format_name", ["csv", "yaml", "json", "txt"])
@settings(derandomize=True, max_examples=120, deadline=None)
@given(shape=st.sampled_from(SHAPES), secret=SECRETS)
def test_of_a_row_neither_identities_nor_problems_have_a_piece_of_the_secret(
    format_name: str, shape: str, secret: str
) -> None:
    import csv
    import io
    import json

    text = shape.format(s=secret, h=HOST)
    if format_name == "csv":
        cell = io.StringIO()
        csv.writer(cell).writerow(["sa", text])
        document = "id,endpoints\n" + cell.getvalue()
    elif format_name == "txt":
        document = text + "\n"
    else:
        document = json.dumps({"identities": [{"id": "sa", "endpoints": [text]}]})
    inventory = read_identities(read_rows(document, format_name, "inv"))

    assert not leaks(repr(inventory), secret), repr(inventory)
    hosts = {endpoint.host for one in inventory.identities for endpoint in one.endpoints}
    assert hosts <= {HOST}


@pytest.mark.parametrize("delimiter", [";", ",", "\t", "|"])
@settings(derandomize=True, max_examples=60, deadline=None)
@given(shape=st.sampled_from(SHAPES), secret=SECRETS)
def test_a_connection_string_that_is_not_quoted_leaks_into_no_other_column(
    delimiter: str, shape: str, secret: str
) -> None:
    header = delimiter.join(["id", "endpoints", "owner", "kind", "criticality", "environment", "notes"])
    document = f"{header}\nsa{delimiter}{shape.format(s=secret, h=HOST)}\n"
    inventory = read_identities(read_rows(document, "csv", "inv"))

    hosts = {endpoint.host for one in inventory.identities for endpoint in one.endpoints}
    assert not any(leaks(host.upper(), secret.upper()) for host in hosts)
    assert not any(leaks(problem, secret) for problem in inventory.problems), inventory.problems


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        ("mongodb://u:p@h1.zone.test:27017,h2.zone.test/x", [("h1.zone.test", 27017), ("h2.zone.test", None)]),
        ("kafka://k1.zone.test:9092,k2.zone.test:9092", [("k1.zone.test", 9092), ("k2.zone.test", 9092)]),
        ("bootstrap.servers=k1.zone.test:9092,k2.zone.test:9092", [("k1.zone.test", 9092), ("k2.zone.test", 9092)]),
        ("Server=tcp:db.zone.test,1433;Database=x", [("db.zone.test", 1433)]),
        ("host=db.zone.test port=5433", [("db.zone.test", 5433)]),
        (
            "jdbc:oracle:thin:@(DESCRIPTION=(ADDRESS=(PROTOCOL=TCP)(HOST=o.zone.test)(PORT=1521)))",
            [("o.zone.test", 1521)],
        ),
        ("AccountName=ledger;AccountKey=x==;EndpointSuffix=core.windows.net", [("ledger.blob.core.windows.net", None)]),
        ("amqp://u:p%40x@mq.zone.test/v", [("mq.zone.test", None)]),
        ("redis://:hun/ter2@www.zone.test:6379/0", [("www.zone.test", 6379)]),
        ("git@git.zone.test:org/repo.git", [("git.zone.test", None)]),
        ("api.zone.test/path?x=y", [("api.zone.test", None)]),
    ],
)
def test_each_shape_gives_its_hosts_and_ports(text: str, hosts: list[tuple[str, int | None]]) -> None:
    assert parse_endpoints(text) == hosts


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("postgres://svc:4711/xyz@www.zone.test:5432/ledger", "postgres:// address: an @"),
        ("s3://bucket/key", "s3:// address: what follows"),
        ("jdbc:sqlite:/var/x.db", "jdbc: connection string: it names no host"),
        ("Server=a.zone.test;Host=b.zone.test", "more than one host"),
        ("secretscheme://x y@h", "a URL: "),
        ("svc:hunter2", "the port is not a number"),
    ],
)
def test_a_refusal_has_the_scheme_and_the_reason(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why) as caught:
        parse_endpoints(text)
    assert "hunter2" not in str(caught.value)


def test_a_mistyped_name_is_shown() -> None:
    with pytest.raises(ValueError, match=r"'broken\.\.name'"):
        parse_endpoints("broken..name")


@pytest.mark.parametrize(
    ("cell", "entries"),
    [
        ("a.test b.test", ["a.test", "b.test"]),
        ("a.test, b.test;c.test", ["a.test", "b.test", "c.test"]),
        ("https://a.test/x https://u:p@b.test", ["https://a.test/x", "https://u:p@b.test"]),
        ("Server=a.test;User Id=sa;Password=a b", ["Server=a.test;User Id=sa;Password=a b"]),
        ("", []),
    ],
)
def test_a_cell_is_split_into_its_entries(cell: str, entries: list[str]) -> None:
    assert split_cell(cell) == entries


@pytest.mark.parametrize(
    "cell",
    [
        "https://a.test/?password=one two.test",
        "redis://:one two@a.test",
        "postgres://svc:4711 xyz@a.test:5432/x",
        'a.test "b c"',
        "https://a.test/hook/one two",
    ],
)
def test_a_cell_with_a_space_in_a_password_is_refused(cell: str) -> None:
    with pytest.raises(ValueError, match=r"by itself|none is shown"):
        split_cell(cell)
