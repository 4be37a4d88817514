"""docs/failures.md names a test for everything that it says, and the tests are there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_line_names_a_test_that_is_there() -> None:
    lines = [line for line in (ROOT / "docs" / "failures.md").read_text().splitlines() if line[:2] == "| "]
    said = [line for line in lines if not line.endswith("| shown by |")]
    named = [re.search(r"`(tests/\S+\.py)::(\w+)` \|$", line) for line in said]

    assert len(said) > 20
    for line, found in zip(said, named, strict=True):
        assert found is not None, line
        path, test = found.groups()
        assert f"def {test}(" in (ROOT / path).read_text(), line
