"""How coverage grows with the number of samples."""

from __future__ import annotations

from math import prod


def pass_at_k(samples: int, right: int, k: int) -> float:
    """Probability that at least one of ``k`` samples is right, from ``right`` among ``samples``, unbiased.

    ``1 - C(n - c, k) / C(n, k)`` (Chen et al. 2021, section 2.1), as a product: large n are no problem.
    Raises :class:`ValueError` unless 0 <= right <= samples and 1 <= k <= samples.
    """
    if not (0 <= right <= samples and 1 <= k <= samples):
        raise ValueError(f"needs 0 <= right <= samples and 1 <= k <= samples; got {right}, {samples}, {k}")
    if samples - right < k:
        return 1.0
    return 1.0 - prod(1.0 - k / i for i in range(samples - right + 1, samples + 1))
