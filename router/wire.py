"""What travels between gateway and workers: versioned JSON of jobs and outcomes, events, and Redis keys.

Messages are strict: an unknown version, an unknown field or a wrong type is
:class:`router.errors.WireInvalid`, never a guess. Money travels as a decimal string. Bump :data:`VERSION`
when a shape in :mod:`router.types` changes (a test holds a snapshot of the JSON).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final, Literal, TypeVar, cast, get_args
from urllib.parse import parse_qs, urlsplit

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError

from router.errors import WireInvalid
from router.types import Job, Outcome

VERSION: Final = 5

TASK: Final = "gradus.run_job"
QUEUE: Final = "gradus.jobs"

EVENTS_MAXLEN: Final = 100_000
"""Entries a gateway's event stream keeps, about (``XADD MAXLEN ~``)."""
BEAT_S: Final = 1.0
"""A worker sends a ``beat`` for every running job this often."""
LOST_AFTER_S: Final = 5.0
"""A started job without an event for this long has lost its worker; leases and worker keys live as long."""
CANCEL_TTL_S: Final = 600

EventType = Literal["started", "text", "progress", "beat", "outcome"]
_EVENT_TYPES: Final = frozenset(get_args(EventType))


def events_key(gateway_id: str) -> str:
    """The Redis stream that a gateway process reads: :attr:`router.types.Job.reply_to`."""
    return f"gradus:events:{gateway_id}"


def cancel_key(job_id: str) -> str:
    """Set by a gateway whose client left; a worker running the job sees it and stops."""
    return f"gradus:cancel:{job_id}"


def lease_key(job_id: str) -> str:
    """Held (``SET NX EX``) by the worker that runs the job: a job sent twice never runs twice at once."""
    return f"gradus:lease:{job_id}"


def worker_key(worker_id: str) -> str:
    """Held by a live worker: JSON with what it runs (``models``, ``pid``, ``threads``)."""
    return f"gradus:worker:{worker_id}"


WORKERS: Final = "gradus:workers"
"""A sorted set: the ids of live workers, each by the Unix time at which it counts as gone."""


def broker_url(redis_url: str) -> str:
    """Celery's form of a redis-py URL: ``unix:///a.sock?db=1`` is ``redis+socket:///a.sock?virtual_host=1``.

    URLs that Celery reads as they are (``redis://``, ``rediss://``, ``redis+socket://``) come back unchanged.
    Raises :class:`ValueError` for any other scheme.
    """
    parts = urlsplit(redis_url)
    if parts.scheme in ("redis", "rediss", "redis+socket"):
        return redis_url
    if parts.scheme != "unix":
        raise ValueError(
            f"not a Redis URL: {redis_url!r}; give redis://HOST:PORT/DB or unix:///PATH/redis.sock"
        )
    db = parse_qs(parts.query).get("db", ["0"])[0]
    return f"redis+socket://{parts.path}" + (f"?virtual_host={db}" if db != "0" else "")


class _Envelope(BaseModel):
    # The configuration also reaches the plain dataclasses inside: pydantic hands it down.
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
    version: Literal[5]


class _JobEnvelope(_Envelope):
    job: Job


class _OutcomeEnvelope(_Envelope):
    outcome: Outcome


_E = TypeVar("_E", bound=_Envelope)


@cache
def _adapter(envelope: type[_Envelope]) -> TypeAdapter[Any]:
    return TypeAdapter(envelope)


def _dump(envelope: _Envelope) -> str:
    try:
        return _adapter(type(envelope)).dump_json(envelope).decode()
    except (PydanticSerializationError, UnicodeError) as error:
        raise WireInvalid(f"not writable as JSON: {error}") from error


def _load(envelope: type[_E], text: str | bytes) -> _E:
    try:
        return cast(_E, _adapter(envelope).validate_json(text))
    except ValidationError as error:
        raise WireInvalid(_explain(envelope, error)) from error


def _explain(envelope: type[_Envelope], error: ValidationError) -> str:
    kind = "outcome" if envelope is _OutcomeEnvelope else "job"
    first = error.errors(include_url=False)[0]
    for each in error.errors(include_url=False):
        if each["loc"] == ("version",):
            found = "none" if each["type"] == "missing" else repr(each["input"])
            return _other_version(f"{kind} message", found)
    where = ".".join(str(part) for part in first["loc"]) or "message"
    return f"{kind} message is not valid: {where}: {first['msg']} ({error.error_count()} problem(s) in all)"


def _other_version(what: str, found: str) -> str:
    return (
        f"{what} of version {found}, but this process reads version {VERSION}: "
        "run gateway and workers from the same release"
    )


def dump_job(job: Job) -> str:
    """Raises :class:`WireInvalid` for what JSON cannot hold (a lone surrogate in a text)."""
    return _dump(_JobEnvelope.model_construct(version=VERSION, job=job))


def load_job(text: str | bytes) -> Job:
    """Raises :class:`WireInvalid`."""
    return _load(_JobEnvelope, text).job


def dump_outcome(outcome: Outcome) -> str:
    """Raises :class:`WireInvalid` for what JSON cannot hold (a lone surrogate in a text)."""
    return _dump(_OutcomeEnvelope.model_construct(version=VERSION, outcome=outcome))


def load_outcome(text: str | bytes) -> Outcome:
    """Raises :class:`WireInvalid`."""
    return _load(_OutcomeEnvelope, text).outcome


@dataclass(frozen=True, slots=True)
class Event:
    """Something a worker says about one job.

    ``data`` by ``type``: started ``{"worker": id}``; text ``{"text": new answer text}``; progress ``{"stage":
    "probe" | "search", "done": n, "total": m}``; beat ``{}``. An outcome event has ``outcome`` instead.
    """

    type: EventType
    job_id: str
    data: Mapping[str, Any] = field(default_factory=dict)
    outcome: Outcome | None = None

    def __post_init__(self) -> None:
        if (self.type == "outcome") != (self.outcome is not None):
            raise ValueError(f"an outcome belongs to outcome events and to no others, not to {self.type!r}")


def encode_event(event: Event) -> dict[str, str]:
    """The fields of a Redis Stream entry (``XADD``)."""
    data = json.dumps(event.data, ensure_ascii=True) if event.outcome is None else dump_outcome(event.outcome)
    return {"v": str(VERSION), "job": event.job_id, "type": event.type, "data": data}


def decode_event(fields: Mapping[Any, Any]) -> Event:
    """Read a Redis Stream entry, keys and values ``str`` or ``bytes``. Raises :class:`WireInvalid`."""
    try:
        entry = {_text(key): _text(value) for key, value in fields.items()}
        version, job_id, kind, data = entry["v"], entry["job"], entry["type"], entry["data"]
    except (KeyError, UnicodeDecodeError) as error:
        raise WireInvalid(f"event is not valid: {error!r}; an entry has v, job, type and data") from error
    if version != str(VERSION):
        raise WireInvalid(_other_version("event", repr(version)))
    if kind not in _EVENT_TYPES:
        raise WireInvalid(f"event of unknown type {kind!r}; known are {', '.join(sorted(_EVENT_TYPES))}")
    if kind == "outcome":
        return Event("outcome", job_id, outcome=load_outcome(data))
    try:
        payload = json.loads(data)
    except ValueError as error:
        raise WireInvalid(f"event {kind!r} of job {job_id}: data is not JSON: {error}") from error
    if not isinstance(payload, dict):
        raise WireInvalid(f"event {kind!r} of job {job_id}: data is not a JSON object")
    return Event(cast(EventType, kind), job_id, payload)


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
