"""A grown model starts as the model that it grew from, and is free to become another."""

from __future__ import annotations

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from workers.training.abacus.growth import grown, widened
from workers.training.errors import TrainingError


def llama(layers: int, width: int, heads: int, feed_forward: int, seed: int = 1) -> LlamaForCausalLM:
    torch.manual_seed(seed)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=50,
            hidden_size=width,
            intermediate_size=feed_forward,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            num_key_value_heads=heads,
            tie_word_embeddings=True,
        )
    ).eval()


def test_a_grown_model_computes_what_the_small_one_computes() -> None:
    small = llama(2, 16, 2, 40)
    tokens = torch.randint(50, (3, 12))

    with torch.no_grad():
        large = grown(small, llama(5, 48, 6, 128, seed=2))

        assert torch.allclose(large(tokens).logits, small(tokens).logits, atol=1e-5)
    assert large.num_parameters() > 8 * small.num_parameters()


def test_the_copies_of_a_unit_learn_different_things() -> None:
    large = grown(llama(2, 16, 2, 40), llama(3, 48, 6, 128, seed=2))
    tokens = torch.randint(50, (3, 12))

    large(input_ids=tokens, labels=tokens).loss.backward()

    gradient = large.model.layers[0].mlp.up_proj.weight.grad[:120]
    one, other = gradient[:40], gradient[40:80]
    assert not torch.allclose(one, other, atol=1e-6)


def test_widened_weights_add_up_to_the_old_ones() -> None:
    weight = torch.randn(4, 6)

    wide = widened(weight, copies_out=2, copies_in=3)

    assert wide.shape == (8, 18)
    assert torch.allclose(wide.view(2, 4, 3, 6).sum(2), weight.expand(2, 4, 6), atol=1e-6)


def test_a_shape_that_does_not_fit_is_refused() -> None:
    with pytest.raises(TrainingError, match="multiple of the width"):
        grown(llama(2, 16, 2, 40), llama(3, 40, 4, 128))
