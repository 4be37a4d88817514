"""/openapi.json: what FastAPI knows of the endpoints, and what they know themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any, Final

from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from gateway.api.admin_schemas import KeyChange, KeyCreate, TeamChange, TeamCreate
from gateway.api.described import HEADERS, PASSED_ON, headers_of
from gateway.api.feedback import FeedbackRequest
from gateway.schemas import ChatRequest

BODIES: Final = (ChatRequest, FeedbackRequest, KeyCreate, KeyChange, TeamCreate, TeamChange)
_THEIRS: Final = ("HTTPValidationError", "ValidationError")
_SECURITY: Final = {
    "type": "http",
    "scheme": "bearer",
    "description": "A key of the gateway's (where server.auth is keys), or the admin's.",
}


def document(app: FastAPI, routers: Sequence[APIRouter]) -> dict[str, Any]:
    """The OpenAPI document; made once.

    Endpoints read bodies themselves, so FastAPI does not know them; it would document a refusal (422) that
    none of them gives, and takes every ``null`` out of examples.
    """
    if app.openapi_schema is None:
        made = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
        schemas = made["components"]["schemas"]
        for body in BODIES:
            described = body.model_json_schema(ref_template="#/components/schemas/{model}")
            schemas |= described.pop("$defs", {}) | {body.__name__: described}
        schemas[ChatRequest.__name__]["properties"] |= deepcopy(PASSED_ON)
        for router in routers:
            for route in router.routes:
                if isinstance(route, APIRoute) and route.include_in_schema:
                    for method in route.methods or ():
                        _complete(made["paths"][route.path_format][method.lower()], route)
        for name in _THEIRS:
            schemas.pop(name, None)
        made["components"]["securitySchemes"] = {"key": _SECURITY}
        made["components"]["headers"] = deepcopy(HEADERS)
        made["security"] = [{"key": []}]
        app.openapi_schema = made
    return app.openapi_schema


def _complete(operation: dict[str, Any], route: APIRoute) -> None:
    answers = operation["responses"]
    if not any(str(status) == "422" for status in route.responses):
        answers.pop("422", None)
    for status, said in route.responses.items():
        _show(answers[str(status)], said)
    extra = route.openapi_extra or {}
    if "requestBody" in extra:
        operation["requestBody"] = deepcopy(extra["requestBody"])
    for status, said in extra.get("responses", {}).items():
        _show(answers[status], said)
    for status, answer in answers.items():
        answer["headers"] = headers_of(route.path, status)
    if not route.path.startswith("/v1/") and "401" not in answers:
        operation["security"] = []


def _show(answer: dict[str, Any], said: Mapping[str, Any]) -> None:
    """Examples as they are, nulls and all."""
    for kind, content in said.get("content", {}).items():
        if "example" in content:
            answer["content"][kind]["example"] = deepcopy(content["example"])
