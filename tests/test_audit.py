"""The audit fails for what it finds, and never says that all is well where it could not look."""

from __future__ import annotations

from typing import Any

from tests.audit import verdict

FINE: dict[str, Any] = {"name": "a", "version": "1", "vulns": []}
BAD: dict[str, Any] = {"name": "b", "version": "2", "vulns": [{"id": "PYSEC-1", "fix_versions": ["2.1"]}]}
UNKNOWN: dict[str, Any] = {"name": "c", "skip_reason": "not found"}


def test_a_known_vulnerability_fails() -> None:
    assert verdict({"dependencies": [FINE, BAD]}) == (True, ["b 2: PYSEC-1, fixed in 2.1"])


def test_none_is_said_with_how_many_were_looked_at_and_which_were_not() -> None:
    lines = ["no known vulnerability in 1 packages", "not found there: c"]
    assert verdict({"dependencies": [FINE, UNKNOWN]}) == (False, lines)


def test_a_mirror_without_advisories_is_no_audit() -> None:
    failed, (line,) = verdict({"dependencies": [UNKNOWN]})
    assert not failed
    assert "NOT DONE" in line
