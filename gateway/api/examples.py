"""What /docs and /openapi.json show."""

from __future__ import annotations

from typing import Any

from gateway.schemas import ErrorBody

QUESTION = "Calculate ( 7 + 5 ) * 3."
ANSWER = "7 + 5 = 12\n12 * 3 = 36\nThe answer is 36."

REQUEST: dict[str, Any] = {"model": "gradus", "messages": [{"role": "user", "content": QUESTION}]}

REQUESTS: dict[str, Any] = {
    "routed": {"summary": "Routed by difficulty", "value": REQUEST},
    "search": {
        "summary": "A search by its name and budget",
        "value": {**REQUEST, "gradus": {"strategy": "beam", "budget": 16, "beam_width": 4, "task": "math"}},
    },
}

MODEL = {"id": "gradus/default", "object": "model", "created": 1767225600, "owned_by": "gradus"}
MODELS = {"object": "list", "data": [MODEL]}

GRADUS: dict[str, Any] = {
    "route": "small",
    "model": "abacus-small",
    "policy": "default",
    "difficulty": 0.81,
    "bin": "easy",
    "strategy": "best_of_n_weighted",
    "samples": 16,
    "confidence": 0.93,
    "tokens": {"probe": 592, "candidates": 0, "verifier": 832, "direct": 0, "escalation": 0},
    "flops": 2848000000.0,
    "cost_usd": "0.000009168",
    "lines": [
        {
            "purpose": "probe",
            "model": "abacus-small",
            "calls": 16,
            "prompt_tokens": 32,
            "completion_tokens": 560,
            "cached_prompt_tokens": 0,
            "reasoning_tokens": 0,
            "flops": 1184000000.0,
            "cost_usd": "0.0000078",
        },
        {
            "purpose": "verifier",
            "model": "abacus-prm",
            "calls": 16,
            "prompt_tokens": 832,
            "completion_tokens": 0,
            "cached_prompt_tokens": 0,
            "reasoning_tokens": 0,
            "flops": 1664000000.0,
            "cost_usd": "0.000001368",
        },
    ],
    "latency_s": {"queue": 0.004, "probe": 0.31, "search": 0.002, "total": 0.325},
}

USAGE = {
    "prompt_tokens": 864,
    "completion_tokens": 560,
    "total_tokens": 1424,
    "prompt_tokens_details": {"cached_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 0},
}

COMPLETION: dict[str, Any] = {
    "id": "chatcmpl-1f0c",
    "object": "chat.completion",
    "created": 1767225600,
    "model": "gradus",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": ANSWER, "refusal": None},
            "logprobs": None,
            "finish_reason": "stop",
        }
    ],
    "usage": USAGE,
    "gradus": GRADUS,
}

STREAM = """data: {"id":"chatcmpl-1f0c","object":"chat.completion.chunk","created":1767225600,\
"model":"gradus","choices":[{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}]}

: gradus probe 16/16

data: {"id":"chatcmpl-1f0c", ..., "choices":[{"index":0,"delta":{"content":"7 + 5 = 12\\n"}, ...}]}

data: {"id":"chatcmpl-1f0c", ..., "choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"gradus":{...}}

data: [DONE]
"""

_ALTERNATIVE: dict[str, Any] = {
    "route": "small",
    "model": "abacus-small",
    "strategy": {
        "name": "best_of_n_weighted",
        "samples": 16,
        "beam_width": 4,
        "max_rounds": 40,
        "lookahead_steps": 1,
        "chain_length": 4,
        "max_drop": 0.1,
        "stopping": {"rule": "leader", "confidence": 0.95, "window": None},
    },
    "accuracy": 0.9,
    "accuracy_source": "assumed",
    "expected_cost_usd": "0",
    "worst_case_cost_usd": "0",
    "expected_flops": 0.0,
    "token_cap": 0,
    "expected_latency_s": 0.0,
}

EXPLANATION: dict[str, Any] = {
    "object": "gradus.explanation",
    "plan": {
        "policy": "default",
        "small": "abacus-small",
        "verifier": "abacus-prm",
        "stages": [
            {
                "samples": 16,
                "branches": [
                    {
                        "difficulty_bin": "easy",
                        "chosen": _ALTERNATIVE,
                        "rejected": [],
                        "reason": "a right answer costs less than with abacus-large",
                        "notice": None,
                        "above": 0.6,
                        "up_to": 1.0,
                        "readings": [],
                    }
                ],
                "reading": None,
            }
        ],
        "probe_cost_usd": "0.00002",
        "expected_cost_usd": "0.00003",
        "worst_case_cost_usd": "0.0001",
        "familiarity": None,
        "p_right": None,
        "worth": {"usd_per_right_answer": 0.05, "min_accuracy": 0.75},
    },
}

NOT_READY = {
    "status": "unready",
    "reasons": ["No worker is alive; start one with `gradus worker`."],
    "warnings": [],
}


def answer(example: object, status: int = 200) -> dict[int | str, dict[str, Any]]:
    """What an endpoint answers where all is well."""
    return {status: {"content": {"application/json": {"example": example}}}}


def error(description: str, kind: str, code: str, message: str, param: str | None = None) -> dict[str, Any]:
    example = {"error": {"message": message, "type": kind, "param": param, "code": code}}
    return {
        "description": description,
        "model": ErrorBody,
        "content": {"application/json": {"example": example}},
    }


ERRORS: dict[int | str, dict[str, Any]] = {
    400: error(
        "The body is not a request that can be answered",
        "invalid_request_error",
        "invalid_value",
        "Invalid 'max_tokens': input should be greater than or equal to 1.",
        "max_tokens",
    ),
    402: error(
        "Every way to answer may cost more than the policy's cap",
        "invalid_request_error",
        "cost_cap_exceeded",
        "every way to answer may cost more than max_cost_usd",
    ),
    401: error(
        "No key, or one that nobody knows",
        "invalid_request_error",
        "invalid_api_key",
        "There is no API key: send one in the header 'Authorization: Bearer gk-...'.",
    ),
    403: error(
        "The key may not ask for this",
        "invalid_request_error",
        "model_not_allowed",
        "The API key gk-...3f2a may not ask for the model 'large'; it may for small.",
        "model",
    ),
    404: error(
        "No such model or policy",
        "invalid_request_error",
        "model_not_found",
        "There is no model 'gpt-9'; there are gradus, gradus/default, abacus-small, abacus-large.",
        "model",
    ),
    408: error(
        "The request did not come to its end in time",
        "server_error",
        "request_timeout",
        "The request did not come to its end within 30 seconds (server.read_timeout_s); send it again.",
    ),
    413: error(
        "The body is over the limit",
        "invalid_request_error",
        "request_too_large",
        "The body is larger than 1000000 bytes; shorten it, or raise server.max_body_bytes.",
    ),
    415: error(
        "The body does not come as JSON",
        "invalid_request_error",
        "unsupported_media_type",
        "The body should come with the header 'content-type: application/json' "
        "(curl -H 'content-type: application/json' ...), and it came with no content-type.",
    ),
    422: error(
        "No candidate kept to the JSON schema or the tools",
        "invalid_request_error",
        "schema_not_met",
        "No candidate keeps to the JSON schema, and there is no large model to ask.",
    ),
    429: error(
        "A budget or a limit of the key, its team or everybody has no room for it; or a server's has none",
        "insufficient_quota",
        "insufficient_quota",
        "The budget of the key for the day has no room for this request; it is reset at 00:00 UTC.",
    ),
    500: error(
        "A worker or the gateway failed, or a server's key is missing",
        "server_error",
        "internal_error",
        "The gateway failed on this request; its log says why.",
    ),
    502: error(
        "A large model's server cannot be used",
        "server_error",
        "upstream_failed",
        "The server of model 'large' cannot be used: refused. Ask again, or check its base_url.",
    ),
    503: error(
        "Redis or the worker is gone; ask again after the seconds in `retry-after`",
        "server_error",
        "worker_lost",
        "The worker that ran this request is gone, and trying again did not help; ask again in a moment.",
    ),
    504: error(
        "The policy's deadline came first",
        "server_error",
        "deadline_exceeded",
        "The deadline came before an answer; ask for fewer tokens, a policy with fewer samples, or raise the "
        "policy's deadline_s.",
    ),
}

WHO: dict[int | str, dict[str, Any]] = {
    401: ERRORS[401],
    503: error(
        "The keys cannot be looked up yet",
        "server_error",
        "keys_unavailable",
        "The keys cannot be looked up yet; ask again in a moment.",
    ),
}
"""Errors of what takes no body, and asks only whose the key is."""
