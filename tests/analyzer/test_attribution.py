"""Whether a fault of one owner name is told by itself, or as the zone's."""

from analyzer.detected import Condition
from analyzer.findings.attribution import NAMES_TOLD_APART, ZONES_TOLD_APART, NamesApart, whole_of
from schemas.catalogue import Severity

CODE = "rrsig_expired"


def fault(name: str, zone: str = "z.") -> Condition:
    return Condition(CODE, zone, f"{name}.{zone} A", Severity.CRITICAL, "")


def of_vantage(name: str) -> Condition:
    return Condition("resolver_disagrees", "", f"vantage corp {name}.", Severity.HIGH, "")


def test_the_first_names_of_a_zone_are_told_apart_and_the_next_is_the_zones() -> None:
    apart = NamesApart()
    for number in range(NAMES_TOLD_APART):
        placed = apart.place(fault(f"h{number}"), ())
        assert placed.cause_rrset == f"h{number}.z. A"
        apart.opened(placed.key)

    assert apart.place(fault("next"), ()).cause_rrset == ""


def test_a_name_stays_in_the_finding_that_it_is_in() -> None:
    apart, whole = NamesApart(), (CODE, "z.", "")

    assert apart.place(fault("h"), [whole]).cause_rrset == ""
    assert apart.place(fault("h"), [fault("h").key, whole]).cause_rrset == "h.z. A"


def test_a_place_that_is_free_again_is_given_to_the_next() -> None:
    apart = NamesApart()
    for number in range(NAMES_TOLD_APART):
        apart.opened(fault(f"h{number}").key)
    apart.closed(fault("h0").key)

    assert apart.place(fault("next"), ()).cause_rrset == "next.z. A"


def test_zones_take_no_place_from_each_other() -> None:
    apart = NamesApart()
    for number in range(NAMES_TOLD_APART):
        apart.opened(fault(f"h{number}").key)

    assert apart.place(fault("h", "other."), ()).cause_rrset == "h.other. A"


def test_of_a_vantage_names_of_the_first_zones_are_told_apart() -> None:
    apart = NamesApart()
    for number in range(ZONES_TOLD_APART):
        placed = apart.place(of_vantage(f"www.z{number}"), ())
        assert placed.cause_rrset == f"vantage corp www.z{number}."
        apart.opened(placed.key)

    assert apart.place(of_vantage("www.next"), ()).cause_rrset == "vantage corp"
    assert apart.place(of_vantage("api.z0"), ()).cause_rrset == "vantage corp api.z0."


def test_what_is_of_no_name_is_left_as_it_is() -> None:
    keys = Condition("ds_dnskey_mismatch", "z.", "z. DNSKEY", Severity.CRITICAL, "")

    assert NamesApart().place(keys, ()) is keys
    assert whole_of(keys.key) == ("ds_dnskey_mismatch", "z.", "")
