"""Whole turns, sampled and judged: what probes and every parallel search are made of."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from workers.protocols import Candidate, Completion, Generate, Problem, Score, Scored

UNJUDGED = Scored((), 0.0)


def sample(problem: Problem, count: int, generate: Generate, score: Score) -> tuple[Candidate, ...]:
    """Up to ``count`` new candidates, sampled in one batch and scored in one.

    Turns that a deadline, a cancellation or a spent budget broke off are no candidates: there may be fewer.
    """
    if count <= 0:
        return ()
    texts = complete(generate([problem.turn()] * count))
    judgements = score([problem.turn(one.text) for one in texts]) if texts else ()
    return tuple(
        as_candidate(problem, one.text, one.ended, judgement, completion_tokens=one.completion_tokens)
        for one, judgement in zip(texts, judgements, strict=True)
    )


def complete(completions: Iterable[Completion]) -> list[Completion]:
    return [one for one in completions if is_complete(one.ended)]


def is_complete(ended: str) -> bool:
    """Whether a turn that ended so is over: by itself, or because it may not become longer."""
    return ended in ("stop", "length")


def as_candidate(
    problem: Problem,
    text: str,
    ended: str,
    judgement: Scored = UNJUDGED,
    mean_logprob: float | None = None,
    completion_tokens: int | None = None,
) -> Candidate:
    """A complete turn with its judgement and the answer that it ends in."""
    answer = problem.steps.answer(text)
    return Candidate(
        text=text,
        finish_reason="length" if ended == "length" else "stop",
        answer=problem.answers.extract(answer) if answer else None,
        step_scores=judgement.step_scores,
        score=judgement.score,
        mean_logprob=mean_logprob,
        completion_tokens=completion_tokens,
    )


def judged(candidate: Candidate, judgement: Scored) -> Candidate:
    """The same with another judgement."""
    return replace(candidate, step_scores=judgement.step_scores, score=judgement.score)
