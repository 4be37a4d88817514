"""Fitted to one set of outcomes, measured on another: does what was learned hold for other questions?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from router.evaluation.crossval import Method, OutOfFold, folds
from router.evaluation.groups import groups_of
from router.outcome_table import OutcomeTable

_FOLDS = 5


def across(
    source: OutcomeTable,
    target: OutcomeTable,
    methods: Mapping[str, Method],
    seeds: Sequence[int],
    on_fold: Callable[[], None] = lambda: None,
) -> dict[str, OutOfFold]:
    """What methods fitted to ``source`` say of ``target``, both of weak and strong.

    No question is predicted by what was fitted to itself or its story: where the sets share any, by folds of
    the target, as often as there are seeds; else once.
    """
    groups = groups_of([*source.prompts, *target.prompts])
    own, others = groups[: len(source)], groups[len(source) :]
    shared = bool(set(own) & set(others))
    parts = (
        [[test for _, test in folds(others, _FOLDS, seed)] for seed in seeds]
        if shared
        else [[np.arange(len(target))]]
    )
    found = {}
    for name, method in methods.items():
        right = np.empty((len(parts), *target.right.shape))
        usual = np.empty_like(right)
        for at, tests in enumerate(parts):
            for test in tests:
                train = source.take(~np.isin(own, [others[row] for row in test]))
                predict = method(train, int(seeds[at]))
                right[at, test] = predict(target.take(test))[:, :2]
                usual[at, test] = predict(train)[:, :2].mean(axis=0)
                on_fold()
        found[name] = OutOfFold(right, usual)
    return found
