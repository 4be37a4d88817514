"""The embedded models' own held-out questions, for a bench that is given none."""

from __future__ import annotations

from itertools import islice

from workers.training.questions import Question

# Of the problems that the generator makes, the share of the test split is one in twenty.
_MADE_FOR_ONE = 40
_SEED = 20_261_122


def abacus_questions(count: int) -> list[Question]:
    """Problems of the test split, which no embedded model was trained on.

    Raises :class:`workers.training.errors.MissingExtraError`.
    """
    from workers.training.abacus.tasks import generate

    made = (each for each in generate(_SEED, count * _MADE_FOR_ONE) if each.split == "test")
    return [Question(str(at), each.question, each.answer) for at, each in enumerate(islice(made, count))]
