"""What can go wrong at the edge, and the one table that turns any error of the project into OpenAI's shape.

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

Every exception here, in :mod:`router.errors` and in a worker's failures has a stable ``code``; the table
below gives each its HTTP status, OpenAI error type and whether asking again may help.
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

from router.errors import CannotHonour, RouterError
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
class Row:
    """How an error code looks over HTTP. ``retry``: whether OpenAI's clients ask again by themselves.

    ``param`` is the request field that is always at fault.
    """

    status: int
    type: str
    retry: bool = False
    retry_after_s: float | None = None
    param: str | None = None


_INVALID = Row(400, "invalid_request_error")
_INVALID_MESSAGES = Row(400, "invalid_request_error", param="messages")
_INVALID_TASK = Row(400, "invalid_request_error", param="gradus.task")
_SERVER = Row(500, "server_error")
_UPSTREAM_CODE = Row(502, "invalid_request_error")  # a refusal under the server's own code and status

TABLE: dict[str, Row] = {
    # The request
    "invalid_json": _INVALID,
    "invalid_type": _INVALID,
    "invalid_value": _INVALID,
    "missing_required_parameter": _INVALID,
    "unsupported_feature": _INVALID,
    "invalid_messages": _INVALID_MESSAGES,  # a chat template refuses them
    "refused_by_rule": _INVALID,
    "context_length_exceeded": _INVALID_MESSAGES,
    "invalid_task": _INVALID_TASK,
    "cannot_judge": _INVALID_TASK,  # the verifier needs the right answer, or tests
    "unsupported_strategy": Row(400, "invalid_request_error", param="gradus.strategy"),
    "refused": _INVALID,
    "cost_cap_exceeded": Row(402, "invalid_request_error"),
    "model_not_found": Row(404, "invalid_request_error", param="model"),
    "not_found": Row(404, "invalid_request_error"),
    "method_not_allowed": Row(405, "invalid_request_error"),
    "request_too_large": Row(413, "invalid_request_error"),
    "unsupported_media_type": Row(415, "invalid_request_error"),
    "http_error": _INVALID,
    # Keys
    "invalid_api_key": Row(401, "invalid_request_error"),
    "model_not_allowed": Row(403, "invalid_request_error", param="model"),
    "policy_not_allowed": Row(403, "invalid_request_error", param="model"),
    "admin_only": Row(403, "invalid_request_error"),
    "admin_disabled": Row(403, "invalid_request_error"),
    "keys_unavailable": Row(503, "server_error", retry=True, retry_after_s=2),
    "key_not_found": Row(404, "invalid_request_error"),
    "answer_not_found": Row(404, "invalid_request_error", param="id"),
    "team_not_found": Row(404, "invalid_request_error", param="team"),
    "name_taken": Row(409, "invalid_request_error", param="name"),
    "revoked": Row(409, "invalid_request_error"),
    "database_unavailable": Row(503, "server_error", retry=True, retry_after_s=2),
    # Budgets and limits
    "insufficient_quota": Row(429, "insufficient_quota"),  # not retried: only a reset, or a person, helps
    "cost_unknown": Row(402, "invalid_request_error", param="model"),
    "rate_limit_exceeded": Row(429, "rate_limit_error", retry=True),
    "request_over_rate_limit": Row(429, "rate_limit_error"),  # alone more than a minute's worth
    "ledger_unavailable": Row(503, "server_error", retry=True, retry_after_s=2),
    "overloaded": Row(503, "server_error", retry=True, retry_after_s=1),
    "stopping": Row(503, "server_error", retry=True, retry_after_s=1),
    # Queue and workers
    "queue_unavailable": Row(503, "server_error", retry=True, retry_after_s=2),
    "no_worker": Row(503, "server_error", retry=True, retry_after_s=5),
    "queue_full": Row(503, "server_error", retry=True, retry_after_s=5),
    "worker_lost": Row(503, "server_error", retry=True, retry_after_s=2),
    "model_unavailable": Row(503, "server_error", retry=True, retry_after_s=5),
    "not_cached": Row(504, "invalid_request_error"),
    "deadline_exceeded": Row(504, "server_error"),  # a retry would spend the same again
    "cancelled": Row(499, "server_error"),
    "schema_not_met": Row(422, "invalid_request_error"),
    "engine_failed": _SERVER,
    "model_not_loadable": _SERVER,
    "sandbox_unavailable": _SERVER,
    "worker_error": _SERVER,
    "wire_invalid": _SERVER,  # gateway and workers are of different versions
    # Large models
    "api_key_missing": _SERVER,
    "upstream_rejected": Row(502, "server_error"),
    "upstream_failed": Row(502, "server_error", retry=True),
    # Ours
    "config_invalid": _SERVER,
    "database_error": _SERVER,
    "database_invalid": _SERVER,
    "invoice_invalid": _SERVER,
    "artifact_invalid": _SERVER,
    "outcomes_invalid": _SERVER,
    "cannot_tune": _SERVER,
    "embedder_invalid": _SERVER,
    "router_error": _SERVER,
    "internal_error": _SERVER,
}


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
    row = TABLE.get(error.code, _UPSTREAM_CODE if isinstance(error, UpstreamError) else _SERVER)
    status, param, retry_after_s = row.status, row.param, row.retry_after_s
    if isinstance(error, GatewayError):
        status, param = error.status or row.status, error.param or row.param
        retry_after_s = error.retry_after_s or row.retry_after_s
    elif isinstance(error, CannotHonour):
        param = error.needs[0] if error.needs else None
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


def install(app: FastAPI) -> None:
    """Answer every error of every route, known or not, in OpenAI's shape."""

    async def known(request: Request, error: Exception) -> Response:
        answer = to_http(error)
        request.state.error_code = answer.body["error"]["code"]
        return answer.response()

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
