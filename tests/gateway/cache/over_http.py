"""How tests ask a gateway that keeps answers."""

from __future__ import annotations

import json
from typing import Any

import httpx
import redis

from tests.gateway.cache.asking import BODY
from tests.gateway.doubles import until

ASKED = {**BODY, "model": "remote"}


def ask(http: httpx.Client, header: str | None = None, **fields: Any) -> httpx.Response:
    headers = {} if header is None else {"cache-control": header}
    return http.post("/v1/chat/completions", json={**ASKED, **fields}, headers=headers)


def kept(http: httpx.Client, redis_url: str, **fields: Any) -> httpx.Response:
    """A first answer, and what comes of it."""
    first = ask(http, **fields)
    until_kept(redis_url)
    return first


def until_kept(redis_url: str) -> None:
    """Wait until what was answered is in Redis, and nobody is still at work."""
    with redis.Redis.from_url(redis_url) as client:
        until(lambda: client.keys("gradus:answers:entry:*") and not client.keys("gradus:answers:leader:*"))


def events_of(response: httpx.Response) -> list[dict[str, Any]]:
    """Of a whole stream."""
    lines = [line.removeprefix("data: ") for line in response.text.splitlines() if line.startswith("data: ")]
    assert lines[-1] == "[DONE]"
    return [json.loads(line) for line in lines[:-1]]


def streamed_text(response: httpx.Response) -> tuple[str, str | None]:
    """The text, and why it ended."""
    choices = [choice for event in events_of(response) for choice in event["choices"]]
    text = "".join(choice["delta"].get("content") or "" for choice in choices)
    return text, [choice["finish_reason"] for choice in choices][-1]
