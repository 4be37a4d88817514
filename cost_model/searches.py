"""What searches cost, beyond the probe's samples: expected, and in the worst case.

The worst case rests on what :mod:`workers.search` promises of each strategy: how many whole turns' worth of
tokens it generates, how many distinct prompts its batches hold, and how many turns it has judged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import ceil
from typing import Final

from cost_model.estimate import Size, Tokens, Workload, parallel

# Only expectations rest on these; the worst case does not.
TOKENS_A_STEP: Final = 16  # a step is a line of a solution
_TRIES_A_STEP: Final = 2  # of backtracking
_ATTEMPTS_SHOWN: Final = 4  # in the prompt of a revision (Snell et al. 2024, section 6.1)
_BEST_OF_N: Final = ("best_of_n", "best_of_n_weighted")


@dataclass(frozen=True, slots=True)
class Search:
    """How far a search may go; the names are those of :class:`router.types.StrategySpec`.

    ``probes`` samples are there already. ``window`` samples are launched together, ``None``: all. A model
    that ``thinks_first`` may need five prompts, not one, to come to the end of its first step. Whole turns
    that are ``judged_together`` are judged at the end, those of the probe again: their scores compare them.
    """

    samples: int
    probes: int = 0
    beam_width: int = 4
    max_rounds: int = 40
    lookahead_steps: int = 1
    chain_length: int = 4
    window: int | None = None
    thinks_first: bool = False
    judged_together: bool = False

    @property
    def fresh(self) -> int:
        """Samples that are still to be begun."""
        return max(0, self.samples - self.probes)

    @property
    def judged(self) -> int:
        """Whole turns that are judged."""
        return self.samples if self.judged_together and self.fresh else self.fresh

    @property
    def kept(self) -> int:
        """Beams, subtrees or paths that go on: N/M."""
        return max(1, self.samples // self.beam_width)

    @property
    def chains(self) -> int:
        return ceil(self.samples / self.chain_length)


@dataclass(frozen=True, slots=True)
class Sampling:
    """Whole turns side by side: the prompt is read so often, so many are generated, so many judged."""

    prompts: int
    turns: int
    judged: int


def workload(strategy: str, search: Search, size: Size) -> Workload:
    """Of the strategy by its name. Raises :class:`KeyError` for one that is not known."""
    found = sampling(strategy, search)
    if found is None:
        return _STRATEGIES[strategy](search, size)
    return parallel(found.turns, size, judged=found.judged, prompts=found.prompts)


def sampling(strategy: str, search: Search) -> Sampling | None:
    """Of the strategies that sample whole turns; ``None`` where turns go on from others."""
    if strategy == "direct":
        return Sampling(0, 0, 0) if search.probes else Sampling(1, 1, 0)
    if strategy == "majority":
        return _in_windows(search, judged=0)
    return _in_windows(search, search.judged) if strategy in _BEST_OF_N else None


def _in_windows(search: Search, judged: int) -> Sampling:
    """Each window reads the prompt again; those of the probe's rest make one more at most."""
    if not search.fresh:
        return Sampling(0, 0, 0)
    windows = 1 if search.window is None else ceil(search.fresh / search.window) + 1
    return Sampling(windows, search.fresh, judged)


def _beam(search: Search, size: Size) -> Workload:
    """Snell et al. 2024, Algorithm 3: N/M beams are read a round, N continuations generated and judged.

    The budget is N generations, however they are spread over rounds. DVTS does the same, in subtrees.
    """
    return _by_rounds(search, size, search.kept)


def _particle(search: Search, size: Size) -> Workload:
    """Every particle may be another turn."""
    return _by_rounds(search, size, search.samples)


def _by_rounds(search: Search, size: Size, read: int) -> Workload:
    """``read`` distinct turns a round, N continuations; the probe's first steps are steps of round 1.

    As many turns are brought to their end after the last round, in the worst case.
    """
    fresh, samples = search.fresh, search.samples
    rounds, step = _rounds_and_step(search, size)
    later = [size.prompt + done * step for done in range(1, rounds)]  # tokens of a turn that is read again
    expected = Tokens(
        (size.prompt if fresh else 0) + read * sum(later),
        fresh * step + samples * step * (rounds - 1),
        fresh + samples * (rounds - 1),
        fresh * (size.prompt + step) + samples * sum(turn + step for turn in later),
    )
    return _bounded(
        expected,
        size,
        turns=samples,
        first=bool(fresh),
        later=read * search.max_rounds + _thinking(search),
        judged=fresh + samples * (search.max_rounds - 1) + read,
    )


def _lookahead(search: Search, size: Size) -> Workload:
    """Beam search that rolls every step k steps on before it is judged: N (k + 1) generations."""
    fresh, samples, ahead = search.fresh, search.samples, search.lookahead_steps
    rounds, step = _rounds_and_step(search, size)
    later = [size.prompt + done * step for done in range(1, rounds)]
    grown = samples * (rounds - 1)
    expected = Tokens(
        (size.prompt if fresh else 0)
        + ahead * fresh * (size.prompt + step)
        + sum(search.kept * turn + ahead * samples * (turn + step) for turn in later),
        (fresh + grown) * step * (ahead + 1),
        fresh + search.probes + grown,
        (fresh + search.probes) * (size.prompt + (ahead + 1) * step)
        + samples * sum(turn + (ahead + 1) * step for turn in later),
    )
    return _bounded(
        expected,
        size,
        turns=samples * (ahead + 1),
        first=bool(fresh),
        later=ahead * fresh
        + search.kept * search.max_rounds
        + ahead * samples * (search.max_rounds - 1)
        + _thinking(search),
        judged=fresh + search.probes + samples * (search.max_rounds - 1) + search.kept,
    )


def _backtrack(search: Search, size: Size) -> Workload:
    """N/M paths, each with the tokens of M turns for going forth and back."""
    paths = search.kept
    rounds, step = _rounds_and_step(search, size)
    tries = min(_TRIES_A_STEP, search.beam_width)
    turns = [size.prompt + done * step for done in range(rounds)]
    expected = Tokens(
        paths * tries * sum(turns),
        paths * tries * rounds * step,
        paths * tries * rounds,
        paths * tries * sum(turn + step for turn in turns),
    )
    asks = search.beam_width * search.max_rounds
    at_question = max(0, paths - search.probes)  # these begin with the same prompt, the others on a probe
    return _bounded(
        expected,
        size,
        turns=search.samples,
        first=bool(at_question),
        later=paths * (asks + 1) - at_question + (paths * (asks + 4) if search.thinks_first else 0),
        judged=paths * (asks + 1),
    )


def _revisions(search: Search, size: Size) -> Workload:
    """Chains whose every attempt reads the last four (Snell et al. 2024, section 6)."""
    first, later = _attempts(search)
    shown = [min(_ATTEMPTS_SHOWN, done) for done in range(1, search.chain_length)]
    mean_shown = sum(shown) / len(shown) if shown else 0
    expected = Tokens(
        (size.prompt if first else 0) + later * ceil(size.prompt + mean_shown * size.completion),
        search.fresh * size.completion,
        search.judged,
        search.judged * (size.prompt + size.completion),
    )
    return _bounded(expected, size, turns=search.fresh, first=first, later=later, judged=search.judged)


def _reflect(search: Search, size: Size) -> Workload:
    """Chains of attempt, critique, attempt, ...: a critique reads an attempt, the next attempt both."""
    first, later = _attempts(search)
    expected = Tokens(
        (size.prompt if first else 0) + later * (2 * size.prompt + 3 * size.completion),
        (search.fresh + later) * size.completion,
        search.judged,
        search.judged * (size.prompt + size.completion),
    )
    return _bounded(
        expected, size, turns=2 * search.fresh, first=first, later=2 * later, judged=search.judged
    )


def _attempts(search: Search) -> tuple[bool, int]:
    """Whether any chain is still to be begun, and how many attempts follow others."""
    return search.probes < search.chains, min(search.samples - search.chains, search.fresh)


def _rounds_and_step(search: Search, size: Size) -> tuple[int, int]:
    rounds = min(search.max_rounds, max(1, ceil(size.completion / TOKENS_A_STEP)))
    return rounds, ceil(size.completion / rounds)


def _thinking(search: Search) -> int:
    return 4 * search.fresh if search.thinks_first else 0


def _bounded(expected: Tokens, size: Size, *, turns: int, first: bool, later: int, judged: int) -> Workload:
    """At most ``turns`` whole turns, the question if ``first``, ``later`` prompts as long as they may be."""
    if size.prompt_at_most is None or size.completion_at_most is None or size.context is None:
        return Workload(expected, None, None)
    token_cap = turns * size.completion_at_most
    read = (size.prompt_at_most if first else 0) + later * size.context
    worst = Tokens(read, token_cap, judged, None if judged else 0)
    return Workload(expected.at_most(worst), worst, token_cap)


_STRATEGIES: Final[Mapping[str, Callable[[Search, Size], Workload]]] = {
    "beam": _beam,
    "lookahead": _lookahead,
    "dvts": _beam,
    "particle": _particle,
    "backtrack": _backtrack,
    "revisions": _revisions,
    "reflect": _reflect,
}
