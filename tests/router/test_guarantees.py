"""What is certified holds as surely as it says: by the papers' formulas, and by simulation."""

from __future__ import annotations

from math import ceil, comb, e, exp, log, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.guarantees import (
    Floats,
    betting,
    by_group,
    certify,
    certify_differences,
    fixed_sequence,
    hoeffding_bentkus,
)

P_VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=12)


def _binomial_tail(most: int, count: int, share: float) -> float:
    return sum(comb(count, k) * share**k * (1 - share) ** (count - k) for k in range(most + 1))


def _by_hand(mean: float, count: int, alpha: float) -> float:
    """Proposition 2 of Learn then Test, word by word."""
    a = min(mean, alpha)
    relative_entropy = (a * log(a / alpha) if a else 0.0) + (1 - a) * log((1 - a) / (1 - alpha))
    return min(exp(-count * relative_entropy), e * _binomial_tail(ceil(count * mean), count, alpha))


@pytest.mark.parametrize(
    ("wrong", "count", "alpha"), [(5, 100, 0.1), (0, 50, 0.05), (40, 500, 0.1), (3, 10, 0.5), (1, 300, 0.02)]
)
def test_hoeffding_bentkus_is_the_papers_formula(wrong: int, count: int, alpha: float) -> None:
    losses = np.repeat([1.0, 0.0], [wrong, count - wrong])[None]
    assert hoeffding_bentkus(losses, alpha)[0] == pytest.approx(_by_hand(wrong / count, count, alpha))


def test_hoeffding_bentkus_has_these_values() -> None:
    """Worked out once with the formula on paper: Bentkus wins the first, Hoeffding the second."""
    assert hoeffding_bentkus(np.repeat([1.0, 0.0], [5, 95])[None], 0.1)[0] == pytest.approx(0.15651, abs=1e-5)
    assert hoeffding_bentkus(np.repeat([1.0, 0.0], [3, 7])[None], 0.5)[0] == pytest.approx(0.43919, abs=1e-5)


def test_a_risk_above_the_promise_has_no_small_p_value() -> None:
    losses = np.repeat([1.0, 0.0], [20, 80])[None]
    assert hoeffding_bentkus(losses, 0.1)[0] == 1.0
    assert hoeffding_bentkus(losses, 0.0)[0] == 1.0
    assert hoeffding_bentkus(losses, 1.0)[0] == 0.0


def test_betting_gains_from_pairs_that_mostly_agree() -> None:
    """Ten wins and no loss in 200 pairs: by the range alone that is nothing."""
    differences = np.repeat([-1.0, 0.0], [10, 190])[None]
    assert betting(differences, 0.1)[0] < 0.1 < hoeffding_bentkus((differences + 1) / 2, 0.5)[0]


def test_betting_finds_nothing_where_differences_are_not_negative() -> None:
    assert betting(np.zeros((1, 50)), 0.1)[0] == 1.0
    assert betting(np.ones((1, 50)), 0.1)[0] == 1.0


@given(P_VALUES, st.floats(0.001, 0.5))
def test_no_rule_is_certified_below_one_that_fails(p_values: list[float], delta: float) -> None:
    last = fixed_sequence(p_values, delta)
    first_failed = next((index for index, each in enumerate(p_values) if each > delta), len(p_values))
    assert (-1 if last is None else last) == first_failed - 1


@given(
    st.lists(st.lists(st.booleans(), min_size=8, max_size=8), min_size=1, max_size=6),
    st.floats(0.05, 0.95),
    st.floats(0.01, 0.5),
    st.floats(0.01, 0.5),
)
def test_who_wants_less_confidence_or_accuracy_is_certified_no_less(
    wrong: list[list[bool]], alpha: float, one: float, other: float
) -> None:
    losses = np.repeat(np.array(wrong, dtype=float), 10, axis=1)

    def last(alpha: float, delta: float) -> int:
        found = certify(losses, alpha, delta)
        return -1 if found is None else found

    assert last(alpha, min(one, other)) <= last(alpha, max(one, other))
    assert last(alpha, one) <= last(min(1.0, alpha + other), one)


@pytest.mark.parametrize("losses", [[[0.5, np.nan]], [[1.5, 0.0]], [[]], [0.5, 0.5]])
def test_losses_that_are_none_are_refused(losses: list[list[float]]) -> None:
    with pytest.raises(ValueError, match="must be"):
        certify(losses, 0.1, 0.1)


def test_questions_of_one_group_are_one_unit() -> None:
    values = np.array([[0.0, 1.0, 1.0, 0.5], [1.0, 1.0, 0.0, 0.0]])
    assert by_group(values, ["a", "b", "a", "c"]).tolist() == [[0.5, 1.0, 0.5], [0.5, 1.0, 0.0]]


DRAWS, UNITS, DELTA = 2000, 300, 0.1
NOISE = 3 * sqrt(DELTA * (1 - DELTA) / DRAWS)
"""Three deviations of a share of draws whose probability is delta."""
RISKS = np.linspace(0.11, 0.29, 10)
"""Of ten rules, safest first; half of them break a promise of 0.2."""


def _losses(random: np.random.Generator) -> Floats:
    """What the rules get wrong of the same questions: each what the one before did, and more."""
    hardness = random.random(UNITS)
    return (hardness < RISKS[:, None]).astype(float)


def _share_broken(choose: object, risks: Floats, promised: float) -> float:
    random = np.random.default_rng(7)
    chosen = [choose(_losses(random)) for _ in range(DRAWS)]  # type: ignore[operator]
    return float(np.mean([index is not None and risks[index] > promised for index in chosen]))


def test_the_promised_risk_holds_as_often_as_promised() -> None:
    broken = _share_broken(lambda losses: certify(losses, 0.2, DELTA), RISKS, 0.2)
    assert broken <= DELTA + NOISE


def test_a_choice_by_the_mean_alone_breaks_the_promise_far_too_often() -> None:
    """So the simulation would tell a certificate that certifies nothing."""

    def naive(losses: Floats) -> int | None:
        kept = np.flatnonzero(losses.mean(axis=1) <= 0.2)
        return int(kept[-1]) if kept.size else None

    assert _share_broken(naive, RISKS, 0.2) > DELTA + 2 * NOISE


def test_paired_differences_hold_as_often_as_promised_and_certify_what_is_clearly_better() -> None:
    """A promise of 0.95 of a model that is right in 0.8: the rules lose 0.01 more of it each."""
    right = 0.8 - np.linspace(0.0, 0.09, 10)
    random = np.random.default_rng(11)
    chosen = []
    for _ in range(DRAWS // 2):
        luck = random.random(UNITS)
        differences = 0.95 * (luck < 0.8) - (luck < right[:, None])
        chosen.append(certify_differences(differences, DELTA))
    broken = np.mean([index is not None and right[index] < 0.95 * 0.8 for index in chosen])
    assert broken <= DELTA + NOISE * sqrt(2)
    assert np.mean([index is not None for index in chosen]) > 0.9
