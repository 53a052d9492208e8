"""Runbooks of our own troubles: whatever they hide is not watched. Pure data."""

from alerts.runbooks.runbook import OWNER, US, Runbook
from schemas.codes import Code

RUNBOOKS: dict[Code, Runbook] = {
    Code.SELF_CLOCK_SKEW: Runbook(
        means="Nothing can be validated here, and no finding on signatures can be believed: our clock is wrong.",
        who=((US, "set the clock of this machine right"),),
        look=("date -u; chronyc tracking; timedatectl",),
        fix=(
            "Start the time service, and let it reach its servers (NTP, UDP 123).",
            "What was found meanwhile closes by itself.",
        ),
    ),
    Code.SELF_OBSERVATION_GAP: Runbook(
        means="Some names were not observed for several intervals: what happened there meanwhile was not seen.",
        who=((US, "find out why they were not polled"),),
        look=(
            "anchorwatch findings --code self_observation_gap",
            "/-/ready and anchorwatch_poll_lag_seconds of the collectors",
        ),
        fix=(
            "Over Kafka: see that every collector has the same inventory, and that all partitions are assigned.",
            "Raise `poll.concurrency` or the interval if the collector can't keep up.",
            "A zone whose servers are slow takes its share of slots: see its other findings.",
        ),
        over="The next polls of these names close it.",
    ),
    Code.SELF_INVENTORY_STALE: Runbook(
        means="The inventory is as it was when it could last be read: new identities are not watched.",
        who=((OWNER, "correct the rows that the detail names"), (US, "see whether the file can be read")),
        look=("anchorwatch run --check-config CONFIG", "anchorwatch inventory show CONFIG"),
        fix=("Correct the rows; the file is read again by itself, or with SIGHUP.",),
        over="The next good reading closes it.",
    ),
    Code.SELF_INVENTORY_SHRUNK: Runbook(
        means="The inventory lost more rows than is plausible; the last good rows are still watched.",
        who=((OWNER, "say whether these identities are really gone"), (US, "accept the loss, or restore the file")),
        look=("anchorwatch inventory show CONFIG    # who would be lost",),
        fix=(
            "If it is an accident: restore the export.",
            "If it is right: `anchorwatch inventory accept CONFIG SOURCE --why …`.",
        ),
        over="Once the source has its rows again, or the loss is accepted.",
    ),
    Code.SELF_CLOCKS_DIFFER: Runbook(
        means="Times in findings and on pages are off, and holds may end early or late: the machines of anchorwatch disagree on the time.",
        who=((US, "synchronise the clocks of all machines that run it"),),
        look=("anchorwatch_bus_clock_difference_seconds", "chronyc tracking on each machine"),
        fix=("Let all machines use the same time servers.",),
        over="The next messages with agreeing times close it.",
    ),
    Code.SELF_DISK_FULL: Runbook(
        means="The watch goes on in memory: a restart now would forget what was found, and people may be paged again.",
        who=((US, "make room on the disk before anything is restarted"),),
        look=("df -h; du -xsh of the history's and the ledger's folder",),
        fix=(
            "Make room, or grow the disk; what waits in memory is written then.",
            "Shorten the retention of polls if the history is too large (docs/sizing.md).",
        ),
        over="The first step that is written closes it.",
    ),
    Code.SELF_ANCHOR_STORE_INVALID: Runbook(
        means="The trust anchors can't be read; those of before still count, and none is trusted by itself.",
        who=((US, "restore the file of trust anchors"),),
        look=("anchorwatch run --check-config CONFIG", "ls -l the file of trust_anchors.path"),
        fix=("Restore it from a source that you have checked; if nobody changed it, look for who did.",),
        over="The next good reading closes it.",
    ),
    Code.SELF_CONFIGURATION_INVALID: Runbook(
        means="What was changed in the configuration does not count; the next restart would fail by it.",
        who=((US, "correct the file, or take the change back"),),
        look=("anchorwatch run --check-config CONFIG", "anchorwatch doctor CONFIG"),
        fix=("Correct what the detail names, then SIGHUP (or POST /-/reload). Do not restart before it can be used.",),
        over="The next reading of a file that can be used closes it.",
    ),
    Code.SELF_ALERT_DELIVERY_FAILED: Runbook(
        means="People who rely on this receiver hear nothing: it fails, and others are told in its place.",
        who=((US, "bring the receiver back, or correct its URL or key"),),
        look=(
            "anchorwatch notify test CONFIG RECEIVER",
            "the answer in the detail: 401 and 403 are a key, 404 a URL, a timeout the network",
        ),
        fix=(
            "Correct key or URL and restart; what waits is delivered under its old id.",
            "A proxy in between: see `outbound`.",
        ),
        over="The first delivery that arrives closes it.",
    ),
    Code.SELF_TEST_PAGE: Runbook(
        means="Nothing has happened. This page was asked for (`alerts.test_page`), to see that pages arrive where somebody is on call.",
        who=((US, "acknowledge this page, so that it is known to have reached somebody"),),
        look=("anchorwatch incidents    # who acknowledged it", "anchorwatch_test_page_timestamp_seconds"),
        fix=("Where it did not arrive: `anchorwatch notify test CONFIG RECEIVER` says what the receiver answers.",),
        over="It ends by itself after `alerts.test_page.for`.",
    ),
}
