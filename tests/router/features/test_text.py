from __future__ import annotations

import re

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from sklearn.feature_extraction.text import HashingVectorizer

from router.features.lexical import LEXICAL, lexical_features
from router.features.text import TextFeatures

TEXTS = [f"What is {number} times 12, plus 3.5? Explain." for number in range(30)] + ["Write a poem."]
ASCII = st.text(st.characters(max_codepoint=127), max_size=40)


def looks(text: str) -> dict[str, float]:
    return dict(zip(LEXICAL, lexical_features([text])[0].tolist(), strict=True))


def test_what_texts_look_like_is_counted() -> None:
    text = "Evaluate 3.14 * (12 + 5000)?\nA) \\frac{1}{2}, B) zwölf!"
    found = {
        name: round(float(np.expm1(value))) for name, value in looks(text).items() if name.startswith("log")
    }
    assert found == {
        "log_bytes": len(text.encode()),
        "log_words": 5,  # Evaluate A frac B zwölf
        "log_numbers": 6,  # 3 14 12 5000 1 2
        "log_decimals": 1,
        "log_longest_number": 4,
        "log_long_words": 1,
        "log_lines": 1,
        "log_sentences": 2,
        "log_questions": 1,
        "log_commas": 1,
        "log_operators": 2,
        "log_brackets": 4,
        "log_formula_marks": 1,
        "log_code_marks": 4,
        "log_options": 2,
    }
    size = len(text.encode())
    assert looks(text)["capitals"] == np.float32(3 / size)
    assert looks(text)["beyond_ascii"] == np.float32(2 / size)


def _slow_counts(text: str) -> dict[str, int]:
    """What is counted by what stands beside it, by regular expressions on the bytes."""
    data, letter = text.encode() + b" ", rb"[A-Za-z\x80-\xff]"
    words, numbers = re.findall(letter + b"+", data), re.findall(rb"[0-9]+", data)
    return {
        "log_words": len(words),
        "log_long_words": sum(len(word) >= 8 for word in words),
        "log_numbers": len(numbers),
        "log_longest_number": max(map(len, numbers), default=0),
        "log_decimals": len(re.findall(rb"(?<=[0-9])\.(?=[0-9])", data)),
        "log_sentences": len(re.findall(rb"[.!?](?=[ \t\r\n])", data)),
        "log_options": len(re.findall(rb"(?<!" + letter + rb")[A-Z](?=[).:])", data)),
    }


@given(st.text(max_size=40) | st.text("aAé10.)(:?! \n\t#,", max_size=40) | st.text("abcdefgh ", max_size=60))
def test_what_is_told_by_its_neighbours_is_counted_wherever_it_stands(text: str) -> None:
    found = looks(text)
    assert {name: round(float(np.expm1(found[name]))) for name in _slow_counts(text)} == _slow_counts(text)


@given(st.lists(st.text(max_size=40), min_size=1, max_size=5))
def test_looks_of_a_batch_are_those_of_each_text(texts: list[str]) -> None:
    together = lexical_features(texts)
    assert np.isfinite(together).all()
    np.testing.assert_array_equal(together, np.concatenate([lexical_features([text]) for text in texts]))


def test_an_empty_text_has_no_looks() -> None:
    assert not lexical_features([""]).any()


def test_rows_hold_words_of_length_one_and_standardised_looks() -> None:
    features = TextFeatures(buckets=1024, looks=0.5).fit(TEXTS)
    rows = features.transform(TEXTS)
    np.testing.assert_allclose(np.linalg.norm(rows.words.toarray(), axis=1), 1, rtol=1e-5)
    standardised = rows.looks / 0.5
    np.testing.assert_allclose(standardised.mean(axis=0), 0, atol=1e-3)
    assert np.allclose(standardised.std(axis=0)[:3], 1, atol=1e-3)


def test_rare_words_weigh_more() -> None:
    features = TextFeatures(buckets=2**14, ngrams=(1, 1)).fit(TEXTS)
    weight = {word: features.transform([word]).words.indices[0] for word in ("what", "poem")}
    assert features.idf_[weight["poem"]] > features.idf_[weight["what"]]


@given(st.lists(st.sampled_from([*TEXTS, "", "?!", "日本"]), min_size=1, max_size=4))
def test_rows_of_a_batch_are_those_of_each_text(texts: list[str]) -> None:
    features = TextFeatures(buckets=256).fit(TEXTS)
    together = features.transform(texts)
    each = [features.transform([text]) for text in texts]
    words = together.words.toarray()
    assert np.isfinite(words).all()
    np.testing.assert_array_equal(words, np.vstack([one.words.toarray() for one in each]))
    np.testing.assert_array_equal(together.looks, np.concatenate([one.looks for one in each]))
    assert len(together) == len(texts)
    np.testing.assert_array_equal(together[1:].words.toarray(), words[1:])


@given(
    st.lists(st.text(max_size=40) | ASCII | st.sampled_from(TEXTS), min_size=1, max_size=4),
    st.sampled_from([7, 2**8, 2**16]),
)
def test_words_are_hashed_and_counted_as_scikit_learn_does(texts: list[str], buckets: int) -> None:
    features = TextFeatures(buckets).fit(TEXTS)
    counts = HashingVectorizer(
        ngram_range=(1, 2),
        n_features=buckets,
        token_pattern=r"(?u)\b\w+\b|[^\w\s]",
        alternate_sign=False,
        norm=None,
    ).transform(texts)
    weights = counts.multiply(features.idf_).toarray()
    weights[counts.nonzero()] *= ((1 + np.log(counts.data)) / counts.data)[: counts.nnz]
    norms = np.linalg.norm(weights, axis=1, keepdims=True)
    wanted = weights / np.where(norms, norms, 1)
    np.testing.assert_allclose(features.transform(texts).words.toarray(), wanted, rtol=1e-5, atol=1e-7)
