"""What a forward pass of a continuous batch reads, and how it follows from the pass before.

transformers builds it anew for every token: lists of every cached position of every sequence, and a dozen
tensors of them. For a small model that costs as much as a third of the pass. Most passes differ from the last
one by one token a sequence: here those only count on in the same tensors.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import is_
from typing import Any

import numpy as np
import torch
from transformers.generation.continuous_batching.continuous_api import (
    ContinuousBatchingManager,
    ContinuousBatchProcessor,
)
from transformers.generation.continuous_batching.input_outputs import ContinuousBatchingIOs
from transformers.generation.continuous_batching.requests import FutureRequestState, RequestState
from transformers.generation.continuous_batching.utils import stream_context

from workers.engines import attention
from workers.engines.attention import Layout, Pages
from workers.engines.sampling import Sampler


class Manager(ContinuousBatchingManager):
    """Draws tokens by ``sampler``; prepares passes by :class:`Steps` for a model that attends our way."""

    def __init__(self, sampler: Sampler, **settings: Any) -> None:
        super().__init__(**settings)
        self._sampler = sampler

    def _create_batch_processor(self) -> ContinuousBatchProcessor:
        processor = super()._create_batch_processor()
        if self.model.config._attn_implementation == attention.NAME:
            processor.inputs_and_outputs = Steps(processor.inputs_and_outputs)
            processor.model_runner.inputs_and_outputs = processor.inputs_and_outputs

        def draw(scores: torch.Tensor, output_ids: torch.Tensor) -> None:
            requests = processor.inputs_and_outputs.requests_in_batch
            states = [request.state for request in requests if request.has_new_token]
            if states:  # else all are still reading their prompts
                output_ids[0, : len(states)] = self._sampler.choose(scores[0, : len(states)], states)

        processor.model_runner._sample = draw
        return processor


class Steps(ContinuousBatchingIOs):
    """Takes the place of the inputs and outputs that transformers made; for :func:`attention.attend` only.

    For synchronous batching: a pass is over, and its tokens are drawn, before the next one is prepared.
    """

    def __init__(self, made: ContinuousBatchingIOs) -> None:
        self.__dict__.update(vars(made))
        (self._allocator,) = self.cache.cache_allocators.values()
        self._pages = Pages(self._allocator)
        self._states: list[RequestState] = []
        self._rest = 0
        """For how many more passes the tensors can count on, if the same sequences go on."""

    def prepare_batch_tensors(
        self, requests_in_batch: list[FutureRequestState], *_unused: Any, **_of_transformers: Any
    ) -> None:
        """Make the tensors of a pass, and note in its sequences that it was made."""
        # Alike ones together, as many new tokens and about as many keys, so that little is padded.
        requests = sorted(requests_in_batch, key=_size)
        states = [request.state for request in requests]
        goes_on = self._rest > 0 and len(states) == len(self._states) and all(map(is_, states, self._states))
        with stream_context(self.compute_stream):
            if goes_on:
                self._count_on()
            else:
                self._start(requests)
        for request in requests:
            request.state.position_offset += request.query_length
        self._states = states
        self.requests_in_batch = requests
        self.num_request_in_batch = len(requests)

    def get_model_kwargs(self, use_padding: bool = False) -> dict[str, Any]:  # noqa: ARG002
        """What the model is called with; there is no padding."""
        return dict(self._arguments)

    def _start(self, requests: Sequence[FutureRequestState]) -> None:
        """Make all tensors anew."""
        # A prompt may have nothing left but the token that its forks will read.
        reading = [request for request in requests if request.query_length]
        tokens: list[int] = []
        positions: list[int] = []
        places: list[int] = []
        starts = [0]
        for request in reading:
            state, past = request.state, request.state.position_offset
            tokens += state.tokens_to_process
            positions += range(past, past + request.query_length)
            places += self._allocator.get_write_indices(state.request_id, past, request.query_length)
            starts.append(len(tokens))
        drawn = [end - 1 for end, request in zip(starts[1:], reading, strict=True) if request.has_new_token]
        self._index = np.array((positions, places))
        self._index_tensor = torch.tensor(self._index, device=self.device)
        self._parts = [
            _Part(reading[first:end], starts[first], self._allocator, self._pages, self._index_tensor[0])
            for first, end in self._cut(reading)
        ]
        self._arguments: dict[str, Any] = {
            "input_ids": torch.tensor([tokens], device=self.device),
            "position_ids": self._index_tensor[:1],
            "logits_indices": torch.tensor(drawn, dtype=torch.int64, device=self.device),
            # None would make transformers look for sequences in the positions; four dimensions say "made".
            "attention_mask": torch.empty(1, 1, 0, 0, device=self.device),
            "use_cache": False,
            "cache": self._pages,
            "layout": Layout(self._index_tensor[1], [part.chunk for part in self._parts]),
        }
        has_next_tokens = len(requests) == len(drawn) == len(tokens)
        self._rest = min(part.rest for part in self._parts) if has_next_tokens else 0

    def _cut(self, requests: Sequence[FutureRequestState]) -> list[tuple[int, int]]:
        """First and end of each run of requests that attend together, with equally many new tokens."""
        runs: list[tuple[int, int]] = []
        first = 0
        for index, request in enumerate(requests):
            width, length = _size(request)
            too_many = (index + 1 - first) * length > self._pages.chunk_tokens
            if index > first and (too_many or width != requests[first].query_length):
                runs.append((first, index))
                first = index
        return [*runs, (first, len(requests))]

    def _count_on(self) -> None:
        """Every sequence goes on by the token that it drew in the last pass."""
        self._rest -= 1
        self._index += 1
        for row in np.flatnonzero(self._index[0] % self._pages.page_tokens == 0).tolist():
            part = next(part for part in self._parts if row < part.chunk.tokens.stop)
            self._index[1, row] = part.turn(row - part.chunk.tokens.start, int(self._index[0, row]))
        self._index_tensor.copy_(torch.from_numpy(self._index))
        for part in self._parts:
            part.count_on()
        self._arguments["input_ids"] = self.output_ids[:1, : self._index.shape[1]]


class _Part:
    """The sequences of one chunk while each goes on by a token a pass, for ``rest`` passes more."""

    def __init__(
        self,
        requests: Sequence[FutureRequestState],
        start: int,
        allocator: Any,
        pages: Pages,
        positions: torch.Tensor,
    ) -> None:
        self._allocator = allocator
        self._names = [request.state.request_id for request in requests]
        self._page_tokens = pages.page_tokens
        self._pages_of_block = allocator.block_physical_stride // pages.page_tokens
        width = requests[0].query_length
        lengths = [_size(request)[1] for request in requests]
        count = -(-max(lengths) // pages.page_tokens)
        self._table = np.empty((len(requests), count), dtype=np.int64)
        for row, length in enumerate(lengths):
            self._read(row, length)
        tokens = slice(start, start + width * len(requests))
        table = torch.tensor(self._table, device=positions.device)
        self.chunk = pages.chunk(tokens, table, lengths, width)
        self.rest = count * pages.page_tokens - max(lengths)
        self._newest = positions[tokens, None]
        self._has_turned = False

    def turn(self, row: int, position: int) -> int:
        """Start a page for a sequence, with the token at ``position``; returns its place in the cache."""
        self._has_turned = True
        return self._read(row, position + 1) * self._page_tokens

    def count_on(self) -> None:
        """Show each sequence its newest token."""
        self.chunk.mask.view(self._table.shape[0], -1).scatter_(1, self._newest, 0.0)
        if self._has_turned:
            self.chunk.pages.copy_(torch.from_numpy(self._table).view(-1))
            self._has_turned = False

    def _read(self, row: int, length: int) -> int:
        """Take down the pages of a sequence, and return the last.

        All of them: where a full page equals another sequence's, the cache has replaced it by that one.
        """
        blocks = self._allocator.block_table[self._names[row]][: -(-length // self._page_tokens)]
        self._table[row, : len(blocks)] = blocks
        # What follows is masked, whatever it is; it had better be the sequence's own.
        self._table[row, len(blocks) :] = blocks[-1]
        self._table[row] *= self._pages_of_block
        return int(self._table[row, -1])


def _size(request: FutureRequestState) -> tuple[int, int]:
    """New tokens, and all tokens after them."""
    return request.query_length, request.state.position_offset + request.query_length
