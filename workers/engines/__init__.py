"""What runs a model. Nothing heavy is imported before an engine is loaded."""

from __future__ import annotations

import os

from router.config import OpenAIModel, TransformersModel
from workers.errors import EngineFailed, ModelNotLoadable
from workers.protocols import Engine


def load_engine(name: str, model: TransformersModel | OpenAIModel) -> Engine:
    """The engine of a configured model: warmed up, or its server found and asked what it can do.

    ``GRADUS_TORCH_THREADS`` sets how many threads torch uses in this process, by default half of the CPUs.
    Raises :class:`workers.errors.ModelNotLoadable`.
    """
    if isinstance(model, OpenAIModel):
        from workers.engines.server.connecting import connect

        return connect(name, model)
    return _load_in_process(name, model)


def _load_in_process(name: str, model: TransformersModel) -> Engine:
    from workers.engines.loading import resolve, stay_offline

    stay_offline()
    from workers.engines.transformers import TransformersEngine

    folder = resolve(model.path)
    try:
        return TransformersEngine(
            folder, model=name, context_tokens=model.context_tokens, threads=torch_threads()
        )
    except (OSError, ValueError, EngineFailed) as error:
        raise ModelNotLoadable(f"model {name}: {model.path} cannot be loaded: {error}") from error


def torch_threads() -> int:
    """How many threads torch uses here: ``GRADUS_TORCH_THREADS``, else half of the CPUs.

    Threads that wait for each other on busy CPUs are many times slower than fewer.
    """
    configured = os.environ.get("GRADUS_TORCH_THREADS")
    return int(configured) if configured else max(1, len(os.sched_getaffinity(0)) // 2)
