"""What is polled: every name and type that identities consume, through every vantage."""

from collections.abc import Iterable, Sequence

from collector.dnssec import names, records
from collector.polling.memory import Subject
from schemas.messages import Identity


def subjects_of(identities: Iterable[Identity], vantages: Sequence[str]) -> list[Subject]:
    """Return every (name, type, vantage) that the identities consume, each once, in a stable order."""
    wanted = {
        (names.from_text(endpoint.host), records.type_from_text(rdtype))
        for identity in identities
        for endpoint in identity.endpoints
        for rdtype in endpoint.types
    }
    return [Subject(name, rdtype, vantage) for name, rdtype in sorted(wanted) for vantage in vantages]
