"""Prompts of an unseen kind get small p-values, and the usual ones no more often than promised."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.features.text import TextFeatures
from router.unseen import Unseen, conformal_p_values, fit_unseen

_NAMES = ("Ann", "Ben", "Carla", "Dov", "Eva", "Farid")
_THINGS = ("apples", "pears", "coins", "stamps", "books", "marbles", "tickets", "cards")
CODE = [
    f"def f{i}(xs):\n    return [x ** {i} for x in xs if x % {i + 2}]\nassert f{i}([{i}]) == ??"
    for i in range(20)
]
GERMAN = [f"Erkläre bitte, weshalb die Quadratwurzel aus {i} irrational ist." for i in (2, 3, 5, 7, 11)]


def _sums(count: int, seed: int) -> list[str]:
    random = np.random.default_rng(seed)
    name, other, thing = (random.choice(words, count) for words in (_NAMES, _NAMES, _THINGS))
    a, b = random.integers(2, 90, size=(2, count))
    return [
        f"{name[i]} has {a[i]} {thing[i]} and gives {b[i]} of them to {other[i]}. How many {thing[i]} remain?"
        for i in range(count)
    ]


@pytest.fixture(scope="module")
def features() -> TextFeatures:
    return TextFeatures(buckets=2**12).fit(_sums(300, seed=1))


@pytest.fixture(scope="module")
def unseen(features: TextFeatures) -> Unseen:
    return fit_unseen(features.transform(_sums(300, seed=1)), features.transform(_sums(199, seed=2)))


def test_code_and_another_language_are_unseen_kinds(features: TextFeatures, unseen: Unseen) -> None:
    assert unseen.p_values(features.transform(CODE)).max() <= 0.01
    assert unseen.p_values(features.transform(GERMAN)).max() <= 0.01


def test_prompts_like_the_fitted_ones_raise_few_alarms(features: TextFeatures, unseen: Unseen) -> None:
    p_values = unseen.p_values(features.transform(_sums(2000, seed=3)))
    assert np.mean(p_values <= 0.05) < 0.1
    assert 0.4 < p_values.mean() < 0.6


@given(st.lists(st.integers(0, 9), min_size=2, max_size=30), st.floats(0, 1))
def test_among_any_exchangeable_scores_at_most_a_share_of_level_raises_an_alarm(
    scores: list[int], level: float
) -> None:
    # Finite-sample and for ties too: each of the n + 1 scores takes its turn as the newcomer.
    values = np.array(scores, dtype=np.float64)
    alarms = sum(
        bool(conformal_p_values(values[i : i + 1], np.sort(np.delete(values, i)))[0] <= level)
        for i in range(len(values))
    )
    assert alarms <= level * len(values) + 1e-9


def test_a_p_value_counts_the_calibration_rows_at_least_as_strange() -> None:
    p_values = conformal_p_values(np.array([0.0, 2.0, 2.5, 9.0]), np.array([1.0, 2.0, 2.0, 3.0]))
    assert p_values.tolist() == [1.0, 0.8, 0.4, 0.2]


def test_rows_are_scored_alone_as_together(features: TextFeatures, unseen: Unseen) -> None:
    rows = features.transform([*_sums(3, seed=4), *CODE[:3], ""])
    one_by_one = np.concatenate([unseen.scores(rows[i : i + 1]) for i in range(len(rows))])
    np.testing.assert_allclose(unseen.scores(rows), one_by_one, rtol=1e-5)


def test_what_was_fitted_comes_back_from_its_arrays(features: TextFeatures, unseen: Unseen) -> None:
    again = Unseen.from_arrays(unseen.arrays())
    rows = features.transform(CODE)
    np.testing.assert_array_equal(again.p_values(rows), unseen.p_values(rows))
    assert sum(array.nbytes for array in unseen.arrays().values()) < 2e6


def test_embeddings_far_from_the_fitted_ones_are_unseen() -> None:
    random = np.random.default_rng(0)
    centre = random.normal(size=16)
    fitted = centre + random.normal(size=(400, 16)) / 3
    unseen = fit_unseen(fitted[:200], fitted[200:])
    assert unseen.p_values(-fitted[:20]).max() <= 0.01
    assert np.mean(unseen.p_values(centre + random.normal(size=(1000, 16)) / 3) <= 0.05) < 0.1


def test_too_few_rows_are_refused(features: TextFeatures) -> None:
    rows = features.transform(_sums(30, seed=1))
    with pytest.raises(ValueError, match="at least 20 rows"):
        fit_unseen(rows[:19], rows)
    with pytest.raises(ValueError, match="not 30 and 0"):
        fit_unseen(rows, rows[:0])


@pytest.mark.filterwarnings("error")
def test_prompts_of_few_kinds_are_fitted_without_a_warning() -> None:
    few = ["What is 1 + 1?", "Name a colour.", "Why?"] * 20
    rows = TextFeatures(buckets=2**8).fit(few).transform(few)
    for points in (rows, rows.words.toarray()):
        assert fit_unseen(points, points).p_values(points).max() == 1
