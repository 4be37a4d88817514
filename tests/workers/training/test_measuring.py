"""Measuring a verifier on attempts: as it serves, whatever the attempts are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from router.types import Task
from tests.workers.training import lessons
from tests.workers.training.test_orm import recipe
from workers.errors import ContextOverflow
from workers.protocols import Prompt, Scores
from workers.training.measuring import Conversations, score
from workers.verifiers.scripted import ScriptedVerifier


class ShortSighted(ScriptedVerifier):
    """Refuses a batch with a conversation of more than one message, as one that is too long is refused."""

    def score(self, turns: Sequence[Prompt], task: Task) -> Scores:
        if any(len(turn.messages) > 1 for turn in turns):
            raise ContextOverflow("the prompt has 516 tokens; verifier orm reads fewer than 512")
        return super().score(turns, task)


def test_an_attempt_after_a_conversation_that_is_too_long_scores_0_and_the_others_count(
    tmp_path: Path,
) -> None:
    short, long = lessons.attempts()[0], lessons.attempts(history=True)[0]
    verifier = ShortSighted(lambda _: [0.75], scores_steps=False, reads_history=True)
    found = score(verifier, [short, long, short], Conversations("Again."), recipe(tmp_path))
    assert [value for _, value in found] == [0.75, 0.0, 0.75]
