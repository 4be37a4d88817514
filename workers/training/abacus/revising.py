"""What revising gains: chains of attempts against independent samples (Snell et al. 2024, section 6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from workers.search.selection import select_best_of_n_weighted, select_from_chains
from workers.training.abacus.evaluate import (
    Floats,
    Share,
    by_majority,
    coverage,
    is_solved,
    part,
    pass_1,
    share,
    solved,
    together,
)
from workers.verifiers.quality import Judged, measure

WEIGHTED = "abacus-small, best-of-N weighted by abacus-prm"
"""What everything else is compared with."""


@dataclass(frozen=True, slots=True)
class Revised:
    """One question: ``chains`` of the revision model, and independent samples of it and of the small model.

    Those of the revision model are judged by its own verifier, those of the small one by the PRM.
    """

    chains: tuple[Judged, ...]
    parallel: Judged
    small: Judged


@dataclass(frozen=True, slots=True)
class Chosen:
    """The share of questions that a way of spending a budget solves, and what that is above ``WEIGHTED``."""

    budget: int
    way: str
    right: Share
    gain: Share


@dataclass(frozen=True, slots=True)
class Ranking:
    """How well a verifier tells right from wrong: over all samples, and within a question."""

    auc: float | None
    within_question_auc: float | None


@dataclass(frozen=True, slots=True)
class Revising:
    """``along`` has pass@1 at each place of a chain; ``broken`` and ``mended`` are of all next revisions.

    Either is ``None`` where no attempt was right (or wrong) before another.
    ``any_of`` has by k the share of questions that one of k attempts solves: of a chain's first k, of k
    independent samples of the revision model, and of the small one.
    """

    along: tuple[Share, ...]
    first_attempts: Share
    small: Share
    broken: Share | None
    mended: Share | None
    any_of: Mapping[int, tuple[Share, Share, Share]]
    chosen: tuple[Chosen, ...]
    chains: Ranking
    first: Ranking
    prm: Ranking


def revising(questions: Sequence[Revised], length: int, budgets: Sequence[int]) -> Revising:
    """Every number of the revisions. ``length`` is that of the chains."""
    right = [[list(chain.right) for chain in each.chains] for each in questions]
    longest = max(len(chain) for each in right for chain in each)
    ks = [k for k in (1, 2, 4, 8, 16) if k <= length]
    return Revising(
        along=tuple(_at(right, place) for place in range(longest)),
        first_attempts=share(pass_1([each.parallel for each in questions])),
        small=share(pass_1([each.small for each in questions])),
        broken=_followed(right, after=True, by=False),
        mended=_followed(right, after=False, by=True),
        any_of={
            k: (
                share(np.array([np.mean([any(chain[:k]) for chain in each]) for each in right])),
                share(coverage([each.parallel for each in questions], k)),
                share(coverage([each.small for each in questions], k)),
            )
            for k in ks
        },
        chosen=tuple(one for budget in budgets for one in _chosen(questions, budget, length)),
        chains=_ranking([together(each.chains) for each in questions]),
        first=_ranking([each.parallel for each in questions]),
        prm=_ranking([each.small for each in questions]),
    )


def _at(right: Sequence[Sequence[Sequence[bool]]], place: int) -> Share:
    """Of the attempts at one place of all chains, how many are right."""
    there = [[chain[place] for chain in each if place < len(chain)] for each in right]
    return share(
        np.array([sum(each) for each in there], float), np.array([len(each) for each in there], float)
    )


def _followed(right: Sequence[Sequence[Sequence[bool]]], *, after: bool, by: bool) -> Share | None:
    """Of the attempts that are right (or wrong: ``after``), how many the next one turns into ``by``."""
    pairs = [[pair for chain in each for pair in pairwise(chain)] for each in right]
    hits = [sum(pair == (after, by) for pair in each) for each in pairs]
    before = [sum(first == after for first, _ in each) for each in pairs]
    return share(np.array(hits, float), np.array(before, float)) if any(before) else None


def _chosen(questions: Sequence[Revised], budget: int, length: int) -> list[Chosen]:
    small, parallel = [each.small for each in questions], [each.parallel for each in questions]
    ways: dict[str, Floats] = {
        "abacus-small, majority": by_majority(small, budget),
        WEIGHTED: solved(small, select_best_of_n_weighted, budget),
        "abacus-revision, majority": by_majority(parallel, budget),
        "abacus-revision, best-of-N weighted by its verifier": solved(
            parallel, select_best_of_n_weighted, budget
        ),
    }
    most = max(len(each.chains) for each in questions)
    for side_by_side in (4**power for power in range(4)):
        long, odd = divmod(budget, side_by_side)
        if not odd and 1 < long <= length and side_by_side <= most:
            label = "1 chain" if side_by_side == 1 else f"{side_by_side} chains"
            ways[f"abacus-revision, {label} of {long}, Algorithm 7"] = np.array(
                [_by_chains(each, side_by_side, long) for each in questions]
            )
    return [Chosen(budget, way, share(right), share(right - ways[WEIGHTED])) for way, right in ways.items()]


def _by_chains(question: Revised, side_by_side: int, long: int) -> float:
    """The share of groups of chains, each cut after ``long`` attempts, whose selected attempt is right."""
    cut = [part(chain, 0, long) for chain in question.chains]
    starts = range(0, len(cut) - side_by_side + 1, side_by_side)
    return float(np.mean([_is_solved(cut[at : at + side_by_side]) for at in starts]))


def _is_solved(chains: Sequence[Judged]) -> bool:
    attempts = [chain.candidates for chain in chains]
    return is_solved(together(chains), lambda _, answers: select_from_chains(attempts, answers))


def _ranking(questions: Sequence[Judged]) -> Ranking:
    found = measure(questions)
    return Ranking(found.auc, found.within_question_auc)
