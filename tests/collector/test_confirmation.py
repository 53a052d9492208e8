from collector.polling.confirmation import NAMES_PER_CAUSE, POLLS, Confirmations, pause_s

CAUSE = ("lab", "bogus", "bank.example.", "rrsig_expired")
OTHER = ("lab", "bogus", "bank.example.", "rrsig_crypto_invalid")


def test_a_name_that_turned_bad_is_polled_three_times_within_ten_seconds() -> None:
    confirmations: Confirmations[str] = Confirmations()

    again = [confirmations.is_due_soon("a", CAUSE, is_news=number == 0) for number in range(5)]

    assert again == [True, True, False, False, False]
    assert POLLS == 3
    assert pause_s(60) * (POLLS - 1) < 10


def test_what_is_known_to_be_bad_is_not_hastened() -> None:
    assert not Confirmations[str]().is_due_soon("a", CAUSE, is_news=False)


def test_a_name_that_is_good_again_is_left_alone() -> None:
    confirmations: Confirmations[str] = Confirmations()
    confirmations.is_due_soon("a", CAUSE, is_news=True)

    assert not confirmations.is_due_soon("a", None, is_news=False)
    assert not confirmations.is_due_soon("a", CAUSE, is_news=False)


def test_ten_thousand_names_with_one_cause_are_no_flood() -> None:
    confirmations: Confirmations[int] = Confirmations()

    assert sum(confirmations.is_due_soon(i, CAUSE, is_news=True) for i in range(10_000)) == NAMES_PER_CAUSE


def test_decoys_do_not_use_up_the_places_of_another_cause() -> None:
    confirmations: Confirmations[str] = Confirmations()
    for i in range(10):
        confirmations.is_due_soon(f"decoy{i}", CAUSE, is_news=True)

    assert confirmations.is_due_soon("target", OTHER, is_news=True)


def test_another_cause_is_confirmed_from_the_start() -> None:
    confirmations: Confirmations[str] = Confirmations()
    confirmations.is_due_soon("a", CAUSE, is_news=True)

    again = [confirmations.is_due_soon("a", OTHER, is_news=number == 0) for number in range(3)]

    assert again == [True, True, False]


def test_places_are_given_back() -> None:
    confirmations: Confirmations[str] = Confirmations()
    for round_ in range(20):
        for i in range(NAMES_PER_CAUSE):
            assert confirmations.is_due_soon(f"{round_}.{i}", CAUSE, is_news=True)
        for i in range(NAMES_PER_CAUSE):
            confirmations.forget(f"{round_}.{i}")
