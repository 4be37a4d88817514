"""What one model was heard to say to one question, kept on disk: steps that every search can draw again.

Think of a stack of cards at every place that a turn can have come to: each card is a next step, drawn there
once and for all. A search that goes on from a place takes the next card of its stack; a whole turn is a walk
that takes one card at every place it comes to. The cards of a stack are independent draws, and a run takes
none of them twice, so what a run sees is distributed as what the model would have said. Two runs see the
same cards: what differs between them is not luck (common random numbers), and what one has paid for is there
for all others. A greedy step is one card, for everybody.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple


class Place(NamedTuple):
    """Where a turn stands: its conversation (as JSON), its text so far, and how it goes on from there.

    ``max_tokens`` is what the turn may still grow: another limit is another distribution.
    """

    messages: str
    prefix: str
    max_tokens: int
    temperature: float
    top_p: float

    def after(self, card: Card) -> Place:
        return self._replace(prefix=self.prefix + card.text, max_tokens=self.max_tokens - card.tokens)


@dataclass(frozen=True, slots=True)
class Card:
    """A step: ``ended`` is "step" if the turn goes on after it, else as in :class:`Completion`."""

    text: str
    ended: str
    tokens: int


class Deck:
    """All stacks of one question, backed by a file of JSON lines that is only ever added to.

    A line is a place that nothing recorded leads to, as an object; or draws from a place on, as a list of
    the place's number, how they ended, and text and tokens of each step. Places are numbered as they turn up.
    For one thread at a time (``lock``).
    """

    def __init__(self, file: Path, seed: int) -> None:
        self.lock = threading.Lock()
        self.draws = 0
        """Completions that were recorded: with the seed, that of the next batch."""
        self.tokens: dict[tuple[str, str], int] = {}
        """Of prompts, by conversation and prefix, as far as they were counted: not on disk."""
        self._file = file
        self._seed = seed
        self._numbers: dict[Place, int] = {}
        self._places: list[Place] = []
        self._stacks: list[list[Card]] = []
        for line in read_lines(file):
            if isinstance(line, dict):
                self._number(Place(**line))
            else:
                number, ended, *said = line
                self._push(number, _cards(said, ended))

    @property
    def seed(self) -> int:
        """Of the next batch that is drawn for this deck."""
        return self._seed + self.draws

    def card(self, place: Place, at: int) -> Card | None:
        """The card number ``at`` of a place's stack, if it was drawn."""
        number = self._numbers.get(place)
        stack = [] if number is None else self._stacks[number]
        return stack[at] if at < len(stack) else None

    def record(self, drawn: Sequence[tuple[Place, Sequence[Card]]]) -> None:
        """Put the steps that were drawn from these places on their stacks, and on disk."""
        lines: list[Any] = []
        for place, cards in drawn:
            if place not in self._numbers:
                self._number(place)
                lines.append(place._asdict())
            number = self._numbers[place]
            self._push(number, cards)
            said = [value for card in cards for value in (card.text, card.tokens)]
            lines.append([number, cards[-1].ended, *said])
        append_lines(self._file, lines)

    def _push(self, number: int, cards: Sequence[Card]) -> None:
        self.draws += 1
        for card in cards:
            place, stack = self._places[number], self._stacks[number]
            if place.temperature > 0 or not stack:
                stack.append(card)
            if card.ended == "step":
                number = self._number(place.after(card))

    def _number(self, place: Place) -> int:
        number = self._numbers.setdefault(place, len(self._places))
        if number == len(self._places):
            self._places.append(place)
            self._stacks.append([])
        return number


def conversation(messages: Sequence[Mapping[str, Any]]) -> str:
    """The messages as a key."""
    return json.dumps(list(messages), ensure_ascii=False, separators=(",", ":"))


def read_lines(file: Path) -> list[Any]:
    """The values of a JSON lines file, none if it is not there. A last line that was cut off is removed."""
    if not file.exists():
        return []
    whole, _, cut = file.read_text("utf-8").rpartition("\n")
    if cut:
        file.write_text(whole + "\n" if whole else "", "utf-8")
    return [json.loads(line) for line in whole.split("\n")] if whole else []


def append_lines(file: Path, values: Sequence[Any]) -> None:
    """Add JSON lines to a file in one write."""
    lines = [json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n" for value in values]
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a", encoding="utf-8") as out:
        out.write("".join(lines))


def _cards(said: Sequence[Any], ended: str) -> list[Card]:
    steps = list(zip(said[::2], said[1::2], strict=True))
    return [
        Card(text, "step" if at + 1 < len(steps) else ended, tokens)
        for at, (text, tokens) in enumerate(steps)
    ]
