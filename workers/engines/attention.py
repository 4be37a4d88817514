"""Attention over a paged cache, sequence by sequence: continuous batching without the flash-attn package.

transformers' continuous batching packs all sequences of a batch into one row. Without flash-attn its own
choice is SDPA with one mask over that row: every query meets every key of every sequence, so the work grows
with the square of the batch. Here a sequence meets only its own keys. Works on CPU and CUDA, in any dtype.

transformers takes implementations for continuous batching whose name says "flash", and builds no mask for
them. (A digit in the name would mean a version of flash-attn.) :mod:`workers.engines.steps` cuts the row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface
from transformers.masking_utils import AttentionMaskInterface, flash_attention_mask

NAME = "gradus_flash_padded"

_CHUNK_BYTES = {"cpu": 1 << 20, "cuda": 1 << 28}
"""Keys gathered at a time: on a CPU what its cache holds, which is 5 times faster than all at once."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Sequences that attend together: R of them, Q new tokens each, at most K keys.

    ``tokens`` are the places of the new tokens (R * Q) in the packed row, ``pages`` (R * K / page size) the
    cache pages that hold the keys. ``mask`` (R, 1, Q, K) is 0 where a token may see a key, else minus
    infinity. ``key_room`` and ``value_room`` are where pages are gathered to, a row each; ``keys`` and
    ``values`` (R, heads, K, dim) show the same memory.
    """

    tokens: slice
    pages: torch.Tensor
    mask: torch.Tensor
    key_room: torch.Tensor
    value_room: torch.Tensor
    keys: torch.Tensor
    values: torch.Tensor


@dataclass(frozen=True, slots=True)
class Layout:
    """How a batch is cut into chunks, in the order of its row, and where the cache takes its tokens."""

    write_index: torch.Tensor
    chunks: Sequence[Chunk]


class Pages:
    """A loop's cache as attention sees it, and the memory where keys and values are gathered to.

    That memory is kept: fresh memory costs more than the copy.
    """

    def __init__(self, allocator: Any) -> None:
        self.page_tokens: int = allocator.tokens_per_page
        self.token_views: dict[int, tuple[torch.Tensor, torch.Tensor]] = allocator._kv_token_views
        self.page_views = {
            layer: (keys.flatten(1), values.flatten(1))
            for layer, (keys, values) in allocator._kv_page_views.items()
        }
        keys, _ = self.token_views[allocator.layer_indices[0]]
        self._heads, self._dim = keys.shape[1:]
        self._like = keys
        self.chunk_tokens = max(1, _CHUNK_BYTES.get(keys.device.type, 1 << 28) // keys[0].nbytes)
        self._room = (keys.new_empty(0), keys.new_empty(0))

    def chunk(self, tokens: slice, pages: torch.Tensor, lengths: Sequence[int], width: int) -> Chunk:
        """A chunk of sequences with ``lengths`` keys, ``width`` of them new; ``pages`` (R, K / page size)."""
        count, length = len(lengths), pages.shape[1] * self.page_tokens
        if len(self._room[0]) < pages.numel():
            size = pages.numel(), self.page_tokens * self._heads * self._dim
            self._room = self._like.new_empty(size), self._like.new_empty(size)
        key_room, value_room = (room[: pages.numel()] for room in self._room)
        shape = count, length, self._heads, self._dim
        device = self._like.device
        newest = torch.tensor(lengths, device=device)[:, None] - width + torch.arange(width, device=device)
        hidden = torch.arange(length, device=device) > newest[:, None, :, None]
        return Chunk(
            tokens,
            pages.view(-1),
            torch.zeros(hidden.shape, dtype=self._like.dtype, device=device).masked_fill_(hidden, -torch.inf),
            key_room,
            value_room,
            key_room.view(shape).transpose(1, 2),
            value_room.view(shape).transpose(1, 2),
        )


def register() -> None:
    """Make :data:`NAME` known to transformers as an ``attn_implementation``."""
    AttentionInterface.register(NAME, attend)
    AttentionMaskInterface.register(NAME, flash_attention_mask)


def attend(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,  # noqa: ARG001 - transformers passes it; the chunks have their own
    scaling: float | None = None,
    *,
    cache: Pages,
    layout: Layout,
    **packed: Any,
) -> tuple[torch.Tensor, None]:
    """Attention of a packed batch: query (1, heads, tokens, dim) to (1, tokens, heads, dim)."""
    for wanted in ("softcap", "s_aux"):
        if packed.get(wanted) is not None:
            raise ValueError(f"{type(module).__name__} wants {wanted}, which this attention does not have")
    layer: int = module.layer_idx
    cached_keys, cached_values = cache.token_views[layer]
    cached_keys.index_copy_(0, layout.write_index, key[0].transpose(0, 1))
    cached_values.index_copy_(0, layout.write_index, value[0].transpose(0, 1))
    key_pages, value_pages = cache.page_views[layer]
    queries = query[0].transpose(0, 1)  # (tokens, heads, dim)
    attended = []
    for chunk in layout.chunks:
        torch.index_select(key_pages, 0, chunk.pages, out=chunk.key_room)
        torch.index_select(value_pages, 0, chunk.pages, out=chunk.value_room)
        attended.append(_attend_chunk(queries[chunk.tokens], chunk, scaling))
    return (attended[0] if len(attended) == 1 else torch.cat(attended)).unsqueeze(0), None


def _attend_chunk(queries: torch.Tensor, chunk: Chunk, scaling: float | None) -> torch.Tensor:
    """Attention of R sequences to what their room holds: queries (R * Q, heads, dim) to the same shape."""
    keys, values, mask = chunk.keys, chunk.values, chunk.mask
    count, _, width, _ = mask.shape
    _, heads, dim = queries.shape
    kv_heads = keys.shape[1]
    groups = heads // kv_heads
    if width == 1:  # the query heads of one key head attend as if they were its tokens
        q = queries.reshape(count, kv_heads, groups, dim)
        attended = scaled_dot_product_attention(q, keys, values, attn_mask=mask, scale=scaling)
    else:
        q = queries.reshape(count, width, heads, dim).transpose(1, 2)
        if groups > 1:
            keys, values = keys.repeat_interleave(groups, 1), values.repeat_interleave(groups, 1)
        attended = scaled_dot_product_attention(q, keys, values, attn_mask=mask, scale=scaling)
        attended = attended.transpose(1, 2)
    return attended.reshape(count * width, heads, dim)
