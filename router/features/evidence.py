"""What a probe saw, as a fixed list of numbers: how sure the verifier is, how far answers agree, lengths.

Scores of process reward models say a part, agreement among answers another (self-consistency, 2203.11171;
confidence by agreement in section 3 of 2305.11860), so both stand side by side, and weighted by each other
(weighted best-of-N: Snell et al. 2024, section 5.1).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from itertools import chain, count

import numpy as np
from numpy.typing import NDArray

from router.types import Evidence

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]

FEATURES = (
    "score_mean",  # of the samples' scores; .5 where nothing was scored
    "score_min",
    "score_max",
    "score_std",
    "score_log_odds",  # mean of the scores' log-odds
    "last_step_mean",  # of the samples' last step scores; where there are no steps, of the scores
    "min_step_mean",
    "min_step_max",
    "mean_step_mean",
    "agreement",  # share of the most frequent answer among all samples
    "weighted_agreement",  # share that answer has of all scores
    "margin",  # of the most frequent answer over the second, in shares of the samples
    "weighted_margin",  # of the answer with most score over the second, in shares of all scores
    "best_agreement",  # share of the best scored sample's answer
    "leader_score",  # mean score of the samples with the most frequent answer
    "distinct",  # different answers, in shares of the samples
    "unanswered",  # share of samples without an answer
    "unfinished",  # share that was cut by its length; 0 where nobody said
    "log_tokens_mean",  # 0 where lengths are unknown
    "log_tokens_std",
    # How each sample went, in log-odds of its steps' scores; where there are no steps, of its score.
    "first_step_log_odds",  # these six are means over the samples
    "min_step_log_odds",
    "mean_step_log_odds",
    "step_rise",  # from the first step to the last
    "step_spread",  # standard deviation within a sample
    "low_steps",  # share of steps below .5
    "log_steps",  # of the mean count; 0 where there are no steps
    # Of the best scored sample alone: the answer that a search would give.
    "best_log_odds",
    "best_first_step",
    "best_min_step",
    "best_mean_step",
    "best_unanswered",
    "best_log_tokens",
)
"""What the columns are, in order."""

_CHUNK = 4096
"""Rows at a time: agreement compares every pair of samples."""
_EDGE = 1e-3
_LOW = 0.5
"""A step scored below this looks wrong to the verifier."""


def evidence_features(evidence: Evidence) -> Floats:
    """[F] of one probe: see :func:`evidence_matrix`."""
    row: Floats = evidence_matrix((evidence,))[0]
    return row


def evidence_matrix(evidence: Sequence[Evidence]) -> Floats:
    """[N, F] of N probes of any length, by :data:`FEATURES`.

    What is unknown has the neutral value that the list names, so it says nothing where it is always unknown.
    Raises :class:`ValueError` for a probe without samples.
    """
    chunks = [_features(_read(evidence[start : start + _CHUNK])) for start in range(0, len(evidence), _CHUNK)]
    return np.concatenate(chunks) if chunks else np.empty((0, len(FEATURES)))


class Prefixes:
    """N probes, some thousand at most, read once to tell what the first samples of each would have shown."""

    def __init__(self, evidence: Sequence[Evidence]) -> None:
        self._probes = _read(evidence)

    def features(self, samples: int) -> Floats:
        """[N, F] as :func:`evidence_matrix`; NaN where there are not so many samples."""
        found = np.full((len(self._probes.there), len(FEATURES)), np.nan)
        enough = self._probes.there.sum(axis=1) >= samples
        if enough.any():
            found[enough] = _features(self._probes.first(enough, samples))
        return found


@dataclass(frozen=True, slots=True)
class _Probes:
    """[N, S] of N probes of up to S samples, those that are ``there``.

    ``codes`` are numbers for answers: that of the first sample with it; :data:`_UNANSWERED` for none.
    """

    there: Bools
    scores: Floats
    log_tokens: Floats
    unfinished: Floats
    codes: Ints
    steps: _Steps

    def first(self, rows: Bools, samples: int) -> _Probes:
        """The first samples of some."""
        cut = rows, slice(samples)
        there, scores, codes = self.there[cut], self.scores[cut], self.codes[cut]
        steps = _Steps(*(getattr(self.steps, each.name)[cut] for each in fields(_Steps)))
        return _Probes(there, scores, self.log_tokens[cut], self.unfinished[cut], codes, steps)


def _read(evidence: Sequence[Evidence]) -> _Probes:
    sizes = np.array([len(each.answers) for each in evidence])
    if not sizes.all():
        raise ValueError("a probe has at least one sample")
    there = np.arange(sizes.max()) < sizes[:, None]
    scores = _padded([each.scores for each in evidence], there, 0.5)
    finishes = [[reason == "length" for reason in each.finish_reasons] for each in evidence]
    return _Probes(
        there,
        scores,
        np.log1p(_padded([each.completion_tokens for each in evidence], there, 0.0)),
        _padded(finishes, there, 0.0),
        _codes(evidence, there),
        _steps(evidence, scores, there),
    )


def _features(probes: _Probes) -> Floats:
    there, scores, steps, codes = probes.there, probes.scores, probes.steps, probes.codes
    sizes, tokens = there.sum(axis=1), probes.log_tokens
    log_odds = _log_odds(scores)
    rows, best = np.arange(len(sizes)), np.where(there, scores, -1.0).argmax(axis=1)
    columns = (
        _mean(scores, there),
        np.where(there, scores, np.inf).min(axis=1),
        np.where(there, scores, -np.inf).max(axis=1),
        _deviation(scores, there),
        _mean(log_odds, there),
        _mean(steps.last, there),
        _mean(steps.least, there),
        np.where(there, steps.least, -np.inf).max(axis=1),
        _mean(steps.mean, there),
        *_agreement(codes, scores, best, there),
        ((codes == _UNANSWERED) & there).sum(axis=1) / sizes,
        _mean(probes.unfinished, there),
        _mean(tokens, there),
        _deviation(tokens, there),
        _mean(_log_odds(steps.first), there),
        _mean(_log_odds(steps.least), there),
        _mean(steps.mean_log_odds, there),
        _mean(_log_odds(steps.last) - _log_odds(steps.first), there),
        _mean(steps.spread, there),
        _mean(steps.low, there),
        np.log1p(_mean(steps.count, there)),
        log_odds[rows, best],
        _log_odds(steps.first)[rows, best],
        _log_odds(steps.least)[rows, best],
        steps.mean_log_odds[rows, best],
        codes[rows, best] == _UNANSWERED,
        tokens[rows, best],
    )
    return np.stack(columns, axis=1)


_UNANSWERED = -1


def _codes(evidence: Sequence[Evidence], there: Bools) -> Ints:
    """[N, S]"""
    found: list[int] = []
    for each in evidence:
        first: dict[str | None, int] = {None: _UNANSWERED}
        found += map(first.setdefault, each.answers, count())
    codes = np.full(there.shape, _UNANSWERED)
    codes[there] = found
    return codes


def _agreement(codes: Ints, scores: Floats, best: Ints, there: Bools) -> tuple[Floats, ...]:
    """From "agreement" to "distinct"."""
    sizes = there.sum(axis=1)
    answered = there & (codes != _UNANSWERED)
    same = (codes[:, :, None] == codes[:, None, :]) & answered[:, None, :] & answered[:, :, None]
    votes = same.sum(axis=2) / sizes[:, None]
    total = np.where(there, scores, 0).sum(axis=1)
    weights = (same * scores[:, None, :]).sum(axis=2) / np.maximum(total, _EDGE)[:, None]
    heads = answered & (codes == np.arange(codes.shape[1]))  # one sample an answer
    rows = np.arange(len(codes))
    leader = np.where(heads, votes + weights * _EDGE, -1.0).argmax(axis=1)  # of equal ones the better scored
    leading = same[rows, leader]
    return (
        votes[rows, leader],
        weights[rows, leader],
        _margin(votes, heads),
        _margin(weights, heads),
        votes[rows, best],
        np.where(leading, scores, 0).sum(axis=1) / np.maximum(leading.sum(axis=1), 1),
        heads.sum(axis=1) / sizes,
    )


def _margin(shares: Floats, heads: Bools) -> Floats:
    ranked = np.sort(np.where(heads, shares, 0.0), axis=1)
    second: Floats = ranked[:, :-1].max(axis=1, initial=0.0)
    margin: Floats = ranked[:, -1] - second
    return margin


@dataclass(frozen=True, slots=True)
class _Steps:
    """[N, S] of the steps of each sample; without steps its score stands for one."""

    first: Floats
    last: Floats
    least: Floats
    mean: Floats
    mean_log_odds: Floats
    spread: Floats
    low: Floats
    count: Floats


def _steps(evidence: Sequence[Evidence], scores: Floats, there: Bools) -> _Steps:
    alone = _log_odds(scores)
    found = _Steps(
        first=scores.copy(),
        last=scores.copy(),
        least=scores.copy(),
        mean=scores.copy(),
        mean_log_odds=alone,
        spread=np.zeros_like(scores),
        low=(scores < _LOW).astype(np.float64),
        count=np.zeros_like(scores),
    )
    samples = [steps for each in evidence for steps in each.step_scores]
    sizes = np.fromiter(map(len, samples), dtype=np.intp, count=len(samples))
    if not sizes.any():
        return found
    steps = np.fromiter(chain.from_iterable(samples), dtype=np.float64, count=sizes.sum())
    stepped = np.zeros(there.shape, dtype=np.bool_)
    stepped[np.arange(there.shape[1]) < _lengths(each.step_scores for each in evidence)] = sizes > 0
    ends = sizes[sizes > 0].cumsum()
    starts = ends - sizes[sizes > 0]
    counts = ends - starts

    def mean(values: Floats) -> Floats:
        means: Floats = np.add.reduceat(values, starts) / counts
        return means

    log_odds = _log_odds(steps)
    found.first[stepped] = steps[starts]
    found.last[stepped] = steps[ends - 1]
    found.least[stepped] = np.minimum.reduceat(steps, starts)
    found.mean[stepped] = mean(steps)
    found.mean_log_odds[stepped] = mean(log_odds)
    found.spread[stepped] = np.sqrt(np.maximum(mean(log_odds**2) - mean(log_odds) ** 2, 0.0))
    found.low[stepped] = mean((steps < _LOW).astype(np.float64))
    found.count[stepped] = counts
    return found


def _lengths(parts: Iterable[Sequence[object]]) -> Ints:
    """[N, 1]"""
    return np.fromiter(map(len, parts), dtype=np.int64)[:, None]


def _padded(values: Sequence[Sequence[float]], there: Bools, unknown: float) -> Floats:
    """[N, S]; ``unknown`` where there is no value, or NaN."""
    padded = np.full(there.shape, unknown)
    known = np.arange(there.shape[1]) < _lengths(values)
    padded[known] = np.fromiter(chain.from_iterable(values), dtype=np.float64)
    padded[np.isnan(padded)] = unknown
    return padded


def _log_odds(scores: Floats) -> Floats:
    edged = np.clip(scores, _EDGE, 1 - _EDGE)
    found: Floats = np.log(edged / (1 - edged))
    return found


def _mean(values: Floats, there: Bools) -> Floats:
    mean: Floats = np.where(there, values, 0.0).sum(axis=1) / there.sum(axis=1)
    return mean


def _deviation(values: Floats, there: Bools) -> Floats:
    return np.sqrt(np.maximum(_mean(values**2, there) - _mean(values, there) ** 2, 0.0))
