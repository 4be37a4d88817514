"""How every error code of the project looks over HTTP: the one table. docs/api.md has it for clients."""

from __future__ import annotations

from dataclasses import dataclass


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
_INVALID_FILE = Row(422, "invalid_request_error")  # what the admin wants read anew, or a file that it names
SERVER = Row(500, "server_error")
UPSTREAM_CODE = Row(502, "invalid_request_error")  # a refusal under the server's own code and status

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
    "request_timeout": Row(408, "server_error", retry=True),
    "request_too_large": Row(413, "invalid_request_error"),
    "unsupported_media_type": Row(415, "invalid_request_error"),
    "head_too_large": Row(431, "invalid_request_error"),
    "invalid_http": _INVALID,
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
    "engine_failed": SERVER,
    "model_not_loadable": SERVER,
    "sandbox_unavailable": SERVER,
    "worker_error": SERVER,
    "wire_invalid": SERVER,  # gateway and workers are of different versions
    # Large models
    "api_key_missing": SERVER,
    "upstream_rejected": _INVALID,  # a refusal under the server's status, without a code
    "upstream_failed": Row(502, "server_error", retry=True),
    "upstream_unusable": Row(502, "server_error"),  # it refuses key, model or address: a person has to act
    # A reload
    "config_invalid": _INVALID_FILE,
    "artifact_invalid": _INVALID_FILE,
    "embedder_invalid": _INVALID_FILE,
    # Ours
    "database_error": SERVER,
    "database_invalid": SERVER,
    "invoice_invalid": SERVER,
    "outcomes_invalid": SERVER,
    "cannot_tune": SERVER,
    "router_error": SERVER,
    "internal_error": SERVER,
}
