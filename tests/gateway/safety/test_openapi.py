"""The gateway does what its OpenAPI document says, whatever schemathesis makes of it.

GRADUS_SCHEMATHESIS=50 says how many requests of each kind are made of every operation.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from openai.types.chat.completion_create_params import CompletionCreateParamsBase
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.gateway.safety.conftest import Guarded

pytestmark = pytest.mark.timeout(1800)

EACH = int(os.environ.get("GRADUS_SCHEMATHESIS", "3"))
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
JSON = "application/json"


def operations(guarded: Guarded) -> Iterator[Any]:
    """Each of the document, with what generates requests of it."""
    schema = schemathesis.openapi.from_url(f"{guarded.url}/openapi.json")
    for found in schema.get_all_operations():
        assert isinstance(found, Ok), found
        yield found.ok()


def explore(operation: Any, mode: GenerationMode, authorization: dict[str, str]) -> set[int]:
    """Ask as the document says, or not as it says; gives the statuses that came."""
    statuses = set()

    @seed(7)
    @settings(
        max_examples=EACH, suppress_health_check=list(HealthCheck), phases=[Phase.generate], database=None
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: Any) -> None:
        answer = case.call(headers=authorization)
        statuses.add(answer.status_code)
        case.validate_response(answer, checks=CHECKS)

    ask()
    return statuses


def key_for(operation: Any, guarded: Guarded) -> dict[str, str]:
    admin = "/admin/" in operation.path or operation.path == "/metrics"
    return {"authorization": guarded.headers(admin=admin)["authorization"]}


def test_every_operation_answers_as_documented(guarded: Guarded) -> None:
    for operation in operations(guarded):
        explore(operation, GenerationMode.POSITIVE, key_for(operation, guarded))


def test_every_operation_refuses_as_documented(guarded: Guarded) -> None:
    """Bodies that the document does not allow; of paths and queries next to everything is allowed."""
    for operation in operations(guarded):
        if operation.body:
            statuses = explore(operation, GenerationMode.NEGATIVE, key_for(operation, guarded))
            assert max(statuses) >= httpx.codes.BAD_REQUEST, operation.label


def test_nothing_but_health_is_answered_without_a_key(guarded: Guarded) -> None:
    """And nothing of the admin's to the key of a user."""
    for operation in operations(guarded):
        if operation.path in ("/healthz", "/readyz"):
            continue
        assert explore(operation, GenerationMode.POSITIVE, {}) == {401}, operation.label
        nobody = {"authorization": "Bearer gk-nobody"}
        assert explore(operation, GenerationMode.POSITIVE, nobody) == {401}, operation.label
        if "/admin/" in operation.path or operation.path == "/metrics":
            users = {"authorization": guarded.headers()["authorization"]}
            assert explore(operation, GenerationMode.POSITIVE, users) == {403}, operation.label


def test_every_operation_has_examples_that_are_what_it_says(guarded: Guarded) -> None:
    document = guarded.app.openapi()
    for path, by_method in document["paths"].items():
        for method, operation in by_method.items():
            places = [operation["responses"], {"the body": operation.get("requestBody", {})}]
            for name, said in ((name, said) for place in places for name, said in place.items()):
                for kind, content in said.get("content", {}).items():
                    where = (method, path, name, kind)
                    found = shown(content)
                    assert found, where
                    if kind == JSON and "schema" in content:
                        schema = {**content["schema"], "components": document["components"]}
                        for example in found:
                            faults = [
                                each.message for each in Draft202012Validator(schema).iter_errors(example)
                            ]
                            assert (where, faults) == (where, [])


def shown(content: dict[str, Any]) -> list[Any]:
    alone = [content["example"]] if "example" in content else []
    return alone + [each["value"] for each in content.get("examples", {}).values()]


def test_a_chat_has_every_field_that_openais_client_sends(guarded: Guarded) -> None:
    described = guarded.app.openapi()["components"]["schemas"]["ChatRequest"]["properties"]

    assert set(CompletionCreateParamsBase.__annotations__) - set(described) == set()
    assert "stream" in described


HELLO = {"model": "remote", "messages": [{"role": "user", "content": "hello"}]}
TOLD_BY_THE_SERVER = {"content-type", "content-length", "date", "server", "connection", "cache-control"}
OF_STREAMS = {"x-accel-buffering", "transfer-encoding"}


@pytest.mark.parametrize(
    ("endpoint", "body"),
    [
        ("chat/completions", HELLO),
        ("chat/completions", {**HELLO, "stream": True}),
        ("chat/completions", {**HELLO, "model": "nobody"}),
        ("completions", {"model": "remote", "prompt": "a"}),
        ("completions", {"model": "remote", "prompt": "a", "stream": True}),
        ("embeddings", {"model": "embedder", "input": "a"}),
        ("responses", {"model": "remote", "input": "a"}),
        ("responses", {"model": "remote", "input": "a", "stream": True}),
        ("responses", {"model": "remote"}),
    ],
)
def test_every_header_and_kind_of_an_answer_is_described(
    guarded: Guarded, endpoint: str, body: dict[str, Any]
) -> None:
    operation = guarded.app.openapi()["paths"][f"/v1/{endpoint}"]["post"]

    answer = httpx.post(f"{guarded.url}/v1/{endpoint}", headers=guarded.headers(), json=body)

    said = operation["responses"][str(answer.status_code)]
    assert set(answer.headers) - TOLD_BY_THE_SERVER - OF_STREAMS <= set(said["headers"])
    assert answer.headers["content-type"].partition(";")[0] in said["content"]
    assert operation["parameters"][0]["name"] == "Cache-Control"


@pytest.mark.parametrize("method", ["TRACE", "PUT", "CONNECT", "OPTIONS", "PROPFIND", "HEAD"])
def test_a_method_that_is_not_there_says_which_are(guarded: Guarded, method: str) -> None:
    answer = httpx.request(method, f"{guarded.url}/v1/chat/completions", headers=guarded.headers())

    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


ODD_PATHS = (
    "/v1/models/%00",
    "/v1/models/%ff%fe",
    "/v1/models/%ed%a0%80",
    "/v1/models/" + "a" * 20_000,
    "/v1/models/..%2f..%2fetc%2fpasswd",
    "/v1/models//",
    "/%00",
    "/v1/gradus/usage?key=%00",
    "/v1/gradus/usage?team=%ff",
    "/v1/gradus/usage?from=9999999999-01-01",
    "/v1/gradus/usage?from=0001-01-01&to=9999-12-31",
    "/v1/gradus/usage?group_by=%00",
    "/v1/gradus/usage?group_by=" + "day," * 5000,
    "/v1/gradus/usage?key=%27%20OR%201=1--",
    "/v1/gradus/admin/keys?team=%00",
    "/v1/gradus/admin/keys/%00",
    "/v1/gradus/admin/keys/%ed%a0%80",
    "/v1/gradus/admin/keys/'%20OR%20'1'='1",
    "/v1/gradus/admin/teams/%F0%9F%92%A9",
)


@pytest.mark.parametrize("path", ODD_PATHS, ids=range(len(ODD_PATHS)))
@pytest.mark.parametrize("method", ["GET", "DELETE", "PATCH"])
def test_odd_paths_and_queries_break_nothing(guarded: Guarded, method: str, path: str) -> None:
    headers = guarded.headers(admin=True)

    answer = httpx.request(method, f"{guarded.url}{path}", headers=headers, content=b"{}")

    assert answer.status_code < httpx.codes.INTERNAL_SERVER_ERROR, answer.text
    assert answer.is_success or isinstance(answer.json()["error"]["code"], str)


@pytest.mark.parametrize("header", ["authorization", "cache-control", "traceparent", "content-type", "host"])
@pytest.mark.parametrize(
    "value", [b"\xff\xfe", b"", b"Bearer", b"Bearer \xc3\xa9", b"a" * 9000, b"max-age=" + b"9" * 5000]
)
def test_odd_headers_break_nothing(guarded: Guarded, header: str, value: bytes) -> None:
    headers = [(name.encode(), each.encode()) for name, each in guarded.headers().items() if name != header]
    body = b'{"model": "remote", "messages": [{"role": "user", "content": "hello"}]}'

    answer = httpx.post(
        f"{guarded.url}/v1/chat/completions", headers=[*headers, (header.encode(), value)], content=body
    )

    assert answer.status_code < httpx.codes.INTERNAL_SERVER_ERROR, answer.text
    assert answer.is_success or isinstance(answer.json()["error"]["code"], str)
