"""What a worker says about a job, on its way to the Redis stream of the gateway that waits for it."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import replace
from typing import Any, Final, Protocol

import redis

from router.errors import WireInvalid
from router.types import Failure, Outcome
from router.wire import EVENTS_MAXLEN, Event, encode_event, lease_key
from workers.errors import EngineFailed
from workers.insistence import insist

log = logging.getLogger(__name__)

FLUSH_INTERVAL_S: Final = 0.03
"""Text is held back this long (but for newlines), so that a token does not cost a round trip each."""
SILENCE_S: Final = 0.5
"""Text waits this long after an error: an engine must not wait for Redis at each token."""
DONE_TTL_S: Final = 3600
STREAM_TTL_S: Final = 3600
"""A stream lives this long after its last outcome: those of gateways that are gone do not pile up."""
_RETRY_AT_LEAST_S: Final = 2.0

_SEND_OUTCOME_ONCE: Final = """
local lease, done, stream = KEYS[1], KEYS[2], KEYS[3]
local owner = redis.call('GET', lease)
if owner and owner ~= ARGV[1] then return 0 end
if not redis.call('SET', done, '1', 'NX', 'EX', ARGV[2]) then return 0 end
redis.call('XADD', stream, 'MAXLEN', '~', ARGV[3], '*', unpack(ARGV, 5))
redis.call('EXPIRE', stream, ARGV[4])
redis.call('DEL', lease)
return 1
"""


class Addressed(Protocol):
    """What has to be known of a job to tell of it."""

    @property
    def id(self) -> str: ...

    @property
    def reply_to(self) -> str: ...

    @property
    def deadline_unix_s(self) -> float: ...


def done_key(job_id: str) -> str:
    """Set with the outcome: a job that is delivered again later does not run again."""
    return f"gradus:done:{job_id}"


class Events:
    """The events of one job; call it to emit one. Thread-safe.

    Text is sent in small batches, in order with the other events. While Redis is away, text waits and
    progress is lost; only an outcome is worth waiting for (:meth:`send_outcome`).
    """

    def __init__(self, client: redis.Redis, job: Addressed, worker_id: str) -> None:
        self._client = client
        self._job = job
        self._worker_id = worker_id
        self._lock = threading.Lock()
        self._text: list[str] = []
        self._next_flush_s = 0.0
        self._silent_until_s = 0.0

    def __call__(self, event: Event) -> None:
        """Emit anything but an outcome. Does not raise: what cannot be sent is lost, but for text."""
        with self._lock:
            now_s = time.monotonic()
            if event.type == "text":
                text = str(event.data["text"])
                self._text.append(text)
                if now_s < self._silent_until_s or (now_s < self._next_flush_s and "\n" not in text):
                    return
            try:
                self._flush()
                if event.type != "text":
                    add_event(self._client, self._job, event)
                self._next_flush_s = now_s + FLUSH_INTERVAL_S
            except redis.RedisError as error:
                self._silent_until_s = now_s + SILENCE_S
                log.warning("job %s: %s event not sent: %s", self._job.id, event.type, error)

    def send_outcome(self, outcome: Outcome) -> bool:
        """Emit the outcome and give the lease back, in one step; tries until the deadline, at least 2 s.

        Returns False, and sends nothing, if the job is another worker's by now or already has an outcome; or
        if Redis stayed away.
        """
        fields = _encode_outcome(outcome)
        keys = [lease_key(self._job.id), done_key(self._job.id), self._job.reply_to]
        arguments: list[Any] = [self._worker_id, DONE_TTL_S, EVENTS_MAXLEN, STREAM_TTL_S]
        for name, value in fields.items():
            arguments += [name, value]
        give_up_unix_s = max(self._job.deadline_unix_s, time.time() + _RETRY_AT_LEAST_S)

        def send() -> bool:
            with self._lock:
                self._flush()
                return bool(self._client.eval(_SEND_OUTCOME_ONCE, len(keys), *keys, *arguments))

        try:
            return insist(send, give_up_unix_s)
        except redis.RedisError as error:
            log.error("job %s: its outcome could not be sent: %s", self._job.id, error)
            return False

    def _flush(self) -> None:
        """Send the text that waits. Raises :class:`redis.RedisError`, and keeps the text then."""
        if self._text:
            add_event(self._client, self._job, Event("text", self._job.id, {"text": "".join(self._text)}))
            self._text.clear()


def add_event(client: redis.Redis, job: Addressed, event: Event) -> None:
    """Append to the stream the job answers to; ``client`` may be a pipeline."""
    fields: dict[Any, Any] = {**encode_event(event)}
    client.xadd(job.reply_to, fields, maxlen=EVENTS_MAXLEN, approximate=True)


def _encode_outcome(outcome: Outcome) -> dict[str, str]:
    try:
        return encode_event(Event("outcome", outcome.job_id, outcome=outcome))
    except WireInvalid as error:
        failure = Failure(EngineFailed.code, f"the answer cannot be sent: {error}")
        failed = replace(outcome, status="failed", text="", failure=failure)
        return encode_event(Event("outcome", outcome.job_id, outcome=failed))
