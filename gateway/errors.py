"""What can go wrong at the edge, and how any error of the project becomes one of OpenAI's shape.

    GatewayError
    ├── BadRequest            the body is not a request: ``code`` says how, ``param`` says where
    ├── ModelNotFound         no such model or policy
    ├── QueueUnavailable      Redis cannot be reached, so no search can start
    ├── NoWorker              no live worker runs the model
    ├── QueueFull             more jobs wait for a worker than server.max_queued_jobs
    ├── WorkerLost            the worker that ran the job is gone
    ├── DeadlineExceeded      the policy's deadline came first
    ├── JobFailed             a worker gave up; ``code`` is its :attr:`router.types.Failure.code`
    ├── KeyMissing            a large model's API key is not in the environment
    ├── KeyRefused            no key, or not one that is valid
    ├── NotAllowed            the key may not do this; ``code`` says what
    ├── KeysUnavailable       nobody can tell yet which keys there are
    ├── BudgetExceeded        a budget has no room for the most that the request may cost
    ├── CostUnknown           a budget holds the request, and the most that it may cost is not known
    ├── RateLimited           too many requests or tokens a minute, or requests at once
    ├── LedgerUnavailable     a budget holds the request, and nobody can tell what is left of it now
    └── UpstreamError
        ├── UpstreamRejected  a large model's server refused the request
        └── UpstreamFailed    a large model's server cannot be reached, or answered nonsense

Every exception here, in :mod:`router.errors` and in a worker's failures has a stable ``code``; the table in
:mod:`gateway.error_table` gives each its HTTP status, OpenAI error type and whether asking again may help.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI, Request
from pydantic_core import to_json
from starlette.exceptions import HTTPException
from starlette.responses import Response

from gateway.error_table import SERVER, TABLE, UPSTREAM_CODE
from router.errors import CannotHonour, CapExceeded, RouterError
from router.logs import REQUEST_ID

log = logging.getLogger(__name__)

UNREAD = {413, 415}  # statuses of bodies that are not read to their end
TOO_MANY_REQUESTS = 429


class GatewayError(Exception):
    """``param`` is the request field at fault; ``status`` overrides the table where the fault brings its own.

    ``account`` is what was spent all the same (:meth:`gateway.bill.Bill.account`), where it got that far.
    """

    code = "internal_error"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        status: int | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        self.code = code or self.code
        self.param, self.status, self.retry_after_s = param, status, retry_after_s
        self.account: Mapping[str, Any] | None = None
        super().__init__(message)


class BadRequest(GatewayError):
    code = "invalid_value"


class ModelNotFound(GatewayError):
    code = "model_not_found"


class QueueUnavailable(GatewayError):
    code = "queue_unavailable"


class NoWorker(GatewayError):
    code = "no_worker"


class QueueFull(GatewayError):
    code = "queue_full"


class WorkerLost(GatewayError):
    code = "worker_lost"


class DeadlineExceeded(GatewayError):
    code = "deadline_exceeded"


class JobFailed(GatewayError):
    code = "worker_error"


class NotCached(GatewayError):
    """``Cache-Control: only-if-cached``, and the cache does not have it."""

    code = "not_cached"

    def __init__(self) -> None:
        super().__init__(
            "The cache does not have the answer, and the request wants it from nowhere else "
            "(Cache-Control: only-if-cached)."
        )


class KeyMissing(GatewayError):
    code = "api_key_missing"


class KeyRefused(GatewayError):
    code = "invalid_api_key"


class NotAllowed(GatewayError):
    code = "model_not_allowed"


class KeysUnavailable(GatewayError):
    code = "keys_unavailable"


class BudgetExceeded(GatewayError):
    code = "insufficient_quota"


class CostUnknown(GatewayError):
    code = "cost_unknown"


class RateLimited(GatewayError):
    code = "rate_limit_exceeded"


class LedgerUnavailable(GatewayError):
    code = "ledger_unavailable"


class UpstreamError(GatewayError):
    code = "upstream_failed"


class UpstreamRejected(UpstreamError):
    code = "upstream_rejected"


class UpstreamFailed(UpstreamError):
    code = "upstream_failed"


@dataclass(frozen=True, slots=True)
class HttpError:
    """An error as it goes over the wire: in a response of its own, or as the last event of a stream."""

    status: int
    body: dict[str, Any]
    headers: dict[str, str]

    def response(self) -> Response:
        return Response(to_json(self.body), self.status, self.headers, media_type="application/json")


def to_http(error: Exception) -> HttpError:
    """Look the error up. What the project did not name is a 500 that says nothing about its insides."""
    if not isinstance(error, GatewayError | RouterError):
        log.error("unexpected error", exc_info=error)
        error = GatewayError("The gateway failed on this request; its log says why.")
    row = TABLE.get(error.code, UPSTREAM_CODE if isinstance(error, UpstreamError) else SERVER)
    status, param, retry_after_s = row.status, row.param, row.retry_after_s
    if isinstance(error, GatewayError):
        status, param = error.status or row.status, error.param or row.param
        retry_after_s = error.retry_after_s or row.retry_after_s
    elif isinstance(error, CannotHonour):
        param = error.needs[0] if error.needs else None
    elif isinstance(error, CapExceeded):
        param = error.fees[0] if error.fees else None
    limited = status == TOO_MANY_REQUESTS != row.status  # by a large model's server, under a code of its own
    kind = "rate_limit_error" if limited else row.type
    retry = row.retry or limited
    headers = {"x-should-retry": "true" if retry else "false"}
    if retry_after_s is not None:
        headers["retry-after"] = f"{retry_after_s:.10g}"
    if status in UNREAD:
        headers["connection"] = "close"  # else the server would read the rest, to reuse the connection
    details = {"message": str(error), "type": kind, "param": param, "code": error.code}
    if (request_id := REQUEST_ID.get()) is not None:
        details["request_id"] = headers["x-request-id"] = request_id
    body: dict[str, Any] = {"error": details}
    if isinstance(error, GatewayError) and error.account is not None:
        body["gradus"] = error.account
    return HttpError(status, body, headers)


def answer_to(request: Request, error: Exception) -> Response:
    """The error's response; what is counted of the request learns its code."""
    answer = to_http(error)
    request.state.error_code = answer.body["error"]["code"]
    return answer.response()


def install(app: FastAPI) -> None:
    """Answer every error of every route, known or not, in OpenAI's shape."""

    async def known(request: Request, error: Exception) -> Response:
        return answer_to(request, error)

    async def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "http_error")
        message = {
            404: f"There is nothing at {request.url.path}; the endpoints are listed at /docs.",
            405: f"{request.url.path} does not take {request.method}.",
        }.get(error.status_code, str(error.detail))
        answer = to_http(GatewayError(message, code=code, status=error.status_code))
        answer.headers.update(error.headers or {})
        request.state.error_code = code
        return answer.response()

    app.add_exception_handler(GatewayError, known)
    app.add_exception_handler(RouterError, known)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(Exception, known)
