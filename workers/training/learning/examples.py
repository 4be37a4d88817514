"""What a model learns from: tokens, the places where it is read, and what should be read there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

_LENGTH_NOISE_TOKENS = 4


@dataclass(frozen=True, slots=True)
class Example:
    """``labels`` are what the model should say at each of ``places`` (indices of ``tokens``).

    Tokens of text, or shares from 0 to 1. ``weight`` is how much each of them counts.
    """

    tokens: tuple[int, ...]
    places: tuple[int, ...]
    labels: tuple[float, ...]
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Collator:
    """Examples to a batch. ``pad`` fills up on the right.

    ``input_ids`` and ``attention_mask`` (B, L); ``rows``, ``places``, ``labels`` and ``weights`` (n), one
    for each label of all examples.
    """

    pad: int

    def __call__(self, examples: Sequence[Example]) -> dict[str, torch.Tensor]:
        longest = max(len(one.tokens) for one in examples)
        tokens = [[*one.tokens, *[self.pad] * (longest - len(one.tokens))] for one in examples]
        lengths = torch.tensor([[len(one.tokens)] for one in examples])
        return {
            "input_ids": torch.tensor(tokens),
            "attention_mask": (torch.arange(longest) < lengths).long(),
            "rows": torch.tensor([row for row, one in enumerate(examples) for _ in one.places]),
            "places": torch.tensor([place for one in examples for place in one.places]),
            "labels": torch.tensor([label for one in examples for label in one.labels]),
            "weights": torch.tensor([one.weight for one in examples for _ in one.places]),
        }


class LikeLengths(torch.utils.data.Sampler[int]):
    """An order in which the examples of an update are of like length, and the updates in random order.

    It follows from seed and epoch alone: a run that goes on after a kill sees the same batches.
    """

    def __init__(self, lengths: Sequence[int], batch: int, seed: int) -> None:
        self._lengths = np.asarray(lengths, np.float64)
        self._batch = batch
        self._seed = seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self._epoch = epoch

    def __len__(self) -> int:
        return len(self._lengths)

    def __iter__(self) -> Iterator[int]:
        rng = np.random.default_rng([self._seed, self._epoch])
        # The noise keeps the same examples from sharing a batch in every epoch.
        noisy = self._lengths + rng.normal(0, _LENGTH_NOISE_TOKENS, len(self._lengths))
        order = np.argsort(noisy, kind="stable")
        # A batch that is not full stands at the end, or it would shift the others; its lengths are any.
        loose = len(order) % self._batch
        if loose:
            aside = rng.choice(len(order), loose, replace=False)
            rest, order = order[aside], np.delete(order, aside)
        else:
            rest = order[:0]
        batches = order.reshape(-1, self._batch)
        yield from rng.permutation(batches).ravel().tolist()
        yield from rest.tolist()


def pad_token(configured: int | None, vocabulary: int, examples: Sequence[Example]) -> int:
    """What to fill up with: the model's own token, else one that no example ends in.

    A sequence classifier looks for the last token that is no padding.
    """
    if configured is not None:
        return configured
    last = {one.tokens[-1] for one in examples}
    return next(token for token in range(vocabulary) if token not in last)
