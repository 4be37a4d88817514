"""One model, decoded for all threads at once by transformers' continuous batching.

What transformers leaves open is settled here: results go straight to the call that waits for them, sequences
of one prompt read it once, a crashed generation loop fails its callers and is replaced, memory is bounded.
"""

from __future__ import annotations

import gc
import itertools
import math
import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial
from queue import SimpleQueue
from typing import Any

import torch
from torch.nn.functional import rms_norm
from transformers import GenerationConfig
from transformers.generation.configuration_utils import ContinuousBatchingConfig
from transformers.generation.continuous_batching.continuous_api import OutputRouter
from transformers.generation.continuous_batching.requests import GenerationOutput, RequestState, RequestStatus
from transformers.generation.continuous_batching.scheduler import SCHEDULER_MAPPING, FIFOScheduler

from workers.engines import attention
from workers.engines.sampling import Draw, Sampler
from workers.engines.steps import Manager
from workers.errors import EngineFailed

PAGE_TOKENS = 16
"""Tokens of a cache page. Sequences share whole pages of equal beginnings, so pages are small."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much decodes at once: sequences, tokens of one step, and tokens that the cache holds."""

    sequences: int
    step_tokens: int
    cache_tokens: int


@dataclass(frozen=True, slots=True)
class Update:
    """All tokens that a sequence has so far; ``error`` is set if it failed."""

    sequence: str
    tokens: list[int]
    finished: bool
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """``len(draws)`` sequences that continue one prompt, until one of ``stop_tokens`` or ``max_tokens``."""

    prompt: Sequence[int]
    draws: Sequence[Draw]
    max_tokens: int
    stop_tokens: Collection[int]
    streaming: bool


Updates = SimpleQueue[Update]
"""Where a call finds its updates: one when a sequence ends, or one a token where it streams."""


class Batcher:
    """Owns the model and its generation thread. Thread-safe."""

    def __init__(self, model: Any, name: str, limits: Limits) -> None:
        self._model = model
        self._name = name
        self._limits = limits
        self._ids = itertools.count()
        self._lock = threading.Lock()
        self._closed = False
        self._loop: _Loop | None = None

    def submit(self, requests: Sequence[Request], updates: Updates) -> tuple[Handle, list[list[str]]]:
        """Start decoding; returns a handle and, a request, the names of its sequences in order of its draws.

        Raises :class:`workers.errors.EngineFailed` if the loop cannot run.
        """
        with self._lock:
            if self._closed:
                raise EngineFailed(f"model {self._name}: the engine is closed")
            if self._loop is None or not self._loop.is_running():
                if self._loop is not None:
                    self._loop.free()
                self._loop = _Loop(self._model, self._limits)
            loop = self._loop
        names = [self._names(len(request.draws)) for request in requests]
        for request, group in zip(requests, names, strict=True):
            loop.add(request, group, updates)
        return Handle(loop, [name for group in names for name in group]), names

    def close(self) -> None:
        """Fail what is running and stop the generation thread."""
        with self._lock:
            self._closed = True
            if self._loop is not None:
                self._loop.stop()

    def _names(self, count: int) -> list[str]:
        """A request's name, and the names that transformers gives to the forks of it."""
        first = str(next(self._ids))
        return [first, *(f"{first}__child#{index}" for index in range(count - 1))]


class Handle:
    """The sequences of one call. Use ``release`` when done with them, finished or not."""

    def __init__(self, loop: _Loop, names: Sequence[str]) -> None:
        self._loop = loop
        self._names = names

    def is_alive(self) -> bool:
        """Whether updates can still come."""
        return self._loop.is_running()

    def tokens_so_far(self, name: str) -> list[int]:
        return self._loop.tokens_so_far(name)

    def cached_tokens(self, name: str) -> int:
        """Tokens of the prompt of a request, by its first sequence, that the cache held when it was read."""
        return self._loop.cached_tokens.get(name, 0)

    def cancel(self, names: Sequence[str]) -> None:
        for name in names:
            self._loop.manager.cancel_request(name)

    def release(self) -> None:
        for name in self._names:
            self._loop.router.mailboxes.pop(name, None)
            self._loop.sampler.draws.pop(name, None)
            self._loop.cached_tokens.pop(name, None)


class _Router(OutputRouter):
    """Hands outputs to mailboxes, from the generation thread; nobody searches a shared queue."""

    def __init__(self) -> None:
        super().__init__()
        self.mailboxes: dict[str, Updates] = {}

    def deliver(self, output: GenerationOutput) -> None:
        mailbox = self.mailboxes.get(output.request_id)
        if mailbox is not None:
            failed = output.status == RequestStatus.FAILED
            update = Update(
                output.request_id,
                output.generated_tokens,
                finished=output.is_finished(),
                error=(output.error or "unknown error") if failed else None,
            )
            mailbox.put(update)

    def deliver_batch(self, outputs: list[GenerationOutput]) -> None:
        for output in outputs:
            self.deliver(output)


class _Scheduler(FIFOScheduler):
    """First come, first served; knows how much of each prompt the cache held.

    A prompt to be forked keeps at least two tokens to read: transformers leaves the last one to its forks,
    and where the cache holds all before it, the step would be empty, and the loop crashes.
    """

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.cached_tokens: dict[str, int] = {}

    def _infer_request_tokens(self, state: RequestState, to_remove: set[str]) -> list[int]:
        if state.status != RequestStatus.PENDING:
            return list(super()._infer_request_tokens(state, to_remove))
        prompt = state.remaining_prefill_tokens
        kept = prompt[-1:] if state.num_children else []
        state.remaining_prefill_tokens = prompt[: len(prompt) - len(kept)]
        left = [*super()._infer_request_tokens(state, to_remove), *kept]
        state.remaining_prefill_tokens = left
        self.cached_tokens[state.request_id] = len(prompt) - len(left)
        return left


SCHEDULER_MAPPING[_Scheduler.__qualname__] = _Scheduler


class _Loop:
    """One continuous batching manager and its thread; it is not restarted, but replaced."""

    def __init__(self, model: Any, limits: Limits) -> None:
        self.sampler = Sampler()
        self.manager = Manager(
            self.sampler,
            model=model,
            generation_config=GenerationConfig(do_sample=False, eos_token_id=-1),
            continuous_batching_config=ContinuousBatchingConfig(
                page_size=PAGE_TOKENS,
                num_blocks=math.ceil(limits.cache_tokens / PAGE_TOKENS),
                max_batch_tokens=limits.step_tokens,
                max_requests_per_batch=limits.sequences,
                max_blocks_per_request=0,  # the block table serves flash-attn only
                use_async_batching=False,  # the sampler prepares a step just before it
                use_cuda_graph=False,
                auto_switch_to_flash=False,
                scheduler_type=_Scheduler.__qualname__,
            ),
        )
        self.router = _Router()
        self.manager.output_router = self.router
        # As its own `start`, but a daemon: a process that forgets to close still ends.
        self.manager.background_thread_status.clear()
        run = torch.inference_mode()(self.manager._run_generation_loop)
        thread = threading.Thread(target=run, name="generation", daemon=True)
        self.manager._generation_thread = thread
        thread.start()

    def is_running(self) -> bool:
        return (
            self.manager.is_running()
            and self.manager.background_thread_status.can_accept_new_requests() is None
        )

    def add(self, request: Request, names: Sequence[str], updates: Updates) -> None:
        for name, draw in zip(names, request.draws, strict=True):
            self.router.mailboxes[name] = updates
            self.sampler.draws[name] = draw
        state = RequestState(
            request_id=names[0],
            initial_tokens=list(request.prompt),
            num_children=len(names) - 1,
            max_new_tokens=request.max_tokens,
            eos_token_id=list(request.stop_tokens),
            streaming=request.streaming,
        )
        self.manager.input_queue.put(state)
        self.manager._wake_up_loop.set()

    def tokens_so_far(self, name: str) -> list[int]:
        processor = self.manager.batch_processor
        state = None if processor is None else processor.scheduler.active_requests.get(name)
        return [] if state is None else list(state.to_generation_output().generated_tokens)

    @property
    def cached_tokens(self) -> dict[str, int]:
        processor = self.manager.batch_processor
        return {} if processor is None else processor.scheduler.cached_tokens

    def free(self) -> None:
        """Let go of a dead loop's cache, whoever still holds the loop: there is no room for a second one."""
        self.manager.batch_processor = None
        error = self.manager.background_thread_status.fatal_error
        if error is not None:
            error.__traceback__ = None
        gc.collect()
        torch.cuda.empty_cache()

    def stop(self) -> None:
        if self.manager.is_running():
            self.manager.stop(block=True, timeout=5, hard_stop=True)


def prepare_model(model: Any) -> None:
    """Let a model attend sequence by sequence where it can: every layer attends to all that came before.

    Its norms become one operation each, not eight: those were a third of all operations of a pass.
    """
    for norm in model.modules():
        if type(norm).__name__.endswith("RMSNorm") and hasattr(norm, "variance_epsilon"):  # Gemma's adds 1
            shape = tuple(norm.weight.shape)
            norm.forward = partial(
                rms_norm, normalized_shape=shape, weight=norm.weight, eps=norm.variance_epsilon
            )
    config = model.config.get_text_config()
    layer_types = set(getattr(config, "layer_types", None) or ["full_attention"])
    has_window = getattr(config, "layer_types", None) is None and getattr(config, "sliding_window", None)
    if layer_types == {"full_attention"} and not has_window:
        attention.register()
        model.config._attn_implementation = attention.NAME


def bytes_per_token(model: Any) -> int:
    """Cache memory that one token takes."""
    config = model.config.get_text_config()
    kv_heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    per_value = torch.empty(0, dtype=model.dtype).element_size()
    return int(2 * config.num_hidden_layers * kv_heads * head_dim * per_value)
