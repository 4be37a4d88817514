"""Predictions for every question by methods that never saw it, nor a question of its group.

One division into folds is noise, so there are several; each gives every question one prediction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from router.outcome_table import Floats, OutcomeTable

Predict = Callable[[OutcomeTable], Floats]
"""From N questions, whose outcomes it must not look at, to P(right) [N, A]; or several such side by side."""
Method = Callable[[OutcomeTable, int], Predict]
"""Fits to a training fold, with a seed. Whatever is chosen, a model or its settings, is chosen in here."""


@dataclass(frozen=True, slots=True)
class OutOfFold:
    """What a method predicted, S fold seeds by N questions by A actions.

    ``right`` [S, N, A] is P(right) as predicted; ``training_mean`` [S, N, A] the mean prediction for the
    training fold, by the same fitted method.
    """

    right: Floats
    training_mean: Floats

    def scores(self, weak: int, strong: int) -> Floats:
        """[S, N] how much better action ``strong`` is said to be than ``weak``, by their columns.

        Each fold is centred on its training mean: a fold whose test questions are harder than average was
        trained on easier ones, so that, pooled, a weak method would look worse than random.
        """
        gain: Floats = self.right[..., strong] - self.right[..., weak]
        usual: Floats = self.training_mean[..., strong] - self.training_mean[..., weak]
        # Scores that are equal but for rounding must stay ties, or the folds would order them.
        centred: Floats = np.round(gain - usual, 12)
        return centred


def folds(
    groups: Sequence[str], count: int, seed: int
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """(training, test) indices of ``count`` folds that split no group; all of them test every question once.

    Raises :class:`ValueError` where there are fewer groups than folds.
    """
    from sklearn.model_selection import GroupKFold  # takes a second to import

    found = len(set(groups))
    if not 2 <= count <= found:
        raise ValueError(f"{found} groups of questions cannot be split into {count} folds")
    splitter = GroupKFold(count, shuffle=True, random_state=seed)
    yield from splitter.split(np.empty((len(groups), 1)), groups=np.asarray(groups))


def cross_validate(
    table: OutcomeTable,
    method: Method,
    *,
    fold_count: int = 5,
    seeds: Sequence[int] = range(5),
    on_fold: Callable[[], None] = lambda: None,
) -> OutOfFold:
    """Predictions of ``method`` for each of the questions, out of fold, once a seed.

    ``on_fold`` is called after each fold, for a progress bar. Raises :class:`ValueError` where there are
    fewer groups than folds, or the method leaves a prediction unknown.
    """
    by_seed = []
    for seed in seeds:
        tested, right, usual = [], [], []
        for training, test in folds(table.groups, fold_count, seed):
            train = table.take(training)
            predict = method(train, seed)
            tested.append(test)
            right.append(predict(table.take(test)))
            usual.append(np.broadcast_to(predict(train).mean(axis=0), right[-1].shape))
            on_fold()
        order = np.argsort(np.concatenate(tested))
        by_seed.append([np.concatenate(each)[order] for each in (right, usual)])
    found = OutOfFold(*(np.array(each) for each in zip(*by_seed, strict=True)))
    if not (np.isfinite(found.right).all() and np.isfinite(found.training_mean).all()):
        raise ValueError("the method predicted NaN or infinity for some question")
    return found
