"""Revision chains: each attempt improves on those before it (Snell et al. 2024, Algorithms 5 and 7)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from router.types import StrategySpec
from workers.protocols import Generate, Problem, Prompt, Score, SearchResult
from workers.search.chains import Chain, grow_chains
from workers.search.wording import REVISE

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


def _conversation(problem: Problem, chain: Chain) -> tuple[Mapping[str, Any], ...]:
    """The question itself for a first attempt."""
    messages = problem.messages
    for attempt in chain.earlier():
        said = {"role": "assistant", "content": problem.steps.answer(attempt.text)}
        messages = (*messages, said, {"role": "user", "content": REVISE})
    return messages
