"""When a failed call is made again, and how long is waited before. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum
from typing import Final

from gateway.upstreams.port import Refusal, Unreachable

FIRST_WAIT_S: Final = 0.25
MAX_WAIT_S: Final = 5.0
"""What takes longer is for the client to wait: it is told how long (retry-after)."""

BAD_REQUEST_STATUSES: Final = frozenset({400, 413, 415, 422})
_MAY_PASS: Final = frozenset({408, 409, 425, 429})
_SERVER_ERROR: Final = 500
WORKED_STATUSES: Final = frozenset({408, 504, 522, 524})
"""Of a proxy that did not wait any longer: its server may have done all the work, and have it paid."""


class Again(Enum):
    """Who may be asked once more."""

    NOBODY = "the request is at fault, wherever it is sent"
    OTHERS = "this deployment will answer no better"
    ANYBODY = "it may pass"


def again(failure: Refusal | Unreachable) -> Again:
    """What a failure says of the next call."""
    if isinstance(failure, Unreachable) or failure.status in _MAY_PASS or failure.status >= _SERVER_ERROR:
        return Again.ANYBODY
    return Again.NOBODY if failure.status in BAD_REQUEST_STATUSES else Again.OTHERS


def backoff_s(retry: int, share: float) -> float:
    """How long to wait before retry 0, 1, ...: full jitter, ``share`` (0 to 1) of what doubles each time."""
    return share * min(FIRST_WAIT_S * 2.0**retry, MAX_WAIT_S)


def retry_after_s(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds that a response's Retry-After asks for, given as such or as a date; ``None`` for neither.

    A date is by the server's own clock, where the response has its ``Date``.
    """
    value = headers.get("retry-after")
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        until = _date(value)
        if until is None:
            return None
        seconds = (until - (_date(headers.get("date")) or now)).total_seconds()
    return max(seconds, 0.0) if seconds < float("inf") else None


def _date(value: str | None) -> datetime | None:
    try:
        date = parsedate_to_datetime(value or "")
    except ValueError:
        return None
    return date.replace(tzinfo=UTC) if date.tzinfo is None else date
