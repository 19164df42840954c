"""The server's figures: what one run does not measure stays from an earlier one, and says whose it is."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from server_load import unmeasured


def test_a_section_that_was_not_measured_stays_with_its_command_and_machine() -> None:
    first = {"command": "all", "machine": {"cores": 2}, "results": {"passages": 9, "search": {"n": 1}, "ask": {"n": 3}}}
    kept = unmeasured(first, {"passages": 10, "search": {"n": 2}})
    assert kept == {"ask": {"n": 3, "command": "all", "machine": {"cores": 2}}}
    second = {"command": "some", "machine": {"cores": 4}, "results": {"passages": 10, "search": {"n": 2}, **kept}}
    assert unmeasured(second, {"passages": 11, "search": {"n": 3}}) == kept
