"""``outbound``: the proxy and the authorities for all that leaves the process."""

from pathlib import Path

from anchorwatch.configuration.documents import Document
from anchorwatch.configuration.egress import configured_egress
from anchorwatch.configuration.values import Section, explain_ca_file, read_secret_file
from schemas.egress import Egress


class OutboundSection(Section, frozen=True, kw_only=True):
    """How everything that leaves the process leaves it; what is not said comes from the environment."""

    proxy: str = ""
    no_proxy: tuple[str, ...] | None = None
    proxy_user_file: str = ""
    ca_file: str = ""


def read_outbound(section: OutboundSection, base: Path, document: Document) -> Egress:
    """Return the rule for all that leaves the process."""
    user = ""
    if section.proxy_user_file:
        user = read_secret_file(base / section.proxy_user_file, "outbound.proxy_user_file", document)
    ca_path = str(base / section.ca_file) if section.ca_file else ""
    if ca_path and (why := explain_ca_file(ca_path)):
        document.problem("outbound.ca_file", why)
        ca_path = ""
    egress, problems = configured_egress(section.proxy, section.no_proxy, user, ca_path)
    document.problems.extend(problems)
    return egress
