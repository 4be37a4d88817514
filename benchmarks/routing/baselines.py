"""Routers that others would build, as methods to cross-validate: each orders questions by what strong gains.

All see a table of two actions, weak and strong, and say [N, 2]: zero, and the predicted gain.
"""

from __future__ import annotations

import json
import subprocess
from collections import defaultdict
from collections.abc import Callable, Mapping
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.decomposition import TruncatedSVD
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import Ridge, RidgeCV
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsRegressor
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR

from router.evaluation.crossval import Method, Predict
from router.outcome_table import Floats, OutcomeTable

Embeddings = Mapping[str, Floats]
"""A vector [D] by the question's id."""
Make = Callable[[int], Any]
"""A scikit-learn regressor, of a seed."""
Read = Callable[[OutcomeTable], Any]
"""What a regressor sees of a table's questions."""

TFIDF = "tf-idf ridge"
"""What a text model has to beat; its alpha is chosen inside the training fold."""
_ALPHAS = (1.0, 10.0)
_PARTS = 100
_PEERS = Path(__file__).parents[1] / "peers"
_PENALTIES = (0.1, 1.0, 10.0, 100.0)


def texts(table: OutcomeTable) -> list[str]:
    return list(table.prompts)


def vectors(embeddings: Embeddings) -> Read:
    return lambda table: np.stack([embeddings[each] for each in table.ids])


def gain(table: OutcomeTable) -> Floats:
    """[N] how much better strong is."""
    difference: Floats = table.right[:, 1] - table.right[:, 0]
    return difference


def regression(make: Make, read: Read = texts) -> Method:
    def fit(train: OutcomeTable, seed: int) -> Predict:
        fitted = make(seed).fit(read(train), gain(train))
        return lambda test: beside_zero(fitted.predict(read(test)))

    return fit


def random(train: OutcomeTable, seed: int) -> Predict:  # noqa: ARG001 (nothing is learned)
    generator = np.random.default_rng(seed)
    return lambda test: beside_zero(generator.random(len(test)))


def length(train: OutcomeTable, seed: int) -> Predict:  # noqa: ARG001 (nothing is learned)
    return lambda test: beside_zero(np.log1p([len(each) for each in test.prompts]))


def segment_mean(train: OutcomeTable, seed: int) -> Predict:  # noqa: ARG001 (nothing is drawn)
    """Of the question's segment: MMLU's subject, which a gateway is not told."""
    gains = defaultdict(list)
    for segment, each in zip(train.segments, gain(train), strict=True):
        gains[segment].append(each)
    usual = float(gain(train).mean())
    return lambda test: beside_zero(np.array([np.mean(gains.get(each, usual)) for each in test.segments]))


def tfidf() -> TfidfVectorizer:
    return TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)


def _parts(seed: int) -> Any:
    return make_pipeline(tfidf(), TruncatedSVD(_PARTS, random_state=seed), StandardScaler())


def _ridge(_seed: int, alpha: float) -> Any:
    return make_pipeline(tfidf(), Ridge(alpha, solver="sparse_cg"))


def _chosen_ridge(_seed: int) -> Any:
    ridge = Ridge(solver="sparse_cg")
    found = GridSearchCV(ridge, {"alpha": _ALPHAS}, scoring="neg_mean_squared_error", cv=5)
    return make_pipeline(tfidf(), found)


def _on_parts(regressor: Make) -> Make:
    return lambda seed: make_pipeline(_parts(seed), regressor(seed))


def _neighbours(_seed: int) -> Any:
    return KNeighborsRegressor(50)


def _svm(_seed: int) -> Any:
    return SVR(C=0.1, gamma="scale", cache_size=500)


def _mlp(seed: int) -> Any:
    return MLPRegressor(hidden_layer_sizes=(64,), alpha=1.0, early_stopping=True, random_state=seed)


def _boosting(seed: int) -> Any:
    return HistGradientBoostingRegressor(
        max_iter=100, learning_rate=0.05, max_leaf_nodes=15, random_state=seed
    )


def _penalised(_seed: int) -> Any:
    return make_pipeline(StandardScaler(), RidgeCV([500 * each for each in _PENALTIES]))


def matrix_factorisation(python: Path, embeddings: Embeddings) -> Method:
    """RouteLLM's own (Ong et al. 2024), trained on the questions where just one model is right."""
    read = vectors(embeddings)

    def fit(train: OutcomeTable, seed: int) -> Predict:
        won = gain(train)
        decided = np.flatnonzero(won)
        direction = np.array(
            _trained(
                python,
                "routellm_mf.py",
                seed,
                vectors=read(train)[decided],
                strong_won=won[decided] > 0,
            )
        )
        return lambda test: beside_zero(read(test) @ direction)

    return fit


def perceptron(python: Path, embeddings: Embeddings) -> Method:
    """LLMRouter's own (llmrouter-lib), trained to say which model is best."""
    read = vectors(embeddings)

    def fit(train: OutcomeTable, seed: int) -> Predict:
        found = _trained(python, "llmrouter_mlp.py", seed, vectors=read(train), strong_best=gain(train) > 0)
        *layers, (weights, biases) = [(np.array(slopes), np.array(shifts)) for slopes, shifts in found]

        def predict(test: OutcomeTable) -> Floats:
            values = read(test)
            for slopes, shifts in layers:
                values = np.maximum(values @ slopes.T + shifts, 0.0)
            scores = values @ weights.T + biases
            return beside_zero(scores[:, 1] - scores[:, 0])

        return predict

    return fit


def _trained(python: Path, script: str, seed: int, **arrays: Any) -> Any:
    """What a peer's script prints, as JSON, of arrays that it is sent."""
    sent = BytesIO()
    np.savez(sent, **arrays)
    done = subprocess.run(
        [python, _PEERS / script, str(seed)], input=sent.getvalue(), stdout=subprocess.PIPE, check=True
    )
    return json.loads(done.stdout)


def baselines(
    embeddings: Embeddings | None, routellm: Path | None = None, llmrouter: Path | None = None
) -> dict[str, Method]:
    """By name; those on ``embeddings`` only where there are any.

    ``routellm`` and ``llmrouter`` are the Pythons of environments that have routellm and llmrouter-lib.
    """
    methods: dict[str, Method] = {
        "random": random,
        "length": length,
        "segment mean": segment_mean,
        TFIDF: regression(_chosen_ridge),
        **{f"{TFIDF}, alpha {alpha:g}": regression(partial(_ridge, alpha=alpha)) for alpha in _ALPHAS},
        "kNN": regression(_on_parts(_neighbours)),
        "SVM": regression(_on_parts(_svm)),
        "MLP": regression(_on_parts(_mlp)),
        "gradient boosting": regression(_on_parts(_boosting)),
    }
    if embeddings is not None:
        read = vectors(embeddings)
        methods |= {
            "embeddings, ridge": regression(_penalised, read),
            "embeddings, kNN": regression(_neighbours, read),
            "embeddings, SVM": regression(lambda _: make_pipeline(StandardScaler(), _svm(0)), read),
        }
        if routellm is not None:
            methods["embeddings, RouteLLM's matrix"] = matrix_factorisation(routellm, embeddings)
        if llmrouter is not None:
            methods["embeddings, LLMRouter's perceptron"] = perceptron(llmrouter, embeddings)
    return methods


def beside_zero(gains: Floats) -> Floats:
    """[N, 2] as a method says them, from what strong gains [N]."""
    return np.column_stack([np.zeros(len(gains)), gains])
