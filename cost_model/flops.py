"""Floating-point operations of transformers: how much work, before anybody says what it costs.

Two grains. By parameters alone, ``2 N`` a token forward and ``6 N`` in training; of a mixture of experts N
are the *active* parameters. From an :class:`~cost_model.architecture.Architecture`, with attention, which
grows with the context, and without the table of embeddings, which nothing is multiplied with.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cost_model.architecture import Architecture, architecture


def inference_flops(parameters: int, tokens: float) -> float:
    """About ``2 N`` a token, read or generated.

    Kaplan et al. 2020, section 2.1; Snell et al. 2024, section 7.
    """
    return 2.0 * parameters * tokens


def training_flops(parameters: int, tokens: float) -> float:
    """About ``6 N D``: forward, and twice that backward (Kaplan et al. 2020, section 2.1)."""
    return 6.0 * parameters * tokens


def prefill_flops(model: Architecture, tokens: int) -> float:
    """Reading a prompt of so many tokens: ``2 N n + sum over t = 1..n of 2 t w``, in closed form.

    The t-th token is compared with t keys and averages t values, ``w`` wide in all (over layers): ``2 t w``
    operations. Summed this is Kaplan et al. 2020, table 1, ``2 n_layer n_ctx d_attn`` a token: there keys and
    values are each ``d_attn`` wide, and a token looks at half the context on average.
    """
    return decode_flops(model, 0, tokens)


def decode_flops(model: Architecture, prompt_tokens: int, completion_tokens: int) -> float:
    """Generating a completion token by token behind a prompt that was read before; a pass for each.

    ``2 N m + sum over t = n+1..n+m of 2 t w`` = ``2 N m + w m (2 n + m + 1)``. Samples of one prompt share
    its prefill, and each is decoded on its own.
    """
    looked_at = completion_tokens * (2 * prompt_tokens + completion_tokens + 1)
    return 2.0 * model.multiplied * completion_tokens + float(model.attention_width) * looked_at


def sampling_flops(
    model: Architecture, prompt_tokens: int, completion_tokens: int, samples: int = 1
) -> float:
    """One batch: the prompt is read once, and every sample is decoded."""
    return prefill_flops(model, prompt_tokens) + samples * decode_flops(
        model, prompt_tokens, completion_tokens
    )


def verifier_flops(
    model: Architecture, prompt_tokens: int, completion_tokens: int, samples: int = 1
) -> float:
    """Judging every sample in one pass over prompt and completion: the verifier generates nothing.

    A process reward model scores all steps in that pass. Its small head is
    counted as that of the language model it was made from, which is too much by a little.
    """
    return samples * prefill_flops(model, prompt_tokens + completion_tokens)


def sequence_training_flops(model: Architecture, sequence_tokens: int, sequences: int = 1) -> float:
    """Training on sequences of so many tokens: three forward passes (Kaplan et al. 2020, section 2.1)."""
    return 3.0 * sequences * prefill_flops(model, sequence_tokens)


def count_parameters(config: Mapping[str, Any]) -> int:
    """Parameters of the model that a Hugging Face ``config.json`` describes, active or not.

    Raises :class:`ValueError` for architectures that :func:`cost_model.architecture.architecture` knows not.
    """
    return architecture(config).parameters
