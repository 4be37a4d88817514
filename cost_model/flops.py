"""Floating-point operations of dense transformers: how much work, before anybody says what it costs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_BIASED_ATTENTION = {"qwen2"}
_NORMED_HEADS = {"qwen3"}
_DENSE = {"llama", "mistral", *_BIASED_ATTENTION, *_NORMED_HEADS}


def inference_flops(parameters: int, tokens: float) -> float:
    """About ``2 N`` a token, read or generated.

    Kaplan et al. 2020, section 2.1; Snell et al. 2024, section 7.
    """
    return 2.0 * parameters * tokens


def training_flops(parameters: int, tokens: float) -> float:
    """About ``6 N D``: forward, and twice that backward (Kaplan et al. 2020, section 2.1)."""
    return 6.0 * parameters * tokens


def attention_flops(config: Mapping[str, Any], tokens: float, context_tokens: float) -> float:
    """What ``2 N`` leaves out: ``2 n_layer n_ctx d_attn`` a token (Kaplan et al. 2020, table 1).

    ``config`` is a Hugging Face ``config.json``. It matters once ``context_tokens`` nears 12 x the width.
    """
    layers, heads = int(config["num_hidden_layers"]), int(config["num_attention_heads"])
    return 2.0 * layers * context_tokens * heads * _head_width(config) * tokens


def count_parameters(config: Mapping[str, Any]) -> int:
    """Parameters of the model that a Hugging Face ``config.json`` describes: dense and Llama-like.

    Raises :class:`ValueError` for other architectures, where the count would be a guess.
    """
    kind = config.get("model_type")
    if kind not in _DENSE:
        raise ValueError(
            f"cannot count the parameters of a {kind!r} model; known are {', '.join(sorted(_DENSE))}"
        )
    width, heads = int(config["hidden_size"]), int(config["num_attention_heads"])
    queries = heads * _head_width(config)
    keys = int(config.get("num_key_value_heads") or heads) * _head_width(config)
    attention = 2 * width * queries + 2 * width * keys
    if kind in _BIASED_ATTENTION:
        attention += queries + 2 * keys
    elif config.get("attention_bias"):
        attention += queries + 2 * keys + width
    if kind in _NORMED_HEADS:
        attention += 2 * _head_width(config)
    gated_mlp = 3 * width * int(config["intermediate_size"])
    if config.get("mlp_bias"):
        gated_mlp += 2 * int(config["intermediate_size"]) + width
    layer = attention + gated_mlp + 2 * width
    embeddings = int(config["vocab_size"]) * width * (1 if config.get("tie_word_embeddings") else 2)
    return embeddings + int(config["num_hidden_layers"]) * layer + width


def _head_width(config: Mapping[str, Any]) -> int:
    return int(config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"])
