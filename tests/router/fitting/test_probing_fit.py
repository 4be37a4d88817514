from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit, logit

from router.fitting.probing_fit import fit_probing, mean_scores, posteriors
from router.outcome_table import OutcomeTable
from router.probing import Probing
from router.types import Evidence
from tests.router.tables import table


def fitted(outcomes: OutcomeTable, prior: float = 0.5) -> Probing | None:
    return fit_probing(outcomes, np.full(outcomes.right.shape, prior), seed=0)


@pytest.fixture(scope="module")
def probing() -> Probing:
    found = fitted(table(400))
    assert found is not None
    return found


def test_stages_are_powers_of_two_up_to_what_the_probes_have(probing: Probing) -> None:
    assert [stage.samples for stage in probing.stages] == [4, 8]
    twelve = fitted(table(120, probe_samples=12))
    assert twelve is not None
    assert [stage.samples for stage in twelve.stages] == [4, 8, 12]


def test_the_posterior_tells_right_from_wrong_better_with_every_stage(probing: Probing) -> None:
    new = table(400, seed=1)
    after = expit(posteriors(probing, new, np.zeros(400)))
    errors = np.mean((after - new.right[:, :1]) ** 2, axis=0)
    assert errors[1] < errors[0] < np.var(new.right[:, 0]) / 2


def test_a_stage_arrives_where_the_fit_expects_it(probing: Probing) -> None:
    new = table(400, seed=2)
    first, second = posteriors(probing, new, np.zeros(400)).T
    intercept, slope, deviation = probing.stages[1].arrive
    left = second - intercept - slope * first
    assert abs(left.mean()) < 0.2
    assert left.std() == pytest.approx(deviation, rel=0.25)


def test_after_a_probe_an_action_of_the_small_model_follows_it_and_another_does_not(probing: Probing) -> None:
    prior = np.zeros((1, 3))
    right = probing.stages[1].actions_right(prior, logit(np.array([0.1, 0.9])))[0]
    assert right[1, 0] - right[0, 0] > 0.6
    assert right[1, 1] - right[0, 1] > 0.6
    assert abs(right[1, 2] - right[0, 2]) < 0.1


def test_a_better_prior_raises_the_posterior() -> None:
    outcomes = table(400)
    easy = np.where(np.arange(400) % 2 == 0, 0.8, 0.2)
    found = fit_probing(outcomes, np.column_stack([easy] * 3), seed=0)
    assert found is not None
    assert found.stages[0].prior_weight > 0.1


def test_without_probes_or_a_small_action_nothing_is_fitted() -> None:
    outcomes = table(100)
    assert fitted(replace(outcomes, evidence=(None,) * 100)) is None
    assert fitted(outcomes.only(["majority@8", "grand"])) is None
    assert fitted(replace(outcomes, right=np.ones((100, 3)))) is None


def test_probes_that_were_cut_short_are_left_out_and_have_no_late_posterior() -> None:
    outcomes = table(200)
    seen = outcomes.evidence[0]
    assert isinstance(seen, Evidence)
    short = replace(outcomes, evidence=(seen.first(4), None, *outcomes.evidence[2:]))
    found = fitted(short)
    assert found is not None
    assert [stage.samples for stage in found.stages] == [4, 8]
    after = posteriors(found, short, np.zeros(200))
    np.testing.assert_array_equal(np.isfinite(after[:3]), [[True, False], [False, False], [True, True]])


def test_the_mean_score_of_a_stage_is_of_its_samples_and_unknown_where_nothing_was_scored(
    probing: Probing,
) -> None:
    outcomes = table(3)
    scored, cut, other = outcomes.evidence
    assert isinstance(scored, Evidence)
    assert isinstance(cut, Evidence)
    assert isinstance(other, Evidence)
    seen = (scored, cut.first(4), replace(other, scores=(), step_scores=()))
    found = mean_scores(probing, replace(outcomes, evidence=seen))
    np.testing.assert_allclose(found[0], [np.mean(scored.scores[:4]), np.mean(scored.scores[:8])])
    np.testing.assert_array_equal(np.isfinite(found), [[True, True], [True, False], [False, False]])
