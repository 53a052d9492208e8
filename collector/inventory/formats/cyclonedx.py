"""Software bills of materials: the services that a component calls. Pure.

The component that the bill is of consumes them. Of each endpoint only host and port are taken.

Source: CycloneDX 1.4 to 1.7, JSON (ECMA-424), ``services[].endpoints[]``.
"""

import re
from typing import Any

from collector.inventory.formats.gathering import Found, Gathering, nodes_in, shown_name, texts_in
from collector.inventory.formats.trees import Tree, read_json

VERSIONS = ("1.4", "1.5", "1.6", "1.7")
DEEPEST = 10


def is_bill(value: object) -> bool:
    """Return whether a document is a bill of materials of CycloneDX."""
    return isinstance(value, dict) and value.get("bomFormat") == "CycloneDX"


def read_bill(text: str, file: str, document: str = "", identity: str = "") -> Found:
    """Return who consumes the services of a bill: ``identity``, or the component that it is of, or each service itself.

    Raises:
        ValueError: it is no bill in JSON, or of a version that is not known.
    """
    if re.match(r"\s*<", text):
        raise ValueError(f"{file}: a bill of materials is read as JSON, not as XML: export it as JSON")
    tree = read_json(text, file, document)
    if tree.problem:
        raise ValueError(tree.problem)
    value = tree.value
    if not is_bill(value):
        raise ValueError(f"{file}: no bill of materials: it has no 'bomFormat': 'CycloneDX'")
    if value.get("specVersion") not in VERSIONS:
        raise ValueError(f"{file}: 'specVersion' is one of {', '.join(VERSIONS)}")
    services = value.get("services")
    if services is not None and not isinstance(services, list):
        raise ValueError(f"{file}: 'services' is a list")
    gathering = Gathering()
    _take(gathering, tree, services or [], identity or _component(value), "services", 0)
    return gathering.found()


def _component(value: dict[str, Any]) -> str:
    """Return what the component of a bill is called, without its version: a new one is the same consumer."""
    meta = value.get("metadata")
    component = meta.get("component") if isinstance(meta, dict) else None
    if not isinstance(component, dict):
        return ""
    name, group = shown_name(component.get("name")), shown_name(component.get("group"))
    return f"{group}/{name}" if group and name else name


def _take(gathering: Gathering, tree: Tree, services: list[Any], consumer: str, path: str, depth: int) -> None:
    for number, service in enumerate(services):
        pointer = f"{path}[{number}]"
        place = f"{tree.file}: {pointer}"
        if not isinstance(service, dict):
            gathering.refuse(place, "a service is a mapping with 'name' and 'endpoints'")
            continue
        name = shown_name(service.get("name"))
        if not name:
            gathering.refuse(place, "a service has a 'name' that can be shown, of at most 200 characters")
            continue
        identity = consumer or f"service {name}"
        gathering.describe(identity, place, {"kind": "workload"})
        endpoints = service.get("endpoints")
        if endpoints is not None and not isinstance(endpoints, list):
            gathering.refuse(place, "'endpoints' is a list of URIs")
        for uri in texts_in(endpoints):
            gathering.consume(identity, uri, place, f"service {name}", {"purpose": name[:100]})
        if not endpoints:
            gathering.note(place, f"service {name}", "it names no endpoint")
        if nodes_in(service.get("services")) and depth < DEEPEST:
            _take(gathering, tree, service["services"], consumer, f"{pointer}.services", depth + 1)
