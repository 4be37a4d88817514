"""A verifier that nobody trained: how likely a language model, of any size, finds a turn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from router.config import TransformersModel
from router.types import Task
from workers.protocols import Prompt, Scored, Scores

_BATCH = 32


class Likelihood:
    """Scores a turn by the geometric mean of the probabilities that the model gives to its tokens."""

    scores_steps = False
    reads_history = True
    compares_turns = False

    def __init__(self, name: str, configured: TransformersModel) -> None:
        from transformers import AutoModelForCausalLM, AutoTokenizer

        from workers.engines.chat import Chat
        from workers.engines.loading import resolve

        folder = resolve(configured.path)
        self.name = f"likelihood by {name}"
        self._chat = Chat(AutoTokenizer.from_pretrained(folder, local_files_only=True), name)
        model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype="float32", local_files_only=True)
        self._model = model.eval()

    def score(self, turns: Sequence[Prompt], task: Task) -> Scores:  # noqa: ARG002
        scored: list[Scored] = []
        read = 0
        for begin in range(0, len(turns), _BATCH):
            part = turns[begin : begin + _BATCH]
            heads = [len(self._chat.encode(Prompt(turn.messages))) for turn in part]
            tokens = [self._chat.encode(turn) for turn in part]
            scored += [Scored((), score) for score in self._means(tokens, heads)]
            read += sum(map(len, tokens))
        return Scores(tuple(scored), read)

    def close(self) -> None:
        """Nothing is held but the model."""

    def _means(self, sequences: Sequence[Sequence[int]], heads: Sequence[int]) -> list[float]:
        import torch

        longest = max(map(len, sequences))
        inputs = torch.tensor([[*one, *[0] * (longest - len(one))] for one in sequences])
        with torch.inference_mode():
            logits = self._model(input_ids=inputs, use_cache=False).logits[:, :-1].float()
        found = logits.log_softmax(-1).gather(-1, inputs[:, 1:, None])[..., 0]
        rows = zip(found, sequences, heads, strict=True)
        return [
            float(row[head - 1 : len(one) - 1].mean().exp()) if len(one) > head else 0.0
            for row, one, head in rows
        ]
