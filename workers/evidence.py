"""What a decision may look at, of what a probe brought."""

from __future__ import annotations

from collections.abc import Sequence

from router.types import Evidence
from workers.protocols import Candidate


def evidence_of(probes: Sequence[Candidate]) -> Evidence:
    """Of the candidates of a probe; lengths only where all are known, so that they stand in order."""
    lengths = [each.completion_tokens for each in probes]
    known = tuple(each for each in lengths if each is not None)
    return Evidence(
        scores=tuple(each.score for each in probes),
        answers=tuple(each.answer for each in probes),
        step_scores=tuple(each.step_scores for each in probes),
        completion_tokens=known if len(known) == len(lengths) else (),
        finish_reasons=tuple(each.finish_reason for each in probes),
    )
