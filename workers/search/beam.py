"""Beam search with a process reward model (Snell et al. 2024, Algorithm 3)."""

from __future__ import annotations

from router.types import StrategySpec
from workers.errors import NoAnswer
from workers.protocols import Generate, Problem, Score, SearchResult
from workers.search.paths import ROOT, best, candidates, first_step, grow
from workers.search.selection import select_best_of_n_weighted


def beam(problem: Problem, spec: StrategySpec, generate: Generate, score: Score) -> SearchResult:
    """N first steps; round by round N continuations, shared by the N/M best; at last best-of-N weighted.

    The probe's turns start the search: their first steps, whose scores are known, are first beams. Probes
    were paid for, so they also stay candidates whatever becomes of their beams; so does every beam that was
    once complete. A complete beam competes for its place but is not continued. Two differences to the paper,
    which matter where first steps are few: equal beams take one place together, and so that the budget stays
    N a round, each survivor of k gets N/k continuations (M, if k is N/M).

    Out of time, budget or rounds, it selects from what is complete by then.
    Raises :class:`workers.errors.NoAnswer` if nothing is.
    """
    probes = problem.probes
    started = grow(problem, [ROOT] * (spec.samples - len(probes)), generate, score)
    finished = [one for one in started if one.complete]
    beams = [*(first_step(problem, probe) for probe in probes), *started]
    for _ in range(spec.max_rounds - 1):
        survivors = best(beams, max(1, spec.samples // spec.beam_width))
        growing = [one for one in survivors if not one.complete]
        if not growing:
            break
        fan_out = spec.samples // len(survivors)
        grown = grow(problem, [one for one in growing for _ in range(fan_out)], generate, score)
        finished += [one for one in grown if one.complete]
        beams = [one for one in survivors if one.complete] + grown
    found = (*probes, *candidates(problem, finished))
    if not found:
        raise NoAnswer("no beam was complete when time, budget or rounds ran out")
    return select_best_of_n_weighted(found, problem.answers)
