import dns.message
import dns.rrset

from collector.dnssec.skim import skim


def answer(question: str, address: str = "192.0.2.1", owner: str | None = None) -> bytes:
    response = dns.message.make_response(dns.message.make_query(question, "A", id=7))
    response.answer = [dns.rrset.from_text(owner or question, 60, "IN", "A", address)]
    return response.to_wire()


def test_the_letter_case_of_the_question_changes_no_skim() -> None:
    assert skim(answer("api.bank.example.")) == skim(answer("aPi.BANk.eXample.")) != b""


def test_the_letter_case_of_a_name_written_in_full_changes_no_skim() -> None:
    compressed = answer("api.bank.example.")
    at = 12 + len(b"\3api\4bank\7example\0") + 4
    full = compressed[:at] + b"\3api\4BANK\7eXample\0" + compressed[at + 2 :]
    same = compressed[:at] + b"\3aPi\4bank\7example\0" + compressed[at + 2 :]

    assert skim(full) == skim(same) != b""


def test_other_data_and_other_owners_change_the_skim() -> None:
    one = skim(answer("api.bank.example."))

    assert one != skim(answer("api.bank.example.", "192.0.2.65"))
    assert one != skim(answer("api.bank.example.", owner="bank.example."))
