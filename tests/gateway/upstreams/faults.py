"""Servers with faults, by what they do."""

from __future__ import annotations

import asyncio
from typing import Final

import pytest

from gateway.errors import GatewayError
from gateway.upstreams import Question, Upstreams
from tests.gateway.upstreams.servers import EVENTS, Heard, Script, cuts, refuses, says

NOWHERE: Final = "http://127.0.0.1:9/v1"


async def fails(upstreams: Upstreams, asked: Question, heard: Heard | None = None) -> GatewayError:
    with pytest.raises(GatewayError) as caught:
        await (upstreams.complete(asked) if heard is None else upstreams.stream(asked, heard))
    return caught.value


async def closes(writer: asyncio.StreamWriter) -> None:
    writer.close()


FAULTS: dict[str, Script] = {
    "408": refuses(408),
    "409": refuses(409),
    "429": refuses(429),
    "500": refuses(500),
    "503": refuses(503),
    "504": refuses(504),
    "closes": closes,
    "cuts": cuts,
    "nonsense": says(b"<html>"),
    "a list": says([1]),
    "no choices": says({"choices": []}),
    "choices that are none": says({"choices": [7]}),
    "cuts in mid-answer": says(b'{"choices": [', content_length="99"),
}
BEGUN: Final = EVENTS[:2]
"""A stream up to where there is text."""
