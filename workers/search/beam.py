"""Beam search with a process reward model (Snell et al. 2024, Algorithm 3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from router.types import StrategySpec
from workers.errors import NoAnswer
from workers.protocols import Candidate, Generate, Score, Scored, SearchResult
from workers.search.sampling import as_candidate, is_complete
from workers.search.selection import select_best_of_n_weighted
from workers.search.steps import first_step


@dataclass(frozen=True, slots=True)
class Beam:
    """A turn so far, judged as far as it goes; ``ended`` is that of its last completion."""

    text: str
    ended: str
    judgement: Scored

    @property
    def complete(self) -> bool:
        return is_complete(self.ended)


_ROOT = Beam("", "step", Scored((), 0.0))


def beam(spec: StrategySpec, generate: Generate, score: Score, initial: Sequence[Candidate]) -> SearchResult:
    """N first steps; round by round N continuations, shared by the N/M best; at last best-of-N weighted.

    The probe's turns start the search: their first steps, whose scores are known, are first beams. Probes
    were paid for, so they also stay candidates whatever becomes of their beams; so does every beam that was
    once complete. A complete beam competes for its place but is not continued. Two differences to the paper,
    which matter where first steps are few: equal beams take one place together, and so that the budget stays
    N a round, each survivor of k gets N/k continuations (M, if k is N/M).

    Out of time, budget or rounds, it selects from what is complete by then.
    Raises :class:`workers.errors.NoAnswer` if nothing is.
    """
    started = _continue([_ROOT] * (spec.samples - len(initial)), generate, score)
    finished = [one for one in started if one.complete]
    beams = [*map(_first_beam, initial), *started]
    for _ in range(spec.max_rounds - 1):
        survivors = _best(beams, max(1, spec.samples // spec.beam_width))
        growing = [one for one in survivors if not one.complete]
        if not growing:
            break
        fan_out = spec.samples // len(survivors)
        grown = _continue([one for one in growing for _ in range(fan_out)], generate, score)
        finished += [one for one in grown if one.complete]
        beams = [one for one in survivors if one.complete] + grown
    candidates = (*initial, *(as_candidate(one.text, one.ended, one.judgement) for one in finished))
    if not candidates:
        raise NoAnswer("no beam was complete when time, budget or rounds ran out")
    return select_best_of_n_weighted(candidates)


def _first_beam(probe: Candidate) -> Beam:
    step = first_step(probe.text)
    if step == probe.text:
        return Beam(probe.text, probe.finish_reason, Scored(probe.step_scores, probe.score))
    return Beam(step, "step", Scored(probe.step_scores[:1], next(iter(probe.step_scores), 0.0)))


def _best(beams: Sequence[Beam], count: int) -> list[Beam]:
    distinct: dict[str, Beam] = {}
    for one in beams:
        distinct.setdefault(one.text, one)
    return sorted(distinct.values(), key=lambda one: one.judgement.score, reverse=True)[:count]


def _continue(beams: Sequence[Beam], generate: Generate, score: Score) -> list[Beam]:
    """One more step for each beam, judged; fewer than asked for when time or budget ran out."""
    if not beams:
        return []
    completions = generate([one.text for one in beams], True)
    grown = [
        (one.text + completion.text, completion.ended)
        for one, completion in zip(beams, completions, strict=True)
        if completion.ended != "cancelled"
    ]
    distinct = list(dict.fromkeys(text for text, _ in grown))  # continuations often agree
    judgements = dict(zip(distinct, score(distinct), strict=True)) if distinct else {}
    return [Beam(text, ended, judgements[text]) for text, ended in grown]
