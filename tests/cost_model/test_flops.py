"""FLOPs and parameters, against numbers that others published and sums done one by one."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cost_model.architecture import architecture
from cost_model.flops import (
    count_parameters,
    decode_flops,
    inference_flops,
    prefill_flops,
    sampling_flops,
    sequence_training_flops,
    training_flops,
    verifier_flops,
)
from tests.cost_model.configs import (
    DEEPSEEK_V2_LITE,
    DEEPSEEK_V3,
    LLAMA_2_7B,
    LLAMA_31_8B,
    MIXTRAL_8X7B,
    QWEN3_06B,
    QWEN3_30B_A3B,
    QWEN15_MOE,
    QWEN25_05B,
    SMOLLM2_135M,
)

LLAMA = architecture(LLAMA_2_7B)


@pytest.mark.parametrize(
    ("config", "parameters"),
    [
        (SMOLLM2_135M, 134_515_008),
        (LLAMA_2_7B, 6_738_415_616),
        (LLAMA_31_8B, 8_030_261_248),
        (QWEN25_05B, 494_032_768),
        (QWEN3_06B, 596_049_920),
        (MIXTRAL_8X7B, 46_702_792_704),
        (QWEN15_MOE, 14_315_784_192),
        (QWEN3_30B_A3B, 30_532_122_624),
        (DEEPSEEK_V2_LITE, 15_706_484_224),
        (DEEPSEEK_V3, 671_026_419_200),
    ],
)
def test_parameters_are_those_of_the_published_weights(config: dict[str, Any], parameters: int) -> None:
    assert count_parameters(config) == parameters


@pytest.mark.parametrize(
    ("config", "billions"),
    [(MIXTRAL_8X7B, 12.9), (QWEN15_MOE, 2.7), (QWEN3_30B_A3B, 3.35), (DEEPSEEK_V3, 37.6)],
)
def test_a_mixture_works_with_the_parameters_that_its_authors_call_active(
    config: dict[str, Any], billions: float
) -> None:
    assert architecture(config).active == pytest.approx(billions * 1e9, rel=0.01)


def test_of_a_dense_model_every_parameter_is_active_and_only_the_embeddings_are_looked_up() -> None:
    untied, tied = architecture(LLAMA_31_8B), architecture(QWEN3_06B)
    assert untied.active == untied.parameters
    assert untied.parameters - untied.multiplied == 128256 * 4096
    assert tied.multiplied == tied.parameters  # the table is the head, and that is multiplied with


def test_layers_that_a_mixture_leaves_dense_have_a_whole_mlp() -> None:
    sparse = architecture({**QWEN3_30B_A3B, "mlp_only_layers": [0, 1]})
    a_layer = 3 * 2048 * 768
    dropped = 2 * (128 * a_layer + 128 * 2048 - 3 * 2048 * 6144)
    assert architecture(QWEN3_30B_A3B).parameters - sparse.parameters == dropped


def test_an_architecture_that_is_not_known_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="'mamba'"):
        count_parameters({**LLAMA_2_7B, "model_type": "mamba"})


def test_inference_takes_two_and_training_six_operations_a_parameter_and_token() -> None:
    assert inference_flops(7_000_000_000, 1000) == 1.4e13
    assert training_flops(7_000_000_000, 1000) == 4.2e13


def test_a_prompt_takes_kaplan_s_attention_within_one_token() -> None:
    beyond = prefill_flops(LLAMA, 4096) - 2.0 * LLAMA.multiplied * 4096
    assert beyond == pytest.approx(2 * 32 * 4096 * 4096 * 4096, rel=1 / 4000)  # 2 n_layer n_ctx d_attn each


def test_attention_is_the_context_s_share_of_12_widths() -> None:
    beyond = prefill_flops(LLAMA, 512) / (2.0 * LLAMA.multiplied * 512) - 1
    assert beyond == pytest.approx(512 / (12 * 4096), rel=0.1)  # Kaplan et al. 2020, section 2.1


def test_latent_attention_compares_wide_keys_and_averages_narrower_values() -> None:
    assert architecture(DEEPSEEK_V3).attention_width == 61 * 128 * ((128 + 64) + 128)


@given(st.integers(0, 300), st.integers(0, 300))
def test_the_closed_form_is_the_sum_over_tokens(prompt: int, completion: int) -> None:
    one_by_one = sum(
        2 * LLAMA.multiplied + 2 * at * LLAMA.attention_width
        for at in range(prompt + 1, prompt + completion + 1)
    )
    assert decode_flops(LLAMA, prompt, completion) == pytest.approx(one_by_one)


@given(st.integers(0, 5000), st.integers(0, 5000))
def test_reading_a_text_takes_what_reading_its_beginning_and_writing_the_rest_takes(n: int, m: int) -> None:
    whole = prefill_flops(LLAMA, n) + decode_flops(LLAMA, n, m)
    assert prefill_flops(LLAMA, n + m) == pytest.approx(whole)


def test_samples_share_the_prompt_and_each_is_judged_whole() -> None:
    one, many = sampling_flops(LLAMA, 100, 50), sampling_flops(LLAMA, 100, 50, 16)
    assert many - one == pytest.approx(15 * decode_flops(LLAMA, 100, 50))
    assert verifier_flops(LLAMA, 100, 50, 16) == pytest.approx(16 * prefill_flops(LLAMA, 150))


def test_training_takes_three_forward_passes() -> None:
    assert sequence_training_flops(LLAMA, 2048, 3) == pytest.approx(9 * prefill_flops(LLAMA, 2048))
