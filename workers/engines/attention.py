"""Attention over a paged cache, sequence by sequence: continuous batching without the flash-attn package.

transformers' continuous batching packs all sequences of a batch into one row. Without flash-attn its own
choice is SDPA with one mask over that row: every query meets every key of every sequence, so the work grows
with the square of the batch. Here a sequence meets only its own keys. Works on CPU and CUDA, in any dtype.

transformers builds no mask for implementations whose name says "flash"; it passes the sequences' lengths
instead, which is all this needs. (A digit in the name would mean a version of flash-attn.)
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface
from transformers.masking_utils import AttentionMaskInterface, flash_attention_mask

NAME = "gradus_flash_padded"

_CHUNK_BYTES = {"cpu": 1 << 20, "cuda": 1 << 28}
"""Keys gathered at a time: on a CPU what its cache holds, which is 5 times faster than all at once."""


class _Room:
    """Where keys and values are gathered to, step after step: fresh memory costs more than the copy."""

    def __init__(self) -> None:
        self._rows: tuple[torch.Tensor, torch.Tensor] | None = None

    def rows(self, count: int, like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Room for ``count`` rows of ``like``, twice."""
        if self._rows is None or len(self._rows[0]) < count:
            self._rows = like.new_empty(count, like.shape[1]), like.new_empty(count, like.shape[1])
        keys, values = self._rows
        return keys[:count], values[:count]


@dataclass(frozen=True, slots=True)
class _Chunk:
    """Sequences that attend together: R of them, Q new tokens each, at most K keys.

    ``rows`` (R * Q) are the places of the new tokens in the packed row (``None``: all of it, in order),
    ``pages`` (R * K / page size) the cache pages that hold the keys. ``mask`` (R, 1, Q, K) is 0 where a token
    may see a key, else minus infinity.
    """

    rows: torch.Tensor | None
    pages: torch.Tensor
    mask: torch.Tensor


@dataclass(frozen=True, slots=True)
class _Layout:
    """How the batch of one forward pass is cut into chunks; ``step`` identifies that pass."""

    step: object
    chunks: tuple[_Chunk, ...]
    room: _Room


_layouts: weakref.WeakKeyDictionary[Any, _Layout] = weakref.WeakKeyDictionary()


def register() -> None:
    """Make :data:`NAME` known to transformers as an ``attn_implementation``."""
    AttentionInterface.register(NAME, attend)
    AttentionMaskInterface.register(NAME, flash_attention_mask)


def attend(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,  # noqa: ARG001 - transformers passes it; always None here
    scaling: float | None = None,
    cache: Any = None,
    **packed: Any,
) -> tuple[torch.Tensor, None]:
    """Attention of a packed batch: query (1, heads, tokens, dim) to (1, tokens, heads, dim)."""
    for wanted in ("softcap", "s_aux"):
        if packed.get(wanted) is not None:
            raise ValueError(f"{type(module).__name__} wants {wanted}, which this attention does not have")
    layer: int = module.layer_idx
    allocator = cache.layer_to_allocator[layer]
    read_index, write_index = packed["read_index"], packed["write_index"][allocator.index]
    new_keys, new_values = key[0].transpose(0, 1), value[0].transpose(0, 1)
    # With nothing to read, this only writes.
    allocator.update(new_keys, new_values, layer, read_index[allocator.index][:0], write_index)
    layout = _layouts.get(cache)
    if layout is None or layout.step is not read_index:
        room = _Room() if layout is None else layout.room
        chunks = _lay_out(read_index, allocator, packed, new_keys)
        layout = _layouts[cache] = _Layout(read_index, chunks, room)
    page_keys, page_values = (pages.flatten(1) for pages in allocator._kv_page_views[layer])

    queries = query[0].transpose(0, 1)  # (tokens, heads, dim)

    def attend_chunk(chunk: _Chunk, queries: torch.Tensor) -> torch.Tensor:
        keys, values = layout.room.rows(len(chunk.pages), page_keys)
        torch.index_select(page_keys, 0, chunk.pages, out=keys)
        torch.index_select(page_values, 0, chunk.pages, out=values)
        return _attend_chunk(queries, keys, values, chunk.mask, key.shape[1], scaling)

    if layout.chunks[0].rows is None:
        return attend_chunk(layout.chunks[0], queries).unsqueeze(0), None
    out = torch.empty(queries.shape, dtype=query.dtype, device=query.device)
    for chunk in layout.chunks:
        out.index_copy_(0, chunk.rows, attend_chunk(chunk, queries.index_select(0, chunk.rows)))
    return out.unsqueeze(0), None


def _attend_chunk(
    queries: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    mask: torch.Tensor,
    kv_heads: int,
    scaling: float | None,
) -> torch.Tensor:
    """Attention of R sequences: queries (R * Q, heads, dim), keys and values of R * K tokens, in pages."""
    count, _, width, length = mask.shape
    _, heads, dim = queries.shape
    groups = heads // kv_heads
    k = keys.view(count, length, kv_heads, dim).transpose(1, 2)
    v = values.view(count, length, kv_heads, dim).transpose(1, 2)
    if width == 1:  # the query heads of one key head attend as if they were its tokens
        q = queries.reshape(count, kv_heads, groups, dim)
        attended = scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=scaling)
    else:
        q = queries.reshape(count, width, heads, dim).transpose(1, 2)
        if groups > 1:
            k, v = k.repeat_interleave(groups, 1), v.repeat_interleave(groups, 1)
        attended = scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=scaling).transpose(1, 2)
    return attended.reshape(count * width, heads, dim)


def _lay_out(
    step: list[torch.Tensor], allocator: Any, packed: dict[str, Any], new_keys: torch.Tensor
) -> tuple[_Chunk, ...]:
    starts_q: list[int] = packed["cu_seq_lens_q"].tolist()
    starts_k: list[int] = packed["cu_seq_lens_k"][allocator.layer_type].tolist()
    positions = step[allocator.index]
    if not len(positions):  # nothing was cached before: what is written is all there is to read
        positions = packed["write_index"][allocator.index]
    lengths_q = [b - a for a, b in pairwise(starts_q)]
    lengths_k = [b - a for a, b in pairwise(starts_k)]
    order = [(q, k, i) for i, (q, k) in enumerate(zip(lengths_q, lengths_k, strict=True)) if q]
    device = positions.device
    page = allocator.tokens_per_page
    limit = max(1, _CHUNK_BYTES.get(device.type, 1 << 28) // new_keys[0].nbytes)
    fits = len({q for q, _, _ in order}) == 1 and len(order) * max(lengths_k) <= limit
    is_whole = fits and sum(lengths_q) == len(new_keys)
    if not is_whole:  # alike ones together: as many new tokens, about as many keys, so that little is padded
        order.sort()
    chunks: list[_Chunk] = []
    at = 0
    while at < len(order):
        width = order[at][0]
        end = at + 1
        while (
            end < len(order)
            and order[end][0] == width
            and (is_whole or (end + 1 - at) * order[end][1] <= limit)
        ):
            end += 1
        members = order[at:end]
        at = end
        length = -(-max(k for _, k, _ in members) // page) * page
        index = torch.tensor([(starts_q[i], starts_k[i], k) for _, k, i in members], device=device).T
        row0, key0, key_count = index[0, :, None], index[1, :, None], index[2, :, None]
        rows = None if is_whole else (row0 + torch.arange(width, device=device)).view(-1)
        place = torch.arange(length, device=device)
        # What follows a sequence's last key, on its page or on it again, is masked.
        pages = positions[(key0 + torch.minimum(place[::page], key_count - 1)).view(-1)] // page
        last_seen = key_count - width + torch.arange(width, device=device)  # (R, Q)
        hidden = (place > last_seen[:, :, None])[:, None]
        mask = torch.zeros(hidden.shape, dtype=new_keys.dtype, device=device).masked_fill_(hidden, -torch.inf)
        chunks.append(_Chunk(rows, pages, mask))
    return tuple(chunks)
