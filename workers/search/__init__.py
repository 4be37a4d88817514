"""Searches as plain functions of a problem, a spec (the budget), ``generate`` and ``score``.

They know neither model nor queue nor money: whoever hands them ``generate`` counts and limits what they do
(:mod:`workers.meter`). The probe's candidates are the first candidates of every search: best-of-16 after a
probe of 16 generates nothing.

What each costs at most, beyond the probe. N is ``samples``, M ``beam_width``, k ``lookahead_steps``, R
``max_rounds``, L ``chain_length``, p the number of probes, n = max(0, N - p), S = max(1, N // M), C the
number of chains ceil(N / L), W the number of windows (1 if all are launched at once, else at most
ceil(n / window) + 1). A turn is up to ``max_tokens`` of completion tokens: to so many of them the token cap
holds a search. A prompt is one that is read once in its batch, with the turn that it continues. What is
judged is read by the verifier, with its conversation.

    strategy            turns       prompts                      judged             batches
    direct              1           1                            0                  1
    majority            n           W                            0                  W
    best_of_n           n           W                            n **               W
    best_of_n_weighted  n           W                            n **               W
    beam                N           1 + S R                      n + N (R - 1) + S  R + 1
    lookahead           N (k + 1)   1 + k n + S R + k N (R - 1)  *                  R (k + 1) + 1
    dvts                N           1 + S R                      n + N (R - 1) + S  R + 1
    particle            N           1 + N R                      n + N R            R + 1
    backtrack           N           S (M R + 1)                  S (M R + 1)        M R + 1
    revisions           n           1 + (N - C)                  n **               L
    reflect             2 n         1 + 2 (N - C)                n **               2 L

    *  n + p + N (R - 1) + S
    ** n + p, all in one batch at the end, with a verifier whose scores compare the turns of a batch, if n > 0

The first prompt is the question, asked once for all first steps or attempts. The last batch of a search by
steps brings the paths that R rounds left open to the end of their turn. A later prompt of ``revisions``
holds up to 4 attempts too, one of ``reflect`` an attempt and its critique. A model whose thinking comes
before the steps may take five asks for a first step, not one: 4 n more prompts and 4 more batches; with
``backtrack``, which may come back to the question every fourth round, S (M R + 4) and M R + 4.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from router.types import StrategyName, StrategySpec
from workers.protocols import Generate, Problem, Score, SearchResult
from workers.search.backtrack import backtrack
from workers.search.beam import beam
from workers.search.dvts import dvts
from workers.search.lookahead import lookahead
from workers.search.parallel import best_of_n, best_of_n_weighted, direct, majority
from workers.search.particle import particle
from workers.search.reflect import reflect
from workers.search.revisions import revisions

Strategy = Callable[[Problem, StrategySpec, Generate, Score], SearchResult]

STRATEGIES: Mapping[StrategyName, Strategy] = {
    "direct": direct,
    "majority": majority,
    "best_of_n": best_of_n,
    "best_of_n_weighted": best_of_n_weighted,
    "beam": beam,
    "lookahead": lookahead,
    "dvts": dvts,
    "particle": particle,
    "backtrack": backtrack,
    "revisions": revisions,
    "reflect": reflect,
}

UNJUDGED: frozenset[StrategyName] = frozenset(["direct", "majority"])
"""Searches that need no verifier."""
PARALLEL: frozenset[StrategyName] = frozenset(["majority", "best_of_n", "best_of_n_weighted"])
"""Searches of whole turns that are sampled independently."""

__all__ = ["PARALLEL", "STRATEGIES", "UNJUDGED", "Strategy"]
