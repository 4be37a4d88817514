"""A small model that searches against a larger one, at equal FLOPs (Snell et al. 2024, section 7)."""

from __future__ import annotations


def inference_growth(times_larger: float, inference_tokens: float, pretraining_tokens: float) -> float:
    """How many times the inference of the small model may grow at the FLOPs of a model ``M`` times larger.

    Pretraining costs ``X = 6 N D_pretrain``, inference ``Y = 2 N D_inference``; the larger model costs
    ``M (X + Y)``. Spending what is saved on pretraining, the small model may do

        M + 3 (D_pretrain / D_inference) (M - 1)

    times the inference: a lot where little is inferred (``R = D_inference / D_pretrain`` << 1), hardly more
    than ``M`` where much is. Raises :class:`ValueError` unless M >= 1 and both token counts are positive.
    """
    if times_larger < 1 or inference_tokens <= 0 or pretraining_tokens <= 0:
        raise ValueError(
            "give a model at least 1 times larger, and tokens of inference and pretraining above 0"
        )
    return times_larger + 3 * (pretraining_tokens / inference_tokens) * (times_larger - 1)
