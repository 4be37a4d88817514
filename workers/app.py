"""The Celery app of a worker: jobs in, nothing out but events. No result backend, JSON only."""

from __future__ import annotations

from celery import Celery

from router.wire import QUEUE, broker_url

VISIBILITY_TIMEOUT_S = 3600
"""When the broker delivers a lost worker's jobs again. The gateway sends them again much sooner, and jobs
expire with their deadline: this only must be longer than any job runs."""


def make_app(redis_url: str) -> Celery:
    """``redis_url`` in redis-py's form. Connects to nothing."""
    app = Celery("gradus", broker=broker_url(redis_url), set_as_current=False)
    app.conf.update(
        accept_content=["json"],
        task_serializer="json",
        task_ignore_result=True,
        task_default_queue=QUEUE,
        task_acks_late=True,
        worker_pool="threads",
        worker_prefetch_multiplier=1,
        worker_enable_remote_control=False,
        worker_send_task_events=False,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_channel_error_retry=True,  # a Redis that refuses (it fails over) comes back too
        broker_transport_options={"visibility_timeout": VISIBILITY_TIMEOUT_S},
    )
    return app
