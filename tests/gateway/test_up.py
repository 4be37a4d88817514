"""What `gradus up` says once it is ready."""

from __future__ import annotations

from pathlib import Path

from gateway.up import welcome

URL = "http://127.0.0.1:8080"


def test_where_keys_are_asked_for_what_to_try_first_has_one() -> None:
    said = welcome(URL, Path("logs"), needs_key=True)

    assert "any key" not in said
    assert "gradus keys create" in said
    assert '-H "authorization: Bearer $GRADUS_API_KEY" \\\n' in said


def test_where_none_is_asked_for_any_will_do() -> None:
    said = welcome(URL, Path("logs"), needs_key=False)

    assert "any key" in said
    assert "authorization" not in said
