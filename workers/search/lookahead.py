"""Lookahead search: beams that are judged by where they lead (Snell et al. 2024, section 5.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from router.types import StrategySpec
from workers.protocols import Generate, Problem, Score, SearchResult
from workers.search.beam import grow_beams
from workers.search.selection import select_best_of_n_weighted
from workers.search.tree import Path, Tree, alive, first_steps


def lookahead(problem: Problem, spec: StrategySpec, generate: Generate, score: Score) -> SearchResult:
    """Beam search in which a step's score is that of the end of a rollout of k more steps at temperature 0.

    A round costs N (k + 1) steps: each distinct new beam is rolled out once. Rollouts are thrown away, but
    for those that come to the end of their turn: they were paid for, and each text of them is one candidate.
    The probe's first steps are not rolled out at temperature 0: the steps that follow them in the probe are
    paid for, and judge them. After ``max_rounds`` the survivors go on to the end of their turn.
    Raises :class:`workers.errors.NoAnswer` as :func:`workers.search.beam.beam` does.
    """
    tree = Tree(problem, generate, score)
    rolled_out = {probe.text for probe in problem.probes}

    def grow(paths: Sequence[Path]) -> list[Path | None]:
        grown = tree.extend(paths)
        ends = {one.text: one for one in alive(grown)}
        for _ in range(spec.lookahead_steps):
            going = [text for text, end in ends.items() if not end.complete]
            further = tree.extend([ends[text] for text in going], temperature=0.0)
            ends |= {text: end for text, end in zip(going, further, strict=True) if end is not None}
        judged = dict(zip(ends, alive(tree.judge([*ends.values()])), strict=True))
        seen_ahead = [one and replace(one, judgement=judged[one.text].judgement) for one in grown]
        tree.keep(alive(seen_ahead))
        new = {
            end.text: end for text, end in judged.items() if end.text != text and end.text not in rolled_out
        }
        rolled_out.update(new)
        tree.keep(new.values())
        return seen_ahead

    tree.finish(grow_beams(_seen_ahead(problem, spec.lookahead_steps, tree), spec, grow))
    return tree.select(select_best_of_n_weighted)


def _seen_ahead(problem: Problem, steps: int, tree: Tree) -> list[Path]:
    """The probe's first steps, judged by the steps that follow them there."""
    ends = [
        Path("".join(problem.steps.split(probe.text)[: 1 + steps]), "step", first.judgement)
        for probe, first in zip(problem.probes, first_steps(problem), strict=True)
    ]
    return [
        replace(first, judgement=end.judgement)
        for first, end in zip(first_steps(problem), alive(tree.judge(ends)), strict=True)
    ]
