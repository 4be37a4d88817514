"""Failures of servers in words that somebody can act on, and under the status that they mean here."""

from __future__ import annotations

from math import isfinite

from gateway.errors import DeadlineExceeded, GatewayError, UpstreamFailed, UpstreamRejected
from gateway.upstreams.port import Refusal, Unreachable
from gateway.upstreams.retrying import BAD_REQUEST_STATUSES, Again, again
from router.config import Deployed

UNAUTHORIZED = 401
TOO_MANY = 429
UNUSABLE = "upstream_unusable"


def named(model: str, place: Deployed, failure: Refusal | Unreachable, api_key: str | None) -> GatewayError:
    """The error that a client gets for what one deployment said or did, and never its key."""
    message = str(failure).replace(api_key, "(the API key)") if api_key else str(failure)
    if isinstance(failure, Unreachable):
        return UpstreamFailed(
            f"The server of model '{model}' cannot be used: {message}. Ask again, or check its base_url."
        )
    if failure.status == UNAUTHORIZED:  # its message may quote the key
        variable = place.api_key_env
        advice = f"check the key in {variable}" if variable else "configure its api_key_env"
        said = f"The server of model '{model}' refused the gateway's API key; {advice}."
        return UpstreamFailed(said, code=UNUSABLE)
    said = f"The server of model '{model}' refused the request ({failure.status}): {message}"
    if failure.status in BAD_REQUEST_STATUSES:
        return UpstreamRejected(said, code=failure.code, param=failure.param, status=failure.status)
    if failure.status == TOO_MANY:
        return UpstreamRejected(
            said, code="rate_limit_exceeded", status=TOO_MANY, retry_after_s=failure.retry_after_s or 1.0
        )
    return UpstreamFailed(said, code=UNUSABLE if again(failure) is Again.OTHERS else None)


def busy(model: str) -> GatewayError:
    return UpstreamRejected(
        f"Model '{model}' is busy: its deployments have all the requests that they take at once "
        "(max_concurrent_requests); ask again in a moment.",
        code="rate_limit_exceeded",
        status=TOO_MANY,
        retry_after_s=1.0,
    )


def left_alone(model: str, wait_s: float) -> GatewayError:
    return UpstreamFailed(
        f"Model '{model}' is left alone for a while: its deployments failed (cooldown_s), or asked for that.",
        retry_after_s=max(wait_s, 1.0) if isfinite(wait_s) else 1.0,
    )


def too_late(model: str) -> GatewayError:
    return DeadlineExceeded(
        f"The deadline came before model '{model}' had answered; ask for fewer tokens, or raise the "
        "policy's deadline_s."
    )
