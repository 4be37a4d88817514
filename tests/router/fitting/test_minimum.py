"""How little can be fitted to: rare actions are left out, and small tables refused by their numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from router.errors import OutcomesInvalid
from router.fitting.fit import fit_predictor, split
from router.fitting.minimum import check_enough
from router.outcome_table import OutcomeTable
from router.predictor.card import card
from tests.router.tables import table

SMALL, MAJORITY, GRAND = range(3)


def known_of(outcomes: OutcomeTable, column: int, rows: np.ndarray) -> OutcomeTable:
    """As ``outcomes``, but of one action only these rows are known."""
    right = outcomes.right.copy()
    right[~rows, column] = np.nan
    return replace(outcomes, right=right)


def test_an_action_that_hardly_ran_is_left_out_and_the_others_are_fitted() -> None:
    rare = known_of(table(), MAJORITY, np.arange(240) < 10)
    predictor = fit_predictor(rare, method="words")
    assert [action.name for action in predictor.actions] == ["small", "grand"]
    assert predictor.forecast(["add two"]).right.shape == (1, 2)
    assert list(predictor.manifest.left_out) == ["majority@8"]
    assert "right or wrong is known of" in predictor.manifest.left_out["majority@8"]
    assert "Note: action 'majority@8' is left out: right or wrong is known of" in card(predictor.manifest)


@pytest.mark.parametrize("right", [0.0, 1.0])
def test_an_action_that_was_only_right_or_only_wrong_is_kept_and_predicted_to_stay_so(right: float) -> None:
    outcomes = table()
    values = outcomes.right.copy()
    values[:, GRAND] = right
    predictor = fit_predictor(replace(outcomes, right=values), method="words")
    assert predictor.manifest.left_out == {}
    assert predictor.forecast(["add two"]).right[0, GRAND] == pytest.approx(right, abs=0.01)


def test_an_action_that_is_known_only_where_nobody_probed_is_predicted_by_the_prompt() -> None:
    odd = np.arange(240) % 2 == 1
    outcomes = known_of(table(), GRAND, odd)
    seen = tuple(None if skip else each for each, skip in zip(outcomes.evidence, odd, strict=True))
    probing = fit_predictor(replace(outcomes, evidence=seen), method="words").probing
    assert probing is not None
    assert probing.stages[-1].right[GRAND].tolist() == [0, 1, 0]


def test_without_the_small_model_or_two_actions_nothing_is_fitted_and_the_reasons_are_said() -> None:
    ten = np.arange(240) < 10
    with pytest.raises(OutcomesInvalid, match=r"known of the small model: 'small': .* at least 20"):
        fit_predictor(known_of(table(), SMALL, ten), method="words")
    one = known_of(known_of(table(), MAJORITY, ten), GRAND, ten)
    with pytest.raises(OutcomesInvalid, match=r"two actions to choose between: 'majority@8': .*; 'grand': "):
        fit_predictor(one, method="words")
    with pytest.raises(OutcomesInvalid, match="two actions to choose between: there is only 'small'"):
        fit_predictor(table().only(["small"]), method="words")


def test_a_table_that_is_too_small_is_told_what_it_takes_and_what_there_is() -> None:
    said = r"known of 60 questions in 60 groups .*; to fit takes at least 70 in 10$"
    with pytest.raises(OutcomesInvalid, match=said):
        check_enough(table(60))
    unlabelled = replace(table(), right=np.where(np.arange(240)[:, None] < 60, table().right, np.nan))
    with pytest.raises(OutcomesInvalid, match=said):
        check_enough(unlabelled)
    with pytest.raises(OutcomesInvalid, match="in 6 groups"):
        check_enough(replace(table(), groups=tuple(str(row % 6) for row in range(240))))


def test_to_fit_to_all_folds_but_one_takes_as_many_in_those() -> None:
    check_enough(table(88), folds=5)
    with pytest.raises(OutcomesInvalid, match="at least 88 in 13, for each of 5 folds is left out once"):
        check_enough(table(87), folds=5)


def test_as_many_as_the_minimum_can_be_fitted() -> None:
    assert fit_predictor(table(70), method="words").manifest.left_out == {}


def test_a_share_that_leaves_too_few_groups_to_fit_to_is_refused() -> None:
    outcomes = replace(table(), groups=tuple(str(row % 12) for row in range(240)))
    with pytest.raises(OutcomesInvalid, match=r"--calibration-share 0.9 leaves 1 groups"):
        split(outcomes, 0.9, 0)


def test_questions_without_an_outcome_are_not_counted_as_fitted_or_measured() -> None:
    rows = np.arange(240) < 120
    unlabelled = known_of(known_of(known_of(table(), SMALL, rows), MAJORITY, rows), GRAND, rows)
    manifest = fit_predictor(unlabelled, method="words").manifest
    assert manifest.data.fitted + manifest.data.calibration == manifest.data.questions == 120
    assert manifest.data.calibration == manifest.metrics["small"].questions
    assert "right or wrong is known of 120 of 240 questions" in card(manifest)
