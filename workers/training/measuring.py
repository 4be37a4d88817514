"""How well a trained verifier judges the questions that were kept for validation, read as it will serve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from router.types import Task
from workers.answers import answers_for
from workers.errors import ContextOverflow
from workers.protocols import Candidate, Prompt, Scored, Verifier
from workers.search.revisions import revision_conversation
from workers.training.datasets import Attempt
from workers.training.recipes.learning import Judging
from workers.verifiers.aggregate import AGGREGATIONS, Aggregation, aggregate
from workers.verifiers.quality import Judged, Quality, measure

Messages = tuple[Mapping[str, Any], ...]


class Conversations:
    """What a verifier is shown before an attempt. Equal ones are one object: they are read once."""

    def __init__(self, revise: str | None) -> None:
        """``revise`` is what was said after each earlier attempt; ``None`` shows the question alone."""
        self._revise = revise
        self._made: dict[tuple[str, ...], Messages] = {}

    def before(self, attempt: Attempt) -> Messages:
        history = () if self._revise is None else attempt.history
        key = (attempt.question, *history)
        if key not in self._made:
            asked = ({"role": "user", "content": attempt.question},)
            self._made[key] = revision_conversation(asked, history, self._revise or "")
        return self._made[key]


def score(
    verifier: Verifier, attempts: Sequence[Attempt], conversations: Conversations, recipe: Judging
) -> list[tuple[tuple[float, ...], float]]:
    """(step scores, score) of each attempt; one after a conversation that is too long scores 0."""
    part = recipe.steps.judged if verifier.scores_steps else recipe.steps.answer
    turns = [Prompt(conversations.before(one), part(one.text)) for one in attempts]
    task = Task(recipe.task)
    try:
        scored = verifier.score(turns, task).scored
    except ContextOverflow:
        scored = tuple(_alone(verifier, turn, task) for turn in turns)
    return [(one.step_scores, one.score) for one in scored]


def _alone(verifier: Verifier, turn: Prompt, task: Task) -> Scored:
    try:
        return verifier.score([turn], task).scored[0]
    except ContextOverflow:
        return Scored((), 0.0)


def quality(attempts: Sequence[Attempt], scores: Sequence[float], recipe: Judging) -> Quality:
    """Of these scores; an attempt counts as often as it was drawn."""
    by_question: dict[str, list[tuple[Attempt, float]]] = {}
    for attempt, value in zip(attempts, scores, strict=True):
        by_question.setdefault(attempt.question, []).append((attempt, value))
    judged = []
    for rows in by_question.values():
        answers = answers_for(Task(recipe.task))
        every = [row for row in rows for _ in range(row[0].count)]
        candidates = tuple(
            Candidate(one.text, "stop", answers.extract(recipe.steps.answer(one.text)), score=value)
            for one, value in every
        )
        judged.append(Judged(candidates, tuple(one.right for one, _ in every), answers))
    return measure(judged)


def choose_aggregation(
    attempts: Sequence[Attempt], step_scores: Sequence[Sequence[float]], recipe: Judging
) -> tuple[Aggregation, dict[Aggregation, Quality]]:
    """The one whose weighted best-of-N is right most often, then the one of the best AUC; and all of them.

    Which is best is a property of the model: the paper's is read by its last step (Snell et al. 2024,
    appendix E), others by the minimum or the product.
    """
    table = {
        how: quality(attempts, [aggregate(steps, how) for steps in step_scores], recipe)
        for how in AGGREGATIONS
    }
    return max(table, key=lambda how: (table[how].weighted_right, table[how].auc or 0.0)), table


def shown(found: Quality) -> dict[str, Any]:
    """The numbers of a card."""
    return {
        "validation AUC": found.auc,
        "validation AUC within a question": found.within_question_auc,
        "validation questions right by majority": found.majority_right,
        "validation questions right by weighted best-of-N": found.weighted_right,
        "N": round(found.outcomes / found.questions, 1),
    }
