"""Which objects a Kubernetes API server is asked for, and what of each is kept. Pure.

Source: Kubernetes API reference v1; the groups of Istio and Cilium.
"""

from typing import Any

from collector.inventory.formats.gathering import nodes_in, text_of
from collector.inventory.formats.kubernetes import ANNOTATION, LABELS, TEMPLATES, annotations_of, urls_of

LISTED = (
    ("Namespace", "namespaces", ("api/v1",)),
    ("ServiceAccount", "serviceaccounts", ("api/v1",)),
    ("Service", "services", ("api/v1",)),
    ("Deployment", "deployments", ("apis/apps/v1",)),
    ("StatefulSet", "statefulsets", ("apis/apps/v1",)),
    ("DaemonSet", "daemonsets", ("apis/apps/v1",)),
    ("Job", "jobs", ("apis/batch/v1",)),
    ("CronJob", "cronjobs", ("apis/batch/v1",)),
    (
        "ServiceEntry",
        "serviceentries",
        ("apis/networking.istio.io/v1", "apis/networking.istio.io/v1beta1", "apis/networking.istio.io/v1alpha3"),
    ),
    ("CiliumNetworkPolicy", "ciliumnetworkpolicies", ("apis/cilium.io/v2",)),
    ("CiliumClusterwideNetworkPolicy", "ciliumclusterwidenetworkpolicies", ("apis/cilium.io/v2",)),
)
"""The kinds that an API server is asked for: each with its resource, and the groups to try."""


def shorten(kind: str, item: dict[str, Any], *, env_urls: bool) -> dict[str, Any] | None:
    """Return of an object what ``read_manifests`` needs, None where it says nothing of what is consumed.

    What changes all the time is left out, and so is the environment of containers, which may hold secrets; of it the
    URLs are kept, if ``env_urls``.
    """
    meta = item.get("metadata")
    if not isinstance(meta, dict) or not text_of(meta.get("name")):
        return None
    kept: dict[str, Any] = {"metadata": _short_meta(meta)}
    spec = item.get("spec")
    spec = spec if isinstance(spec, dict) else {}
    if kind == "Service":
        if spec.get("type") != "ExternalName":
            return None
        kept["spec"] = {key: spec.get(key) for key in ("type", "externalName")}
    elif kind in TEMPLATES:
        found: Any = spec
        for key in TEMPLATES[kind]:
            found = found.get(key) if isinstance(found, dict) else None
        template = _short_template(found if isinstance(found, dict) else {}, env_urls=env_urls)
        says = any(one.get("annotations") for one in (kept["metadata"], template["metadata"]))
        if not says and not env_urls:
            return None
        for key in reversed(TEMPLATES[kind]):
            template = {key: template}
        kept["spec"] = template
    elif kind in ("ServiceEntry", "CiliumNetworkPolicy", "CiliumClusterwideNetworkPolicy"):
        kept |= {key: item[key] for key in ("spec", "specs") if key in item}
    return kept


def _short_meta(meta: dict[str, Any]) -> dict[str, Any]:
    labels = meta.get("labels")
    wanted = {key for keys in LABELS.values() for key in keys}
    kept = {key: text_of(meta.get(key)) for key in ("name", "namespace") if meta.get(key)}
    ours = {key: text for key, text in annotations_of(meta).items() if key.startswith(ANNOTATION)}
    labelled = {
        key: text
        for key, text in (labels.items() if isinstance(labels, dict) else ())
        if key in wanted or key.startswith(ANNOTATION)
    }
    return {**kept, **({"annotations": ours} if ours else {}), **({"labels": labelled} if labelled else {})}


def _short_template(template: dict[str, Any], *, env_urls: bool) -> dict[str, Any]:
    pod, meta = template.get("spec"), template.get("metadata")
    pod = pod if isinstance(pod, dict) else {}
    short: dict[str, Any] = {key: pod[key] for key in ("serviceAccountName", "serviceAccount") if key in pod}
    for key in ("initContainers", "containers") if env_urls else ():
        short[key] = [{"args": urls_of(container)} for _, container in nodes_in(pod.get(key))]
    return {"metadata": _short_meta(meta) if isinstance(meta, dict) else {}, "spec": short}
