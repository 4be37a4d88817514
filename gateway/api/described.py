"""What /openapi.json says of requests and answers that no code checks: fields passed on, and headers."""

from __future__ import annotations

from typing import Any, Final, get_args

from gateway.cache.counters import Status


def _passed(kind: str | list[str], description: str, **more: Any) -> dict[str, Any]:
    return {"anyOf": [{"type": kind, **more}, {"type": "null"}], "default": None, "description": description}


_TEXT_OR_OBJECT: Final = ["string", "object"]

PASSED_ON: Final[dict[str, Any]] = {
    "tool_choice": _passed(_TEXT_OR_OBJECT, "`none`, `auto`, `required`, or one tool; needs `tools`"),
    "parallel_tool_calls": _passed("boolean", "Whether several calls at once are an answer"),
    "function_call": _passed(_TEXT_OR_OBJECT, "Of `functions`; OpenAI has replaced it by `tool_choice`"),
    "reasoning_effort": _passed("string", "How long to think before the answer", examples=["low", "high"]),
    "verbosity": _passed("string", "How long the answer is", examples=["low"]),
    "modalities": _passed("array", "`text`, `audio`", items={"type": "string"}),
    "audio": _passed("object", "Voice and format of a spoken answer"),
    "prediction": _passed("object", "Text that the answer is expected to repeat"),
    "web_search_options": _passed("object", "Search the web before the answer"),
    "moderation": _passed("object", "Moderation by the provider"),
    "metadata": _passed("object", "Filed with the request by the provider"),
    "store": _passed("boolean", "Whether the provider keeps the answer"),
    "service_tier": _passed("string", "How fast, and at which price", examples=["auto", "flex"]),
    "safety_identifier": _passed("string", "Who asks, hashed"),
    "prompt_cache_key": _passed("string", "Which requests begin alike"),
    "prompt_cache_options": _passed("object", "How the provider caches prompts"),
    "prompt_cache_retention": _passed("string", "How long the provider caches prompts"),
}
"""OpenAI's fields of a chat that go to the answering model as they came (docs/api.md: what a search does)."""

CACHE_CONTROL: Final[dict[str, Any]] = {
    "name": "Cache-Control",
    "in": "header",
    "required": False,
    "description": "`no-store`, `no-cache`, `max-age=SECONDS` or `only-if-cached`, as docs/cache.md says.",
    "schema": {"type": "string", "pattern": r"^[\x20-\x7e]*$"},
    "example": "max-age=60",
}


def _header(description: str, example: str, **schema: Any) -> dict[str, Any]:
    return {"description": description, "schema": {"type": "string", **schema}, "example": example}


HEADERS: Final[dict[str, dict[str, Any]]] = {
    "x-request-id": _header("By which the request is known; a completion's `id`", "chatcmpl-1f0c"),
    "x-gradus-route": _header("Which kind of model answered", "small", enum=["small", "large"]),
    "x-gradus-model": _header("The configured name of the model that answered", "abacus-small"),
    "x-gradus-policy": _header("The policy; absent where a model was asked for by name", "default"),
    "x-gradus-strategy": _header("The search; `direct` is one answer", "best_of_n_weighted"),
    "x-gradus-bin": _header("How difficult it looked", "easy", enum=["easy", "medium", "hard", "very_hard"]),
    "x-gradus-samples": _header("Candidates that the answer was chosen from", "16", pattern="^[0-9]+$"),
    "x-gradus-cost-usd": _header("US dollars, exact; absent while a price is unknown", "0.00031"),
    "x-gradus-cache": _header("What the cache did", "miss", enum=list(get_args(Status))),
    "age": _header("Seconds since an answer of the cache was given", "12", pattern="^[0-9]+$"),
    "x-should-retry": _header(
        "Whether OpenAI's clients ask again by themselves", "true", enum=["true", "false"]
    ),
    "retry-after": _header("Seconds until asking again may help", "1", pattern="^[0-9.]+$"),
}
_ALWAYS: Final = ("x-request-id",)
_OF_ERRORS: Final = (*_ALWAYS, "x-should-retry", "retry-after")
_OF_PASSED: Final = (*_ALWAYS, "x-gradus-route", "x-gradus-model", "x-gradus-cost-usd")
_OF_ANSWERS: Final = {
    "/v1/chat/completions": [name for name in HEADERS if name not in _OF_ERRORS[1:]],
    "/v1/completions": _OF_PASSED,
    "/v1/embeddings": _OF_PASSED,
    "/v1/responses": _OF_PASSED,
}


def headers_of(path: str, status: str) -> dict[str, Any]:
    """Those that an answer of this endpoint with this status may have, as OpenAPI has them."""
    names = _OF_ANSWERS.get(path, _ALWAYS) if status.startswith("2") else _OF_ERRORS
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}
