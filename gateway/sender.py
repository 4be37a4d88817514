"""Puts jobs into the queue: Celery's blocking client, in a few threads of its own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from celery import Celery
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from router import wire
from router.logs import REQUEST_ID
from router.tracing import carrier
from router.types import Job

THREADS = 4  # sending takes about a millisecond
CONNECT_TIMEOUT_S = 2.0
RETRY = {"max_retries": 1, "interval_start": 0, "interval_step": 0.1, "interval_max": 0.1}


class Sender:
    """Sends by the task's name: the gateway imports no worker. Connects at the first job."""

    def __init__(self, redis_url: str) -> None:
        self._app = Celery("gradus-gateway", broker=wire.broker_url(redis_url), set_as_current=False)
        self._app.conf.update(
            accept_content=["json"],
            task_serializer="json",
            broker_connection_timeout=CONNECT_TIMEOUT_S,
            broker_pool_limit=THREADS,
            broker_transport_options={
                "socket_connect_timeout": CONNECT_TIMEOUT_S,
                "socket_timeout": CONNECT_TIMEOUT_S,
            },
        )
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="celery-send")

    async def send(self, job: Job) -> None:
        """Raises :class:`ConnectionError` when the broker cannot be reached: then nothing was sent.

        Cancelled, it may have sent or not.
        """
        text, headers = wire.dump_job(job), {"gradus_request_id": REQUEST_ID.get(), **carrier()}
        publish = partial(self._publish, job, text, headers)
        try:
            await asyncio.get_running_loop().run_in_executor(self._threads, publish)
        except (OperationalError, RedisError, OSError) as error:
            raise ConnectionError(str(error)) from error

    def _publish(self, job: Job, text: str, headers: Mapping[str, str | None]) -> None:
        self._app.send_task(
            wire.TASK,
            args=[text],
            queue=wire.QUEUE,
            task_id=job.id,
            expires=max(job.deadline_unix_s - time.time(), 0.001),
            headers=headers,
            ignore_result=True,
            retry=True,
            retry_policy=RETRY,
        )

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        await asyncio.to_thread(self._app.close)
