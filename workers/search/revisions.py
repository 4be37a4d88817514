"""Revision chains: each attempt improves on those before it (Snell et al. 2024, Algorithms 5 and 7)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from router.types import StrategySpec
from workers.protocols import Generate, Problem, Prompt, Score, SearchResult
from workers.search.chains import Chain, grow_chains

SHOWN = 4
"""Attempts in the conversation: "only the last 4 attempts stay in context" (Algorithm 5)."""


def revisions(problem: Problem, spec: StrategySpec, generate: Generate, score: Score) -> SearchResult:
    """Chains of ``chain_length`` attempts side by side, N attempts in all: every ratio from 1:N to N:1.

    The last 4 attempts stand in the conversation, each followed by the request to correct it. About 38% of
    right answers are broken again by revising, so the answer is chosen within each chain, then across them.
    Raises :class:`workers.errors.NoAnswer` as :func:`workers.search.chains.grow_chains` does.
    """

    def ask(chains: Sequence[Chain]) -> list[Prompt | None]:
        return [Prompt(_conversation(problem, chain)) for chain in chains]

    return grow_chains(problem, spec, generate, score, ask, SHOWN)


def revision_conversation(
    messages: tuple[Mapping[str, Any], ...], attempts: Sequence[str], revise: str
) -> tuple[Mapping[str, Any], ...]:
    """What is asked to have ``attempts`` improved on: the last 4, each followed by the request ``revise``.

    Without an attempt, the ``messages`` themselves. An attempt is an answer, without thinking. Models are
    trained for revising on the same conversations.
    """
    for attempt in attempts[-SHOWN:]:
        said = {"role": "assistant", "content": attempt}
        messages = (*messages, said, {"role": "user", "content": revise})
    return messages


def _conversation(problem: Problem, chain: Chain) -> tuple[Mapping[str, Any], ...]:
    attempts = [problem.steps.answer(attempt.text) for attempt in chain.earlier()]
    return revision_conversation(problem.messages, attempts, problem.revise)
