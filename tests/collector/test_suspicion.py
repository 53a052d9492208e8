from collector.resolvers.suspicion import CALM_S, Tally


def flood(tally: Tally, kind: str, count: int, now: float) -> None:
    for _ in range(count):
        tally.pass_over(kind, now)


def test_a_few_replies_that_match_nothing_are_no_attack() -> None:
    tally = Tally()

    flood(tally, "id", 20, now=0)

    assert not tally.suspicion(1)
    assert tally.by_kind == {"id": 20}


def test_beyond_the_rate_forging_is_suspected_and_the_kinds_are_named() -> None:
    tally = Tally()

    flood(tally, "question", 21, now=0)

    assert "question 21" in (tally.suspicion(1) or "")


def test_few_a_minute_never_add_up() -> None:
    tally = Tally()

    for minute in range(100):
        flood(tally, "id", 15, now=60.0 * minute)

    assert not tally.suspicion(6000)


def test_a_busy_resolver_may_send_more_of_them() -> None:
    tally = Tally()
    for _ in range(10_000):
        tally.count_question(0)

    flood(tally, "id", 100, now=1)
    assert not tally.suspicion(2)
    flood(tally, "id", 1, now=3)
    assert tally.suspicion(4) != ""


def test_a_broken_or_replaced_resolver_is_no_forger() -> None:
    tally = Tally()

    flood(tally, "malformed", 500, now=0)
    flood(tally, "folded", 500, now=0)

    assert not tally.suspicion(1)


def test_the_suspicion_is_one_state_until_it_is_calm() -> None:
    tally = Tally()
    flood(tally, "id", 30, now=0)
    said = tally.suspicion(1)
    flood(tally, "id", 500, now=100)

    assert tally.suspicion(101) == said
    assert tally.suspicion(100 + CALM_S - 1) == said
    assert tally.suspicion(100 + CALM_S) == ""


def test_at_first_nothing_is_said_of_what_an_earlier_process_may_have_suspected() -> None:
    tally = Tally()

    assert tally.suspicion(0) is None
    assert tally.suspicion(CALM_S - 1) is None
    assert tally.suspicion(CALM_S) == ""
