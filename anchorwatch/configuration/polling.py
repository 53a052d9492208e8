"""``poll``, ``policy`` and ``unsigned_zones``: how often and how hard vantages are asked, and by which rules."""

from collections.abc import Sequence
from typing import Annotated

import msgspec

from anchorwatch.configuration.documents import Document
from anchorwatch.configuration.values import Duration, Natural, Section
from collector.dnssec import names
from collector.dnssec.policy import Policy
from schemas.redaction import safe, without_quoted


class PollSection(Section, frozen=True, kw_only=True):
    """How often and how hard the vantages are asked."""

    interval: Duration = "60s"
    refresh: Duration = "24h"
    claim_every: Natural = 10
    concurrency: Natural = 128
    timeout: Duration = "1500ms"
    attempts: Annotated[int, msgspec.Meta(ge=1, le=10)] = 3
    changes_per_hour: Natural = 12
    shadow_every: Annotated[int, msgspec.Meta(ge=0)] = 5000


def read_policy(policy: Policy, unsigned_zones: Sequence[str], document: Document) -> Policy:
    """Return the policy with ``unsigned_zones`` as negative trust anchors."""
    for number, zone in enumerate(unsigned_zones):
        try:
            names.from_text(zone)
        except ValueError as error:
            document.problem(f"unsigned_zones[{number}]", f"{safe(zone)}: {without_quoted(str(error))}")
    zones = (*policy.negative_trust_anchors, *unsigned_zones)
    return msgspec.structs.replace(policy, negative_trust_anchors=zones)
