"""FLOPs and parameters, against numbers that others published."""

from __future__ import annotations

from typing import Any

import pytest

from cost_model.flops import attention_flops, count_parameters, inference_flops, training_flops

SMOLLM2_135M: dict[str, Any] = {
    "model_type": "llama",
    "hidden_size": 576,
    "intermediate_size": 1536,
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "vocab_size": 49152,
    "tie_word_embeddings": True,
}
LLAMA_2_7B: dict[str, Any] = {
    "model_type": "llama",
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "vocab_size": 32000,
}
LLAMA_31_8B: dict[str, Any] = {
    **LLAMA_2_7B,
    "intermediate_size": 14336,
    "num_key_value_heads": 8,
    "vocab_size": 128256,
}
QWEN25_05B: dict[str, Any] = {
    "model_type": "qwen2",
    "hidden_size": 896,
    "intermediate_size": 4864,
    "num_hidden_layers": 24,
    "num_attention_heads": 14,
    "num_key_value_heads": 2,
    "vocab_size": 151936,
    "tie_word_embeddings": True,
}
QWEN3_06B: dict[str, Any] = {
    "model_type": "qwen3",
    "hidden_size": 1024,
    "intermediate_size": 3072,
    "num_hidden_layers": 28,
    "num_attention_heads": 16,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "vocab_size": 151936,
    "tie_word_embeddings": True,
}


@pytest.mark.parametrize(
    ("config", "parameters"),
    [
        (SMOLLM2_135M, 134_515_008),
        (LLAMA_2_7B, 6_738_415_616),
        (LLAMA_31_8B, 8_030_261_248),
        (QWEN25_05B, 494_032_768),
        (QWEN3_06B, 596_049_920),
    ],
)
def test_parameters_are_those_of_the_published_weights(config: dict[str, Any], parameters: int) -> None:
    assert count_parameters(config) == parameters


def test_an_architecture_that_is_not_dense_and_llama_like_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="'mixtral'"):
        count_parameters({**LLAMA_2_7B, "model_type": "mixtral"})


def test_inference_takes_two_and_training_six_operations_a_parameter_and_token() -> None:
    assert inference_flops(7_000_000_000, 1000) == 1.4e13
    assert training_flops(7_000_000_000, 1000) == 4.2e13


def test_attention_adds_two_operations_a_layer_width_and_token_of_context() -> None:
    assert attention_flops(LLAMA_2_7B, tokens=1, context_tokens=4096) == 2 * 32 * 4096 * 4096


def test_attention_is_the_context_s_share_of_12_widths() -> None:
    share = attention_flops(LLAMA_2_7B, 1, 512) / inference_flops(count_parameters(LLAMA_2_7B), 1)
    assert share == pytest.approx(512 / (12 * 4096), rel=0.1)  # Kaplan et al. 2020, section 2.1
