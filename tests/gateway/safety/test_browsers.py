"""What web pages could do with a gateway on somebody's machine, and what it tells of itself."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.gateway.safety.conftest import ADMIN, Guarded


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/models", "/v1/gradus/admin/keys", "/healthz"])
def test_no_page_of_another_origin_may_read_an_answer(guarded: Guarded, path: str) -> None:
    page = {"origin": "https://evil.example", "access-control-request-method": "POST"}
    url = f"{guarded.url}{path}"

    for answer in (httpx.options(url, headers=page), httpx.get(url, headers=guarded.headers() | page)):
        told = {name for name in answer.headers if name.startswith("access-control") or name == "set-cookie"}
        assert told == set()


def test_the_admins_key_is_no_users_key(guarded: Guarded) -> None:
    """What it asked would be on nobody's books."""
    body = {"model": "remote", "messages": [{"role": "user", "content": "hello"}]}

    answer = httpx.post(f"{guarded.url}/v1/chat/completions", json=body, headers=guarded.headers(admin=True))

    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_api_key")
    assert ADMIN not in answer.text


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[socket.socket]:
    """Listens; nobody should come."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        yield listening


def asking_for(url: str) -> dict[str, dict[str, Any]]:
    image = {"type": "image_url", "image_url": {"url": url}}
    schema = {"name": "a", "schema": {"$ref": url}}
    return {
        "image": {"messages": [{"role": "user", "content": [image]}]},
        "file": {"messages": [{"role": "user", "content": [{"type": "file", "file": {"file_url": url}}]}]},
        "tools": {"tools": [{"type": "mcp", "server_url": url}, {"type": "web_search"}]},
        "schema": {"response_format": {"type": "json_schema", "json_schema": schema}},
        "tool's schema": {
            "tools": [{"type": "function", "function": {"name": "f", "parameters": {"$ref": url}}}],
            "tool_choice": "required",
        },
        "task": {"gradus": {"task": {"kind": "json", "json_schema": {"$ref": url}}}},
    }


@pytest.mark.parametrize("kind", asking_for(""))
@pytest.mark.parametrize("model", ["gradus", "remote"])
@pytest.mark.parametrize("endpoint", ["chat/completions", "gradus/explain", "responses"])
def test_no_url_of_a_client_is_asked(
    guarded: Guarded, elsewhere: socket.socket, endpoint: str, model: str, kind: str
) -> None:
    """Workers neither: schemas with such references are refused there (tests/workers/answers)."""
    url = f"http://127.0.0.1:{elsewhere.getsockname()[1]}/x"
    body = {"model": model, "input": "hi", "messages": [{"role": "user", "content": "hi"}]}

    answer = httpx.post(
        f"{guarded.url}/v1/{endpoint}", json=body | asking_for(url)[kind], headers=guarded.headers()
    )

    assert answer.status_code < httpx.codes.INTERNAL_SERVER_ERROR
    with pytest.raises(BlockingIOError):
        elsewhere.accept()
