from tests import fuzz


def test_three_thousand_mutated_packets_do_no_harm() -> None:
    outcomes, _, wrong = fuzz.run(3000, seed=20261124)

    assert wrong == []
    assert outcomes["bogus"] > 500
