import importlib.util
import sys
from pathlib import Path


def test_three_thousand_mutated_packets_do_no_harm() -> None:
    spec = importlib.util.spec_from_file_location("fuzz", Path(__file__).with_name("fuzz.py"))
    assert spec is not None
    assert spec.loader is not None
    fuzz = importlib.util.module_from_spec(spec)
    sys.modules["fuzz"] = fuzz
    spec.loader.exec_module(fuzz)

    outcomes, _, wrong = fuzz.run(3000, seed=20261124)

    assert wrong == []
    assert outcomes["bogus"] > 500
