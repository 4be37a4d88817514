"""A process reward model: a token classifier that judges a solution at the end of each step."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Literal

import torch
from transformers import AutoModelForTokenClassification, AutoTokenizer

from router.types import Task
from workers.answers.short import states_answer
from workers.engines.chat import Chat
from workers.errors import ContextOverflow, EngineFailed, ModelNotLoadable
from workers.protocols import Prompt, Scored, Scores
from workers.verifiers.aggregate import AGGREGATIONS, Aggregation, aggregate

FORMAT_FILE = "gradus_verifier.json"
"""Lies beside the weights and says how to read them: the fields of :class:`Format`."""

_BATCH_TOKENS = 8192


@dataclass(frozen=True, slots=True)
class Format:
    """How a token classifier judges steps.

    A step ends at a token with ``step_separator``; a solution that has stated its answer ends with
    ``final_step_token`` instead. The score there is the ``activation`` of the label ``label_index``.
    """

    step_separator: str
    activation: Literal["sigmoid", "softmax"]
    label_index: int
    final_step_token: str | None
    aggregation: Aggregation


@dataclass(frozen=True, slots=True)
class _Reading:
    """Tokens to read, the places where steps end, and who waits for the scores there."""

    tokens: tuple[int, ...]
    step_ends: tuple[int, ...]
    scores: Future[tuple[float, ...]]


class PrmVerifier:
    """Judges by a model of a Hugging Face folder. Calls of several threads are read in one batch."""

    scores_steps = True
    reads_history = False

    def __init__(self, folder: Path, *, name: str, context_tokens: int, device: str = "auto") -> None:
        """Raises :class:`workers.errors.ModelNotLoadable`."""
        self.name = name
        self.context_tokens = context_tokens
        self._format = read_format(folder)
        place = torch.device(("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device)
        kind = torch.float32 if place.type == "cpu" else torch.bfloat16
        try:
            model = AutoModelForTokenClassification.from_pretrained(folder, dtype=kind, local_files_only=True)
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        except (OSError, ValueError) as error:
            raise ModelNotLoadable(f"verifier {name}: {folder} cannot be loaded: {error}") from error
        self._model: Any = model.to(place).eval()
        self._chat = Chat(tokenizer, name)
        self._separators = self._chat.tokens_with(self._format.step_separator)
        last = self._format.final_step_token
        self._final_token: int | None = None if last is None else tokenizer.convert_tokens_to_ids(last)
        self._waiting: SimpleQueue[_Reading | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._closed = False
        threading.Thread(target=self._serve, name=f"verifier-{name}", daemon=True).start()

    def score(self, turns: Sequence[Prompt], task: Task) -> Scores:  # noqa: ARG002
        """Judge each turn; equal turns are read once.

        A turn that is too long beside its conversation is not read: it has no step scores, and scores 0.
        Raises :class:`workers.errors.ContextOverflow` where the conversation alone is too long, and
        :class:`workers.errors.EngineFailed`.
        """
        heads = {id(turn.messages): turn.messages for turn in turns}
        starts = {key: self._start(messages) for key, messages in heads.items()}
        keys = [(id(turn.messages), turn.prefix) for turn in turns]
        readings = {
            (head, text): self._reading(heads[head], text, starts[head]) for head, text in dict.fromkeys(keys)
        }
        with self._lock:
            if self._closed:
                raise EngineFailed(f"verifier {self.name} is closed")
            for reading in readings.values():
                if reading is not None:
                    self._waiting.put(reading)
        try:
            scores = {
                key: () if reading is None else reading.scores.result() for key, reading in readings.items()
            }
        except RuntimeError as error:
            raise EngineFailed(f"verifier {self.name}: {error}") from error
        scored = tuple(Scored(scores[key], aggregate(scores[key], self._format.aggregation)) for key in keys)
        return Scores(scored, tokens=sum(len(reading.tokens) for reading in readings.values() if reading))

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self._waiting.put(None)

    def _start(self, messages: tuple[Mapping[str, Any], ...]) -> int:
        """Where the turn starts: tokens of the conversation before it."""
        head = len(self._chat.encode(Prompt(messages)))
        if head >= self.context_tokens:
            raise ContextOverflow(
                f"the prompt has {head} tokens; verifier {self.name} reads fewer than {self.context_tokens}"
            )
        return head

    def _reading(self, messages: tuple[Mapping[str, Any], ...], text: str, head: int) -> _Reading | None:
        """``None`` if the text is too long."""
        tokens = self._chat.encode(Prompt(messages, text))
        finished = states_answer(text) and not text.endswith(self._format.step_separator)
        if finished and self._final_token is not None and len(tokens) < self.context_tokens:
            tokens.append(self._final_token)
        if len(tokens) > self.context_tokens:
            return None
        ends = [place for place in range(head, len(tokens)) if tokens[place] in self._separators]
        if len(tokens) > head and (not ends or ends[-1] != len(tokens) - 1):
            ends.append(len(tokens) - 1)
        return _Reading(tuple(tokens), tuple(ends), Future())

    def _serve(self) -> None:
        """Read what waits, all of it at once, until closed."""
        while (first := self._waiting.get()) is not None:
            readings = [first]
            closing = False
            while True:
                try:
                    more = self._waiting.get_nowait()
                except Empty:
                    break
                if more is None:
                    closing = True
                    break
                readings.append(more)
            for batch in _batches(readings):
                self._read(batch)
            if closing:
                return

    def _read(self, batch: Sequence[_Reading]) -> None:
        try:
            probabilities = self._probabilities([reading.tokens for reading in batch])
        except Exception as error:
            for reading in batch:
                reading.scores.set_exception(RuntimeError(str(error)))
            return
        for reading, row in zip(batch, probabilities, strict=True):
            reading.scores.set_result(tuple(row[place] for place in reading.step_ends))

    @torch.inference_mode()
    def _probabilities(self, sequences: Sequence[Sequence[int]]) -> list[list[float]]:
        longest = max(len(tokens) for tokens in sequences)
        padded = torch.tensor([[*tokens, *[0] * (longest - len(tokens))] for tokens in sequences])
        lengths = torch.tensor([[len(tokens)] for tokens in sequences])
        mask = torch.arange(longest) < lengths
        place = self._model.device
        logits = self._model(
            input_ids=padded.to(place), attention_mask=mask.to(place), use_cache=False
        ).logits.float()
        if self._format.activation == "softmax":
            probabilities = logits.softmax(-1)[..., self._format.label_index]
        else:
            probabilities = logits[..., self._format.label_index].sigmoid()
        rows: list[list[float]] = probabilities.tolist()
        return rows


def read_format(folder: Path) -> Format:
    """What :data:`FORMAT_FILE` says. Raises :class:`workers.errors.ModelNotLoadable`."""
    file = folder / FORMAT_FILE
    try:
        fields = json.loads(file.read_text())
        if fields["kind"] != "token_classification":
            raise ModelNotLoadable(f"{file}: kind: {fields['kind']!r}; only token_classification is known")
        found = Format(
            step_separator=fields["step_separator"],
            activation=fields["activation"],
            label_index=fields["label_index"],
            final_step_token=fields["final_step_token"],
            aggregation=fields["aggregation"],
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelNotLoadable(f"{file}: it does not say how to read the verifier: {error!r}") from error
    if len(found.step_separator) != 1 or not found.step_separator.isascii():
        raise ModelNotLoadable(
            f"{file}: step_separator: {found.step_separator!r}; must be one ASCII character"
        )
    if found.activation not in ("sigmoid", "softmax"):
        raise ModelNotLoadable(f"{file}: activation: {found.activation!r}; must be sigmoid or softmax")
    if found.aggregation not in AGGREGATIONS:
        raise ModelNotLoadable(
            f"{file}: aggregation: {found.aggregation!r}; must be {', '.join(AGGREGATIONS)}"
        )
    return found


def _batches(readings: Sequence[_Reading]) -> Iterator[list[_Reading]]:
    """Cut into batches of like lengths, so that little is padding and memory is bounded."""
    batch: list[_Reading] = []
    for reading in sorted(readings, key=lambda one: len(one.tokens)):
        if batch and (len(batch) + 1) * len(reading.tokens) > _BATCH_TOKENS:
            yield batch
            batch = []
        batch.append(reading)
    yield batch
