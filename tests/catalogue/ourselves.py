"""What is wrong with ourselves: clocks and gaps here, files, disks and processes by tests of their own."""

from collector.dnssec import names
from schemas.codes import Code
from tests.catalogue.case import Case, Deed, Elsewhere
from tests.catalogue.deeds import signed_from
from tests.catalogue.signatures import DAY
from tests.catalogue.vantages import of_two_zones
from tests.support.watched_world import WatchedWorld


def clock_off_by(seconds: float) -> Deed:
    """Have our own clock set, which is right otherwise."""

    def change(world: WatchedWorld) -> None:
        world.skew_s = seconds

    return change


def poll_but(host: str) -> Deed:
    """Have no collector poll a name that is in the inventory."""

    def change(world: WatchedWorld) -> None:
        world.poll_only(lambda name: name != names.from_text(host))

    return change


def poll_all(world: WatchedWorld) -> None:
    world.poll_only(lambda name: True)


def poll_nothing(world: WatchedWorld) -> None:
    world.poll_only(lambda name: False)


CASES = (
    Case(
        code=Code.SELF_CLOCK_SKEW,
        happens="our clock is set back by four days: all signatures, the root's too, lie ahead of it",
        cause="",
        stage=clock_off_by(-4 * 86_400),
        heal=clock_off_by(0),
        harmless="all signatures of one zone lie ahead of it",
        near=signed_from(4 * DAY, 14 * DAY),
        beside=frozenset({Code.SELF_CLOCK_JUMPED}),
        beside_near=frozenset({Code.RRSIG_NOT_YET_VALID}),
    ),
    Case(
        code=Code.SELF_CLOCK_JUMPED,
        happens="our clock is set forward by two minutes",
        cause="",
        stage=clock_off_by(120),
        heal=clock_off_by(0),
        harmless="our clock is set forward by half a second",
        near=clock_off_by(0.5),
    ),
    Case(
        code=Code.SELF_OBSERVATION_GAP,
        happens="a name that is watched is not polled, while another is",
        cause="",
        made=of_two_zones,
        stage=poll_but("www.bank.test"),
        heal=poll_all,
        harmless="nothing is polled at all",
        near=poll_nothing,
        minutes=25,
    ),
)
INVENTORY, SOURCES = "tests/anchorwatch/test_inventory_loss.py", "tests/collector/test_sources.py"
SKEW, STAGE = "tests/anchorwatch/test_skew.py", "tests/collector/test_stage.py"
OVERFLOW, LEDGER = "tests/analyzer/test_overflow.py", "tests/alerts/test_ledger_overflow.py"
DRILLS = "tests/alerts/test_drills.py"
RELOADING = "tests/anchorwatch/test_reloading.py"
RECEIVERS, BOOK = "tests/alerts/test_receivers_apart.py", "tests/alerts/test_book.py"
ELSEWHERE = (
    Elsewhere(
        code=Code.SELF_INVENTORY_STALE,
        happens="a file of the inventory can't be read any more",
        opens="tests/anchorwatch/test_commands.py::TestRun::test_an_inventory_that_breaks_keeps_its_good_rows",
        ends="tests/anchorwatch/test_commands.py::TestRun::test_an_inventory_that_breaks_keeps_its_good_rows",
        harmless="a file is read for the first time",
        silent=f"{STAGE}::test_after_a_start_no_trouble_is_said_too",
    ),
    Elsewhere(
        code=Code.SELF_INVENTORY_SHRUNK,
        happens="a file of the inventory comes back without its rows",
        opens=f"{INVENTORY}::test_an_emptied_inventory_ends_nothing_and_a_removed_identity_is_not_resolved",
        ends=f"{INVENTORY}::test_an_emptied_inventory_ends_nothing_and_a_removed_identity_is_not_resolved",
        harmless="it loses a fifth of them",
        silent=f"{SOURCES}::test_small_losses_are_believed_at_once",
    ),
    Elsewhere(
        code=Code.SELF_CLOCKS_DIFFER,
        happens="the clock of another process is five minutes ahead of ours",
        opens=f"{SKEW}::test_a_clock_that_is_ahead_is_told_once_and_when_it_agrees_again",
        ends=f"{SKEW}::test_a_clock_that_is_ahead_is_told_once_and_when_it_agrees_again",
        harmless="it is half a minute ahead, or what it said came late",
        silent=f"{SKEW}::test_small_differences_and_slow_deliveries_are_nothing",
    ),
    Elsewhere(
        code=Code.SELF_DISK_FULL,
        happens="the disk of the history is full",
        opens=f"{OVERFLOW}::test_a_full_disk_is_told_once_and_so_is_its_end",
        ends=f"{OVERFLOW}::test_a_full_disk_is_told_once_and_so_is_its_end",
        harmless="another process writes to the ledger",
        silent=f"{LEDGER}::test_a_ledger_that_another_process_writes_to_is_no_full_disk",
    ),
    Elsewhere(
        code=Code.SELF_ANCHOR_STORE_INVALID,
        happens="the file of trust anchors breaks",
        opens=f"{STAGE}::test_a_store_of_anchors_that_breaks_is_said_and_the_last_good_ones_count",
        ends=f"{STAGE}::test_a_store_of_anchors_that_breaks_is_said_and_the_last_good_ones_count",
        harmless="it has other anchors",
        silent=f"{STAGE}::test_anchors_that_change_in_their_file_are_followed",
    ),
    Elsewhere(
        code=Code.SELF_CONFIGURATION_INVALID,
        happens="the configuration is read again, and has a mistake",
        opens=f"{RELOADING}::test_a_configuration_with_a_mistake_changes_nothing_and_is_told_until_it_is_mended",
        ends=f"{RELOADING}::test_a_configuration_with_a_mistake_changes_nothing_and_is_told_until_it_is_mended",
        harmless="it is read again, and is different",
        silent=f"{RELOADING}::test_what_is_different_is_logged_and_kept_as_an_act",
    ),
    Elsewhere(
        code=Code.SELF_ALERT_DELIVERY_FAILED,
        happens="a receiver refuses a page",
        opens=f"{RECEIVERS}::test_what_a_receiver_refuses_is_told_elsewhere_at_once",
        ends=f"{BOOK}::test_a_receiver_that_fails_is_a_finding_and_others_stand_in",
        harmless="a receiver fails once",
        silent=f"{BOOK}::TestDispatch::test_conditions_of_receivers_count_once_it_is_written",
    ),
    Elsewhere(
        code=Code.SELF_TEST_PAGE,
        happens="it is the hour of the week at which a test page was asked for",
        opens=f"{DRILLS}::test_a_test_page_travels_by_the_routes_says_that_it_is_one_and_ends",
        ends=f"{DRILLS}::test_a_test_page_travels_by_the_routes_says_that_it_is_one_and_ends",
        harmless="it is another hour, or it was sent already",
        silent=f"{DRILLS}::test_it_is_sent_once_a_period_over_restarts_and_processes",
    ),
)
