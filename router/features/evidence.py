"""What a probe saw, as a fixed list of numbers: how sure the verifier is, how far answers agree, lengths.

Scores of process reward models say a part, agreement among answers another (self-consistency, 2203.11171;
confidence by agreement in section 3 of 2305.11860), so both stand side by side, and weighted by each other
(weighted best-of-N: Snell et al. 2024, section 5.1).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain

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
)
"""What the columns are, in order."""

_CHUNK = 4096
"""Rows at a time: agreement compares every pair of samples."""
_EDGE = 1e-3


def evidence_features(evidence: Evidence) -> Floats:
    """[F] of one probe: see :func:`evidence_matrix`."""
    row: Floats = evidence_matrix((evidence,))[0]
    return row


def evidence_matrix(evidence: Sequence[Evidence]) -> Floats:
    """[N, F] of N probes of any length, by :data:`FEATURES`.

    What is unknown has the neutral value that the list names, so it says nothing where it is always unknown.
    Raises :class:`ValueError` for a probe without samples.
    """
    chunks = [_features(evidence[start : start + _CHUNK]) for start in range(0, len(evidence), _CHUNK)]
    return np.concatenate(chunks) if chunks else np.empty((0, len(FEATURES)))


def _features(evidence: Sequence[Evidence]) -> Floats:
    sizes = np.array([len(each.answers) for each in evidence])
    if not sizes.all():
        raise ValueError("a probe has at least one sample")
    there = np.arange(sizes.max()) < sizes[:, None]
    scores = _padded([each.scores for each in evidence], there, 0.5)
    last, least, mean = _steps(evidence, scores, there)
    tokens = np.log1p(_padded([each.completion_tokens for each in evidence], there, 0.0))
    unfinished = _padded(
        [[reason == "length" for reason in each.finish_reasons] for each in evidence], there, 0.0
    )
    edged = np.clip(scores, _EDGE, 1 - _EDGE)
    codes = _codes(evidence, there)
    columns = (
        _mean(scores, there),
        np.where(there, scores, np.inf).min(axis=1),
        np.where(there, scores, -np.inf).max(axis=1),
        _deviation(scores, there),
        _mean(np.log(edged / (1 - edged)), there),
        _mean(last, there),
        _mean(least, there),
        np.where(there, least, -np.inf).max(axis=1),
        _mean(mean, there),
        *_agreement(codes, scores, there),
        ((codes == _UNANSWERED) & there).sum(axis=1) / sizes,
        _mean(unfinished, there),
        _mean(tokens, there),
        _deviation(tokens, there),
    )
    return np.stack(columns, axis=1)


_UNANSWERED = -1


def _codes(evidence: Sequence[Evidence], there: Bools) -> Ints:
    """[N, S] a number for every answer: that of the first sample with it; :data:`_UNANSWERED` for none."""
    found: list[int] = []
    for each in evidence:
        first: dict[str | None, int] = {None: _UNANSWERED}
        found += [first.setdefault(answer, position) for position, answer in enumerate(each.answers)]
    codes = np.full(there.shape, _UNANSWERED)
    codes[there] = found
    return codes


def _agreement(codes: Ints, scores: Floats, there: Bools) -> tuple[Floats, ...]:
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
    best = np.where(there, scores, -1.0).argmax(axis=1)
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


def _steps(evidence: Sequence[Evidence], scores: Floats, there: Bools) -> tuple[Floats, Floats, Floats]:
    """Last, least and mean step score [N, S] of each sample; its score where it has no steps."""
    last, least, mean = scores.copy(), scores.copy(), scores.copy()
    samples = [steps for each in evidence for steps in each.step_scores]
    sizes = np.fromiter(map(len, samples), dtype=np.intp, count=len(samples))
    if sizes.any():
        steps = np.fromiter(chain.from_iterable(samples), dtype=np.float64, count=sizes.sum())
        stepped = np.zeros(there.shape, dtype=np.bool_)
        stepped[np.arange(there.shape[1]) < _lengths(each.step_scores for each in evidence)] = sizes > 0
        ends = sizes[sizes > 0].cumsum()
        starts = ends - sizes[sizes > 0]
        last[stepped] = steps[ends - 1]
        least[stepped] = np.minimum.reduceat(steps, starts)
        mean[stepped] = np.add.reduceat(steps, starts) / (ends - starts)
    return last, least, mean


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


def _mean(values: Floats, there: Bools) -> Floats:
    mean: Floats = np.where(there, values, 0.0).sum(axis=1) / there.sum(axis=1)
    return mean


def _deviation(values: Floats, there: Bools) -> Floats:
    return np.sqrt(np.maximum(_mean(values**2, there) - _mean(values, there) ** 2, 0.0))
