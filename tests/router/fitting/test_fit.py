from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from router.errors import ArtifactInvalid, OutcomesInvalid
from router.evaluation.groups import by_story
from router.fitting.fit import fit_predictor, split
from router.predictor.manifest import Identities
from router.predictor.predictor import Predictor
from tests.router.tables import ACTIONS, table

EASY, HARD = "add two apples two add apples", "prove integral converges prove"


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return fit_predictor(table(), method="words", identities=Identities(sha256="abc"))


def test_what_the_words_tell_is_predicted_for_every_action(predictor: Predictor) -> None:
    forecast = predictor.forecast([EASY, HARD])
    small, majority, grand = forecast.right.T
    assert small[0] > 0.65 > 0.35 > small[1]
    assert majority[0] > 0.75 > 0.25 > majority[1]
    assert grand.min() > 0.75


def test_lengths_are_of_one_answer_of_the_actions_model(predictor: Predictor) -> None:
    tokens = predictor.forecast([EASY, HARD]).completion_tokens
    np.testing.assert_allclose(tokens[:, 0], [20, 60], rtol=0.3)
    np.testing.assert_array_equal(tokens[:, 1], tokens[:, 0])  # majority@8 has eight of them
    np.testing.assert_allclose(tokens[:, 2], 40, rtol=0.05)


def test_a_model_whose_lengths_nobody_measured_has_none() -> None:
    outcomes = table()
    tokens = outcomes.completion_tokens.copy()
    tokens[:, 2] = np.nan
    forecast = fit_predictor(replace(outcomes, completion_tokens=tokens), method="words").forecast([EASY])
    assert np.isnan(forecast.completion_tokens[0]).tolist() == [False, False, True]


def test_prompts_unlike_the_fitted_are_unfamiliar(predictor: Predictor) -> None:
    strange = "SELECT * FROM users; -- { } `drop` 1234567890 $\\alpha$ ¿qué? ¡no! " * 4
    familiar = predictor.forecast([f"{EASY} number 7", strange]).familiarity
    assert familiar[0] > 0.1 > familiar[1]


def test_the_calibration_split_is_held_out_and_whole_groups_are() -> None:
    outcomes = replace(table(), groups=tuple(str(row // 4) for row in range(240)))
    fitted, held_out = split(outcomes, 0.3, seed=1)
    assert sorted([*fitted, *held_out]) == list(range(240))
    assert not {row // 4 for row in fitted} & {row // 4 for row in held_out}


def test_the_calibration_split_holds_forecasts_beside_what_came_of_them(predictor: Predictor) -> None:
    held_out = split(by_story(table()), 0.3, seed=0)[1]
    rest, calibration = table().take(held_out), predictor.calibration
    assert calibration is not None
    np.testing.assert_array_equal(calibration.right, rest.right)
    np.testing.assert_array_equal(calibration.after_probe_usd, rest.after_probe_usd)
    np.testing.assert_allclose(calibration.forecast_right, predictor.forecast(rest.prompts).right)
    assert calibration.posterior.shape == (len(rest), 2)
    assert len(set(calibration.groups.tolist())) == len(set(by_story(rest).groups))


def test_the_manifest_tells_how_good_the_predictor_is(predictor: Predictor) -> None:
    manifest = predictor.manifest
    assert manifest.data.sha256 == "abc"
    assert manifest.data.fitted + manifest.data.calibration == 240
    assert 60 <= manifest.data.calibration <= 84  # whole stories, so about three tenths
    small = manifest.metrics["small"]
    assert small.auc is not None
    assert small.auc > 0.75
    assert small.brier < small.baseline_brier
    assert small.ece < 0.15
    assert sum(count for _, _, count in small.reliability) == small.questions == manifest.data.calibration
    assert [stage.samples for stage in manifest.probe] == [4, 8]
    assert manifest.probe[1].brier < manifest.probe[0].prior_brier


def test_the_same_seed_fits_the_same_predictor(predictor: Predictor) -> None:
    again = fit_predictor(table(), method="words", identities=Identities(sha256="abc"))
    assert again.manifest == predictor.manifest


def test_embeddings_tell_what_words_do_not() -> None:
    outcomes = table()
    hidden = (np.arange(240) % 3 == 0).astype(float)
    right = outcomes.right.copy()
    right[:, 2] = hidden
    said_of = dict(zip(outcomes.prompts, hidden, strict=True))

    def embed(texts: Sequence[str]) -> NDArray[np.float64]:
        return np.array([[said_of[text], 1.0] for text in texts])

    fitted = fit_predictor(
        replace(outcomes, right=right), method="words", embed=embed, identities=Identities(embedding="mini")
    )
    said = fitted.forecast(outcomes.prompts[:4]).right[:, 2]
    assert min(said[0], said[3]) - max(said[1], said[2]) > 0.7
    with pytest.raises(ArtifactInvalid, match="fitted with embeddings of mini"):
        replace(fitted, embed=None).forecast([EASY])


def test_an_unknown_method_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(OutcomesInvalid, match="--method oracle: there are auto, words"):
        fit_predictor(table(), method="oracle")


def test_actions_are_those_of_the_table(predictor: Predictor) -> None:
    assert predictor.actions == predictor.forecast([EASY]).actions == ACTIONS
