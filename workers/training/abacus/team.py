"""Synchronous data parallelism over processes of one machine, through shared memory.

One process with several threads meets at a barrier in every operation, and a small model has very many short
ones: on a machine that also does something else, it mostly waits. Processes with one thread each meet three
times a step. The parameters are one copy in shared memory; each process owns some of them: it adds up their
gradients and updates them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import multiprocessing

BARRIER_SECONDS = 600.0


@dataclass(frozen=True)
class Team:
    """The shared part: gradients[rank][i] belongs to parameter i; `figures` holds a norm, a loss and a wish
    to save.
    """

    size: int
    gradients: list[list[torch.Tensor]]
    figures: torch.Tensor
    barrier: Any

    def wait(self) -> None:
        if self.size > 1:
            self.barrier.wait(BARRIER_SECONDS)


def make_team(size: int, parameters: Sequence[torch.Tensor]) -> Team:
    """Gradient buffers for every process; the parameters must be in shared memory already where size > 1."""
    gradients = [[torch.zeros_like(p) for p in parameters] for _ in range(size)]
    figures = torch.zeros(size, 3, dtype=torch.float64)
    if size > 1:
        figures.share_memory_()
        for own in gradients:
            for gradient in own:
                gradient.share_memory_()
    barrier = multiprocessing.get_context("spawn").Barrier(size)
    return Team(size, gradients, figures, barrier)


def owned(parameters: Sequence[torch.Tensor], rank: int, size: int) -> list[int]:
    """Which parameters a process updates: the costly ones dealt out in turn."""
    by_size = sorted(range(len(parameters)), key=lambda index: (-parameters[index].numel(), index))
    return sorted(by_size[rank::size])


def adopt_gradients(parameters: Sequence[torch.nn.Parameter], team: Team, rank: int) -> None:
    """Let backward() add into the shared buffers of this process."""
    for parameter, gradient in zip(parameters, team.gradients[rank], strict=True):
        parameter.grad = gradient


def reduce_gradients(team: Team, rank: int, mine: Sequence[int], loss: float, max_norm: float) -> float:
    """Sum the owned parameters' gradients over all processes, clip by the global norm; the total loss."""
    team.wait()
    square = 0.0
    for index in mine:
        total = team.gradients[rank][index]
        for other in range(team.size):
            if other != rank:
                total += team.gradients[other][index]
        square += float(total.square().sum())
    team.figures[rank, 0], team.figures[rank, 1] = square, loss
    team.wait()
    norm = float(team.figures[:, 0].sum()) ** 0.5
    for index, gradient in enumerate(team.gradients[rank]):
        if index in mine:
            gradient.mul_(min(1.0, max_norm / (norm + 1e-6)))
        else:
            gradient.zero_()
    return float(team.figures[:, 1].sum())


def finish_step(team: Team, rank: int, mine: Sequence[int]) -> None:
    """Clear the gradients that were used, and wait until every process has updated its parameters."""
    for index in mine:
        team.gradients[rank][index].zero_()
    team.wait()
