"""What each way to decide takes, question by question: always one action, a random mix, routers, an oracle.

A router takes the action that it predicts to be right most often, the cheaper one of equals: what it decides
by itself, nothing tuned on the questions that it is measured on. Its trade-offs below that are its hull.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from router.evaluation.crossval import OutOfFold, Predict
from router.evaluation.frontier import Indices, money_wasted_usd, oracle, quality_lost
from router.evaluation.setting import Setting
from router.outcome_table import Floats, OutcomeTable

Kind = Literal["single", "mix", "router", "oracle"]

_TRADE_OFFS = 20


@dataclass(frozen=True, slots=True)
class Router:
    """What a method predicted for the questions of a setting; ``probes`` if it looked at evidence first."""

    name: str
    predicted: OutOfFold
    probes: bool = False


@dataclass(frozen=True, slots=True)
class Played:
    """A policy on N questions, each the mean over fold seeds; costs in the setting's unit, ``None`` without.

    ``lost`` is quality that the best action would have had, ``wasted`` what was paid beyond the cheapest
    action that is at least as right, the probe included. ``share`` [A] is how often each action was taken.
    ``line`` are the trade-offs of a router: quality and cost [S, K, N] as less and less money is spent.
    """

    name: str
    kind: Kind
    quality: Floats
    cost: Floats | None
    lost: Floats
    wasted: Floats | None
    share: Floats
    line: tuple[Floats, Floats] | None = None


def always(setting: Setting, action: int) -> Played:
    return _played(
        f"always {setting.names[action]}", "single", setting, np.full((1, len(setting.table)), action)
    )


def best_possible(setting: Setting) -> Played:
    """The cheapest of what is most right, known beforehand."""
    cost = np.zeros(setting.table.right.shape) if setting.cost is None else setting.cost
    return _played("oracle", "oracle", setting, oracle(setting.table.right, cost)[None])


def random_mix(setting: Setting) -> Played:
    """Half of the questions to the weak action, half to the strong one: on average, the mean of both."""
    weak, strong = always(setting, setting.weak), always(setting, setting.strong)

    def mean(one: Floats, other: Floats) -> Floats:
        return (one + other) / 2

    return Played(
        "random, half and half",
        "mix",
        mean(weak.quality, strong.quality),
        None if weak.cost is None or strong.cost is None else mean(weak.cost, strong.cost),
        mean(weak.lost, strong.lost),
        None if weak.wasted is None or strong.wasted is None else mean(weak.wasted, strong.wasted),
        mean(weak.share, strong.share),
    )


def routed(setting: Setting, router: Router) -> Played:
    """A router at its most accurate, and all that it trades off below."""
    cost = setting.probed_cost if router.probes else setting.cost
    usual = np.zeros(len(setting.names)) if cost is None else cost.mean(axis=0)
    # The first of equals is the cheapest.
    order = np.argsort(usual, kind="stable")
    taken = order[router.predicted.right[..., order].argmax(axis=-1)]
    played = _played(router.name, "router", setting, taken, cost)
    if cost is None:
        return played
    quality, spent = [], []
    for choices in _trade_offs(router.predicted, usual):
        quality.append([_of(setting.table.right, each) for each in choices])
        spent.append([_of(cost, each) for each in choices])
    return Played(
        played.name,
        played.kind,
        played.quality,
        played.cost,
        played.lost,
        played.wasted,
        played.share,
        (np.array(quality), np.array(spent)),
    )


def _trade_offs(predicted: OutOfFold, usual: Floats) -> list[list[Indices]]:
    """For every seed, the choices [N] of K values of a right answer, from nothing to any price.

    Folds are brought to a common mean, as in :meth:`OutOfFold.scores`. Prices lie where choices change: at
    quantiles of what each dearer action is said to gain for a dollar.
    """
    right = predicted.right - predicted.training_mean
    right += predicted.training_mean.mean(axis=(0, 1))
    found = []
    for each in right:
        dearer = usual[None, :] - usual[:, None]
        better = each[:, None, :] - each[:, :, None]
        held = np.broadcast_to(dearer > 0, better.shape) & (better > 0)
        slopes = better[held] / np.broadcast_to(dearer, better.shape)[held]
        # Where no dearer action promises more there is nothing to trade: the same choice at every price.
        prices = np.quantile(slopes if len(slopes) else [0.0], np.linspace(0, 1, _TRADE_OFFS))
        choices = [_cheapest_of_best(each - level * usual, usual) for level in (0.0, *prices)]
        found.append([*choices, np.full(len(each), int(usual.argmin()))])
    return found


def _cheapest_of_best(value: Floats, usual: Floats) -> Indices:
    order = np.argsort(usual, kind="stable")
    taken: Indices = order[np.round(value[:, order], 12).argmax(axis=1)]
    return taken


def _played(name: str, kind: Kind, setting: Setting, taken: Indices, cost: Floats | None = None) -> Played:
    """``taken`` [S, N] at these costs [N, A], by default those without a probe."""
    right = setting.table.right
    cost = setting.cost if cost is None else cost
    share = np.array([(taken == action).mean() for action in range(right.shape[1])])
    quality = np.mean([_of(right, each) for each in taken], axis=0)
    lost = np.mean([quality_lost(right, each) for each in taken], axis=0)
    if cost is None or setting.cost is None:
        return Played(name, kind, quality, None, lost, None, share)
    paid = np.mean([_of(cost, each) for each in taken], axis=0)
    unprobed = np.mean([_of(setting.cost, each) for each in taken], axis=0)
    wasted = np.mean([money_wasted_usd(right, setting.cost, each) for each in taken], axis=0)
    return Played(name, kind, quality, paid, lost, wasted + paid - unprobed, share)


def _of(values: Floats, taken: Indices) -> Floats:
    found: Floats = np.take_along_axis(values, taken[:, None], axis=1)[:, 0]
    return found


def by_length(train: OutcomeTable, seed: int) -> Predict:
    """The baseline that knows only how long a prompt is: a line through its logarithm, for each action."""
    del seed

    def terms(table: OutcomeTable) -> Floats:
        length = np.log1p([len(prompt) for prompt in table.prompts])
        return np.stack([np.ones(len(table)), length], axis=1)

    weights, *_ = np.linalg.lstsq(terms(train), train.right, rcond=None)
    return lambda test: terms(test) @ weights
