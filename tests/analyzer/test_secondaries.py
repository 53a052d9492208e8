"""SOA EXPIRE held against the lifetime of signatures."""

from datetime import timedelta

import msgspec

from tests.support.sweeps import OWN, SIGNED, Sweeping, own

SHORT = msgspec.structs.replace(SIGNED, expires_at=SIGNED.inception_at + timedelta(days=10))
CODE = "rrsig_shorter_than_soa_expire"


def test_signatures_that_end_before_a_secondary_gives_up_are_information() -> None:
    run = Sweeping()

    (opened,) = run.times(2, windows=(SHORT,))

    assert (opened.code, str(opened.severity), opened.servers) == (CODE, "info", OWN)
    assert "14.0 days after it was cut off (SOA EXPIRE); its signatures last 10.0 days" in opened.detail
    (closed,) = run.times(3)
    assert (closed.code, str(closed.status)) == (CODE, "closed")


def test_signatures_that_last_as_long_as_soa_expire_are_fine_however_near_their_end_is() -> None:
    run = Sweeping()
    near = msgspec.structs.replace(
        SIGNED, inception_at=SIGNED.inception_at - timedelta(days=28), expires_at=SIGNED.inception_at
    )

    assert run.times(4, windows=(near,)) == []


def test_a_sweep_without_signatures_says_nothing_of_them() -> None:
    run = Sweeping()
    run.times(2, windows=(SHORT,))

    assert run.times(5, windows=()) == []
    assert run.open == {CODE: OWN}


def test_expire_is_each_servers_own() -> None:
    run = Sweeping()

    (opened,) = run.times(2, own(1, expire_s=700_000), own(3, expire_s=700_000), windows=(SHORT,))

    assert opened.servers == OWN[1:2]
