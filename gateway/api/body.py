"""Reading a request's body: never more of it than the limit."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel
from starlette.requests import Request

from gateway import schemas, translate
from gateway.errors import BadRequest
from gateway.schemas import ChatRequest
from gateway.translate import Asked


async def read_asked(request: Request, max_body_bytes: int) -> Asked:
    """The checked chat request. Raises :class:`gateway.errors.BadRequest`."""
    return translate.read(*schemas.parse(await read_body(request, max_body_bytes)))


async def read_body(request: Request, max_body_bytes: int) -> bytes:
    """All of a JSON body, unparsed. Raises :class:`gateway.errors.BadRequest`."""
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > max_body_bytes:
        raise _too_large(max_body_bytes)
    is_json = _is_json(request)
    body, more = bytearray(), True
    while more:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise BadRequest("The client left before its request was whole.", code="cancelled")
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if body and not is_json:
            raise _not_json(request)
        if len(body) > max_body_bytes:
            raise _too_large(max_body_bytes)
    return bytes(body)


def _is_json(request: Request) -> bool:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))


def _not_json(request: Request) -> BadRequest:
    """Without a JSON type any web page could send a request: browsers ask nobody before they send text."""
    found = request.headers.get("content-type")
    said = f"'content-type: {found}'" if found else "no content-type"
    return BadRequest(
        "The body should come with the header 'content-type: application/json' "
        f"(curl -H 'content-type: application/json' ...), and it came with {said}.",
        code="unsupported_media_type",
    )


def _too_large(max_body_bytes: int) -> BadRequest:
    return BadRequest(
        f"The body is larger than {max_body_bytes} bytes; shorten it, or raise server.max_body_bytes.",
        code="request_too_large",
    )


def request_body(examples: dict[str, Any], schema: type[BaseModel] = ChatRequest) -> dict[str, Any]:
    """How OpenAPI describes a body that is read here and not by the framework.

    ``schema`` is one of :data:`gateway.openapi.BODIES`.
    """
    return {
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {"$ref": f"#/components/schemas/{schema.__name__}"},
                    "examples": examples,
                }
            },
        }
    }
