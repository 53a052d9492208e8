"""What is wrong with ourselves: clocks and gaps here, files, disks and processes by tests of their own."""

from collector.dnssec import names
from schemas.codes import Code
from schemas.messages import Message, Observation, PollBatch, ZoneObservation, ZoneSweep
from tests.catalogue.case import Case, Deed, Elsewhere
from tests.catalogue.deeds import signed_from
from tests.catalogue.signatures import DAY
from tests.catalogue.vantages import of_two_zones
from tests.support.estate import Estate


def clock_off_by(seconds: float) -> Deed:
    """Have our own clock set, which is right otherwise."""

    def change(estate: Estate) -> None:
        estate.skew_s = seconds

    return change


def poll_but(host: str) -> Deed:
    """Have no collector poll a name that is in the inventory."""

    def change(estate: Estate) -> None:
        estate.poll_only(lambda name: name != names.from_text(host))

    return change


def poll_all(estate: Estate) -> None:
    estate.poll_only(lambda name: True)


def poll_nothing(estate: Estate) -> None:
    estate.poll_only(lambda name: False)


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
ELSEWHERE = ()
