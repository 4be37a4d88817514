"""Runs a Hugging Face causal language model in this process, with transformers' continuous batching."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from workers.engines.batching import (
    PAGE_TOKENS,
    Batcher,
    Handle,
    Limits,
    Request,
    Updates,
    bytes_per_token,
    prepare_model,
)
from workers.engines.chat import Chat
from workers.engines.sampling import Draw, streams
from workers.engines.stopping import is_over
from workers.engines.turn import TokenTurn
from workers.errors import ContextOverflow, EngineFailed, ModelNotLoadable
from workers.protocols import Cancellation, Completion, Generation, OnEnd, OnText, Prompt, SamplingParams

_POLL_S = 0.05
"""How late a cancellation or a dead generation thread is noticed."""

_Members = dict[tuple[tuple[int, ...], int, tuple[str, ...]], list[int]]
"""Tokens of a prompt, its limit and its ``stop_after``, to the places of the prompts that have them."""

_MAX_SEQUENCES = 256
_STEP_TOKENS = 1024
_CPU_CACHE_SHARE = 1 / 32
"""Of all memory, for each model: a CPU soon has more sequences than it can serve in time."""
_GPU_CACHE_SHARE = 1 / 2


class TransformersEngine:
    """One model of a Hugging Face folder.

    ``device`` "auto" is CUDA where there is one. Weights are float32 on a CPU and bfloat16 on CUDA unless
    ``dtype`` names another. ``threads`` sets how many torch uses in this process (``None``: leave it).
    The same seed gives the same texts, up to float rounding, whatever else is being decoded.
    Raises :class:`workers.errors.EngineFailed` if the model does not run, and
    :class:`workers.errors.ModelNotLoadable` if it reads less than ``context_tokens``.
    """

    def __init__(
        self,
        folder: Path,
        *,
        model: str,
        context_tokens: int,
        device: str = "auto",
        dtype: str | None = None,
        threads: int | None = None,
    ) -> None:
        if threads is not None:
            torch.set_num_threads(threads)
        place = torch.device(("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device)
        kind = getattr(torch, dtype) if dtype else (torch.float32 if place.type == "cpu" else torch.bfloat16)
        network = AutoModelForCausalLM.from_pretrained(
            folder, dtype=kind, local_files_only=True, attn_implementation="sdpa"
        )
        network = network.to(place).eval()
        readable = getattr(network.config.get_text_config(), "max_position_embeddings", None)
        if readable is not None and context_tokens > readable:
            raise ModelNotLoadable(
                f"model {model}: context_tokens is {context_tokens}; {folder} reads {readable}"
            )
        prepare_model(network)
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        self.model = model
        self.context_tokens = context_tokens
        self._chat = Chat(tokenizer, model)
        self._end_tokens = _end_tokens(network, tokenizer)
        self._batcher = Batcher(network, model, _limits(network, place, self.context_tokens))
        self._warm_up()

    continues_turns = True

    def count_tokens(self, prompt: Prompt) -> int:
        return len(self._chat.encode(prompt))

    def generate(
        self,
        prompts: Sequence[Prompt],
        params: SamplingParams,
        *,
        cancellation: Cancellation | None = None,
        on_text: OnText | None = None,
        on_end: OnEnd | None = None,
    ) -> Generation:
        members: _Members = {}
        for index, prompt in enumerate(prompts):
            tokens = tuple(self._chat.encode(prompt))
            key = (tokens, prompt.limit(params.max_tokens), prompt.stop_after)
            members.setdefault(key, []).append(index)
        for tokens, _, _ in members:
            if len(tokens) >= self.context_tokens:
                raise ContextOverflow(
                    f"the prompt has {len(tokens)} tokens; model {self.model} reads fewer than "
                    f"{self.context_tokens}"
                )
        return self._decode(prompts, members, params, cancellation, on_text, on_end)

    def close(self) -> None:
        self._batcher.close()

    def _decode(
        self,
        prompts: Sequence[Prompt],
        members: _Members,
        params: SamplingParams,
        cancellation: Cancellation | None,
        on_text: OnText | None,
        on_end: OnEnd | None,
    ) -> Generation:
        draws = [
            Draw(params.temperature, params.top_p, stream) for stream in streams(params.seed, len(prompts))
        ]
        requests = []
        for (tokens, limit, stop_after), indices in members.items():
            stop_tokens, streaming = self._stop_tokens(params.stop, stop_after)
            request = Request(
                prompt=tokens,
                draws=[draws[index] for index in indices],
                max_tokens=min(limit, self.context_tokens - len(tokens)),
                stop_tokens=stop_tokens,
                streaming=streaming or on_text is not None,
            )
            requests.append(request)
        updates: Updates = SimpleQueue()
        handle, names = self._batcher.submit(requests, updates)
        turns = {
            name: TokenTurn(index, tokens, prompts[index], params.stop, self._chat, self._end_tokens)
            for ((tokens, _, _), indices), group in zip(members.items(), names, strict=True)
            for index, name in zip(indices, group, strict=True)
        }
        try:
            self._follow(turns, handle, updates, cancellation, on_text, on_end)
            cached_tokens: dict[tuple[int, ...], int] = {}
            for (tokens, _, _), group in zip(members, names, strict=True):
                found = handle.cached_tokens(group[0])
                cached_tokens[tokens] = min(found, cached_tokens.get(tokens, found))
        except EngineFailed as error:
            _break_off(turns, updates)
            wrote = {name for name, turn in turns.items() if turn.completion_tokens}
            read = {key[0] for key, group in zip(members, names, strict=True) if wrote.intersection(group)}
            error.generated = Generation(_completions(turns), prompt_tokens=sum(map(len, read)))
            raise
        finally:
            handle.cancel([name for name, turn in turns.items() if turn.ended in (None, "cancelled")])
            handle.release()
        return Generation(
            _completions(turns),
            prompt_tokens=sum(map(len, cached_tokens)),
            cached_prompt_tokens=sum(cached_tokens.values()),
        )

    def _follow(
        self,
        turns: Mapping[str, TokenTurn],
        handle: Handle,
        updates: Updates,
        cancellation: Cancellation | None,
        on_text: OnText | None,
        on_end: OnEnd | None,
    ) -> None:
        """Let the turns grow until all have ended."""
        running = len(turns)
        while running and not is_over(cancellation):
            try:
                update = updates.get(timeout=_POLL_S)
            except Empty:
                if not handle.is_alive() and updates.empty():
                    raise EngineFailed(f"model {self.model}: the generation thread died") from None
                continue
            turn = turns[update.sequence]
            if turn.is_over():  # by a stop text, before the loop heard of it
                continue
            if update.error is not None:
                turn.break_off(update.tokens)
                raise EngineFailed(f"model {self.model}: {update.error}")
            new = turn.advance(update.tokens, update.finished)
            if new and on_text is not None:
                on_text(turn.index, new)
            if turn.is_over():
                running -= 1
                if not update.finished:
                    handle.cancel([update.sequence])
                if on_end is not None:
                    on_end(turn.index, turn.completion())
        for name, turn in turns.items():
            if not turn.is_over():
                new = turn.break_off(handle.tokens_so_far(name))
                if new and on_text is not None:
                    on_text(turn.index, new)

    def _stop_tokens(self, stop: Sequence[str], stop_after: Sequence[str]) -> tuple[frozenset[int], bool]:
        """Tokens that end a turn, and whether there are stop texts that only show as the text arrives."""
        texts = {text for text in (*stop, *stop_after) if text}
        single = {text for text in texts if len(text) == 1 and text.isascii()}
        tokens = self._end_tokens.union(*(self._chat.tokens_with(character) for character in single))
        return tokens, texts != single

    def _warm_up(self) -> None:
        """Run two short sequences: a model that cannot run says so now, and the first job is not slow."""
        updates: Updates = SimpleQueue()
        draw = Draw(1.0, 0.9, 0)
        request = Request([0] * PAGE_TOKENS, [draw, draw], max_tokens=2, stop_tokens=(), streaming=False)
        handle, _ = self._batcher.submit([request], updates)
        finished = 0
        while finished < 2:
            try:
                update = updates.get(timeout=_POLL_S)
            except Empty:
                if not handle.is_alive() and updates.empty():
                    raise EngineFailed(f"model {self.model}: the generation thread died") from None
                continue
            if update.error is not None:
                raise EngineFailed(f"model {self.model}: {update.error}")
            finished += update.finished
        handle.release()


def _break_off(turns: Mapping[str, TokenTurn], updates: Updates) -> None:
    """End every turn with what a failed loop tells of it: of each that was running, as it fails them all."""
    while any(not turn.is_over() for turn in turns.values()):
        try:
            update = updates.get(timeout=_POLL_S)
        except Empty:
            return
        if not turns[update.sequence].is_over():
            turns[update.sequence].break_off(update.tokens)


def _completions(turns: Mapping[str, TokenTurn]) -> tuple[Completion, ...]:
    return tuple(turn.completion() for turn in sorted(turns.values(), key=lambda turn: turn.index))


def _end_tokens(network: Any, tokenizer: Any) -> frozenset[int]:
    """Tokens that end a turn, as generation config and tokenizer say."""
    configured = network.generation_config.eos_token_id
    many = configured if isinstance(configured, list) else [configured]
    return frozenset(token for token in (*many, tokenizer.eos_token_id) if token is not None)


def _limits(network: Any, place: torch.device, context_tokens: int) -> Limits:
    """Room for all sequences at half the context each, within a share of the memory, and for 4 whole ones."""
    if place.type == "cuda":
        memory = torch.cuda.mem_get_info(place)[0] * _GPU_CACHE_SHARE
    else:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") * _CPU_CACHE_SHARE
    affordable = int(memory / bytes_per_token(network))
    wanted = _MAX_SEQUENCES * context_tokens // 2
    return Limits(_MAX_SEQUENCES, _STEP_TOKENS, max(4 * context_tokens, min(wanted, affordable)))
