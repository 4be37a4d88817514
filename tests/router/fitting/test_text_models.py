from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn.base import BaseEstimator, clone
from skops.io import dumps, get_untrusted_types, loads

from router.fitting.text_models import Readings, TreesText, candidates, choose
from router.outcome_table import Floats

COUNT = 240


@pytest.fixture(scope="module")
def outcomes() -> tuple[list[str], Floats]:
    """Long questions are hard for the first action, questions of poems for the second."""
    random = np.random.default_rng(0)
    texts, right = [], []
    for _ in range(COUNT):
        steps, topic = int(random.integers(1, 8)), str(random.choice(["poem", "sum"]))
        texts.append(
            f"A {topic}: " + " ".join(f"take {n} more from Ann," for n in range(steps)) + " how many?"
        )
        right.append([random.random() < 1 - steps / 8, random.random() < (0.2 if topic == "poem" else 0.8)])
    return texts, np.array(right, dtype=np.float64)


def _fitted(name: str, outcomes: tuple[list[str], Floats]) -> BaseEstimator:
    return candidates(0)[name].fit(*outcomes)


@pytest.mark.parametrize("name", candidates(0))
def test_every_candidate_learns_what_is_hard_for_which_action(
    name: str, outcomes: tuple[list[str], Floats]
) -> None:
    model = _fitted(name, outcomes)
    new = ["A sum: take 3 more from Ann, how many?", "A poem: " + "take 9 more from Ann, " * 7 + "how many?"]
    easy, hard = model.predict(new)
    assert easy.shape == (2,)
    assert (easy > hard).all()


@pytest.mark.parametrize("name", candidates(0))
def test_unknown_outcomes_are_not_read_as_wrong(name: str, outcomes: tuple[list[str], Floats]) -> None:
    texts, right = outcomes
    some = np.where(np.random.default_rng(1).random(right.shape) < 0.4, np.nan, right)
    predicted = clone(candidates(0)[name]).fit(texts, some).predict(texts)
    assert np.isfinite(predicted).all()
    assert np.allclose(predicted.mean(axis=0), np.nanmean(some, axis=0), atol=0.08)


@pytest.mark.parametrize("name", candidates(0))
def test_it_says_the_same_of_one_text_of_many_and_when_read_back(
    name: str, outcomes: tuple[list[str], Floats]
) -> None:
    model = _fitted(name, outcomes)
    together = model.predict(outcomes[0][:20])
    saved = dumps(model)
    unknown = get_untrusted_types(data=saved)
    assert all(each.startswith(("router.features.text.", "router.fitting.text_models.")) for each in unknown)
    again = loads(saved, trusted=unknown)
    assert np.array_equal(again.predict(outcomes[0][:20]), together)
    assert np.allclose(np.concatenate([model.predict([text]) for text in outcomes[0][:20]]), together)


def test_trees_walked_all_at_once_say_what_the_forest_says(outcomes: tuple[list[str], Floats]) -> None:
    from sklearn.ensemble import ExtraTreesRegressor

    texts, right = outcomes
    trees = _fitted("trees", outcomes)
    looks = trees.readings_.transform(texts)[1]
    forest = ExtraTreesRegressor(
        trees.trees, max_depth=trees.depth, min_samples_leaf=5, max_features=trees.share, random_state=0
    )
    assert np.allclose(trees.predict(texts), forest.fit(looks, right).predict(looks), atol=1e-6)


def test_trees_say_of_a_thousand_texts_to_the_last_digit_what_they_say_of_each(
    outcomes: tuple[list[str], Floats],
) -> None:
    trees = _fitted("trees", outcomes)
    texts = outcomes[0][:50] * 20
    apart = np.concatenate([trees.predict(texts[at : at + 50]) for at in range(0, len(texts), 50)])
    assert np.array_equal(trees.predict(texts), apart)


def test_trees_of_a_release_that_kept_both_children_of_a_node_are_read(
    outcomes: tuple[list[str], Floats],
) -> None:
    trees = _fitted("trees", outcomes)
    state = dict(trees.__getstate__())
    left = state.pop("left_")
    right = np.where(left == np.arange(len(left)), left, left + 1)
    state["children_"] = np.stack([left, right], axis=1).ravel()
    turned = {name: state[name][::-1] for name in ("feature_", "threshold_", "value_")}
    last = len(left) - 1
    turned |= {
        "roots_": last - state["roots_"],
        "children_": last - state["children_"].reshape(-1, 2)[::-1].ravel(),
    }
    turned["threshold_"] = np.where(np.isinf(turned["threshold_"]), np.float32(-2), turned["threshold_"])
    again = TreesText()
    again.__setstate__(state | turned)
    assert np.array_equal(again.predict(outcomes[0]), trees.predict(outcomes[0]))


def test_a_text_like_no_other_is_not_read_as_stranger_than_the_cut(
    outcomes: tuple[list[str], Floats],
) -> None:
    readings = Readings().fit(outcomes[0])
    _, looks = readings.transform(["$" * 5000 + "\\frac{1}{2}" * 500, ""])
    assert np.abs(looks).max() <= 4


def test_the_choice_is_made_without_warnings_and_fits_what_it_names(
    outcomes: tuple[list[str], Floats],
) -> None:
    texts, right = outcomes
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        name, model = choose(texts, right, [str(row) for row in range(COUNT)], 0)
    assert isinstance(model, type(candidates(0)[name]))
    assert np.corrcoef(model.predict(texts)[:, 0], right[:, 0])[0, 1] > 0.3
