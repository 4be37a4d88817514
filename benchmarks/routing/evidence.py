"""Routers that look at what the weak run saw of its own candidates before the strong one is called.

All see a table of two actions, weak and strong, whose evidence is the weak run's; they say [N, 2].
"""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np

from benchmarks.routing.baselines import beside_zero
from router.evaluation.crossval import Method, Predict
from router.evaluation.product import fit_and_forecast
from router.features.evidence import FEATURES, evidence_matrix
from router.fitting.probing_fit import fit_probing, seen_right
from router.outcome_table import Floats, OutcomeTable
from router.outcomes import SMALL
from router.probing import log_odds

_C = 0.01
"""Inverse strength of L2 for some sixty standardised columns; of .003 to .1, seen on MATH-500 itself."""
_TOPICS = (
    r"\d",
    r"\\",
    r"\$",
    r"frac",
    r"\[asy\]",
    r"=",
    r"\^",
    r"sqrt",
    r"how many",
    r"find",
    r"integer",
    r"matrix",
    r"\\\[",
    r"theta|sin|cos",
    r"log",
    r"triangle|circle|angle",
    r"probability",
    r"polynomial",
    r"real number",
    r"smallest|largest|minimum|maximum",
    r"evaluate|compute",
    r"vector|mathbf",
    r"complex",
    r"function|f\(",
)
"""What problems of school mathematics are about, written down before looking at who solves them."""


def seen(table: OutcomeTable) -> Floats:
    """[N, F] of a table of which every question was probed."""
    return evidence_matrix([each for each in table.evidence if each is not None])


def _column(name: str, table: OutcomeTable) -> Floats:
    column: Floats = seen(table)[:, FEATURES.index(name)]
    return column


def by_score(train: OutcomeTable, seed: int) -> Predict:  # noqa: ARG001 (nothing is learned)
    """The lower the best score, the sooner the strong action."""
    return lambda test: beside_zero(-_column("score_max", test))


def by_rule(train: OutcomeTable, seed: int) -> Predict:  # noqa: ARG001 (nothing is learned)
    """No final answer first, then the lowest score."""
    return lambda test: beside_zero(_column("best_unanswered", test) - _column("score_max", test))


def by_agreement(train: OutcomeTable, seed: int) -> Predict:  # noqa: ARG001 (nothing is learned)
    """The less the candidates agree, the sooner the strong action."""
    return lambda test: beside_zero(-_column("agreement", test))


def by_evidence(train: OutcomeTable, seed: int) -> Predict:
    """The product's posterior of every action, without a word of the prompt."""
    train = replace(train, actions=(replace(train.actions[0], name=SMALL), *train.actions[1:]))
    usual = np.clip(train.right.mean(axis=0), 0.01, 0.99)
    probing = fit_probing(train, np.tile(usual, (len(train), 1)), seed)
    if probing is None:
        return lambda test: np.tile(usual, (len(test), 1))

    def predict(test: OutcomeTable) -> Floats:
        priors = np.tile(usual, (len(test), 1))
        right = seen_right(probing, test, log_odds(priors))[:, -1]
        return np.where(np.isfinite(right), right, priors)

    return predict


def by_evidence_and_topics(train: OutcomeTable, seed: int) -> Predict:  # noqa: ARG001 (nothing is drawn)
    """Logistic regressions of both actions on the evidence and on what a problem of mathematics is about."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    rows = np.hstack([seen(train), _topics(train)])
    fitted = [
        make_pipeline(StandardScaler(), LogisticRegression(C=_C, max_iter=500)).fit(rows, column > 0.5)
        for column in train.right.T
    ]
    return lambda test: np.column_stack(
        [each.predict_proba(np.hstack([seen(test), _topics(test)]))[:, 1] for each in fitted]
    )


def product(name: str) -> Method:
    """What `gradus fit` fits, by the text model ``name``: [N, 4], before and after the probe."""
    return fit_and_forecast(name)


def _topics(table: OutcomeTable) -> Floats:
    """[N, T]: lengths, the largest number, and how often each topic is named."""
    rows = []
    for prompt in table.prompts:
        numbers = [min(float(each), 1e6) for each in re.findall(r"\d+\.?\d*", prompt)]
        counts = [len(re.findall(topic, prompt, re.IGNORECASE)) ** 0.5 for topic in _TOPICS]
        rows.append(
            [np.log1p(len(prompt)), len(prompt.split()) ** 0.5, np.log1p(max(numbers, default=0)), *counts]
        )
    return np.array(rows)
