"""Fail when a test was skipped that CI must run: ``skips.py REPORT.xml`` reads pytest's JUnit report."""

import re
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

SHARED = Path(__file__).parents[2] / "shared"
# What may be missing even in CI, and why.
ALLOWED = (
    r"needs to mount a tmpfs",
    r"needs root, to make a full file system",
    r"needs axe-core",  # npm has it, which a machine for Python may lack
    r"needs a ClickHouse server: ANCHORWATCH_TEST_CLICKHOUSE",  # cannot be had from Debian
)

# Scenario data of others is no part of a checkout.
WITHOUT_SHARED = (r"which comes? beside a checkout",)


def unexpected_skips(report: str) -> list[str]:
    """Return a line for each skipped test whose reason is not allowed."""
    found = []
    allowed = ALLOWED if SHARED.is_dir() else (*ALLOWED, *WITHOUT_SHARED)
    for case in ElementTree.parse(report).getroot().iter("testcase"):
        skipped = case.find("skipped")
        reason = skipped.get("message", "") if skipped is not None else ""
        if skipped is not None and not any(re.search(one, reason) for one in allowed):
            found.append(f"{case.get('classname')}::{case.get('name')}: {reason}")
    return found


if __name__ == "__main__":
    lines = unexpected_skips(sys.argv[1])
    for line in lines:
        print("skipped unexpectedly:", line)
    sys.exit(1 if lines else 0)
