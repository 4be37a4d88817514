"""A small model that searches against a larger one: at equal FLOPs, and at equal dollars.

At equal FLOPs it is Snell et al. 2024, section 7. There, and in the paper's conclusion, everything hangs on
``R``: tokens inferred over tokens of pretraining. In dollars prices need not go with parameters, and what is
saved on one side is whatever the larger model costs before it answers anything.
"""

from __future__ import annotations

from decimal import Decimal


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


def break_even_ratio(times_larger: float, growth: float) -> float | None:
    """The R at which the small model's inference may grow exactly so: ``3 (M - 1) / (growth - M)``.

    With less inferred it may grow more. ``None`` where it may always grow so (``growth`` up to M).
    Raises :class:`ValueError` unless M >= 1.
    """
    if times_larger < 1:
        raise ValueError(f"give a model at least 1 times larger, not {times_larger}")
    return None if growth <= times_larger else 3 * (times_larger - 1) / (growth - times_larger)


def inference_growth_usd(
    small_usd_per_query: Decimal,
    large_usd_per_query: Decimal,
    queries: Decimal,
    saved_usd: Decimal = Decimal(0),
) -> Decimal:
    """How many times the small model's spending a query may grow at what the larger model costs in all.

    ``(saved / queries + large) / small``: Snell's formula with prices in place of parameters. ``saved_usd``
    is what the larger model costs before it answers anything (training, a licence) beyond the small one.
    Raises :class:`ValueError` unless the small model's price and the queries are positive.
    """
    if small_usd_per_query <= 0 or queries <= 0:
        raise ValueError("give a small model that costs something, and queries above 0")
    return (saved_usd / queries + large_usd_per_query) / small_usd_per_query


def break_even(
    fixed_usd: Decimal, usd_per_query: Decimal, other_fixed_usd: Decimal, other_usd_per_query: Decimal
) -> Decimal | None:
    """The number of queries at which two ways cost the same; ``None`` where one is never the dearer.

    The one that costs more a query is the cheaper one below it.
    """
    dearer = usd_per_query - other_usd_per_query
    saved = other_fixed_usd - fixed_usd
    if dearer == 0 or saved / dearer <= 0:
        return None
    return saved / dearer
