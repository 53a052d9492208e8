"""The first configuration of a machine, as text: by what its resolvers showed, with a reason beside each line. Pure."""

import re
from collections.abc import Sequence
from urllib.parse import urlsplit

import msgspec

from anchorwatch.diagnosis.sights import Sight

INVENTORY = """\
# Who consumes which names. Only id and endpoints are needed; the rest says later who is affected.
# Check it once: anchorwatch check {name}
identities:
  - id: example-service
    kind: service_account
    owner: nobody-yet
    environment: test
    criticality: low
    endpoints: [www.iana.org]
"""


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """What the configuration says: paths and URLs as they are to be written.

    ``sights`` are of the resolvers to write down, in their order; ``anchors`` is empty for the shipped ones; ``hook``
    is a webhook's URL, empty for the log alone.
    """

    inventory: str
    sights: Sequence[Sight]
    history: str
    hook: str = ""
    anchors: str = ""


def write_config(draft: Draft) -> str:
    """Return the configuration, commented."""
    lines = [
        "# Made by anchorwatch init. All keys, with their defaults: README.md, Configuration.",
        "# For an editor that completes keys: anchorwatch schema config > config.schema.json, and as the first line of",
        "# this file: '# yaml-language-server: $schema=config.schema.json'",
        "# Try it: anchorwatch run --check-config --online THIS-FILE, and anchorwatch doctor THIS-FILE",
        "",
        f"inventory: [{{path: {_quoted(draft.inventory)}}}]",
        "",
        "# The resolvers that the identities really use. What was seen of each stands beside it.",
        "vantages:",
    ]
    for number, sight in enumerate(draft.sights):
        name = _name_of(sight, draft.sights[:number])
        lines.append(f"  - {{name: {name}, resolver: {_quoted(sight.url)}}}    # {_seen(sight)}")
    if not any(sight.can_validate for sight in draft.sights if sight.is_resolver):
        lines += [
            "  # None of them was seen to hand DNSSEC records on; without those every name is indeterminate.",
            "  # Instead, the authoritative servers can be asked, where port 53 is open to the Internet:",
            '  # - {name: authoritative, resolver: "authoritative:"}',
        ]
    if draft.anchors:
        lines += ["", f"trust_anchors: {{path: {_quoted(draft.anchors)}}}"]
    lines += [
        "",
        "poll: {interval: 60s}",
        "",
        "# Verdicts and evidence, in the embedded engine; a server: clickhouse://user@host:8123/anchorwatch",
        f"history: {{url: {_quoted('chdb:' + draft.history)}}}",
        "",
        "# Who is told. docs/receivers.md has pagerduty, slack, mail and more; secrets are named by *_file only.",
        "receivers:",
        "  - {name: log, type: console}",
    ]
    if draft.hook:
        lines.append(f"  - {{name: hook, type: webhook, url: {_quoted(draft.hook)}}}    # sign it with secret_file")
    receiver = "hook" if draft.hook else "log"
    lines += ["", "routes:", f"  - {{match: {{severity: [critical, high]}}, receiver: {receiver}}}"]
    if draft.hook:
        lines.append("  - {match: {severity: [critical, high, medium]}, receiver: log}")
    lines += [
        "",
        "# Pages and API, for this machine only; for others name token_file or behind_proxy, too.",
        'http: {listen: "127.0.0.1:8053"}',
        "",
        "# Who outside notices when the watch itself stops? docs/operations.md, A heartbeat.",
        "# heartbeat: {url_file: heartbeat.url, interval: 60s}",
    ]
    return "\n".join(lines) + "\n"


def _name_of(sight: Sight, before: Sequence[Sight]) -> str:
    """Return a name that the configuration takes, and that no vantage before has: of the resolver's host."""
    host = urlsplit(sight.url).hostname or "authoritative"
    base = "resolver-" + re.sub(r"[^A-Za-z0-9.-]", "-", host)[:40]
    same = sum(urlsplit(one.url).hostname == urlsplit(sight.url).hostname for one in before)
    return f"{base}-{same + 1}" if same else base


def _seen(sight: Sight) -> str:
    if not sight.is_resolver:
        return "the servers of the zones themselves"
    if not sight.answered:
        return "it did not answer"
    said = ["hands DNSSEC records on" if sight.signed else "DROPS DNSSEC RECORDS: names are indeterminate through it"]
    said += ["keeps CD" if sight.cd_kept else "drops CD"] if sight.cd_kept is not None else []
    if sight.claims_ad is not None:
        said.append("validates for its clients" if sight.claims_ad else "does not validate")
    return "; ".join(said)


def _quoted(text: str) -> str:
    """Return a text as YAML reads it back, whatever is in it."""
    return msgspec.json.encode(text).decode()
