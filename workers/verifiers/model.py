"""Verifiers that are models: a layout makes readings of turns, a model scores them, here or on a server."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from router.types import Task
from workers.errors import ContextOverflow
from workers.protocols import Prompt, Scored, Scores
from workers.verifiers.aggregate import Aggregation, aggregate
from workers.verifiers.layouts import Layout
from workers.verifiers.reading import Read, Reading


class ModelVerifier:
    """A process reward model, or an outcome reward model where ``aggregation`` is ``None``.

    One rule for all: a turn that is too long beside its conversation is not read, it has no step scores, and
    scores 0; so does a turn without any step. Neither counts as tokens.
    """

    def __init__(
        self,
        name: str,
        layout: Layout,
        read: Read,
        *,
        context_tokens: int,
        aggregation: Aggregation | None,
        close: Callable[[], None],
        reads_history: bool = False,
    ) -> None:
        self.name = name
        self.scores_steps = aggregation is not None
        self.reads_history = reads_history
        self.compares_turns = False
        self.context_tokens = context_tokens
        self._layout = layout
        self._read = read
        self._aggregation = aggregation
        self._close = close

    def score(self, turns: Sequence[Prompt], task: Task) -> Scores:  # noqa: ARG002
        """Judge each turn; equal turns are read once.

        Raises :class:`workers.errors.ContextOverflow` where a conversation alone is too long,
        :class:`workers.errors.InvalidMessages` and :class:`workers.errors.EngineFailed`.
        """
        for messages in {id(turn.messages): turn.messages for turn in turns}.values():
            self._check(self._layout.head_tokens(messages))
        unlike = {(id(turn.messages), turn.prefix): turn for turn in turns}
        readings = {key: self._layout.reading(turn.messages, turn.prefix) for key, turn in unlike.items()}
        wanted = {key: reading for key, reading in readings.items() if self._is_read(reading)}
        found = dict(zip(wanted, self._read(list(wanted.values())), strict=True))
        scored = {key: self._scored(found.get(key, ())) for key in readings}
        return Scores(
            tuple(scored[id(turn.messages), turn.prefix] for turn in turns),
            tokens=sum(len(reading.tokens) for reading in wanted.values()),
        )

    def tokens(self, turn: Prompt) -> int:
        """What reading one turn takes: 0 of one that is not read."""
        reading = self._layout.reading(turn.messages, turn.prefix)
        return len(reading.tokens) if self._is_read(reading) else 0

    def close(self) -> None:
        self._close()

    def _check(self, head_tokens: int) -> None:
        if head_tokens >= self.context_tokens:
            raise ContextOverflow(
                f"the prompt has {head_tokens} tokens; verifier {self.name} reads fewer than "
                f"{self.context_tokens}"
            )

    def _is_read(self, reading: Reading) -> bool:
        return bool(reading.places) and len(reading.tokens) <= self.context_tokens

    def _scored(self, scores: tuple[float, ...]) -> Scored:
        if self._aggregation is None:
            return Scored((), scores[0] if scores else 0.0)
        return Scored(scores, aggregate(scores, self._aggregation))
