"""The objects of a Kubernetes API server, listed page by page; of each only what says who consumes what is kept.

Source: Kubernetes API concepts, "Retrieving large results sets in chunks" (``limit``, ``continue``; 410 where a
continuation has expired).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import msgspec

from collector.config import WebSource
from collector.inventory.formats.known import Document
from collector.inventory.formats.listed import LISTED, shorten
from collector.inventory.supplies.exchange import Line, Refused, Unreachable
from collector.inventory.supplies.supply import Delivery

PAGE = 500
MOST_PAGES = 2000
MOST_PAGE_BYTES = 64 * 1024 * 1024
EXPIRED = 410


class _Expired(Exception):
    """The continuation of a list has expired."""


class Cluster:
    """What an API server lists; ``env_urls`` says that environments of containers are wanted."""

    def __init__(self, source: WebSource, *, env_urls: bool) -> None:
        self._source, self._env_urls = source, env_urls

    def fetch(self) -> Delivery:
        """Return one document a kind of objects; a kind that may not be listed is unread.

        Raises:
            ValueError: the server does not answer, or accepts no token of ours.
        """
        source = self._source
        try:
            headers = {"accept": "application/json", **_authorization(source.token_path)}
        except Refused as problem:
            raise ValueError(f"{source.name}: {problem}") from None
        line = Line(source.egress, source.ca_path)
        documents: list[Document] = []
        unread: list[tuple[str, str]] = []
        for kind, resource, groups in LISTED:
            try:
                items = self._list(line, headers, kind, resource, groups)
            except Unreachable as problem:
                raise ValueError(f"{source.name}: {problem}") from None
            except Refused as problem:
                unread.append((resource, f"{source.name}: {resource}: {problem}"))
                continue
            if items is not None:
                content = msgspec.json.encode({"kind": f"{kind}List", "apiVersion": "v1", "items": items})
                documents.append(Document(resource, f"{source.name} {resource}", content))
        if not documents:
            raise ValueError(unread[0][1] if unread else f"{source.name}: it lists nothing")
        return Delivery(tuple(documents), tuple(unread))

    def _list(
        self, line: Line, headers: dict[str, str], kind: str, resource: str, groups: tuple[str, ...]
    ) -> list[dict[str, Any]] | None:
        """Return the objects of a kind, shortened and in order; None where the server knows no such kind.

        Raises:
            Refused: they can't be listed.
        """
        for group in groups:
            found: list[dict[str, Any]] = []
            paths = list(self._paths(group, resource))
            is_known = not paths
            for path in paths:
                items = self._pages(line, headers, path)
                if items is None:
                    continue
                is_known = True
                short = (shorten(kind, item, env_urls=self._env_urls) for item in items)
                found += [one for one in short if one is not None]
            if is_known:
                return sorted(found, key=lambda one: (one["metadata"].get("namespace", ""), one["metadata"]["name"]))
        return None

    def _paths(self, group: str, resource: str) -> Iterator[str]:
        if not self._source.namespaces:
            yield f"/{group}/{resource}"
        elif resource not in ("namespaces", "ciliumclusterwidenetworkpolicies"):
            yield from (f"/{group}/namespaces/{quote(one, safe='')}/{resource}" for one in self._source.namespaces)

    def _pages(self, line: Line, headers: dict[str, str], path: str) -> list[dict[str, Any]] | None:
        """Return all objects of a list; one whose continuation expires is begun anew, once."""
        try:
            return self._pages_once(line, headers, path)
        except _Expired:
            pass
        try:
            return self._pages_once(line, headers, path)
        except _Expired:
            raise Refused("its pages expire faster than they can be read") from None

    def _pages_once(self, line: Line, headers: dict[str, str], path: str) -> list[dict[str, Any]] | None:
        items: list[dict[str, Any]] = []
        follow = ""
        for _ in range(MOST_PAGES):
            query = urlencode({"limit": PAGE, **({"continue": follow} if follow else {})})
            url = f"{self._source.url}{path}?{query}"
            answer = line.get(url, headers, deadline_s=self._source.timeout_s, most_bytes=MOST_PAGE_BYTES)
            match answer.status:
                case 200:
                    pass
                case 404 if not follow:
                    return None
                case 401:
                    raise Refused("it answers 401: the token is not accepted")
                case 403:
                    raise Refused("it answers 403: the token's account may not list these: grant it get and list")
                case 410 if follow:
                    raise _Expired
                case status:
                    raise Refused(f"it answers {status}")
            page, follow = _read_page(answer.body)
            items += page
            if not follow:
                return items
        raise Refused(f"more than {MOST_PAGES:,} pages")


def _authorization(path: str) -> dict[str, str]:
    if not path:
        return {}
    try:
        token = Path(path).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(f"{path} can't be read: {getattr(error, 'strerror', None) or 'not ASCII'}") from None
    if not token or not token.isprintable() or " " in token:
        raise Refused(f"{path} holds no token")
    return {"authorization": f"Bearer {token}"}


def _read_page(body: bytes) -> tuple[list[dict[str, Any]], str]:
    """Return the objects of a page, and the continuation after it, empty at the end."""
    try:
        page = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        raise Refused("it answers with what is no JSON") from None
    items = page.get("items") if isinstance(page, dict) else None
    meta = page.get("metadata") if isinstance(page, dict) else None
    if items is None and isinstance(page, dict) and str(page.get("kind", "")).endswith("List"):
        items = []
    if not isinstance(items, list):
        raise Refused("it answers with what is no list of objects")
    follow = meta.get("continue") if isinstance(meta, dict) else None
    return [one for one in items if isinstance(one, dict)], follow if isinstance(follow, str) else ""
