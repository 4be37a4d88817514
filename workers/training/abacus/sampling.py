"""Many continuations of many prompts, for rollouts and measurement.

The serving engine is another thing (continuous batching, stops, deadlines). Algorithm 1 wants 16
continuations of every step prefix, and there the prompt's keys and values are nearly all of the memory
traffic. Here the copies of a prompt share them: one matrix product reads them for all copies. Layers are the
model's own; only attention is written out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import DynamicCache
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb

CONTEXT_TOKENS = 512


@dataclass(frozen=True)
class SamplingSettings:
    """How continuations are drawn, and how many sequences decode together."""

    temperature: float
    max_new_tokens: int = 128
    batch_rows: int = 512


@dataclass
class _SharedCache:
    """Keys and values of one layer.

    `prompt_*` are (prompts, heads, P, d), `own_*` (prompts, heads, copies, T, d).

    `padding` (prompts, 1, 1, P) is minus infinity where a shorter prompt was filled up.
    """

    prompt_keys: torch.Tensor
    prompt_values: torch.Tensor
    own_keys: torch.Tensor
    own_values: torch.Tensor
    padding: torch.Tensor

    def attend(self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, step: int) -> torch.Tensor:
        """All of shape (prompts, heads, copies, d); writes the new key and value at `step`."""
        self.own_keys[:, :, :, step] = key
        self.own_values[:, :, :, step] = value
        own_keys, own_values = self.own_keys[:, :, :, : step + 1], self.own_values[:, :, :, : step + 1]
        query = query * query.shape[-1] ** -0.5
        on_prompt = query @ self.prompt_keys.transpose(-1, -2) + self.padding
        on_own = (own_keys @ query.unsqueeze(-1)).squeeze(-1)
        weights = torch.cat([on_prompt, on_own], dim=-1).softmax(-1)
        prompt_tokens = on_prompt.shape[-1]
        from_own = (weights[..., None, prompt_tokens:] @ own_values).squeeze(-2)
        return weights[..., :prompt_tokens] @ self.prompt_values + from_own

    def keep(self, rows: torch.Tensor) -> None:
        self.prompt_keys, self.prompt_values = self.prompt_keys[rows], self.prompt_values[rows]
        self.own_keys, self.own_values = self.own_keys[rows], self.own_values[rows]
        self.padding = self.padding[rows]


def _draw(logits: torch.Tensor, temperature: float, generator: torch.Generator) -> torch.Tensor:
    if temperature == 0.0:
        return logits.argmax(-1)
    # By the inverse of the cumulative distribution: one random number a row; multinomial draws one a token.
    cumulative = (logits / temperature).softmax(-1).cumsum(-1)
    threshold = torch.rand((*logits.shape[:-1], 1), generator=generator) * cumulative[..., -1:]
    return torch.searchsorted(cumulative, threshold, right=True).squeeze(-1).clamp_(max=logits.shape[-1] - 1)


def _prefill(
    model: Any, prompts: Sequence[Sequence[int]], copies: int, room: int
) -> tuple[list[_SharedCache], torch.Tensor]:
    """The prompts' keys and values with room for the copies' own, and the hidden state after each prompt."""
    lengths = torch.tensor([len(prompt) for prompt in prompts])
    longest = int(lengths.max())
    inputs = torch.tensor([[*prompt, *[0] * (longest - len(prompt))] for prompt in prompts])
    cache = DynamicCache(config=model.config)
    # Filled up on the right, so causal attention keeps the filling from every real position.
    hidden = model.model(input_ids=inputs, past_key_values=cache, use_cache=True).last_hidden_state
    filled = torch.arange(longest) >= lengths[:, None]
    padding = torch.zeros(filled.shape, dtype=hidden.dtype).masked_fill(filled, float("-inf"))[:, None, None]
    layers = []
    for layer in cache.layers:
        count, heads, _, width = layer.keys.shape
        own = [layer.keys.new_zeros(count, heads, copies, room, width) for _ in range(2)]
        layers.append(_SharedCache(layer.keys, layer.values, own[0], own[1], padding))
    return layers, hidden[torch.arange(len(prompts)), lengths - 1]


def _forward(
    model: Any, tokens: torch.Tensor, caches: list[_SharedCache], positions: torch.Tensor, step: int
) -> torch.Tensor:
    """Hidden states (prompts, copies, width) after one more token; `positions` is (prompts, 1)."""
    body = model.model
    hidden = body.embed_tokens(tokens)
    cos, sin = body.rotary_emb(hidden, positions)
    for layer, cache in zip(body.layers, caches, strict=True):
        attention = layer.self_attn
        normed = layer.input_layernorm(hidden)
        shape = (*normed.shape[:2], -1, attention.head_dim)
        query, key, value = (
            projection(normed).view(shape).transpose(1, 2)
            for projection in (attention.q_proj, attention.k_proj, attention.v_proj)
        )
        query, key = apply_rotary_pos_emb(query, key, cos, sin)
        mixed = cache.attend(query, key, value, step).transpose(1, 2).flatten(2)
        hidden = hidden + attention.o_proj(mixed)
        hidden = hidden + layer.mlp(layer.post_attention_layernorm(hidden))
    return body.norm(hidden)


@torch.inference_mode()
def _decode(
    model: Any,
    prompts: Sequence[Sequence[int]],
    copies: int,
    settings: SamplingSettings,
    eos: int,
    generator: torch.Generator,
) -> list[list[list[int]]]:
    """Continue prompts of like length together, until every copy of each has written `eos`."""
    positions = torch.tensor([[len(prompt)] for prompt in prompts])
    room = max(1, min(settings.max_new_tokens, CONTEXT_TOKENS - int(positions.max())))
    caches, hidden = _prefill(model, prompts, copies, room)
    logits = model.lm_head(hidden).float()[:, None, :].expand(-1, copies, -1)
    written = torch.full((len(prompts), copies, room), eos)
    rows = torch.arange(len(prompts))
    ended = torch.zeros(len(prompts), copies, dtype=torch.bool)
    for step in range(room):
        tokens = _draw(logits, settings.temperature, generator)
        written[rows, :, step] = torch.where(ended, eos, tokens)
        ended |= tokens == eos
        going = ~ended.all(dim=1)
        if step + 1 == room or not bool(going.any()):
            break
        # A prompt leaves the batch with its last copy; copying the cache for less than a quarter does not
        # pay.
        if float(going.float().mean()) < 0.75:
            kept = going.nonzero().squeeze(1)
            rows, ended, tokens, positions = rows[kept], ended[kept], tokens[kept], positions[kept]
            for cache in caches:
                cache.keep(kept)
        logits = model.lm_head(_forward(model, tokens, caches, positions + step, step)).float()
    return [[_until(ids, eos) for ids in copy] for copy in written.tolist()]


def _until(ids: list[int], eos: int) -> list[int]:
    return ids[: ids.index(eos) + 1] if eos in ids else ids


def sample(
    model: Any,
    prompts: Sequence[Sequence[int]],
    settings: SamplingSettings,
    *,
    copies: int,
    eos: int,
    seed: int,
    on_prompts: Callable[[int], None] | None = None,
) -> list[list[list[int]]]:
    """`copies` continuations of each prompt, in the order of the prompts; a finished one ends with `eos`."""
    generator = torch.Generator().manual_seed(seed)
    results: list[list[list[int]]] = [[] for _ in prompts]
    order = sorted(range(len(prompts)), key=lambda index: len(prompts[index]))
    together = max(1, settings.batch_rows // copies)
    for begin in range(0, len(order), together):
        part = order[begin : begin + together]
        made = _decode(model, [prompts[i] for i in part], copies, settings, eos, generator)
        for index, continuations in zip(part, made, strict=True):
            results[index] = continuations
        if on_prompts is not None:
            on_prompts(len(part))
    return results
