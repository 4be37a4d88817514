from __future__ import annotations

import numpy as np
import pytest

from router.evaluation.bootstrap import apgr_of
from router.evaluation.crossval import Predict, cross_validate, folds
from router.outcome_table import Floats, OutcomeTable
from tests.router.evaluation.tables import table


def training_means(train: OutcomeTable, seed: int) -> Predict:
    """A method that knows nothing of a question."""
    means = train.right.mean(axis=0)
    return lambda test: np.tile(means, (len(test), 1))


def test_every_question_is_tested_once_by_those_that_share_no_group_with_it() -> None:
    groups = [f"story {each // 3}" for each in range(30)]

    tested: list[int] = []
    for training, test in folds(groups, 5, seed=1):
        assert not {groups[each] for each in training} & {groups[each] for each in test}
        tested += test.tolist()

    assert sorted(tested) == list(range(30))


def test_more_folds_than_groups_are_refused() -> None:
    with pytest.raises(ValueError, match="2 groups of questions cannot be split into 3 folds"):
        list(folds(["a", "a", "b"], 3, seed=0))


def test_methods_never_see_what_they_predict() -> None:
    questions = table(np.random.default_rng(0).random((40, 2)))

    def watching(train: OutcomeTable, seed: int) -> Predict:
        def predict(test: OutcomeTable) -> Floats:
            assert test.ids == train.ids or not set(test.ids) & set(train.ids)
            return np.zeros((len(test), 2))

        return predict

    assert cross_validate(questions, watching, seeds=[0, 1]).right.shape == (2, 40, 2)


def test_seeds_divide_differently() -> None:
    questions = table(np.random.default_rng(0).random((40, 2)))

    found = cross_validate(questions, training_means, seeds=[0, 1]).right

    assert not np.allclose(found[0], found[1])


def test_a_method_that_knows_nothing_is_neither_better_nor_worse_than_random() -> None:
    """Without centring it is worse: where training went well, the fold's own questions are the hard ones."""
    random = np.random.default_rng(3)
    right = (random.random((200, 2)) < [0.5, 0.8]).astype(float)
    found = cross_validate(table(right), training_means, seeds=[0])
    every = np.ones(200)

    centred = apgr_of(found.scores(0, 1), right[:, 0], right[:, 1])(every)
    pooled = apgr_of(found.right[..., 1] - found.right[..., 0], right[:, 0], right[:, 1])(every)

    assert centred == pytest.approx(0.5)
    assert pooled < 0.47


def test_the_method_knows_which_actions_are_compared_by_their_columns() -> None:
    right = np.tile([0.2, 0.9], (20, 1))

    found = cross_validate(table(right), lambda train, seed: lambda test: right[: len(test)], seeds=[0])

    assert found.scores(0, 1) == pytest.approx(np.zeros((1, 20)))
    assert found.right[0, :, 1] == pytest.approx(np.full(20, 0.9))


def test_predictions_that_are_not_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="NaN"):
        cross_validate(
            table(np.ones((10, 2))), lambda train, seed: lambda test: np.full((len(test), 2), np.nan)
        )
