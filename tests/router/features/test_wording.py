from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from router.features.wording import WORDING, wording_features


def _of(text: str) -> dict[str, float]:
    return dict(zip(WORDING, wording_features([text])[0].tolist(), strict=True))


def test_relations_numbers_and_names_of_a_word_problem_are_counted() -> None:
    said = _of("Ann pays $3 for each of 20 eggs, twice as much as Bob. How much does Ann pay?")
    assert np.isclose(said["each"], np.log(2))
    assert np.isclose(said["multiple"], np.log(2))
    assert np.isclose(said["dollars"], np.log(2))
    assert np.isclose(said["greatest"], np.log1p(20))
    assert np.isclose(said["least_number"], np.log1p(3))
    assert np.isclose(said["names"], np.log1p(3))  # Ann, Bob and How
    assert said["option_count"] == 0


def test_options_are_measured_against_each_other_and_the_question() -> None:
    said = _of("Which is not a prime?\nA. 3\nB. 4\nC. 11\nD. None of the above\nAnswer:")
    assert said["option_count"] == 4
    assert said["option_numeric"] == 0.75
    assert said["option_none"] == 1
    assert said["stem_asks"] == 1
    assert np.isclose(said["stem_negation"], np.log(2))
    assert np.isclose(said["option_longest"], np.log1p(len("None of the above")))
    assert said["option_overlap"] == 0


@given(st.lists(st.text(max_size=80), max_size=5))
def test_any_text_has_finite_features_that_do_not_depend_on_its_neighbours(texts: list[str]) -> None:
    together = wording_features(texts)
    assert together.shape == (len(texts), len(WORDING))
    assert np.isfinite(together).all()
    for row, text in zip(together, texts, strict=True):
        assert np.array_equal(row, wording_features([text])[0])


@given(st.text(st.characters(max_codepoint=127), max_size=80) | st.text("aB1, .?!\n\x1cC)", max_size=80))
def test_ascii_is_read_as_any_other_text(text: str) -> None:
    # A space that is not ASCII, at the end: nothing that counts.
    assert np.array_equal(wording_features([text]), wording_features([f"{text}\xa0"]))


def test_names_and_the_last_sentence_are_told_among_words_and_numbers() -> None:
    said = _of("12 Poles met Ann and Ann. Then 3 of 4 left with Bob.")
    assert np.isclose(said["names"], np.log1p(4))  # Poles, for it is not the first word; Ann, Then, Bob
    assert np.isclose(_of("Poles met Ann.")["names"], np.log1p(1))
    assert np.isclose(said["last_words"], np.log1p(5))
    assert np.isclose(said["last_numbers"], np.log1p(2))
    assert np.isclose(said["distinct_words"], 12 / 13)


def test_of_a_text_of_nothing_but_options_no_more_are_compared_than_anybody_offers() -> None:
    few, many = (_of("Which?\n" + "A) x\n" * count) for count in (64, 4_000))
    assert few["option_count"] == many["option_count"] == 64
