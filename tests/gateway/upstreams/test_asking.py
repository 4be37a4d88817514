"""Servers with faults: what is asked again, elsewhere or of a fallback, and what never is."""

from __future__ import annotations

import asyncio

import pytest

from gateway.errors import UpstreamFailed, UpstreamRejected
from tests.gateway.upstreams.faults import BEGUN, FAULTS, NOWHERE, fails
from tests.gateway.upstreams.servers import (
    ANSWER,
    EVENTS,
    Heard,
    Time,
    asking,
    config,
    hangs,
    question,
    refuses,
    says,
    serving,
    streams,
)


@pytest.mark.parametrize("fault", FAULTS)
def test_what_may_pass_is_asked_again_after_waits_that_double(fault: str) -> None:
    async def run() -> None:
        time = Time()
        async with (
            serving(FAULTS[fault], FAULTS[fault], says(ANSWER)) as server,
            asking(config(big={"base_url": server.url}), time) as upstreams,
        ):
            asked = question()
            said = await upstreams.complete(asked)

        assert said.data == ANSWER
        assert time.waits == [0.25, 0.5]
        assert [reading.counted for reading in asked.calls.made][-1]
        assert asked.calls.answer is asked.calls.made[-1]
        refused = fault.isdigit() and fault not in ("408", "504")  # costs nothing; what broke off may have
        assert [reading.sent for reading in asked.calls.made] == [not refused, not refused, True]

    asyncio.run(run())


@pytest.mark.parametrize("status", [400, 413, 415, 422])
def test_a_request_that_is_at_fault_is_asked_once_whoever_else_is_there(status: int) -> None:
    async def run() -> None:
        time = Time()
        async with serving(refuses(status)) as server, serving(says(ANSWER)) as other:
            models = config(big={"base_url": server.url, "fallbacks": ["o"]}, o={"base_url": other.url})
            async with asking(models, time) as upstreams:
                error = await fails(upstreams, question())

        assert isinstance(error, UpstreamRejected)
        assert (error.status, error.code, error.param) == (status, "c", "p")
        assert (len(server.bodies), other.bodies, time.waits) == (1, [], [])

    asyncio.run(run())


def test_retry_after_is_waited_for() -> None:
    async def run() -> None:
        time = Time()
        async with (
            serving(refuses(429, retry_after="3"), says(ANSWER)) as server,
            asking(config(big={"base_url": server.url}), time) as upstreams,
        ):
            await upstreams.complete(question())
        assert time.waits == [3.25]

    asyncio.run(run())


def test_a_longer_wait_is_for_the_client_who_is_told_how_long() -> None:
    async def run() -> None:
        time = Time()
        async with (
            serving(refuses(429, retry_after="30")) as server,
            asking(config(big={"base_url": server.url}), time) as upstreams,
        ):
            error = await fails(upstreams, question())
        assert (error.status, error.retry_after_s, time.waits) == (429, 30.0, [])

    asyncio.run(run())


def test_nobody_waits_past_the_deadline() -> None:
    async def run() -> None:
        time = Time()
        async with (
            serving(refuses(503, retry_after="3")) as server,
            asking(config(big={"base_url": server.url}), time) as upstreams,
        ):
            error = await fails(upstreams, question(patience_s=2))
        assert isinstance(error, UpstreamFailed)
        assert (len(server.bodies), time.waits) == (1, [])

    asyncio.run(run())


@pytest.mark.parametrize("status", [401, 404, 500])
def test_another_deployment_is_asked_at_once(status: int) -> None:
    async def run() -> None:
        time = Time()
        async with serving(refuses(status)) as bad, serving(says(ANSWER)) as good:
            places = [{"base_url": bad.url, "weight": 9}, {"base_url": good.url, "upstream_model": "other"}]
            async with asking(config(big={"deployments": places}), time) as upstreams:
                await upstreams.complete(question())

        assert [body["model"] for body in bad.bodies + good.bodies] == ["theirs", "other"]
        assert time.waits == []

    asyncio.run(run())


def test_a_deployment_that_fails_is_left_alone_and_tried_again_later() -> None:
    async def run() -> None:
        time = Time()
        async with serving(*[refuses(500)] * 3, says(ANSWER)) as bad, serving(says(ANSWER)) as good:
            places = [{"base_url": bad.url}, {"base_url": good.url}]
            async with asking(config(big={"deployments": places}), time) as upstreams:
                for _ in range(10):
                    await upstreams.complete(question())
                assert len(bad.bodies) == 3
                time.now_s += 10
                for _ in range(4):
                    await upstreams.complete(question())
        assert len(bad.bodies) == 5
        assert len(good.bodies) == 12

    asyncio.run(run())


def test_a_key_goes_only_to_the_deployment_that_it_is_configured_for() -> None:
    async def run() -> None:
        async with serving(refuses(500)) as theirs, serving(says(ANSWER)) as ours:
            places = [{"base_url": theirs.url, "api_key_env": "K"}, {"base_url": ours.url}]
            async with asking(config(big={"deployments": places}), K="secret") as upstreams:
                await upstreams.complete(question())
        assert theirs.headers[0]["authorization"] == "Bearer secret"
        assert "authorization" not in ours.headers[0]

    asyncio.run(run())


def test_a_deployment_without_its_key_is_left_out_and_named() -> None:
    async def run() -> None:
        async with serving(says(ANSWER)) as server:
            places = [{"base_url": NOWHERE, "api_key_env": "K"}, {"base_url": server.url}]
            async with asking(config(big={"deployments": places})) as upstreams:
                assert upstreams.missing_keys() == {"big": "K"}
                for _ in range(3):
                    await upstreams.complete(question())
        assert len(server.bodies) == 3

    asyncio.run(run())


@pytest.mark.parametrize("fault", ["500", "closes", "nowhere"])
@pytest.mark.parametrize("stream", [False, True])
def test_a_fallback_answers_where_all_deployments_failed(fault: str, stream: bool) -> None:
    async def run() -> None:
        time = Time()
        answer = streams(*EVENTS) if stream else says(ANSWER)
        async with serving(FAULTS.get(fault, hangs)) as bad, serving(answer) as good:
            big = {"base_url": NOWHERE if fault == "nowhere" else bad.url, "fallbacks": ["other"]}
            models = config(big=big, other={"base_url": good.url, "max_tokens": 9, "upstream_model": "o"})
            async with asking(models, time) as upstreams:
                asked, heard = question(), Heard()
                if stream:
                    await upstreams.stream(asked, heard)
                    assert (heard.text, heard.models) == ("The answer is 7.", ["other"])
                else:
                    await upstreams.complete(asked)

        assert asked.calls.answer is not None
        assert asked.calls.answer.model == "other"
        assert "big did not answer" in (asked.calls.why_others or "")
        assert [reading.model for reading in asked.calls.made] == ["big"] * 3 + ["other"]
        assert (good.bodies[0]["model"], good.bodies[0]["max_tokens"]) == ("o", 9)

    asyncio.run(run())


def test_where_fallbacks_fail_too_the_error_is_what_became_of_the_model() -> None:
    async def run() -> None:
        async with serving(refuses(503)) as bad, serving(refuses(400)) as worse:
            models = config(big={"base_url": bad.url, "fallbacks": ["other"]}, other={"base_url": worse.url})
            async with asking(models) as upstreams:
                error = await fails(upstreams, question())
        assert isinstance(error, UpstreamFailed)
        assert "'big' refused the request (503)" in str(error)

    asyncio.run(run())


@pytest.mark.parametrize("fault", ["closes", "cuts", "nonsense", "408", "504"])
def test_under_a_cap_nothing_follows_a_call_that_may_have_to_be_paid(fault: str) -> None:
    async def run() -> None:
        async with serving(FAULTS[fault], says(ANSWER)) as server, serving(says(ANSWER)) as other:
            models = config(big={"base_url": server.url, "fallbacks": ["o"]}, o={"base_url": other.url})
            async with asking(models) as upstreams:
                asked = question(once=True)
                await fails(upstreams, asked)
        assert (len(server.bodies), other.bodies) == (1, [])
        (reading,) = asked.calls.made
        assert (reading.sent, reading.counted) == (True, False)

    asyncio.run(run())


@pytest.mark.parametrize("fault", ["500", "429", "nowhere"])
def test_under_a_cap_what_cost_nothing_is_asked_again(fault: str) -> None:
    async def run() -> None:
        async with serving(FAULTS.get(fault, hangs)) as bad, serving(says(ANSWER)) as good:
            places = [{"base_url": NOWHERE if fault == "nowhere" else bad.url}, {"base_url": good.url}]
            async with asking(config(big={"deployments": places})) as upstreams:
                asked = question(once=True)
                await upstreams.complete(asked)
        assert [reading.sent for reading in asked.calls.made] == [False, True]

    asyncio.run(run())


def test_no_more_are_asked_at_once_than_a_deployment_takes() -> None:
    async def run() -> None:
        async with serving(streams(*BEGUN, then=hangs)) as server:
            place = {"base_url": server.url, "max_concurrent_requests": 1}
            async with asking(config(big={"deployments": [place]})) as upstreams:
                heard = Heard()
                first = asyncio.create_task(upstreams.stream(question(), heard))
                while not heard.models:
                    await asyncio.sleep(0)
                error = await fails(upstreams, question())
                first.cancel()
                await asyncio.gather(first, return_exceptions=True)
        assert (error.status, error.code, error.retry_after_s) == (429, "rate_limit_exceeded", 1.0)
        assert len(server.bodies) == 1

    asyncio.run(run())


def test_a_redirect_is_not_followed() -> None:
    async def run() -> None:
        async with serving(says(ANSWER)) as other:
            async with (
                serving(says(b"", 307, location=f"{other.url}/chat/completions")) as server,
                asking(config(big={"base_url": server.url, "max_retries": 0}), K="secret") as upstreams,
            ):
                error = await fails(upstreams, question())
            assert "(307)" in str(error)
            assert other.bodies == []

    asyncio.run(run())
