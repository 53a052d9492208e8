"""An API server as a source: paged lists, kinds that may not be listed, and what is kept of each object."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from collector.config import InventorySource, WebSource
from collector.inventory.formats.listed import shorten
from collector.inventory.sources import InventorySources, load_source
from collector.inventory.supplies.cluster import Cluster
from tests.support.web import Asked, Reply, Site, site


class ApiServer:
    """Lists objects two a page, to whoever has the token; statuses may be set by path."""

    def __init__(self, server: Site, folder: Path) -> None:
        self.server, self.token_path, self.token = server, folder / "token", "hunter2"
        self.token_path.write_text("hunter2\n")
        self.objects: dict[str, list[dict[str, Any]]] = {}
        self.statuses: dict[str, list[int]] = {}
        server.reply = self.reply

    def reply(self, asked: Asked) -> Reply:
        parts = urlsplit(asked.path)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        if asked.headers.get("authorization") != f"Bearer {self.token}":
            return Reply(401, b'{"message": "hunter2"}')
        if self.statuses.get(parts.path):
            status = self.statuses[parts.path].pop(0)
            if status != 200:
                return Reply(status)
        if parts.path not in self.objects:
            return Reply(404)
        start = int(query.get("continue", "0"))
        page = self.objects[parts.path][start : start + 2]
        follow = str(start + 2) if start + 2 < len(self.objects[parts.path]) else ""
        return Reply(200, json.dumps({"kind": "XList", "metadata": {"continue": follow}, "items": page}).encode())

    def source(self, **more: Any) -> InventorySource:
        web = WebSource(url=self.server.url, is_cluster=True, token_path=str(self.token_path), timeout_s=60.0, **more)
        return InventorySource(web=web, format="kubernetes")

    def hosts(self, **more: Any) -> dict[str, list[str]]:
        return {one.id: [e.host for e in one.endpoints] for one in load_source(self.source(**more)).identities}


def service(name: str, namespace: str = "x") -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": namespace, "resourceVersion": "1", "managedFields": [{"a": "hunter3"}]},
        "spec": {"type": "ExternalName", "externalName": f"{name}.test"},
    }


def entry(name: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "x"}, "spec": {"hosts": [f"{name}.mesh.test"]}}


ENTRIES = "/apis/networking.istio.io/v1/serviceentries"


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[ApiServer]:
    with site() as server:
        one = ApiServer(server, tmp_path)
        one.objects = {"/api/v1/services": [service(name) for name in "abcde"], ENTRIES: [entry("m")]}
        yield one


def test_all_pages_are_read_and_kinds_that_the_server_does_not_know_are_passed_over(cluster: ApiServer) -> None:
    assert cluster.hosts() == {"x/*": ["a.test", "b.test", "c.test", "d.test", "e.test", "m.mesh.test"]}


def test_an_older_group_is_tried_where_the_newer_is_not_known(cluster: ApiServer) -> None:
    cluster.objects["/apis/networking.istio.io/v1beta1/serviceentries"] = cluster.objects.pop(ENTRIES)

    assert "m.mesh.test" in cluster.hosts()["x/*"]


def test_of_some_namespaces_alone_the_objects_are_read(cluster: ApiServer) -> None:
    cluster.objects["/api/v1/namespaces/prod/services"] = [service("p", "prod")]

    assert cluster.hosts(namespaces=("prod", "test")) == {"prod/*": ["p.test"]}


def test_a_list_whose_continuation_expires_is_begun_anew_once(cluster: ApiServer) -> None:
    cluster.statuses["/api/v1/services"] = [200, 410]
    assert len(cluster.hosts()["x/*"]) == 6

    cluster.statuses["/api/v1/services"] = [200, 410, 200, 410]
    assert "pages expire" in load_source(cluster.source()).unread[0][1]


@pytest.mark.parametrize(("status", "sentence"), [(403, "may not list these"), (500, "it answers 500"), (429, "429")])
def test_a_kind_that_can_not_be_listed_keeps_what_is_known_of_it_and_leaves_the_others(
    cluster: ApiServer, tmp_path: Path, status: int, sentence: str
) -> None:
    key = cluster.source().key
    InventorySources([cluster.source()], ("lab",), tmp_path / "state").load()
    cluster.statuses[ENTRIES] = [status]
    cluster.objects["/api/v1/services"].append(service("f"))

    sources = InventorySources([cluster.source()], ("lab",), tmp_path / "state")
    (identity,) = sources.load().identities

    assert {"m.mesh.test", "f.test"} <= {one.host for one in identity.endpoints}
    assert f"serviceentries: it answers {status}" in sources.troubles[key]
    assert sentence in sources.troubles[key]
    assert "the last good 1 endpoints of it stay watched" in sources.troubles[key]


def test_a_token_is_read_anew_each_time_and_never_told(cluster: ApiServer) -> None:
    fetcher = Cluster(cluster.source().web, env_urls=False)  # type: ignore[arg-type]
    fetcher.fetch()
    cluster.token = "hunter4"
    with pytest.raises(ValueError, match="it answers 401: the token is not accepted") as refused:
        fetcher.fetch()
    cluster.token_path.write_text("hunter4")
    fetcher.fetch()

    assert "hunter" not in str(refused.value)


@pytest.mark.parametrize("token", ["", "a b", "\x07", "ü"])
def test_a_file_without_a_token_is_told(cluster: ApiServer, token: str) -> None:
    cluster.token_path.write_text(token)

    with pytest.raises(ValueError, match=f"{cluster.token_path}"):
        load_source(cluster.source())


@pytest.mark.parametrize("body", [b"", b"[", b"[]", b'{"items": 7}', b'{"kind": "Status"}', b"[" * 100_000])
def test_what_is_no_list_is_told(cluster: ApiServer, body: bytes) -> None:
    cluster.server.reply = lambda asked: Reply(200, body)

    with pytest.raises(ValueError, match="it answers with what is no"):
        load_source(cluster.source())


def test_a_server_that_is_gone_is_asked_for_one_kind_only(cluster: ApiServer) -> None:
    cluster.server.reply = lambda asked: Reply(raw=lambda write: None)

    with pytest.raises(ValueError, match="ended early"):
        load_source(cluster.source())
    assert len(cluster.server.asked) == 1


def test_what_changes_all_the_time_is_no_change(cluster: ApiServer) -> None:
    fetcher = Cluster(cluster.source().web, env_urls=False)  # type: ignore[arg-type]
    before = fetcher.fetch()
    for one in cluster.objects["/api/v1/services"]:
        one["metadata"]["resourceVersion"] = "2"
        one["status"] = {"x": 1}
    cluster.objects["/api/v1/services"].reverse()

    assert fetcher.fetch() == before
    assert "hunter3" not in repr(before)


def test_of_environments_nothing_is_kept_but_urls_and_those_on_demand() -> None:
    container = {
        "env": [{"name": "A", "value": "https://a.test"}, {"name": "B", "value": "hunter2"}, {"name": "C", "value": 7}],
        "args": ["--x=https://b.test/x", "hunter2"],
    }
    pod = {"serviceAccountName": "sa", "containers": [container]}
    item = {"metadata": {"name": "w"}, "spec": {"template": {"spec": pod}}}

    assert shorten("Deployment", item, env_urls=False) is None
    short = shorten("Deployment", item, env_urls=True)
    assert short is not None
    assert short["spec"]["template"]["spec"] == {
        "serviceAccountName": "sa",
        "initContainers": [],
        "containers": [{"args": ["https://a.test", "https://b.test/x"]}],
    }
