"""No secret leaves the process: not in answers, errors, logs, metrics or records; nor whole prompts."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from gateway.store import keys
from tests.gateway.doubles import GIVE_UP_S
from tests.gateway.safety.conftest import ADMIN, UPSTREAM_KEY, Guarded

PROMPT = "what nobody else should read " * 20
CHAT: dict[str, Any] = {"model": "remote", "messages": [{"role": "user", "content": PROMPT}]}
STRANGER = "gk-a-stranger-who-guesses-0000000000000000000"


@pytest.fixture
def written(caplog: pytest.LogCaptureFixture) -> Iterator[io.StringIO]:
    """Everything that is logged, by anybody, at any level, with its tracebacks."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s %(message)s"))
    with caplog.at_level(logging.DEBUG):
        logging.getLogger().addHandler(handler)
        yield stream
        logging.getLogger().removeHandler(handler)


def test_no_secret_is_said_or_written_whatever_goes_well_or_wrong(
    guarded: Guarded, written: io.StringIO, capfd: pytest.CaptureFixture[str]
) -> None:
    said: list[httpx.Response] = []
    with httpx.Client(base_url=guarded.url, timeout=GIVE_UP_S) as http:

        def ask(method: str, path: str, bearer: str | None, body: Any = None) -> httpx.Response:
            headers = {} if bearer is None else {"authorization": f"Bearer {bearer}"}
            answer = http.request(method, path, json=body, headers=headers)
            said.append(answer)
            return answer

        for bearer in (guarded.key, ADMIN, STRANGER, UPSTREAM_KEY, None):
            for path in ("/v1/models", "/v1/gradus/usage", "/metrics", "/v1/gradus/admin/keys", "/nowhere"):
                ask("GET", path, bearer)
            for path in ("/v1/chat/completions", "/v1/gradus/explain", "/v1/responses"):
                ask("POST", path, bearer, CHAT)
                ask("POST", path, bearer, CHAT | {"n": PROMPT, "stop": 3})
            ask("POST", "/v1/gradus/admin/keys", bearer, {"name": 7})
            ask("POST", "/v1/gradus/admin/reload", bearer)
        for path in ("/openapi.json", "/docs", "/healthz", "/readyz"):
            ask("GET", path, None)
        ask("POST", "/v1/chat/completions", guarded.key, CHAT | {"stream": True})
        for status in (400, 401, 403, 429, 500):
            fail(guarded, status, f"Incorrect API key provided: {UPSTREAM_KEY}.")
            ask("POST", "/v1/chat/completions", guarded.key, CHAT)
            ask("POST", "/v1/chat/completions", guarded.key, CHAT | {"stream": True})
        made = ask("POST", "/v1/gradus/admin/keys", ADMIN, {"name": "fresh"}).json()
        ask("GET", f"/v1/gradus/admin/keys/{made['id']}", ADMIN)
    guarded.upstream.__init__()  # type: ignore[misc]

    answers = "\n".join(f"{each.headers} {each.text}" for each in said)
    out, err = capfd.readouterr()
    logs = written.getvalue() + out + err
    secrets = {"user": guarded.key, "admin": ADMIN, "upstream": UPSTREAM_KEY, "stranger": STRANGER}
    assert [name for name, secret in secrets.items() if secret in logs] == []
    assert [name for name, secret in secrets.items() if secret in answers] == []
    assert answers.count(made["secret"]) == 1
    assert made["secret"] not in logs
    assert PROMPT not in answers
    assert PROMPT not in logs
    assert guarded.key not in repr(keys.load_keys(guarded.database))
    assert ADMIN not in repr(guarded.settings)


def fail(guarded: Guarded, status: int, message: str) -> None:
    guarded.upstream.status = status
    guarded.upstream.answer = {"error": {"message": message, "type": "x", "code": "invalid_api_key"}}
