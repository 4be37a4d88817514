"""The limit that a model's configuration sets, where a request sets none."""

from __future__ import annotations

import asyncio

import pytest

from tests.gateway.upstreams.servers import ANSWER, asking, config, question, says, serving


@pytest.mark.parametrize(
    ("field", "endpoint"), [("max_completion_tokens", "chat"), ("max_tokens", "completions")]
)
def test_the_configured_limit_goes_under_the_name_that_the_model_takes(field: str, endpoint: str) -> None:
    async def run() -> None:
        async with serving(says(ANSWER)) as server:
            big = {
                "base_url": server.url,
                "max_tokens": 9,
                "limit_field": "max_completion_tokens",
                "endpoints": ["chat", "completions"],
            }
            async with asking(config(big=big)) as upstreams:
                await upstreams.complete(question(endpoint=endpoint))
        assert {name: value for name, value in server.bodies[0].items() if value == 9} == {field: 9}

    asyncio.run(run())
