"""The port of every task: how its answers are read and compared."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class Answers(Protocol):
    """How the answers of one task are read and compared. Thread-safe.

    Equivalence need not be transitive (1 is nearly 1.0000009, and that nearly 1.0000018): an answer belongs
    to the first class whose first member it equals, in an order that does not depend on that of the answers.
    An instance is for one query: it remembers what it found, and when it may compare no more.
    """

    @property
    def is_exact(self) -> bool:
        """Whether only equal texts are equal answers: no later one changes the classes of those before."""
        ...

    def extract(self, text: str) -> str | None:
        """The answer of a whole turn, without its thinking, in canonical form.

        ``None`` where there is none, or where it breaks what the task demands of an answer (its schema).
        """
        ...

    def classes(self, answers: Sequence[str]) -> Sequence[int]:
        """A label an answer, counted up by first appearance; equal labels mean equivalent answers."""
        ...

    def support(self, answers: Sequence[str], weights: Sequence[float]) -> Sequence[float]:
        """The weight that stands behind each answer: by default what its class weighs."""
        ...
