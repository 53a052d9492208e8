"""OpenID Connect issuers that are trusted to say who somebody is: whoever bends such a name mints identities. Pure.

Read are plain lists, one issuer a line or an entry, and what cloud providers print: ``aws iam
list-open-id-connect-providers``, ``gcloud iam workload-identity-pools providers list --format=json``, Azure's federated
credentials.

Source: OpenID Connect Discovery 1.0 §3 and RFC 8414 §2 (an issuer is an https URL without query and fragment).
"""

import re
from typing import Any

from collector.inventory.formats.gathering import Found, Gathering, shown_name, text_of
from collector.inventory.formats.trees import Tree, read_trees

LISTS = ("issuers", "OpenIDConnectProviderList")
PURPOSE = {"purpose": "OIDC issuer"}
ISSUER_KEYS = ("issuer", "issuerUri", "Arn", "Url", "url")
_FIELDS = ("owner", "environment", "criticality")
_ARN = re.compile(r"arn:[a-z0-9-]*:iam::[0-9]*:oidc-provider/(\S+)")


def is_list_of_issuers(value: object) -> bool:
    """Return whether a document lists issuers and nothing else could be meant."""
    if isinstance(value, dict):
        return any(isinstance(value.get(key), list) for key in LISTS)
    entries = value if isinstance(value, list) else []
    return bool(entries) and all(isinstance(one, dict) and _said(one) and "id" not in one for one in entries)


def read_issuers(text: str, file: str, document: str = "") -> Found:
    """Return the issuers, one identity each.

    Raises:
        ValueError: the text can't be read, or is no list of issuers.
    """
    gathering = Gathering()
    if re.match(r"\s*(?:#[^\n]*\n\s*)*(?:https?://|arn:)", text):
        for number, line in enumerate(text.splitlines(), 1):
            issuer = re.split(r"(?:^|\s)#", line, maxsplit=1)[0].strip()
            if issuer:
                _take(gathering, f"{file}:{number}", issuer, {})
        return gathering.found()
    trees = list(read_trees(text, file, document))
    for tree in trees:
        if tree.problem:
            raise ValueError(tree.problem)
        _take_tree(gathering, tree)
    if not trees:
        raise ValueError(f"{file}: the file is empty; a list of issuers is expected")
    return gathering.found()


def _take_tree(gathering: Gathering, tree: Tree) -> None:
    value, path = tree.value, ""
    if isinstance(value, dict):
        path = next((key for key in LISTS if isinstance(value.get(key), list)), "")
        value = value.get(path)
    if not isinstance(value, list):
        raise ValueError(f"{tree.place}: a list of issuers is expected, or a mapping with 'issuers'")
    for number, entry in enumerate(value):
        place = tree.place_of(entry, f"{path}[{number}]")
        fields = {key: text_of(entry.get(key)) for key in _FIELDS} if isinstance(entry, dict) else {}
        _take(gathering, place, _said(entry) if isinstance(entry, dict) else entry, fields)


def _said(entry: dict[str, Any]) -> Any:
    """Return the issuer that an entry names, None where it names none."""
    for one in (entry, entry.get("oidc"), entry.get("properties")):
        found = next((one[key] for key in ISSUER_KEYS if key in one), None) if isinstance(one, dict) else None
        if found is not None:
            return found
    return None


def _take(gathering: Gathering, place: str, issuer: Any, fields: dict[str, str]) -> None:
    text = issuer.strip() if isinstance(issuer, str) else ""
    arn = _ARN.fullmatch(text)
    url = f"https://{arn[1]}" if arn is not None else text
    if not url.startswith("https://"):
        gathering.refuse(place, "an issuer is an https:// URL, or the ARN of an oidc-provider")
        return
    name = url.removeprefix("https://").rstrip("/")
    if re.search(r"[?#@]", name):
        gathering.refuse(place, "an issuer has no user, query or fragment, so it is not shown")
        return
    shown = shown_name(name)
    if not shown:
        gathering.refuse(place, "an issuer of at most 200 characters is expected, all of which can be shown")
        return
    identity = f"oidc:{shown}"
    gathering.describe(identity, place, fields)
    gathering.consume(identity, url, place, "", PURPOSE)
