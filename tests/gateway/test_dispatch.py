"""A request cancelled in the step in which its worker says something is cancelled all the same."""

from __future__ import annotations

import asyncio

import pytest

from gateway.dispatch import Dispatcher, LastWords
from router import wire
from router.types import Failure, Outcome
from router.wire import Event
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
            dispatcher.run(JOB, deadline_s, sent.set, lambda _: None, given_up.append)
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


def fields(event: Event) -> dict[bytes, bytes]:
    """As the reader finds it in the stream."""
    return {name.encode(): value.encode() for name, value in wire.encode_event(event).items()}
