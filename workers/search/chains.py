"""Attempts that follow one another in chains, several chains side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from router.types import StrategySpec
from workers.errors import NoAnswer
from workers.protocols import Candidate, Generate, Problem, Prompt, Score, Scored, SearchResult
from workers.search.sampling import UNJUDGED, as_candidate, is_complete, judged
from workers.search.selection import select_from_chains
from workers.search.tree import shares


@dataclass(slots=True)
class Chain:
    """``shown`` is how many earlier attempts the next one is shown, at most; ``left`` how many may follow.

    ``turns`` are the attempts as they are judged, each after its conversation.
    """

    attempts: list[Candidate]
    turns: list[Prompt]
    left: int
    shown: int

    def earlier(self) -> list[Candidate]:
        """The attempts that the next one is to improve on: the last ones that came to their end."""
        finished = [one for one in self.attempts if one.finish_reason == "stop"]
        return finished[-self.shown :] if self.shown else []


Ask = Callable[[Sequence[Chain]], Sequence[Prompt | None]]
"""The prompts of the next attempts of these chains; ``None`` where there can be none."""


def grow_chains(
    problem: Problem, spec: StrategySpec, generate: Generate, score: Score, ask: Ask, shown: int
) -> SearchResult:
    """N attempts in chains of L, the probe's first; the winner by hierarchical selection (Algorithm 7).

    Every round each chain makes one more attempt, all in one batch, and a verifier that reads history judges
    it after the attempts before it; one that compares turns judges all attempts of all chains at
    the end. The probe's turns are dealt out to the chains as their first attempts: independent samples are
    what Algorithm 4 trains revising on. An attempt that was cut off shows its chain
    one earlier attempt less from then on: the conversation may have become too long.
    Raises :class:`workers.errors.NoAnswer` if there is no attempt when time or budget run out.
    """
    lengths = shares(spec.samples, -(-spec.samples // spec.chain_length))
    chains = []
    for at, length in enumerate(lengths):
        dealt = list(problem.probes[at :: len(lengths)])
        turns = [problem.turn(one.text) for one in dealt]
        chains.append(Chain(dealt, turns, length - len(dealt), shown))
    going = chains
    while going := [chain for chain in going if chain.left > 0]:
        going = _attempt(problem, going, generate, None if problem.judged_together else score, ask)
    attempts = sum(len(chain.attempts) for chain in chains)
    if not attempts:
        raise NoAnswer("the deadline came before any attempt was complete")
    if problem.judged_together and attempts > len(problem.probes):
        _judge_all(chains, score)
    return select_from_chains([chain.attempts for chain in chains], problem.answers)


def _attempt(
    problem: Problem, chains: Sequence[Chain], generate: Generate, score: Score | None, ask: Ask
) -> list[Chain]:
    """One more attempt of each chain, judged by ``score``; returns the chains that were not broken off."""
    asked = [(chain, prompt) for chain, prompt in zip(chains, ask(chains), strict=True) if prompt is not None]
    done = generate([prompt for _, prompt in asked]) if asked else ()
    going, turns = [], []
    for (chain, prompt), completion in zip(asked, done, strict=True):
        if not is_complete(completion.ended):
            continue
        going.append(chain)
        chain.left -= 1
        if completion.ended == "length":
            chain.shown = max(0, chain.shown - 1)
        if completion.text:
            turns.append((chain, Prompt(prompt.messages, completion.text), completion.ended))
    judgements: Sequence[Scored] = [UNJUDGED] * len(turns)
    if score is not None and turns:
        judgements = score([turn for _, turn, _ in turns])
    for (chain, turn, ended), judgement in zip(turns, judgements, strict=True):
        chain.attempts.append(as_candidate(problem, turn.prefix, ended, judgement))
        chain.turns.append(turn)
    return going


def _judge_all(chains: Sequence[Chain], score: Score) -> None:
    judgements = iter(score([turn for chain in chains for turn in chain.turns]))
    for chain in chains:
        chain.attempts = [judged(one, next(judgements)) for one in chain.attempts]
