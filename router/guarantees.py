"""Learn then Test: which of many rules keep a promise, from finitely many calibration questions.

A rule's risk is the mean of a loss over all traffic; seen is only that over calibration questions. Each rule
gets a p-value for "its risk is above the promised alpha", and rules are tested in an order that was fixed
beforehand, safest first, until one fails (fixed-sequence testing). Then, whatever the distribution,

    P(some certified rule has a risk above alpha) <= delta

so any certified rule may be chosen, by whatever was seen (Angelopoulos et al. 2021, "Learn then Test",
2110.01052, theorem 1 and section 4). That holds for questions that are exchangeable with the traffic;
repeated or derived ones are not independent, so :func:`by_group` makes one unit of them first.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import bdtr, rel_entr

Floats = NDArray[np.float64]

_ORDER_SEED = 0
_BOLDEST_BET = 0.75
"""Of what would lose everything at once (Waudby-Smith & Ramdas use 1/2 or 3/4)."""


def certify(losses: ArrayLike, alpha: float, delta: float) -> int | None:
    """The last certified rule of a sequence, safest first: its mean loss is at most ``alpha``.

    ``losses`` [G, N] from 0 to 1: of G rules on N independent units. Raises :class:`ValueError` for others.
    """
    return fixed_sequence(hoeffding_bentkus(losses, alpha), delta)


def certify_differences(differences: ArrayLike, delta: float) -> int | None:
    """The same where the promise is that a mean of paired ``differences`` [G, N], -1 to 1, is at most 0."""
    return fixed_sequence(betting(differences, delta), delta)


def fixed_sequence(p_values: ArrayLike, delta: float) -> int | None:
    """The last rule before the first whose p-value [G] is above ``delta``; ``None`` if that is the first."""
    failed = np.flatnonzero(~(np.asarray(p_values) <= delta))
    passed = int(failed[0]) if failed.size else len(np.asarray(p_values))
    return passed - 1 if passed else None


def hoeffding_bentkus(losses: ArrayLike, alpha: float) -> Floats:
    """P-values [G] of "the mean loss is above ``alpha``", for ``losses`` [G, N] from 0 to 1.

    The smaller of Hoeffding's bound (its tight form by relative entropy) and Bentkus' (e times a binomial
    tail): Bates et al. 2021, "Distribution-free, risk-controlling prediction sets", 2101.02703, section 3.1;
    2110.01052, proposition 2.
    """
    seen = _checked(losses, 0.0)
    means, count = seen.mean(axis=1), seen.shape[1]
    below = np.minimum(means, alpha)
    hoeffding = np.exp(-count * (rel_entr(below, alpha) + rel_entr(1 - below, 1 - alpha)))
    bentkus = np.e * bdtr(np.ceil(count * means - 1e-9), count, alpha)
    return np.minimum(np.minimum(hoeffding, bentkus), 1.0)  # type: ignore[no-any-return]


def betting(differences: ArrayLike, delta: float) -> Floats:
    """P-values [G] of "the mean is above 0", for ``differences`` [G, N] from -1 to 1.

    Bets against that on one difference after another, more boldly the less they have varied; what the bets
    have earned at their best, inverted, is a p-value (Ville's inequality). Unlike bounds that know only the
    range, it gains from pairs that mostly agree: Waudby-Smith & Ramdas 2023, "Estimating means of bounded
    random variables by betting", 2010.09686, section 3; with bets sized for N units and ``delta``. The order
    of the units is drawn once and for all, since files are often sorted.
    """
    seen = _checked(differences, -1.0)
    count = seen.shape[1]
    unit = (seen[:, np.random.default_rng(_ORDER_SEED).permutation(count)] + 1) / 2
    steps = np.arange(1, count + 1)
    means = (0.5 + unit.cumsum(axis=1)) / (steps + 1)
    spreads = (0.25 + ((unit - means) ** 2).cumsum(axis=1)) / (steps + 1)
    before = np.concatenate([np.full((len(unit), 1), 0.25), spreads[:, :-1]], axis=1)
    bets = np.minimum(np.sqrt(2 * np.log(1 / delta) / (count * before)), _BOLDEST_BET / 0.5)
    earned = np.log1p(-bets * (unit - 0.5)).cumsum(axis=1).max(axis=1)
    return np.exp(-np.maximum(earned, 0.0))  # type: ignore[no-any-return]


def by_group(values: ArrayLike, groups: ArrayLike) -> Floats:
    """Means [G, M] of ``values`` [G, N] over the rows of each of M groups: the units that are independent."""
    table = np.asarray(values, dtype=np.float64)
    _, where = np.unique(np.asarray(groups), return_inverse=True)
    sizes = np.bincount(where)
    return np.stack([np.bincount(where, weights=row) / sizes for row in table])


def _checked(values: ArrayLike, lowest: float) -> Floats:
    table = np.asarray(values, dtype=np.float64)
    if table.ndim != 2 or table.shape[1] == 0:
        raise ValueError(f"must be rules by units, with at least one unit, not of shape {table.shape}")
    if not ((table >= lowest) & (table <= 1)).all():  # NaN is neither
        raise ValueError(f"must be from {lowest:g} to 1 and known")
    return table
