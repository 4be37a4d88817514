"""The only wiring of a worker process: configuration to engines, verifiers, executor, Celery."""

from __future__ import annotations

import gc
import os
import socket
import uuid
import warnings
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from typing import Any, Final

import redis
from celery.exceptions import CPendingDeprecationWarning, SecurityWarning
from celery.signals import worker_ready, worker_shutting_down
from redis.backoff import NoBackoff
from redis.retry import Retry

from router.config import Config, OpenAIModel, TransformersModel
from router.fingerprint import identity_of
from router.types import Job, Outcome
from workers import executor
from workers.answers import Embed
from workers.answers.embedding import load_embed
from workers.app import make_app
from workers.candidate_cache import CandidateCache
from workers.engines import load_engine
from workers.executor import Emit, Model
from workers.protocols import Cancellation, Verifier
from workers.pulse import Pulse
from workers.tasks import Deliveries, register
from workers.verifiers import load_verifier

_REDIS_TIMEOUT_S: Final = 2.0


def serve(config: Config, concurrency: int, on_ready: Callable[[str], None]) -> int:
    """Load every local model and every verifier, then take jobs until SIGTERM; returns the exit code.

    SIGTERM ends it softly: running jobs finish, waiting ones stay in the queue. ``on_ready`` is told the
    worker's id once jobs can come. Raises :class:`workers.errors.ModelNotLoadable`.
    """
    _silence_celery()
    worker_id = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
    with ExitStack() as resources:
        models = load_models(config, resources)
        embed = load_embed(config.embedding) if config.embedding else None
        verifiers = load_verifiers(config, resources, embed)
        client = _connect(config.server.redis_url)
        resources.callback(client.close)
        cache = _candidate_cache(config, client)
        presence = {"id": worker_id, "models": sorted(models), "pid": os.getpid(), "threads": concurrency}
        pulse = Pulse(client, worker_id, presence)
        # What is there by now stays: each engine that stops has all of it looked through, for seconds.
        gc.freeze()

        app = make_app(config.server.redis_url)
        register(app, Deliveries(client, worker_id, pulse, partial(_run, models, verifiers, embed, cache)))
        worker = app.Worker(
            concurrency=concurrency,
            hostname=worker_id,
            loglevel="WARNING",
            quiet=True,
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
        )

        def ready(**_signal: Any) -> None:
            resources.enter_context(pulse)
            on_ready(worker_id)

        def leaving(**_signal: Any) -> None:
            pulse.leave()

        worker_ready.connect(ready)
        worker_shutting_down.connect(leaving)
        worker.start()
        return int(worker.exitcode or 0)


def load_models(config: Config, resources: ExitStack) -> dict[str, Model]:
    """The models that a worker runs or searches on; ``resources`` closes them.

    A model behind a server is the gateway's business, unless a policy searches on it.
    """
    searched = {policy.small for policy in config.policies.values()}
    models = {}
    for name, model in config.models.items():
        if isinstance(model, TransformersModel) or (isinstance(model, OpenAIModel) and name in searched):
            engine = load_engine(name, model)
            resources.callback(engine.close)
            models[name] = Model(engine, model)
    return models


def load_verifiers(config: Config, resources: ExitStack, embed: Embed | None = None) -> dict[str, Verifier]:
    """Every verifier, ensembles after their members; ``resources`` closes them."""
    verifiers: dict[str, Verifier] = {}
    for name, verifier in sorted(config.verifiers.items(), key=lambda item: item[1].kind == "ensemble"):
        verifiers[name] = load_verifier(name, verifier, verifiers, embed)
        resources.callback(verifiers[name].close)
    return verifiers


def _candidate_cache(config: Config, client: redis.Redis) -> CandidateCache | None:
    if not config.cache.candidates:
        return None
    models = {name: identity_of(model) for name, model in config.models.items()}
    verifiers = {
        name: identity_of(verifier, *config.members(name).values())
        for name, verifier in config.verifiers.items()
    }
    return CandidateCache(client, config.cache, models, verifiers)


def _run(
    models: Mapping[str, Model],
    verifiers: Mapping[str, Verifier],
    embed: Embed | None,
    cache: CandidateCache | None,
    job: Job,
    emit: Emit,
    cancellation: Cancellation,
) -> Outcome:
    return executor.run(job, models, verifiers, emit, cancellation, embed, cache)


def _silence_celery() -> None:
    """Drop two warnings that do not concern us.

    One is about pickle as root: messages are JSON here, and in a container everybody is root. The other
    announces a setting that :mod:`workers.app` has set.
    """
    for category in (SecurityWarning, CPendingDeprecationWarning):
        warnings.filterwarnings("ignore", category=category)


def _connect(redis_url: str) -> redis.Redis:
    """A client that fails soon rather than late, and connects at its first command."""
    return redis.Redis.from_url(
        redis_url,
        socket_timeout=_REDIS_TIMEOUT_S,
        socket_connect_timeout=_REDIS_TIMEOUT_S,
        retry=Retry(NoBackoff(), 1),  # a connection that went stale
        protocol=2,
    )
