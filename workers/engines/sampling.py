"""Drawing the next token for every sequence of a continuous batch, each by its own settings.

transformers draws with one random stream for the whole batch, by a method that costs more than the model when
the model is small. Here each sequence has its own stream, so a seed gives the same text whatever else is in
the batch (up to float rounding), and a draw is one search in a cumulative sum.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from transformers import LogitsProcessorList
from transformers.generation.continuous_batching.cb_logits_processors import (
    ContinuousBatchingLogitsProcessor,
    ContinuousBatchingLogitsProcessorList,
)

_MASK = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class Draw:
    """How one sequence draws: ``temperature`` 0 is greedy, ``stream`` (64 bits) names its random stream."""

    temperature: float
    top_p: float
    stream: int


class Sampler(ContinuousBatchingLogitsProcessor):
    """Chooses each sequence's token and marks it with infinity, so that the batch's argmax finds it.

    Sequences are registered in ``draws`` by request id before they are submitted; an unknown one is greedy.
    Only for synchronous batching, where the arguments of a step are prepared just before it.
    """

    supported_kwargs: ClassVar[dict[str, type]] = {}
    ignored_kwargs: ClassVar[tuple[str, ...]] = ()

    def __init__(self) -> None:
        self.draws: dict[str, Draw] = {}
        self._step: list[tuple[Draw, int]] = []

    def fill_defaults(self, int32_tensor: torch.Tensor) -> None:
        int32_tensor.zero_()

    def prepare_tensor_args(self, requests_with_new_token: list[Any]) -> torch.Tensor:
        greedy = Draw(0.0, 1.0, 0)
        self._step = []
        for request in requests_with_new_token:
            state = request.state
            # From the start of the prompt: an evicted and resumed sequence then goes on as it would have.
            position = len(state.initial_tokens) + len(state.generated_tokens)
            self._step.append((self.draws.get(state.request_id, greedy), position))
        return torch.zeros(len(self._step), dtype=torch.int32)

    def __call__(self, scores: torch.Tensor, _tensor_arg: torch.Tensor) -> torch.Tensor:
        """Choose by scores (sequences, vocabulary)."""
        rows = [row for row, (draw, _) in enumerate(self._step) if draw.temperature > 0]
        if not rows:
            return scores
        drawing = [self._step[row] for row in rows]
        settings = torch.tensor(
            [(draw.temperature, draw.top_p, uniform(draw.stream, position)) for draw, position in drawing],
            dtype=torch.float32,
        ).to(scores.device)
        row_index = torch.tensor(rows, device=scores.device)
        wanted = scores if len(rows) == len(scores) else scores[row_index]
        probabilities = torch.softmax(wanted / settings[:, :1], dim=-1)
        if any(draw.top_p < 1 for draw, _ in drawing):
            probabilities = _nucleus(probabilities, settings[:, 1:2])
        mass = probabilities.cumsum(-1)
        # Below the total even after rounding to 24 bits: a token without probability is never found.
        point = settings[:, 2:].clamp(max=1 - 2**-22) * mass[:, -1:]
        tokens = torch.searchsorted(mass, point, right=True)
        scores[row_index, tokens[:, 0]] = torch.inf
        return scores


def install(manager: Any) -> Sampler:
    """Make a manager draw by a new :class:`Sampler`; not started yet, its own ``do_sample`` off."""
    sampler = Sampler()
    processors = ContinuousBatchingLogitsProcessorList(LogitsProcessorList([sampler]))
    processors.tensors_required = 1
    manager.logit_processor = processors
    return sampler


def streams(seed: int | None, count: int) -> list[int]:
    """A random stream for each sequence of a batch: the same ones for the same seed, fresh ones without."""
    start = secrets.randbits(64) if seed is None else seed & _MASK
    return [_mix(_mix(start) + index) for index in range(count)]


def uniform(stream: int, position: int) -> float:
    """A number in [0, 1) that depends on nothing else (SplitMix64, Steele et al. 2014)."""
    return (_mix(stream + position) >> 11) / (1 << 53)


def _mix(x: int) -> int:
    x = (x * 0x9E3779B97F4A7C15) & _MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & _MASK
    return x ^ (x >> 31)


def _nucleus(probabilities: torch.Tensor, top_p: torch.Tensor) -> torch.Tensor:
    """Keep the fewest most probable tokens whose mass reaches ``top_p``; zero the others."""
    ordered, places = probabilities.sort(-1, descending=True)
    ordered[ordered.cumsum(-1) - ordered >= top_p] = 0
    return torch.zeros_like(probabilities).scatter_(-1, places, ordered)
