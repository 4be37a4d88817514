"""What can go wrong in a worker.

    WorkerError
    ├── ContextOverflow     the prompt is longer than the model reads
    ├── InvalidMessages     the model's chat template refuses the conversation
    ├── InvalidTask         the query's schema, tools or kind of answer make no sense
    ├── EngineFailed        the engine crashed, or its server answered nonsense
    ├── CannotJudge         a verifier lacks what it needs (the right answer, tests) to judge this task
    ├── SandboxUnavailable  this machine cannot isolate a program that is to be tested
    ├── NoAnswer            the deadline came before any candidate was complete
    ├── SchemaNotMet        no candidate keeps to the JSON schema or the tools of the request
    ├── JobCancelled        the client went away
    ├── SearchImpossible    engine or verifier cannot do what the strategy needs
    ├── ModelUnavailable    this worker does not run the model or verifier that the plan names
    └── ModelNotLoadable    a configured folder or file cannot be loaded

``code`` is stable and travels in :class:`router.types.Failure`. What fails half-way has consumed tokens all
the same: the error carries them to the bill.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workers.protocols import Generation, Scores


class WorkerError(Exception):
    code = "worker_error"
    generated: Generation | None = None
    """By an engine that broke off: what each sequence had by then."""
    consumed: Scores | None = None
    """By a verifier that broke off: the tokens that it knows of, without scores."""


class ContextOverflow(WorkerError):
    code = "context_length_exceeded"


class InvalidMessages(WorkerError):
    code = "invalid_messages"


class InvalidTask(WorkerError):
    code = "invalid_task"


class EngineFailed(WorkerError):
    code = "engine_failed"


class CannotJudge(WorkerError):
    code = "cannot_judge"


class SandboxUnavailable(WorkerError):
    code = "sandbox_unavailable"


class NoAnswer(WorkerError):
    code = "deadline_exceeded"


class SchemaNotMet(WorkerError):
    code = "schema_not_met"


class JobCancelled(WorkerError):
    code = "cancelled"


class SearchImpossible(WorkerError):
    code = "unsupported_strategy"


class ModelUnavailable(WorkerError):
    code = "model_unavailable"


class ModelNotLoadable(WorkerError):
    code = "model_not_loadable"
