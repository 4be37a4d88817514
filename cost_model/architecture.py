"""What a model is made of, as far as its work depends on it: from a Hugging Face ``config.json``.

Llama-like decoders: dense ones, and mixtures of experts, of whose parameters a token passes only some.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

Config = Mapping[str, Any]

_BIASED_ATTENTION: Final = {"qwen2", "qwen2_moe"}
_NORMED_HEADS: Final = {"qwen3", "qwen3_moe"}
_LATENT_ATTENTION: Final = {"deepseek_v2", "deepseek_v3"}
_MIXTURES: Final = {"mixtral", "qwen2_moe", "qwen3_moe", *_LATENT_ATTENTION}
_KNOWN: Final = {"llama", "mistral", *_BIASED_ATTENTION, *_NORMED_HEADS, *_MIXTURES}


@dataclass(frozen=True, slots=True)
class Architecture:
    """``parameters`` in all, and the ``active`` ones that one token passes: of dense models the same.

    ``multiplied`` are the active ones that a token is multiplied with: without the table of embeddings, from
    which one row is read, and with the head. ``attention_width`` is what attention works on for each token
    that it looks at, summed over layers: the widths of keys and of values.
    """

    parameters: int
    active: int
    multiplied: int
    attention_width: int


def architecture(config: Config) -> Architecture:
    """Of the model that the ``config.json`` describes.

    Raises :class:`ValueError` for other kinds of models, where the count would be a guess.
    """
    kind = config.get("model_type")
    if kind not in _KNOWN:
        raise ValueError(
            f"cannot count the parameters of a {kind!r} model; known are {', '.join(sorted(_KNOWN))}"
        )
    width, layers = int(config["hidden_size"]), int(config["num_hidden_layers"])
    embeddings = int(config["vocab_size"]) * width
    head = 0 if config.get("tie_word_embeddings") else embeddings
    norms = 2 * width * layers + width
    shared = embeddings + head + norms + layers * _attention(config)
    mixed = _mixed_layers(config)
    dense = (layers - mixed) * _mlp(config, int(config["intermediate_size"]))
    total, active = _experts(config) if mixed else (0, 0)
    passed = shared + dense + mixed * active
    return Architecture(
        shared + dense + mixed * total, passed, passed - head, layers * sum(_attention_widths(config))
    )


def _attention_widths(config: Config) -> tuple[int, int]:
    """Of the keys, and of the values, of all heads of a layer."""
    heads = int(config["num_attention_heads"])
    if config["model_type"] in _LATENT_ATTENTION:
        key = int(config["qk_nope_head_dim"]) + int(config["qk_rope_head_dim"])
        return heads * key, heads * int(config["v_head_dim"])
    return heads * _head_width(config), heads * _head_width(config)


def _attention(config: Config) -> int:
    """Parameters of one layer's attention, without the norm before it."""
    if config["model_type"] in _LATENT_ATTENTION:
        return _latent_attention(config)
    kind, width, heads = config["model_type"], int(config["hidden_size"]), int(config["num_attention_heads"])
    queries = heads * _head_width(config)
    keys = int(config.get("num_key_value_heads") or heads) * _head_width(config)
    parameters = 2 * width * queries + 2 * width * keys
    if kind in _BIASED_ATTENTION:
        parameters += queries + 2 * keys
    elif config.get("attention_bias"):
        parameters += queries + 2 * keys + width
    if kind in _NORMED_HEADS:
        parameters += 2 * _head_width(config)
    return parameters


def _latent_attention(config: Config) -> int:
    """Keys and values by way of a narrow latent (DeepSeek-V2, 2405.04434, section 2.1); often queries too."""
    width, heads = int(config["hidden_size"]), int(config["num_attention_heads"])
    plain, rotated = int(config["qk_nope_head_dim"]), int(config["qk_rope_head_dim"])
    latent, value = int(config["kv_lora_rank"]), int(config["v_head_dim"])
    queries = heads * (plain + rotated)
    narrow = config.get("q_lora_rank")
    asked = width * queries if narrow is None else int(narrow) * (width + 1 + queries)
    kept = width * (latent + rotated) + latent + latent * heads * (plain + value)
    return asked + kept + heads * value * width


def _mixed_layers(config: Config) -> int:
    """Layers whose MLP is a mixture of experts."""
    layers = int(config["num_hidden_layers"])
    if config["model_type"] not in _MIXTURES:
        return 0
    first, every = int(config.get("first_k_dense_replace") or 0), int(config.get("decoder_sparse_step") or 1)
    dense = set(config.get("mlp_only_layers") or ())
    return sum(at >= first and (at + 1) % every == 0 and at not in dense for at in range(layers))


def _experts(config: Config) -> tuple[int, int]:
    """Parameters of one mixture: all of them, and those that a token passes. Its router is among both."""
    kind, width = config["model_type"], int(config["hidden_size"])
    counts = (config.get(name) for name in ("n_routed_experts", "num_experts", "num_local_experts"))
    experts = next(int(count) for count in counts if count is not None)
    size = _mlp(config, int(config.get("moe_intermediate_size") or config["intermediate_size"]))
    always = experts * width
    if kind == "deepseek_v3":
        always += experts  # a bias that keeps their loads even
    if kind in _LATENT_ATTENTION:
        always += int(config.get("n_shared_experts") or 0) * size
    elif kind == "qwen2_moe":
        always += _mlp(config, int(config["shared_expert_intermediate_size"])) + width  # and its gate
    return always + experts * size, always + int(config["num_experts_per_tok"]) * size


def _mlp(config: Config, inner: int) -> int:
    """Gate, up and down."""
    width = int(config["hidden_size"])
    return 3 * width * inner + (2 * inner + width if config.get("mlp_bias") else 0)


def _head_width(config: Config) -> int:
    return int(config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"])
