"""``inventory``: where the identities come from."""

import glob
import re
from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import Annotated
from urllib.parse import urlsplit

import msgspec

from anchorwatch.configuration.documents import Document
from anchorwatch.configuration.values import Duration, Section, explain_ca_file, read_seconds, read_share
from collector.config import InventorySource, WebSource
from collector.inventory.documents import SUFFIXES
from collector.inventory.formats.gathering import shown_name
from collector.inventory.formats.known import KUBERNETES, NAMES
from collector.inventory.store import Store
from schemas.egress import LOOPBACK, Egress
from schemas.messages import Criticality, IdentityKind

IN_CLUSTER = "in-cluster"
API_SERVER = "https://kubernetes.default.svc"
ACCOUNT_FOLDER = "/var/run/secrets/kubernetes.io/serviceaccount"
_NAMESPACE = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


class SourceSection(Section, frozen=True, kw_only=True):
    """One inventory source: exactly one of ``path``, ``url`` and ``kubernetes``."""

    path: str = ""
    url: str = ""
    kubernetes: str = ""
    format: str | None = None
    max_shrink: str | float = "20%"
    accept_after: Duration = "24h"
    identity: str = ""
    owner: str = ""
    kind: IdentityKind | None = None
    environment: str = ""
    criticality: Criticality | None = None
    env_urls: bool = False
    headers_file: str = ""
    token_file: str = ""
    ca_file: str = ""
    namespaces: Annotated[tuple[str, ...], msgspec.Meta(max_length=1000)] = ()
    every: Duration = "5m"
    timeout: Duration = "30s"


def read_sources(
    sections: Sequence[SourceSection], base: Path, state: Path, egress: Egress, document: Document
) -> tuple[InventorySource, ...]:
    """Return the sources; a file may be absent if ``state`` has rows of it."""
    found: list[InventorySource] = []
    if not sections:
        document.problem("inventory", "at least one source is needed")
    for number, section in enumerate(sections):
        where = f"inventory[{number}]"
        given = [key for key in ("path", "url", "kubernetes") if getattr(section, key)]
        if len(given) != 1:
            document.problem(where, "exactly one of 'path', 'url' and 'kubernetes' is needed")
            continue
        if section.format is not None and section.format not in NAMES:
            document.problem(f"{where}.format", f"one of {', '.join(NAMES)}")
            continue
        if section.identity and not shown_name(section.identity):
            document.problem(f"{where}.identity", "a name of at most 200 characters without a secret is expected")
        source = _with_limits(_of_kind(given[0], section, where, base, egress, document), section, where, document)
        if source is None:
            continue
        if source.web is None and not _is_there(source) and not Store(state).is_known(source.key):
            document.problem(
                f"{where}.path", f"there is no {'file' if not source.pattern else 'folder'} {_missing(source)}"
            )
        if any(one.key == source.key for one in found):
            document.problem(f"{where}.{given[0]}", f"{source.key if source.web else section.path} is there twice")
        found.append(source)
    return tuple(found)


def _with_limits(
    source: InventorySource | None, section: SourceSection, where: str, document: Document
) -> InventorySource | None:
    accept_after = read_seconds(section.accept_after, f"{where}.accept_after", document, least=1.0)
    shrink = read_share(section.max_shrink, f"{where}.max_shrink", document)
    if source is None:
        return None
    said = {key: getattr(section, key) for key in ("owner", "kind", "environment", "criticality")}
    return msgspec.structs.replace(
        source,
        max_shrink=shrink,
        accept_after_s=accept_after,
        identity=section.identity,
        defaults={key: text for key, text in said.items() if text},
        env_urls=section.env_urls,
    )


def _of_kind(
    kind: str, section: SourceSection, where: str, base: Path, egress: Egress, document: Document
) -> InventorySource | None:
    for key in ("headers_file", "token_file", "ca_file", "namespaces"):
        used_by = {"headers_file": ("url",), "ca_file": ("url", "kubernetes")}.get(key, ("kubernetes",))
        if getattr(section, key) and kind not in used_by:
            document.problem(f"{where}.{key}", f"only a source with {' or '.join(map(repr, used_by))} has it")
    if kind == "path":
        defaults = SourceSection()
        for key in ("every", "timeout"):
            if getattr(section, key) != getattr(defaults, key):
                document.problem(f"{where}.{key}", "only a source with 'url' or 'kubernetes' has it")
    match kind:
        case "path":
            return _file(section, where, base, document)
        case "url":
            return _web(section, where, base, egress, document)
        case _:
            return _cluster(section, where, base, egress, document)


def _file(section: SourceSection, where: str, base: Path, document: Document) -> InventorySource | None:
    path = base / section.path
    if glob.has_magic(section.path):
        parts = PurePath(section.path).parts
        fixed = next(number for number, part in enumerate(parts) if glob.has_magic(part))
        if any("**" in part for part in parts):
            document.problem(f"{where}.path", "'**' is not read: name the folder, all below it is read")
            return None
        root = base.joinpath(*parts[:fixed])
        return InventorySource(path=path, root=root, pattern="/".join(parts[fixed:]), format=section.format or "")
    if path.is_dir():
        return InventorySource(path=path, is_folder=True, format=section.format or "")
    by_name = SUFFIXES.get(path.suffix.lower())
    if section.format is None and by_name is None:
        document.problem(where, f"{section.path}: say 'format: yaml', 'csv' or 'json' (or {', '.join(NAMES[3:])})")
        return None
    return InventorySource(path=path, format=section.format or (by_name if by_name in ("csv", "txt") else "") or "")


def _web(section: SourceSection, where: str, base: Path, egress: Egress, document: Document) -> InventorySource | None:
    problem = _explain_url(section.url)
    if problem:
        document.problem(f"{where}.url", problem)
        return None
    parts = urlsplit(section.url)
    if section.headers_file and parts.scheme != "https" and parts.hostname not in LOOPBACK:
        document.problem(f"{where}.headers_file", "headers hold secrets, so the URL begins with https://")
    by_name = SUFFIXES.get(PurePath(parts.path).suffix.lower())
    if section.format is None and by_name is None:
        document.problem(where, f"the URL does not end as a file does: say 'format', one of {', '.join(NAMES)}")
        return None
    headers = _path_of(section, "headers_file", where, base, document)
    web = _fetched(section, section.url, where, base, egress, document, headers_path=headers)
    return InventorySource(web=web, format=section.format or (by_name if by_name in ("csv", "txt") else "") or "")


def _cluster(
    section: SourceSection, where: str, base: Path, egress: Egress, document: Document
) -> InventorySource | None:
    is_inside = section.kubernetes == IN_CLUSTER
    url = API_SERVER if is_inside else section.kubernetes.rstrip("/")
    problem = _explain_url(url)
    if not problem and (not url.startswith("https://") or urlsplit(url).path or urlsplit(url).query):
        problem = "an API server is https://host:port, or 'in-cluster'"
    if section.format not in (None, KUBERNETES):
        problem = "an API server has no other format than 'kubernetes'"
    for namespace in section.namespaces:
        if not _NAMESPACE.fullmatch(namespace):
            document.problem(f"{where}.namespaces", "each is a name that Kubernetes allows")
    if problem:
        document.problem(f"{where}.kubernetes", problem)
        return None
    if not is_inside and not section.token_file:
        document.problem(where, "an API server asks for a 'token_file'")
    web = _fetched(
        section,
        url,
        where,
        base,
        egress,
        document,
        is_cluster=True,
        namespaces=section.namespaces,
        token_path=_path_of(section, "token_file", where, base, document)
        or (f"{ACCOUNT_FOLDER}/token" if is_inside else ""),
    )
    if is_inside and not web.ca_path:
        web = msgspec.structs.replace(web, ca_path=f"{ACCOUNT_FOLDER}/ca.crt")
    return InventorySource(web=web, format=KUBERNETES)


def _fetched(
    section: SourceSection, url: str, where: str, base: Path, egress: Egress, document: Document, **more: object
) -> WebSource:
    ca_path = str(base / section.ca_file) if section.ca_file else ""
    if ca_path and (problem := explain_ca_file(ca_path)):
        document.problem(f"{where}.ca_file", problem)
    return WebSource(
        url=url,
        ca_path=ca_path,
        every_s=read_seconds(section.every, f"{where}.every", document, least=10.0),
        timeout_s=read_seconds(section.timeout, f"{where}.timeout", document, least=0.1),
        egress=egress,
        **more,  # type: ignore[arg-type]  # each is given by its name above
    )


def _path_of(section: SourceSection, key: str, where: str, base: Path, document: Document) -> str:
    """Return the file that a key names, which must be there; its content is read with every request."""
    text: str = getattr(section, key)
    if text and not (base / text).is_file():
        document.problem(f"{where}.{key}", f"there is no file {base / text}")
    return str(base / text) if text else ""


def _explain_url(url: str) -> str:
    """Return why a URL can't be fetched, empty where it can; nothing of it is quoted, since it may hold a secret."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "no URL"
    if parts.scheme not in ("http", "https") or not host or not url.isascii() or not url.isprintable() or " " in url:
        return "an http:// or https:// URL is expected"
    if parts.username is not None or parts.password is not None:
        return "the URL has a user in it, so it is not shown: put the credentials into a 'headers_file'"
    return "a URL of a document has no fragment" if parts.fragment else ""


def _is_there(source: InventorySource) -> bool:
    if source.pattern:
        return source.root is not None and source.root.is_dir()
    return source.is_folder or source.path.is_file()


def _missing(source: InventorySource) -> Path:
    return source.root if source.pattern and source.root is not None else source.path
