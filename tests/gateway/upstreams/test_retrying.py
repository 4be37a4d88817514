"""What is made again, and when: waits that are bounded, and that servers may name in either form."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.upstreams.port import Refusal, Unreachable
from gateway.upstreams.retrying import MAX_WAIT_S, Again, again, backoff_s, retry_after_s

NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after": "Thu, 01 Jan 2026 12:00:30 GMT"}, 30.0),
        ({"retry-after": "Thu, 01 Jan 2026 11:00:00 GMT"}, 0.0),
        # The server's clock is an hour behind ours: what counts is the difference on its own.
        ({"retry-after": "Thu, 01 Jan 2026 11:00:30 GMT", "date": "Thu, 01 Jan 2026 11:00:00 GMT"}, 30.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "nan"}, None),
        ({}, None),
    ],
)
def test_retry_after_is_seconds_or_a_date(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after_s(headers, NOW) == seconds


@given(retry=st.integers(0, 20), share=st.floats(0, 1))
def test_backoff_has_full_jitter_under_a_bound_that_doubles(retry: int, share: float) -> None:
    assert 0 <= backoff_s(retry, share) <= min(0.25 * 2**retry, MAX_WAIT_S)
    assert backoff_s(retry, 0) == 0


@pytest.mark.parametrize(
    ("statuses", "whom"),
    [
        ((408, 409, 429, 500, 502, 503, 529), Again.ANYBODY),
        ((301, 401, 402, 403, 404), Again.OTHERS),
        ((400, 413, 415, 422), Again.NOBODY),
    ],
)
def test_a_status_says_who_may_do_better(statuses: tuple[int, ...], whom: Again) -> None:
    assert {again(Refusal("x", status)) for status in statuses} == {whom}


def test_what_broke_off_may_go_better() -> None:
    assert again(Unreachable("x")) is Again.ANYBODY
