"""A storm of 100,000 findings of 50 causes in a minute: everything is named, in few pages, in time."""

import pytest

from bench.storm import CAUSES, measure

pytestmark = [pytest.mark.slow, pytest.mark.long]


def test_every_cause_of_a_storm_is_named_in_few_pages_and_the_first_in_time() -> None:
    found = measure()

    assert found["causes_named"] == CAUSES
    assert found["pages"] <= CAUSES
    assert found["first_critical_s"] <= 12, "its group wait and two seconds"
    assert found["drained_s"] <= 120, "at two deliveries a second"
    memory = found["memory_mb"]
    assert memory[-1] - memory[0] < 50, "megabytes, from the first second of the storm to its end"
