"""Steps of a turn: lines, as in Snell et al. 2024 (Algorithm 1, "steps separated by newlines"), and thinking.

A reasoning model thinks before it answers. What it thinks is kept out of the answer; whether its steps are
those of the thinking too, or begin after it, is for the configuration to say.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, Protocol

STEP_END = "\n"


@dataclass(frozen=True, slots=True)
class Thinking:
    """How a model marks its thinking, and where its steps are: "inside" the thinking too, or "after" it.

    A turn that does not begin with ``start`` does not think; ``None``: every turn begins inside its thinking,
    as with chat templates that write the mark themselves.
    """

    start: str | None = "<think>"
    end: str = "</think>"
    steps: Literal["inside", "after"] = "after"


@dataclass(frozen=True, slots=True)
class Steps:
    """What one model's turns are made of. ``thinking`` is ``None`` for a model that does not think."""

    separator: str = STEP_END
    thinking: Thinking | None = None

    def split(self, text: str) -> tuple[str, ...]:
        """The steps of a turn, each with the separators that end it; joined, they are the text.

        Separators in a row belong to the step before them, or at the start to the first one. Thinking whose
        steps do not count is one step with the first after it.
        """
        if self.thinking is not None and self.thinking.steps == "after":
            thought, answer = self.parts(text)
            first, *others = _split(answer, self.separator) or ("",)
            return tuple(step for step in (thought + first, *others) if step)
        return _split(text, self.separator)

    def first(self, text: str) -> str:
        """The first step of a turn, "" if it has none."""
        return next(iter(self.split(text)), "")

    def stop_after(self, prefix: str) -> tuple[str, ...]:
        """What ends the step that follows ``prefix``; for uncounted thinking, the end of the thinking."""
        if self.thinking is not None and self._thinks_on(prefix):
            return (self.thinking.end,)
        return (self.separator,)

    def is_whole(self, text: str) -> bool:
        """Whether a step to be judged has ended: no uncounted thinking, nor the blank lines after it."""
        if self.thinking is None or self.thinking.steps == "inside":
            return True
        return bool(self.answer(text).strip())

    def parts(self, text: str) -> tuple[str, str]:
        """(thinking with its marks, answer) of a turn; of one that still thinks, the answer is empty."""
        if self.thinking is None or not self._has_begun_to_think(text):
            return "", text
        thought, end, answer = text.partition(self.thinking.end)
        return thought + end, answer

    def answer(self, text: str) -> str:
        """The turn without its thinking: what the client gets."""
        return self.parts(text)[1].lstrip("\r\n") if self.thinking else text

    def answer_so_far(self, text: str) -> str:
        """Of a turn that is still being written: what is known to be of its answer, and will stay so."""
        if self.thinking is not None and self.thinking.start is not None:
            begun = text.lstrip()
            if len(begun) < len(self.thinking.start) and self.thinking.start.startswith(begun):
                return ""
        return self.answer(text)

    def judged(self, text: str) -> str:
        """What a verifier is shown of a turn: all of it, or what comes after uncounted thinking."""
        counts = self.thinking is None or self.thinking.steps == "inside"
        return text if counts else self.answer(text)

    def _thinks_on(self, text: str) -> bool:
        """Whether what follows ``text`` is thinking whose steps do not count."""
        thinking = self.thinking
        if thinking is None or thinking.steps == "inside" or thinking.end in text:
            return False
        return self._has_begun_to_think(text)

    def _has_begun_to_think(self, text: str) -> bool:
        start = None if self.thinking is None else self.thinking.start
        return start is None or text.lstrip().startswith(start)


LINES = Steps()
"""A line a step, and no thinking."""


@lru_cache(maxsize=8)
def _pattern(separator: str) -> re.Pattern[str]:
    mark = re.escape(separator)
    return re.compile(rf"\s*(?:(?!{mark}).)*(?:{mark})*", re.DOTALL)


def _split(text: str, separator: str) -> tuple[str, ...]:
    return tuple(step for step in _pattern(separator).findall(text) if step)


class _Marks(Protocol):
    @property
    def start(self) -> str | None: ...
    @property
    def end(self) -> str: ...
    @property
    def steps(self) -> Literal["inside", "after"]: ...


class SaysSteps(Protocol):
    """A section of a configuration or of a recipe that says what the turns of a model are made of."""

    @property
    def step_separator(self) -> str: ...
    @property
    def thinking(self) -> _Marks | None: ...


def steps_of(section: SaysSteps) -> Steps:
    """What the turns of a model are made of."""
    marks = section.thinking
    thinking = None if marks is None else Thinking(marks.start, marks.end, marks.steps)
    return Steps(section.step_separator, thinking)
