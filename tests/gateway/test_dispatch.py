"""A request that is cancelled in the step in which it hears something is cancelled all the same."""

from __future__ import annotations

import asyncio

import pytest

from gateway.dispatch import Dispatcher, LastWords
from gateway.event_reader import EventReader
from router import wire
from router.types import Failure, Outcome
from router.wire import Event
from tests.gateway.doubles import ScriptedWorker
from tests.gateway.ledger.servers import OwnRedis, until
from tests.workers.jobs import direct_plan, job

JOB = job(direct_plan())
LEFT = Outcome(JOB.id, "failed", failure=Failure("cancelled", "its client left"))


@pytest.mark.parametrize("steps_between", range(4))
def test_a_cancellation_is_not_lost_to_an_event_that_comes_with_it(
    redis_url: str, steps_between: int
) -> None:
    async def cancelled() -> None:
        dispatcher = Dispatcher(redis_url, "g1")
        await dispatcher.start()
        sent, given_up = asyncio.Event(), list[LastWords]()
        deadline_s = asyncio.get_running_loop().time() + 30
        running = asyncio.create_task(
            dispatcher.run(JOB, deadline_s, sent.set, sent.clear, lambda _: None, given_up.append)
        )
        await sent.wait()
        for _ in range(10):
            await asyncio.sleep(0)  # it waits for its worker now

        dispatcher._hand_over(fields(Event("started", JOB.id, {"worker": "w1"})))
        for _ in range(steps_between):
            await asyncio.sleep(0)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(running, 10)
        dispatcher._hand_over(fields(Event("outcome", JOB.id, outcome=LEFT)))
        assert await given_up[0] == LEFT
        await dispatcher.stop()

    asyncio.run(cancelled())


@pytest.mark.process
def test_a_job_whose_client_left_while_redis_was_away_is_cancelled_when_it_is_back() -> None:
    own = OwnRedis()

    async def left() -> None:
        dispatcher = Dispatcher(own.url, "g1")
        await dispatcher.start()
        sent = asyncio.Event()
        deadline_s = asyncio.get_running_loop().time() + 30
        running = asyncio.create_task(
            dispatcher.run(JOB, deadline_s, sent.set, sent.clear, lambda _: None, lambda _: None)
        )
        await sent.wait()
        own.kill()
        running.cancel()
        await asyncio.wait([running])
        await asyncio.to_thread(own.start)
        await asyncio.to_thread(until, lambda: own.client.exists(wire.cancel_key(JOB.id)))
        await dispatcher.stop()

    own.start()
    try:
        asyncio.run(left())
    finally:
        own.close()


def test_a_request_cancelled_while_it_looks_for_a_worker_is_cancelled(redis_url: str) -> None:
    async def cancelled() -> None:
        dispatcher = Dispatcher(redis_url, "g1")
        await dispatcher.start()
        try:
            for steps in range(60):
                looking = asyncio.create_task(dispatcher.admit("small", 10))
                await its_steps(looking, steps)
                if not looking.cancel():
                    break
                await asyncio.wait([looking], timeout=10)
                assert looking.cancelled(), f"not after {steps} steps"
        finally:
            await dispatcher.stop()

    with ScriptedWorker(redis_url):
        asyncio.run(cancelled())


def test_a_reader_that_is_stopped_in_any_step_ends(redis_url: str) -> None:
    async def stopped() -> None:
        for steps in range(40):
            reader = EventReader(redis_url, "gradus:events:g1", lambda _: None, lambda: None)
            await reader.start()
            await its_steps(reader._task, steps)
            stopping = asyncio.create_task(reader.stop())
            await asyncio.wait([stopping], timeout=10)
            assert stopping.done(), f"not after {steps} steps"

    asyncio.run(stopped())


async def its_steps(task: asyncio.Task[None], steps: int) -> None:
    for _ in range(steps):
        if task.done():
            return
        await asyncio.sleep(0)


def fields(event: Event) -> dict[bytes, bytes]:
    """As the reader finds it in the stream."""
    return {name.encode(): value.encode() for name, value in wire.encode_event(event).items()}
