"""Reflection: a draft, its critique by the same model, the next draft (Self-Refine, Madaan et al. 2023)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from router.types import StrategySpec
from workers.protocols import Generate, Problem, Prompt, Score, SearchResult
from workers.search.chains import Chain, grow_chains
from workers.search.sampling import is_complete
from workers.search.wording import CRITIQUE, REWRITE

_SHOWN = 1


def reflect(problem: Problem, spec: StrategySpec, generate: Generate, score: Score) -> SearchResult:
    """Chains of ``chain_length`` drafts side by side, each written after a critique of the one before.

    A revision costs two generations. The conversation holds the last draft and its critique only. The winner
    is chosen within each chain, then across them, as with revisions.
    Raises :class:`workers.errors.NoAnswer` as :func:`workers.search.chains.grow_chains` does.
    """

    def ask(chains: Sequence[Chain]) -> list[Prompt | None]:
        """The question for a first draft; else the last draft, with the critique that is asked for here."""
        drafts = [draft for chain in chains for draft in chain.earlier()]
        reviews = [_followed(problem, problem.messages, draft.text, CRITIQUE) for draft in drafts]
        critiques = generate([Prompt(review) for review in reviews]) if reviews else ()
        rewrites = iter(
            [
                Prompt(_followed(problem, review, critique.text, REWRITE))
                if is_complete(critique.ended) and critique.text
                else None
                for review, critique in zip(reviews, critiques, strict=True)
            ]
        )
        return [next(rewrites) if chain.earlier() else problem.turn() for chain in chains]

    return grow_chains(problem, spec, generate, score, ask, _SHOWN)


def _followed(
    problem: Problem, conversation: tuple[Mapping[str, Any], ...], said: str, request: str
) -> tuple[Mapping[str, Any], ...]:
    answer = {"role": "assistant", "content": problem.steps.answer(said)}
    return (*conversation, answer, {"role": "user", "content": request})
