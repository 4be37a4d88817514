"""Drawing the next token for every sequence of a continuous batch, each by its own settings.

transformers draws with one random stream for the whole batch, by a method that costs more than the model when
the model is small. Here each sequence has its own stream, so a seed gives the same text whatever else is in
the batch (up to float rounding), and a draw is one search in a cumulative sum.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from transformers.generation.continuous_batching.requests import RequestState

_MASK = (1 << 64) - 1
_SUMS = {"cpu": torch.float32}
"""In which precision probabilities are added up; elsewhere double. A CPU adds one after another. A GPU adds
in blocks, and in single precision their rounding would give probability to tokens that have none."""


@dataclass(frozen=True, slots=True)
class Draw:
    """How one sequence draws: ``temperature`` 0 is greedy, ``stream`` (64 bits) names its random stream."""

    temperature: float
    top_p: float
    stream: int


_GREEDY = Draw(0.0, 1.0, 0)


class Sampler:
    """Chooses each sequence's token.

    Sequences are registered in ``draws`` by request id before they are submitted; an unknown one is greedy.
    """

    def __init__(self) -> None:
        self.draws: dict[str, Draw] = {}

    def choose(self, scores: torch.Tensor, states: Sequence[RequestState]) -> torch.Tensor:
        """A token for each of ``states`` by scores (sequences, vocabulary), which are overwritten."""
        draws = [self.draws.get(state.request_id, _GREEDY) for state in states]
        settings = torch.tensor(
            [
                # From the start of the prompt: an evicted and resumed sequence then goes on as it would have.
                (
                    draw.temperature or 1.0,
                    draw.top_p,
                    uniform(draw.stream, len(state.initial_tokens) + len(state.generated_tokens)),
                    draw.temperature == 0,
                )
                for draw, state in zip(draws, states, strict=True)
            ],
            dtype=torch.float32,
            device=scores.device,
        )
        is_greedy = [draw.temperature == 0 for draw in draws]
        best = scores.argmax(-1) if any(is_greedy) else None
        if best is not None and all(is_greedy):
            return best
        probabilities = torch.softmax(scores.div_(settings[:, :1]), dim=-1)
        if any(draw.top_p < 1 for draw in draws):
            probabilities = _nucleus(probabilities, settings[:, 1:2])
        drawn = _find(probabilities, settings[:, 2:3])
        return drawn if best is None else torch.where(settings[:, 3] > 0, best, drawn)


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


def _find(probabilities: torch.Tensor, shares: torch.Tensor) -> torch.Tensor:
    """The token of each row at which a share (rows, 1) of the mass is passed."""
    mass = probabilities.cumsum(-1, dtype=_SUMS.get(probabilities.device.type, torch.float64))
    # Below the total even after rounding to 24 bits: a token without probability is never found.
    point = shares.clamp(max=1 - 2**-22).to(mass.dtype) * mass[:, -1:]
    return torch.searchsorted(mass, point, right=True)[:, 0]


def _nucleus(probabilities: torch.Tensor, top_p: torch.Tensor) -> torch.Tensor:
    """Keep the fewest most probable tokens whose mass reaches ``top_p``; zero the others."""
    ordered, places = probabilities.sort(-1, descending=True)
    ordered[ordered.cumsum(-1) - ordered >= top_p] = 0
    return torch.zeros_like(probabilities).scatter_(-1, places, ordered)
