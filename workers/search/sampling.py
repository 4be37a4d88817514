"""Whole turns, sampled and judged: what probes and every parallel search are made of."""

from __future__ import annotations

from collections.abc import Sequence

from workers.answers.short import extract_answer
from workers.protocols import Candidate, Generate, Score, Scored


def sample(count: int, generate: Generate, score: Score) -> tuple[Candidate, ...]:
    """Up to ``count`` new candidates, sampled in one batch and scored in one.

    Turns that a deadline, a cancellation or a spent budget broke off are no candidates: there may be fewer.
    """
    if count <= 0:
        return ()
    completions = [one for one in generate([""] * count, False) if is_complete(one.ended)]
    scored = score([one.text for one in completions]) if completions else ()
    return tuple(
        as_candidate(one.text, one.ended, judgement)
        for one, judgement in zip(completions, scored, strict=True)
    )


def top_up(
    initial: Sequence[Candidate], samples: int, generate: Generate, score: Score
) -> tuple[Candidate, ...]:
    """The probe's candidates first, then new ones until there are ``samples``."""
    return (*initial, *sample(samples - len(initial), generate, score))


def is_complete(ended: str) -> bool:
    """Whether a turn that ended so is over: by itself, or because it may not become longer."""
    return ended in ("stop", "length")


def as_candidate(text: str, ended: str, judgement: Scored) -> Candidate:
    """A complete turn with its judgement and the answer that it ends in."""
    return Candidate(
        text=text,
        finish_reason="length" if ended == "length" else "stop",
        answer=extract_answer(text),
        step_scores=judgement.step_scores,
        score=judgement.score,
    )
