"""Kubernetes objects: who they say consumes what. Pure.

An identity is a service account, ``namespace/name``. What is declared for a namespace or the cluster, and names no
service account, belongs to ``namespace/*`` or ``*/*``: a star is in no name of Kubernetes.

Source: Kubernetes API reference v1 (Service, PodSpec, ServiceAccount), Istio ``networking.istio.io/v1`` ServiceEntry,
Cilium ``cilium.io/v2`` CiliumNetworkPolicy.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from collector.inventory.formats.gathering import Found, Gathering, nodes_in, text_of, texts_in
from collector.inventory.formats.trees import Node, Tree
from collector.inventory.hosts import split_cell
from collector.inventory.rows import meant_field
from schemas.redaction import safe

ANNOTATION = "anchorwatch.io/"
SAID_OF_IDENTITIES = ("owner", "environment", "criticality", "kind")
SAID_OF_ENDPOINTS = ("endpoints", "types", "expect", "purpose", "service-account")
LABELS = {
    "owner": ("owner", "team", "app.kubernetes.io/managed-by-team"),
    "environment": ("environment", "env", "app.kubernetes.io/environment"),
}
TEMPLATES = {
    "Deployment": ("template",),
    "StatefulSet": ("template",),
    "DaemonSet": ("template",),
    "ReplicaSet": ("template",),
    "ReplicationController": ("template",),
    "Job": ("template",),
    "CronJob": ("jobTemplate", "spec", "template"),
}
"""Where the pod template of a workload is, below its ``spec``; a pod is its own."""
ACCOUNT_LABELS = ("io.cilium.k8s.policy.serviceaccount", "k8s:io.cilium.k8s.policy.serviceaccount")
NAMESPACE_LABELS = ("k8s:io.kubernetes.pod.namespace", "io.kubernetes.pod.namespace")
DEEPEST_LIST = 3
_NAME = re.compile(r"(?!.{254})[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?")
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s]+")
_FIRST = {kind: number for number, kind in enumerate(("Namespace", "ServiceAccount", *TEMPLATES, "Pod"))}


@dataclass(frozen=True, slots=True)
class _Object:
    kind: str
    namespace: str
    name: str
    body: dict[str, Any]
    place: str

    @property
    def origin(self) -> str:
        """Return what people call it."""
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"

    def mapping(self, *path: str) -> dict[str, Any]:
        """Return the mapping at a path, an empty one where there is none."""
        value: Any = self.body
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        return value if isinstance(value, dict) else {}


def is_manifest(value: object) -> bool:
    """Return whether a document is an object of Kubernetes."""
    return isinstance(value, dict) and isinstance(value.get("apiVersion"), str) and isinstance(value.get("kind"), str)


def read_manifests(trees: Iterable[Tree], *, env_urls: bool = False) -> Found:
    """Return who consumes what by all these objects; of an object that is broken, what it breaks is reported.

    With ``env_urls`` URLs in the environment and arguments of containers count, too, by host and port alone.
    """
    gathering = Gathering()
    objects: list[tuple[Tree, _Object]] = []
    for tree in trees:
        if tree.problem:
            gathering.refuse(tree.place, tree.problem.removeprefix(f"{tree.place}: "))
            continue
        objects += ((tree, one) for one in _objects(tree.value, tree, gathering))
    # identities are described by their own object first, and namespaces are known before what is in them
    objects.sort(key=lambda pair: _FIRST.get(pair[1].kind, len(_FIRST)))
    reader = _Reader(gathering, env_urls)
    for tree, one in objects:
        gathering.document = tree.document
        reader.read(one)
    return gathering.found()


def _objects(value: Any, tree: Tree, gathering: Gathering, path: str = "", depth: int = 0) -> Iterator[_Object]:
    if value is None:
        return
    place = tree.place_of(value, path)
    kind = value.get("kind") if isinstance(value, dict) else None
    if not isinstance(kind, str):
        gathering.refuse(place, "an object of Kubernetes has a 'kind'")
        return
    items = value.get("items")
    if kind.endswith("List") and (isinstance(items, list) or items is None):
        if depth >= DEEPEST_LIST:
            gathering.refuse(place, "lists within lists")
            return
        for number, item in enumerate(items or []):
            if isinstance(item, dict) and "kind" not in item and kind != "List":  # as the API server lists them
                named = Node(item)
                named["kind"], named.line = kind.removesuffix("List"), getattr(item, "line", 0)
                item = named
            yield from _objects(item, tree, gathering, f"{path}.items[{number}]".lstrip("."), depth + 1)
        return
    if kind not in READ:
        return
    found = _Object(kind, "", "", value, place)
    meta = found.mapping("metadata")
    name, namespace = text_of(meta.get("name")), text_of(meta.get("namespace"))
    if kind in CLUSTER_WIDE:
        namespace = ""
    elif not namespace:
        namespace = "default"
    if not name and text_of(meta.get("generateName")):
        name = text_of(meta.get("generateName")).rstrip("-")
    if not _NAME.fullmatch(name) or (namespace and not _NAME.fullmatch(namespace)):
        gathering.refuse(place, f"an object of kind {kind} without a name that Kubernetes allows")
        return
    yield _Object(kind, namespace, name, value, place)


class _Reader:
    """Reads one object after the other."""

    def __init__(self, gathering: Gathering, env_urls: bool) -> None:
        self._gathering, self._env_urls = gathering, env_urls
        self._said_of_namespace: dict[str, dict[str, str]] = {}

    def read(self, one: _Object) -> None:
        """Take what an object says."""
        match one.kind:
            case "Namespace":
                self._said_of_namespace[one.name] = self._said(one, one.mapping("metadata"))
            case "ServiceAccount":
                self._annotated(one, f"{one.namespace}/{one.name}", one.mapping("metadata"))
            case "Service":
                self._service(one)
            case "ServiceEntry":
                self._service_entry(one)
            case "CiliumNetworkPolicy" | "CiliumClusterwideNetworkPolicy":
                self._cilium(one)
            case _:
                self._workload(one)

    def _workload(self, one: _Object) -> None:
        template = one.mapping("spec", *TEMPLATES[one.kind]) if one.kind in TEMPLATES else one.body
        pod = template.get("spec") if isinstance(template, dict) else None
        pod = pod if isinstance(pod, dict) else {}
        account = text_of(pod.get("serviceAccountName")) or text_of(pod.get("serviceAccount")) or "default"
        if not _NAME.fullmatch(account):
            self._gathering.refuse(one.place, f"{one.origin}: its service account has no name that Kubernetes allows")
            return
        identity = f"{one.namespace}/{account}"
        own, of_pod = one.mapping("metadata"), template.get("metadata") if one.kind in TEMPLATES else None
        for meta in (own, of_pod if isinstance(of_pod, dict) else {}):
            self._annotated(one, identity, meta)
        if not self._env_urls:
            return
        for key in ("initContainers", "containers"):
            for _, container in nodes_in(pod.get(key)):
                for url in urls_of(container):
                    self._describe(one, identity, {})
                    self._gathering.consume(
                        identity, url, one.place, one.origin, {"purpose": "named in its environment"}
                    )

    def _annotated(self, one: _Object, identity: str, meta: dict[str, Any]) -> None:
        said = self._said(one, meta)
        self._describe(one, identity, said)
        self._consume_annotated(one, identity, meta)

    def _consume_annotated(self, one: _Object, identity: str, meta: dict[str, Any]) -> None:
        cell = annotations_of(meta).get(f"{ANNOTATION}endpoints")
        if cell is None:
            return
        try:
            entries = split_cell(cell.replace(",", " ") if isinstance(cell, str) and "=" not in cell else cell)
        except (ValueError, AttributeError, TypeError):
            self._gathering.refuse(
                one.place,
                f"{one.origin}: {ANNOTATION}endpoints is a text: host names or URLs, joined by spaces",
                identity,
            )
            return
        shared = self._shared(one, meta)
        for entry in entries:
            self._gathering.consume(identity, entry, one.place, one.origin, shared)

    def _service(self, one: _Object) -> None:
        spec = one.mapping("spec")
        if spec.get("type") != "ExternalName":
            return
        identity = self._whose(one)
        target = spec.get("externalName")
        self._gathering.consume(identity, target, one.place, one.origin, self._shared(one, one.mapping("metadata")))

    def _service_entry(self, one: _Object) -> None:
        spec = one.mapping("spec")
        identity = self._whose(one)
        shared = self._shared(one, one.mapping("metadata"))
        if spec.get("location") == "MESH_INTERNAL":
            self._gathering.note(one.place, one.origin, "its hosts are inside the mesh")
            return
        ports = {number for _, port in nodes_in(spec.get("ports")) if isinstance(number := port.get("number"), int)}
        if len(ports) == 1 and 0 < min(ports) < 65536:
            shared = {"port": min(ports), **shared}
        hosts = spec.get("hosts")
        if not isinstance(hosts, list) or not hosts:
            self._gathering.refuse(one.place, f"{one.origin}: 'hosts' is a list of at least one", identity)
            return
        for host in hosts:
            self._gathering.consume(identity, _without_namespace(host), one.place, one.origin, shared)
        if spec.get("resolution") in ("DNS", "DNS_ROUND_ROBIN"):
            for _, endpoint in nodes_in(spec.get("endpoints")):
                if endpoint.get("address"):
                    self._gathering.consume(identity, endpoint["address"], one.place, one.origin, shared)

    def _cilium(self, one: _Object) -> None:
        single, several = one.body.get("spec"), one.body.get("specs")
        for _, spec in nodes_in([single, *(several if isinstance(several, list) else [])]):
            selector = spec.get("endpointSelector")
            chosen = selector.get("matchLabels") if isinstance(selector, dict) else None
            chosen = chosen if isinstance(chosen, dict) else {}
            account = next((text_of(chosen[key]) for key in ACCOUNT_LABELS if key in chosen), "")
            namespace = next((text_of(chosen[key]) for key in NAMESPACE_LABELS if key in chosen), one.namespace)
            if one.namespace and namespace != one.namespace:
                # A policy counts in the namespace that it is in: it must not say who owns the accounts of another.
                self._gathering.refuse(
                    one.place, f"{one.origin}: its selector is of another namespace, {safe(namespace)}"
                )
                continue
            if any(text and not _NAME.fullmatch(text) for text in (account, namespace)):
                self._gathering.refuse(one.place, f"{one.origin}: its selector has no name that Kubernetes allows")
                continue
            identity = f"{namespace or '*'}/{account or '*'}"
            self._describe(one, identity, self._said(one, one.mapping("metadata")), namespace)
            for _, rule in nodes_in(spec.get("egress")):
                ports = [port for _, to in nodes_in(rule.get("toPorts")) for _, port in nodes_in(to.get("ports"))]
                self._names(one, identity, rule.get("toFQDNs"), _only_port(ports))

    def _names(self, one: _Object, identity: str, selectors: object, port: int | None) -> None:
        shared = {**({"port": port} if port else {}), **self._shared(one, one.mapping("metadata"))}
        for _, selector in nodes_in(selectors):
            pattern = selector.get("matchPattern")
            if pattern is not None and not (isinstance(pattern, str) and "*" not in pattern):
                self._gathering.note(
                    one.place,
                    one.origin,
                    "a matchPattern names no host that could be asked for: name those that are consumed",
                )
                continue
            name = selector.get("matchName") if pattern is None else pattern
            self._gathering.consume(identity, name, one.place, one.origin, shared)

    def _whose(self, one: _Object) -> str:
        """Return the identity that an object is for: the service account that it names, or all of its namespace."""
        annotations = annotations_of(one.mapping("metadata"))
        account = text_of(annotations.get(f"{ANNOTATION}service-account"))
        if account and not _NAME.fullmatch(account):
            self._gathering.refuse(
                one.place, f"{one.origin}: {ANNOTATION}service-account is no name that Kubernetes allows"
            )
            account = ""
        identity = f"{one.namespace}/{account or '*'}"
        self._describe(one, identity, self._said(one, one.mapping("metadata")))
        return identity

    def _describe(self, one: _Object, identity: str, said: dict[str, str], namespace: str = "") -> None:
        of_namespace = self._said_of_namespace.get(namespace or one.namespace, {})
        kind = "workload" if identity.endswith("/*") else "service_account"
        labels = {"namespace": namespace or one.namespace}
        self._gathering.describe(
            identity, one.place, {**of_namespace, **said, "kind": said.get("kind") or kind, **labels}
        )

    def _said(self, one: _Object, meta: dict[str, Any]) -> dict[str, str]:
        """Return what annotations and labels say of an identity; those of ours that are misspelt are reported."""
        annotations, labels = annotations_of(meta), meta.get("labels")
        labels = labels if isinstance(labels, dict) else {}
        said: dict[str, str] = {}
        for field in SAID_OF_IDENTITIES:
            texts = [text_of(place.get(f"{ANNOTATION}{field}")) for place in (annotations, labels)]
            texts += [text_of(labels.get(key)) for key in LABELS.get(field, ())]
            said[field] = next(filter(None, texts), "")
        for key in annotations:
            known = (*SAID_OF_IDENTITIES, *SAID_OF_ENDPOINTS)
            name = str(key).removeprefix(ANNOTATION)
            if str(key).startswith(ANNOTATION) and name not in known:
                meant = meant_field(name, known)
                hint = f"; {meant!r} is meant?" if meant else f"; there are {', '.join(known)}"
                self._gathering.refuse(one.place, f"{one.origin}: unknown annotation {ANNOTATION}{safe(name)}{hint}")
        return {key: text for key, text in said.items() if text}

    def _shared(self, one: _Object, meta: dict[str, Any]) -> dict[str, Any]:
        """Return what the annotations of an object say of all its endpoints."""
        annotations = annotations_of(meta)
        shared: dict[str, Any] = {}
        types, expect = (text_of(annotations.get(f"{ANNOTATION}{key}")) for key in ("types", "expect"))
        if types:
            shared["types"] = re.split(r"[\s,]+", types)
        if expect:
            shared["expect"] = expect.lower()
        if purpose := text_of(annotations.get(f"{ANNOTATION}purpose")):
            shared["purpose"] = purpose
        return shared


def urls_of(container: dict[str, Any]) -> list[str]:
    """Return the URLs in the environment and arguments of a container; what is not clearly one is passed over."""
    texts = [variable.get("value") for _, variable in nodes_in(container.get("env"))]
    texts += [*texts_in(container.get("command")), *texts_in(container.get("args"))]
    given = (text.partition("=")[2] if text.startswith("-") else text for text in texts if isinstance(text, str))
    return [text.strip() for text in given if _URL.fullmatch(text.strip())]


def annotations_of(meta: dict[str, Any]) -> dict[str, Any]:
    """Return the annotations in an object's metadata."""
    found = meta.get("annotations")
    return found if isinstance(found, dict) else {}


def _without_namespace(host: Any) -> Any:
    """Return a host without the namespace that older ServiceEntries allow before it: ``*/api.example``."""
    return host.partition("/")[2] if isinstance(host, str) and re.match(r"[^/:]*/[^/]", host) else host


def _only_port(ports: Iterable[dict[str, Any]]) -> int | None:
    numbers = {text_of(port.get("port")) for port in ports}
    (only,) = numbers if len(numbers) == 1 else ("",)
    return int(only) if re.fullmatch(r"[0-9]{1,5}", only) and 0 < int(only) < 65536 else None


CLUSTER_WIDE = frozenset({"Namespace", "CiliumClusterwideNetworkPolicy"})
READ = frozenset({*_FIRST, *CLUSTER_WIDE, "Service", "ServiceEntry", "CiliumNetworkPolicy"})
