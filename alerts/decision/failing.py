"""A receiver that can't be reached is itself a finding. Pure."""

from datetime import datetime

import msgspec

from schemas.codes import Code
from schemas.messages import Finding, FindingStatus

FAILED_CODE = Code.SELF_ALERT_DELIVERY_FAILED


def end_failure(finding: Finding, at: datetime) -> Finding:
    """Return the finding as it is once the receiver works again."""
    return msgspec.structs.replace(
        finding, version=finding.version + 1, status=FindingStatus.CLOSED, updated_at=at, closed_at=at
    )
