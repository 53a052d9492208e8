"""The host in a name, a URL or a connection string, or a refusal that tells nothing of it. Pure.

Passwords stand anywhere in connection strings, with ``/``, ``#``, ``?``, ``@``, ``;`` or spaces in them. So each shape
is read by its own rules, a text that could mean two hosts is refused, and no message has any piece of the text but a
known scheme: only a plain name, one without any character that separates, is quoted.

Source: RFC 1123 §2.1 (host names), RFC 5891 (internationalised names), RFC 3986 §3.2 (authority of a URL).
"""

import ipaddress
import re
from collections.abc import Iterable

import idna

from collector.dnssec import names

Host = tuple[str, int | None]
LONGEST_SHOWN = 253

# fmt: off
KNOWN_SCHEMES = frozenset({
    "amqp", "amqps", "clickhouse", "cockroachdb", "couchbase", "couchbases", "db2", "ftp", "ftps", "git", "grpc",
    "grpcs", "h2", "hive2", "http", "https", "imap", "imaps", "influxdb", "jdbc", "kafka", "ldap", "ldaps",
    "mariadb", "memcached", "mongodb", "mongodb+srv", "mqtt", "mqtts", "mssql", "mysql", "mysqlx", "nats", "neo4j",
    "neo4j+s", "odbc", "oracle", "pop3", "postgres", "postgresql", "presto", "pulsar", "pulsar+ssl", "r2dbc",
    "redis", "rediss", "redshift", "rsync", "sb", "sftp", "smb", "smtp", "smtps", "snowflake", "sqlite",
    "sqlserver", "ssh", "ssl", "svn", "tcp", "tls", "trino", "udp", "unix", "ws", "wss", "zookeeper", "s3", "s3a",
    "s3n", "gs", "file", "abfs", "abfss", "wasb", "wasbs", "az", "data", "urn", "arn",
})
# fmt: on
NOT_HOSTS = frozenset({"s3", "s3a", "s3n", "gs", "az", "file", "unix", "data", "sqlite", "urn", "arn"})
HOST_KEYS = frozenset(
    {"server", "servername", "datasource", "host", "hostname", "hosts", "addr", "address", "networkaddress", "endpoint"}
    | {"bootstrap.servers", "serveraddress", "hostaddr", "serveraddresses"}
)
PORT_KEYS = frozenset({"port", "portnumber"})
_SEPARATORS = re.compile(r"[/@:;=?#%&,\\\s'\"(){}<>|`]")
_SCHEME = re.compile(r"((?:[A-Za-z][A-Za-z0-9+.-]*:)*[A-Za-z][A-Za-z0-9+.-]*)://")
_KEY_VALUE = re.compile(r"\s*[A-Za-z_][A-Za-z0-9_. ]*=")
_LIBPQ_PAIR = re.compile(r"([A-Za-z_]+)\s*=\s*('(?:[^'\\]|\\.)*'|\S*)")
_GO = re.compile(r"(?:tcp[46]?)?\(([^()\s]+)\)(?:/[^@]*)?")
_ORACLE = re.compile(r"jdbc:oracle:(?:thin|oci8?|kprb):", re.IGNORECASE)
_DESCRIPTION_HOST = re.compile(r"\(\s*HOST\s*=\s*([^()\s]+)\s*\)(?:\s*\(\s*PORT\s*=\s*([0-9]+)\s*\))?", re.IGNORECASE)
# A name in its one form that is surely no address, as almost all are.
_PLAIN_HOST = re.compile(
    r"(?!.{254})(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
)
_PLAIN_LIST = re.compile(r"[\w-]+(?:\.[\w-]+)+(?::[0-9]+)?\.?(?:[\s,;|]+[\w-]+(?:\.[\w-]+)+(?::[0-9]+)?\.?)*[,;|]?")
_AZURE_ACCOUNT = re.compile(r"[a-z0-9]{3,24}")


class Unclear(ValueError):
    """No host, or more than one reading; the sentence has no piece of the text."""


class Unwatchable(Unclear):
    """What is meant is clear, and there is no one name to ask the DNS for: an address, a wildcard, a bucket, a file."""


def parse_host(text: str) -> str:
    """Return the one host of a name, URL or connection string: A-labels, lower case, no final dot.

    Raises:
        ValueError: a sentence that says why the name can't be watched.
    """
    return parse_authority(text)[0]


def parse_authority(text: str) -> Host:
    """Return the first host and its port, None where there is none; see ``parse_host``."""
    return parse_endpoints(text)[0]


def parse_endpoints(text: str) -> list[Host]:
    """Return every host that a text names, at least one, each with its port.

    Raises:
        ValueError: a sentence that says why the name can't be watched, without any piece of a connection string.
    """
    text = text.strip()
    if _PLAIN_HOST.fullmatch(text):
        return [(text, None)]
    if not text:
        raise Unclear("there is no host in it")
    if not _SEPARATORS.search(text):
        shown = repr(text) if len(text) <= LONGEST_SHOWN else f"a name of {len(text)} characters"
        return [(checked_host(text, shown), None)]
    shown = shape_of(text)
    try:
        return _hosts_of(text, shown)
    except Unclear as error:
        raise type(error)(f"{shown}: {error}; it is not shown, since it may hold a secret") from None


def split_cell(cell: str) -> list[str]:
    """Return the entries of a cell: names and URLs joined by spaces, or one connection string that has spaces in it.

    Raises:
        ValueError: a piece may belong to a password with a space in it.
    """
    if _PLAIN_LIST.fullmatch(cell.strip()):
        return re.split(r"[\s,;|]+", cell.strip().strip(",;|"))
    pieces = cell.split()
    if len(pieces) < 2:
        return pieces
    if _KEY_VALUE.match(cell) and not _SCHEME.match(cell.strip()):
        return [cell.strip()]
    for number, piece in enumerate(pieces):
        is_url = bool(_SCHEME.match(piece))
        last = number == len(pieces) - 1
        if ("=" in piece and not last) or ("@" in piece and not is_url) or piece[0] in "\"'{([" or piece[-1] in "\"'":
            raise Unclear(
                "several entries, and one of them looks like a piece of a connection string with spaces in it, so none "
                "is shown; give each host by itself"
            )
        if not is_url and not _PLAIN_LIST.fullmatch(piece) and any(map(_SCHEME.match, pieces[:number])):
            raise Unclear("a piece after a URL is neither a URL nor a name with a dot, so none is shown")
        if number and is_url and "@" in piece and _has_open_userinfo(pieces[:number]):
            raise Unclear("a connection string with spaces in its password; give the host by itself")
        if is_url and not last and _has_open_userinfo([piece]):
            raise Unclear("a connection string with spaces in it; give each host by itself")
    return pieces


def _has_open_userinfo(pieces: Iterable[str]) -> bool:
    """Return whether a URL has a colon in its authority, no @ after it, and no number behind: ``redis://:pa``."""
    for piece in pieces:
        rest = _SCHEME.sub("", piece, count=1)
        authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
        if _SCHEME.match(piece) and "@" not in rest and ":" in authority and not _is_host_port(authority):
            return True
        if _SCHEME.match(piece) and "@" not in rest and _is_host_port(authority) and "." not in authority:
            return True  # svc:4711 may be a user and half a password
    return False


def shape_of(text: str) -> str:
    """Return what kind of text it is, for messages: nothing of its content but a known scheme."""
    scheme = _SCHEME.match(text)
    words = (scheme[1] if scheme else text.partition(":")[0]).lower().split(":")
    if scheme and all(word in KNOWN_SCHEMES for word in words):
        return f"a {':'.join(words)}:// address"
    if words[0] in ("jdbc", "r2dbc", "odbc"):
        return f"a {words[0]}: connection string"
    if scheme:
        return "a URL"
    return "a connection string" if "=" in text or "@" in text else "an address"


def _hosts_of(text: str, shown: str) -> list[Host]:
    lower = text.lower()
    if _ORACLE.match(text):
        return _oracle(text[_ORACLE.match(text).end() :])  # type: ignore[union-attr]  # it matched a line above
    scheme = _SCHEME.match(text)
    if scheme is None and _KEY_VALUE.match(text):
        return _from_pairs(text)
    if scheme is None and lower.startswith(("jdbc:", "odbc:", "r2dbc:")):
        rest = text.partition(":")[2]
        if _KEY_VALUE.match(rest):
            return _from_pairs(rest)
        raise Unclear("it names no host")
    if re.search(r"\s", text):
        if "=" in text or "@" in text or scheme is not None:
            raise Unclear("it has a space in it, so where its host ends is unclear: give the host by itself")
        raise Unclear("it has a character that no host name has")
    if scheme is None:
        return _without_scheme(text)
    kinds = scheme[1].lower().split(":")
    if kinds[-1] in NOT_HOSTS:
        raise Unwatchable("what follows this scheme is no host: give the host of the service")
    rest = text[scheme.end() :]
    if "sqlserver" in kinds and kinds[0] == "jdbc":
        return _jdbc_sqlserver(rest)
    return _from_url(rest, is_web=kinds[-1] in ("http", "https", "ws", "wss"))


def _from_url(rest: str, *, is_web: bool) -> list[Host]:
    """Read what follows ``scheme://``: hosts, and before them, up to an @, what is secret."""
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    behind = rest[len(authority) :]
    if "\\" in authority:
        raise Unclear("it has a backslash before its host ends: give the host by itself")
    userinfo, at, hosts = authority.rpartition("@")
    if "@" in behind:
        return [_host_after_open_password(authority, rest)]
    if at and re.search(r"[;,][^;,@]*=", userinfo) and not is_web:
        raise Unclear("an @ after a parameter may belong to a password: give the host by itself")
    if at and is_web and re.search(r"[;?&](?:user|uid|pass|pwd|password|token|key)[^=]*=", userinfo, re.IGNORECASE):
        raise Unclear("an @ after a parameter may belong to a password: give the host by itself")
    hosts = hosts.split(";", 1)[0]
    if hosts.startswith("("):
        return _described(hosts)
    return [_host_port(one) for one in hosts.split(",")]


def _host_after_open_password(authority: str, rest: str) -> Host:
    """Return the host of ``user:pa/ss@host/path``, whose password has a character that ends an authority.

    Only where nothing else can be meant: one @ in all, and what stands before the first ``/`` is no host with a port.
    """
    user, colon, _ = authority.partition(":")
    if rest.count("@") == 1 and colon and "." not in user and not _is_host_port(authority):
        host = re.split(r"[/?#;]", rest.partition("@")[2], maxsplit=1)[0]
        if "." in host and "," not in host:
            return _host_port(host)
    raise Unclear("an @ after its path or query may belong to a password: give the host by itself")


def _jdbc_sqlserver(rest: str) -> list[Host]:
    """Read ``host\\instance:port;key=value``; there is no user before an @ in this form."""
    server, _, pairs = rest.partition(";")
    server = server.split("/", 1)[0]
    if "@" in server:
        raise Unclear("an @ may belong to a password: give the host by itself")
    if not server:
        return _from_pairs(pairs)
    host, slash, instance = server.partition("\\")
    port = re.search(r":[0-9]+$", instance) if slash else None
    return [_host_port(host + (port[0] if port else ""))]


def _oracle(rest: str) -> list[Host]:
    """Read ``user/password@//host:port/service``, ``@host:port:sid`` or ``@(DESCRIPTION=…)``."""
    if rest.count("@") != 1:
        raise Unclear("it has no @ before its host, or more than one: give the host by itself")
    target = rest.partition("@")[2]
    if target.lstrip().startswith("("):
        return _described(target)
    target = re.sub(r"^(?:[A-Za-z]+:)?//", "", target)
    host, _, others = re.split(r"[/?]", target, maxsplit=1)[0].partition(":")
    port = others.split(":", 1)[0]
    return [_host_port(host + (f":{port}" if port else ""))]


def _described(text: str) -> list[Host]:
    found = _DESCRIPTION_HOST.findall(text)
    if not found:
        raise Unclear("it names no host in a form that can be read")
    return [_host_port(host + (f":{port}" if port else "")) for host, port in found]


def _from_pairs(text: str) -> list[Host]:
    """Read ``key=value`` pairs, joined by semicolons or spaces; exactly one of them may name the host."""
    pairs = _pairs(text)
    named = [(key, value) for key, value in pairs if key in HOST_KEYS or key.endswith("blobendpoint")]
    values = dict(pairs)
    if not named and _AZURE_ACCOUNT.fullmatch(values.get("accountname", "")):
        suffix = values.get("endpointsuffix", "core.windows.net")
        return [_host_port(f"{values['accountname']}.blob.{suffix}")]
    if len(named) != 1:
        raise Unclear("it names no host" if not named else "it names more than one host: give each by itself")
    key, value = named[0]
    if value.startswith("("):
        return _described(value)
    if _SCHEME.match(value):
        return _hosts_of(value, "")
    if "@" in value:
        raise Unclear("an @ may belong to a password: give the host by itself")
    value = re.sub(r"^(?:tcp|admin|ssl):", "", value, flags=re.IGNORECASE)
    host, comma, port = value.partition(",")
    if comma and port.strip().isascii() and port.strip().isdigit():
        value = f"{host.strip()}:{port.strip()}"
    ports = [number for name, number in pairs if name in PORT_KEYS and number.isascii() and number.isdigit()]
    found = []
    for one in value.split(","):
        one = re.sub(r"\\[^\\:,]*", "", one.strip())
        one = one.split("/", 1)[0] if key == "datasource" else one
        found.append(_host_port(f"{one}:{ports[0]}" if len(ports) == 1 and ":" not in one else one))
    return found


def _pairs(text: str) -> list[tuple[str, str]]:
    """Return keys (lower case, without spaces) and values; quotes and braces hold semicolons together."""
    if ";" not in text and len(_LIBPQ_PAIR.findall(text)) > 1:
        return [(key.lower(), value.strip("'")) for key, value in _LIBPQ_PAIR.findall(text)]
    found = []
    for piece in re.findall(r"((?:\"[^\"]*\"|'[^']*'|\{[^}]*\}|[^;])+)", text):
        key, equals, value = piece.partition("=")
        if equals:
            found.append((re.sub(r"[\s_]+", "", key).lower(), value.strip().strip("'\"")))
    return found


def _without_scheme(text: str) -> list[Host]:
    """Read what has no scheme: ``host:port/path``, ``user:password@host``, a DSN of Go, ``host:port,password=…``."""
    if text.startswith("[") or (text.count(":") > 1 and _is_address(text)):
        raise Unwatchable("an IP address has no name that could be forged")
    before, at, after = text.rpartition("@")
    if at and re.match(r"[A-Za-z0-9.-]+(?::[0-9]+)?,\s*\w+=", text):
        raise Unclear("an @ after a parameter may belong to a password: give the host by itself")
    if at:
        go = _GO.fullmatch(after)
        if go is not None:
            return [_host_port(go[1])]
        if "@" in before or (";" in before and "=" in before):
            raise Unclear("an @ may belong to a password: give the host by itself")
        after = after.removeprefix("//")
        host = re.split(r"[/?#;:]", after, maxsplit=1)[0]
        if "." not in host or "," in after:
            raise Unclear("which part of it is the host is unclear: give the host by itself")
        port = re.match(r":([0-9]+)(?=[/?#;:]|$)", after[len(host) :])
        return [_host_port(host + (port[0] if port else ""))]
    text = text.removeprefix("//")
    if "=" in text and "," in text and re.match(r"[A-Za-z0-9.-]+(?::[0-9]+)?,", text):
        return _leading_hosts(text)
    authority = re.split(r"[/?#]", text, maxsplit=1)[0]
    if ";" in authority or "&" in authority or "=" in authority:
        raise Unclear("which part of it is the host is unclear: give the host by itself")
    return [_host_port(one) for one in authority.split(",")]


def _leading_hosts(text: str) -> list[Host]:
    """Return the hosts before the first ``key=value``: ``cache.example:6380,password=…,ssl=True``."""
    found = []
    for piece in text.split(","):
        if "=" in piece:
            break
        found.append(_host_port(piece))
    return found


def _is_host_port(text: str) -> bool:
    try:
        _host_port(text)
    except ValueError:
        return False
    return True


def _host_port(text: str) -> Host:
    """Return host and port of ``host`` or ``host:port``."""
    if text.startswith("[") or (text.count(":") > 1 and _is_address(text)):
        raise Unwatchable("an IP address has no name that could be forged")
    host, colon, digits = text.partition(":")
    if colon and not (digits.isascii() and digits.isdigit() and 0 < int(digits[:6]) < 65536):
        raise Unclear("the port is not a number from 1 to 65535")
    return checked_host(host, ""), int(digits) if colon else None


def checked_host(host: str, shown: str) -> str:
    """Return a host as messages have it; ``shown`` is how to quote it, empty where it must not be quoted.

    Raises:
        ValueError: it can't be watched.
    """
    named = f"{shown}: " if shown else ""
    if not host:
        raise Unclear(f"{named}there is no host in it")
    if _is_address(host):
        raise Unwatchable(f"{named}an IP address has no name that could be forged; only host names can be watched")
    if "*" in host:
        raise Unwatchable(f"{named}a wildcard is no host: name the hosts that are really consumed")
    bare = host.removesuffix(".").lower()
    if not bare.isascii():
        try:
            bare = idna.encode(bare, uts46=True).decode()
        except idna.IDNAError:
            raise Unclear(f"{named}no internationalised name") from None
    if any(not (character.isalnum() or character in "-_.") for character in bare):
        raise Unclear(f"{named}it has a character that no host name has")
    if any(label.startswith("-") or label.endswith("-") for label in bare.split(".")):
        raise Unclear(f"{named}a label begins or ends with a hyphen")
    try:
        return names.to_text(names.from_text(bare))[:-1]
    except ValueError as error:
        raise Unclear(f"{named}no host name: {error}") from None


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host.replace(".", "").isdigit() and host.count(".") == 3
    return True
