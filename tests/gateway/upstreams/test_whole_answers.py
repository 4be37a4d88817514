"""Answers under a status of 200 that are none, or that look as if they were none."""

from __future__ import annotations

import asyncio
import json
from codecs import BOM_UTF8
from typing import Any

import pytest

from tests.gateway.upstreams.faults import fails
from tests.gateway.upstreams.servers import ANSWER, asking, config, question, says, serving


@pytest.mark.parametrize(("code", "calls"), [(400, 1), (502, 3), ("provider_error", 3)])
def test_an_error_under_a_status_of_200_is_what_it_says(code: object, calls: int) -> None:
    async def run() -> None:
        async with (
            serving(says({"error": {"message": "the provider is away", "code": code}})) as server,
            asking(config(big={"base_url": server.url})) as upstreams,
        ):
            asked = question()
            error = await fails(upstreams, asked)
        assert "the provider is away" in str(error)
        assert error.status == (400 if code == 400 else None)
        assert [reading.sent for reading in asked.calls.made] == calls * [False]

    asyncio.run(run())


def test_a_response_that_failed_is_an_answer_all_the_same() -> None:
    failed: dict[str, Any] = {"object": "response", "error": {"message": "x"}, "output": [], "usage": None}

    async def run() -> None:
        model = {"endpoints": ["responses"]}
        async with (
            serving(says(failed)) as server,
            asking(config(big={"base_url": server.url, **model})) as upstreams,
        ):
            assert (await upstreams.complete(question(endpoint="responses"))).data == failed

    asyncio.run(run())


def test_a_byte_order_mark_is_no_fault_of_an_answer() -> None:
    async def run() -> None:
        async with (
            serving(says(BOM_UTF8 + json.dumps(ANSWER).encode())) as server,
            asking(config(big={"base_url": server.url})) as upstreams,
        ):
            assert (await upstreams.complete(question())).data == ANSWER

    asyncio.run(run())
