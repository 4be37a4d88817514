from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from router.errors import ArtifactInvalid
from router.evaluation.bootstrap import apgr_of
from router.evaluation.crossval import cross_validate
from router.evaluation.product import apply_predictor, fit_and_forecast, halves
from router.fitting.fit import fit_predictor
from router.fitting.minimum import check_enough
from router.outcome_table import Action, OutcomeTable
from router.types import Evidence
from tests.router.evaluation.tables import table

COUNT = 240


def questions(*, probed: bool, first: str = "small") -> OutcomeTable:
    """Additions are easy for the small model, proofs hard; a probe knows it all."""
    random = np.random.default_rng(5)
    easy = random.random(COUNT) < 0.5
    words = [" ".join(random.choice(list("abcdefghijklmnopq"), 5)) for _ in range(COUNT)]
    weak = (random.random(COUNT) < np.where(easy, 0.8, 0.2)).astype(float)
    strong = (random.random(COUNT) < 0.85).astype(float)
    return table(
        np.stack([weak, strong], axis=1),
        prompts=[f"{'add' if each else 'prove'} {word}" for each, word in zip(easy, words, strict=True)],
        actions=(Action(first, "small", "tiny"), Action("strong", "large", "strong")),
        evidence=[Evidence((0.9 if each else 0.1,), (str(each),)) for each in weak] if probed else None,
    )


def apgr(found: OutcomeTable, method: str = "words") -> tuple[float, float]:
    """By the text alone, and after the probe."""
    text, after = halves(cross_validate(found, fit_and_forecast(method), fold_count=3, seeds=[0]))
    text_score, after_score = (
        apgr_of(each.scores(0, 1), found.right[:, 0], found.right[:, 1])(np.ones(COUNT))
        for each in (text, after)
    )
    return text_score, after_score


def test_the_text_tells_something_and_the_probe_more() -> None:
    text, after = apgr(questions(probed=True), "auto")

    assert text > 0.55
    assert after > text + 0.05


def test_without_probes_both_are_the_same() -> None:
    text, after = apgr(questions(probed=False))

    assert text == after


def test_the_probed_model_may_have_any_name() -> None:
    text, after = apgr(questions(probed=True, first="mixtral"))

    assert after > text + 0.05


def test_what_is_enough_on_the_whole_is_enough_in_every_fold_however_uneven_the_groups() -> None:
    groups = ["book"] * 90 + [str(row % 30) for row in range(COUNT // 2 - 90)]
    found = replace(questions(probed=False).take(range(COUNT // 2)), groups=tuple(groups))
    check_enough(found, folds=5)

    predicted = cross_validate(found, fit_and_forecast("words"), fold_count=5, seeds=range(2))

    assert predicted.right.shape == (2, COUNT // 2, 4)


def test_a_fitted_predictor_is_taken_as_it_is_whatever_the_order_of_actions() -> None:
    known = questions(probed=False)
    predictor = fit_predictor(known)

    one, _ = halves(apply_predictor(predictor, known))
    other, _ = halves(apply_predictor(predictor, known.only(["strong", "small"])))

    assert one.right[0] == pytest.approx(predictor.forecast(known.prompts).right)
    assert other.right[0] == pytest.approx(one.right[0][:, ::-1])
    assert one.scores(0, 1)[0] == pytest.approx(one.right[0, :, 1] - one.right[0, :, 0])


def test_a_predictor_of_other_actions_is_refused() -> None:
    known = questions(probed=False)
    other = replace(known, actions=(known.actions[0], Action("huge", "large", "huge")))

    with pytest.raises(ArtifactInvalid, match="knows nothing of huge: it was fitted to small, strong"):
        apply_predictor(fit_predictor(known), other)
