from collector.polling.copies import ASKED_AFTER_S, LONGEST_S, Copies

DAY = 86_400


def seen(*sights: tuple[int, int], original_s: int = DAY) -> Copies:
    """Copies with (end, instant) of each sight."""
    copies = Copies()
    for until, now in sights:
        copies = copies.see(original_s, until, now)
    return copies


def test_of_a_copy_that_was_not_seen_made_only_its_own_end_is_known() -> None:
    assert seen((3000, 0)).others_until == 3000, "it may be as old as its TTL allows"


def test_servers_that_are_asked_themselves_give_the_whole_ttl() -> None:
    assert seen((DAY, 0), (DAY + 300, 300)).others_until == DAY + 300


def test_a_resolver_that_keeps_copies_for_their_ttl_says_by_their_end_when_they_were_made() -> None:
    # made anew at 3,000, seen again when it is an hour old
    assert seen((3000, 0), (3000 + DAY, 3000), (3000 + DAY, 6600)).others_until == 3000 + DAY


def test_a_resolver_that_keeps_little_says_too_little_of_what_others_keep() -> None:
    # each copy lives five minutes, that of others a day; the last was made at 600
    capped = seen((300, 0), (600, 300), (900, 600))

    assert capped.others_until == 600 + DAY - ASKED_AFTER_S


def test_a_new_ttl_begins_anew() -> None:
    copies = seen((300, 0), (600, 300)).see(3600, 4200, 600)

    assert copies.others_until == 4200


def test_no_cache_keeps_anything_for_ever() -> None:
    assert seen((300, 0), (600, 300), original_s=2**31).others_until == 600 + LONGEST_S


def test_nothing_seen_is_nothing_known() -> None:
    assert Copies().see(DAY, 0, 10).others_until == 0
