"""Who is left alone after failures, and who is asked where all are."""

from __future__ import annotations

import asyncio

import pytest

from gateway.errors import DeadlineExceeded
from tests.gateway.upstreams.faults import fails
from tests.gateway.upstreams.servers import (
    ANSWER,
    Time,
    asking,
    config,
    hangs,
    question,
    refuses,
    says,
    serving,
)


def test_a_request_counts_once_however_often_it_is_repeated() -> None:
    async def run() -> None:
        async with serving(*[refuses(500)] * 3, says(ANSWER)) as big, serving(says(ANSWER)) as other:
            models = config(big={"base_url": big.url, "fallbacks": ["o"]}, o={"base_url": other.url})
            async with asking(models) as upstreams:
                await upstreams.complete(question())
                await upstreams.complete(question())
        assert (len(big.bodies), len(other.bodies)) == (4, 1)

    asyncio.run(run())


def test_after_three_failed_requests_the_fallback_is_asked_alone() -> None:
    async def run() -> None:
        async with serving(refuses(500)) as bad, serving(says(ANSWER)) as other:
            big = {"base_url": bad.url, "fallbacks": ["o"], "max_retries": 0}
            async with asking(config(big=big, o={"base_url": other.url})) as upstreams:
                for _ in range(4):
                    await upstreams.complete(question())
        assert (len(bad.bodies), len(other.bodies)) == (3, 4)

    asyncio.run(run())


def test_where_the_model_and_its_fallbacks_rest_the_one_that_is_free_first_is_asked() -> None:
    async def run() -> None:
        time = Time()
        failing = [refuses(500)] * 3
        async with serving(*failing, says(ANSWER)) as first, serving(*failing, says(ANSWER)) as second:
            big = {"base_url": first.url, "fallbacks": ["o"], "max_retries": 0, "cooldown_s": 20}
            other = {"base_url": second.url, "max_retries": 0}
            async with asking(config(big=big, o=other), time) as upstreams:
                for _ in range(3):
                    await fails(upstreams, question())
                asked = question()
                await upstreams.complete(asked)
                assert [reading.model for reading in asked.calls.made] == ["o"]
                assert "'big' is left alone" in (asked.calls.why_others or "")
        assert (len(first.bodies), len(second.bodies)) == (3, 4)

    asyncio.run(run())


def test_a_deployment_that_says_nothing_until_the_deadline_failed() -> None:
    async def run() -> None:
        async with serving(hangs) as hanging, serving(says(ANSWER)) as other:
            big = {"base_url": hanging.url, "fallbacks": ["o"]}
            async with asking(config(big=big, o={"base_url": other.url})) as upstreams:
                for _ in range(3):
                    with pytest.raises(DeadlineExceeded):
                        await upstreams.complete(question(patience_s=0.2))
                await upstreams.complete(question())
        assert len(other.bodies) == 1

    asyncio.run(run())
