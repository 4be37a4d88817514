"""Who sent a request, and by which name it is known from then on."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.accounts import Account
from gateway.cache.control import Control


@dataclass(frozen=True, slots=True)
class Caller:
    """``request_id`` is in headers, logs, journal and errors; ``control`` is what the request's header
    ``Cache-Control`` says."""

    request_id: str
    account: Account
    control: Control
