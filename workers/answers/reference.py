"""Which answers are right, by a reference answer that somebody knows."""

from __future__ import annotations

from collections.abc import Sequence

from workers.answers.port import Answers


def read_reference(answers: Answers, reference: str) -> str | None:
    """The reference in the canonical form of ``answers``; ``None`` where it cannot be read as such a one."""
    return answers.extract(f"The answer is {reference}.")


def are_right(answers: Answers, found: Sequence[str | None], reference: str) -> tuple[bool, ...]:
    """For each extracted answer whether it means what ``reference`` means; ``None`` never does."""
    key = read_reference(answers, reference)
    if key is None:
        return (False,) * len(found)
    verdicts = {each: _same(answers, each, key) for each in set(found) - {None} if each is not None}
    return tuple(each is not None and verdicts[each] for each in found)


def _same(answers: Answers, one: str, other: str) -> bool:
    mine, right = answers.classes([one, other])
    return mine == right
