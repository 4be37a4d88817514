"""What a policy does with recorded questions, by the code that decides online, thousands at a time.

Rules, contexts, unseen prompts, probes and caps are all as in :mod:`router.policy`. Two things are rougher:
costs to decide by are interpolated (:mod:`router.cost_grid`), and a cap or a latency limit allows a prompt
what it allows one that is up to a tenth longer. Of a query only the text is known: conditions
on tools, images and users hold as they do for a request that has none.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from cost_model.rates import usd_or_nan
from router.cost_grid import ask_for
from router.decision import NOTHING
from router.features.evidence import FEATURES
from router.forecast import Forecast
from router.guides import expectation_of, large_ways, ways_named
from router.limits import allowed, readers_of
from router.outcomes import SMALL
from router.predicted import Predicted
from router.pricing import DIRECT, priced
from router.probing import log_odds
from router.prospects import Guide, Prospect, Way
from router.rehearsal import Recorded, Rehearsal, rehearse
from router.replay.chunks import Chunk
from router.replay.contenders import Contender
from router.rules import first_rule
from router.together import readers_of_unseen
from router.types import Alternative
from router.workloads import Ask

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]
Bools = NDArray[np.bool_]

VOTE = "vote of the probe"
REFUSED = "refused"
UNKNOWN = "unknown"
"""In place of a way: a probe would have decided, and none was recorded."""

_SCORE = FEATURES.index("score_mean")
_STEP = 1.1
"""Prompts are of about the same length within this factor."""
_TOO_LONG = 1e9
"""In tokens, for every context that is known."""

_Kind = tuple[float, bool]
"""The most tokens that prompts like these have, and whether they are unseen."""


@dataclass(frozen=True, slots=True)
class Decided:
    """What a policy did with N questions; ``way`` [N] are places in ``names``.

    ``samples`` [N] a probe took, ``escalated`` [N] went on to a large model after one, ``unseen`` [N] were
    like no prompt that the predictor was fitted on. ``right`` and ``cost_usd`` are NaN where what was decided
    was not recorded; then ``expected_right`` and ``expected_usd`` are all there is. A refusal is known: it is
    not right, and costs nothing.
    """

    names: tuple[str, ...]
    way: Indices
    samples: Indices
    escalated: Bools
    unseen: Bools
    right: Floats
    cost_usd: Floats
    expected_right: Floats
    expected_usd: Floats

    @property
    def refused(self) -> Bools:
        """[N]."""
        return np.equal(self.way, self.names.index(REFUSED))


class Replayer:
    """Decides for one contender, chunk by chunk. What holds for many chunks is kept."""

    def __init__(self, contender: Contender) -> None:
        self._contender = contender
        self._market = market = contender.market
        self._policy = policy = market.config.policies[contender.policy_name]
        self._guide = market.guides.get(contender.policy_name)
        self._models = [policy.small, *policy.larges]
        contexts = [market.config.models[name].context_tokens for name in self._models]
        self._contexts = np.unique([each for each in contexts if each is not None]).astype(np.float64)
        self._limited = policy.max_cost_usd is not None or policy.max_latency_s is not None
        self._names = {VOTE: 0, REFUSED: 1, UNKNOWN: 2}
        self._rehearsals: dict[_Kind, Rehearsal] = {}

    def decide(self, chunk: Chunk) -> Decided:
        count = len(chunk)
        decided = _refused(count)
        rest = np.ones(count, dtype=np.bool_)
        if self._policy.rules:
            rest = np.array([not self._ruled(decided, chunk, row) for row in range(count)])
        if self._guide is not None:
            familiarity = self._forecast(self._guide, chunk).familiarity
            decided.unseen[:] = rest & self._guide.strange(familiarity, self._policy)
        for kind, rows in self._alike(chunk, decided.unseen, rest):
            self._weigh(decided, chunk, kind, rows)
        return replace(decided, names=tuple(self._names))

    def _forecast(self, guide: Predicted, chunk: Chunk) -> Forecast:
        return chunk.forecast(self._contender.forecasts or "", guide.predictor)

    def _ruled(self, decided: Decided, chunk: Chunk, row: int) -> bool:
        """Whether a rule says what is done with it."""
        tokens = chunk.prompt_tokens[row]
        rule = first_rule(chunk.query(row), self._policy, round(tokens))
        if rule is not None and rule.use is not None:
            self._answer(decided, chunk, np.array([row]), ways_named(rule.use, self._policy), tokens)
        return rule is not None

    def _alike(self, chunk: Chunk, unseen: Bools, rest: Bools) -> Iterator[tuple[_Kind, Indices]]:
        """Rows that the same models can read, that are unseen or not, and under a limit of like length."""
        tokens = np.maximum(chunk.prompt_tokens, 1)
        fits = np.searchsorted(self._contexts, tokens, side="right")
        longest = np.append(self._contexts - 1, _TOO_LONG)[fits]
        if self._limited:
            longest = np.minimum(longest, np.floor(_STEP ** np.ceil(np.log(tokens) / np.log(_STEP))))
        for most in np.unique(longest[rest]):
            for strange in (False, True):
                rows = np.flatnonzero(rest & (longest == most) & (unseen == strange))
                if len(rows):
                    yield (float(most), strange), rows

    def _weigh(self, decided: Decided, chunk: Chunk, kind: _Kind, rows: Indices) -> None:
        tokens, unseen = kind
        ask = ask_for(tokens)
        readers = readers_of(self._market, self._models, ask)
        if self._policy.small not in readers:
            self._answer(decided, chunk, rows, large_ways(self._policy), tokens)
            return
        guide, prospect = self._prospect(chunk, rows, unseen=unseen)
        if kind not in self._rehearsals:
            self._rehearsals[kind] = rehearse(
                self._market,
                self._contender.policy_name,
                guide,
                prospect,
                tokens,
                readers=readers_of_unseen(self._policy, readers) if unseen else readers,
                must_probe=unseen and self._policy.unseen == "probe",
            )
        self._play(decided, chunk, rows, guide, prospect, kind)

    def _prospect(self, chunk: Chunk, rows: Indices, *, unseen: bool) -> tuple[Guide, Prospect]:
        if self._guide is None or unseen:
            tables = self._market.tables[self._contender.policy_name]
            return tables, tables.prospect([chunk.table.prompts[row] for row in rows])
        forecast = self._forecast(self._guide, chunk).of(rows)
        return self._guide, self._guide.of_forecast(forecast)

    def _play(
        self,
        decided: Decided,
        chunk: Chunk,
        rows: Indices,
        guide: Guide,
        prospect: Prospect,
        kind: _Kind,
    ) -> None:
        rehearsal = self._rehearsals[kind]
        played = rehearsal.play(
            prospect, _recorded(chunk, rows, guide, prospect, rehearsal.stages), chunk.prompt_tokens[rows]
        )
        places = np.array([*(self._place(way) for way in prospect.ways), self._names[VOTE]])
        large = np.array([*(way.route == "large" for way in prospect.ways), False])
        decided.way[rows] = np.where(played.blind, self._names[UNKNOWN], places[played.way])
        decided.samples[rows] = played.samples
        decided.escalated[rows] = (played.samples > 0) & large[played.way] & ~played.blind
        for name in ("right", "cost_usd", "expected_right", "expected_usd"):
            getattr(decided, name)[rows] = getattr(played, name)
        stuck = rows[(played.way == NOTHING) & (played.samples == 0)]
        if len(stuck):
            small = self._policy.small
            self._answer(decided, chunk, stuck, [Way(SMALL, "small", small, DIRECT)], kind[0])

    def _answer(
        self, decided: Decided, chunk: Chunk, rows: Indices, ways: Sequence[Way], tokens: float
    ) -> None:
        """The first of these that contexts and the cap allow, without a probe; else these are refused."""
        most, usual = ask_for(tokens), ask_for(chunk.prompt_tokens[rows].mean())
        readers = readers_of(self._market, [way.model for way in ways], most)
        for way in ways:
            offer = self._priced(way, most)
            if way.model in readers and allowed(offer.worst_case_cost_usd, self._policy.max_cost_usd):
                break
        else:
            decided.way[rows] = self._names[REFUSED]
            for came in (decided.right, decided.cost_usd, decided.expected_right, decided.expected_usd):
                came[rows] = 0
            return
        expected = self._priced(way, usual)
        (column,) = chunk.columns([way])
        decided.way[rows] = self._place(way)
        decided.right[rows] = pick(chunk.table.right, [column])[rows, 0]
        decided.cost_usd[rows] = pick(chunk.table.cost_usd, [column])[rows, 0]
        decided.expected_right[rows] = expected.accuracy
        decided.expected_usd[rows] = usd_or_nan(expected.expected_cost_usd)

    def _priced(self, way: Way, ask: Ask) -> Alternative:
        name = self._contender.policy_name
        expectation = expectation_of(way, self._policy, self._market.average[name])
        return priced(self._market, name, way, expectation, ask, probes=0)

    def _place(self, way: Way) -> int:
        return self._names.setdefault(way.name, len(self._names))


def pick(values: Floats, columns: Sequence[int]) -> Floats:
    """These columns of [N, A]; NaN for those that are -1."""
    unknown = np.full((len(values), 1), np.nan)
    return np.concatenate([values, unknown], axis=1)[:, columns]


def _refused(count: int) -> Decided:
    right, cost_usd, expected_right, expected_usd = np.zeros((4, count))
    escalated, unseen = np.zeros((2, count), dtype=np.bool_)
    way, samples = np.full(count, 1), np.zeros(count, dtype=np.intp)
    names = (VOTE, REFUSED, UNKNOWN)
    return Decided(names, way, samples, escalated, unseen, right, cost_usd, expected_right, expected_usd)


def _recorded(chunk: Chunk, rows: Indices, guide: Guide, prospect: Prospect, stages: int) -> Recorded:
    """What came of the rows by the ways of a prospect, and what their probes saw up to some stages."""
    columns = chunk.columns(prospect.ways)
    sizes = [stage.samples for stage in prospect.stages[:stages]]
    features = [chunk.features(size)[rows] for size in sizes]
    seen_right = None
    if isinstance(guide, Predicted):
        models = [stage.model for stage in guide.stages[:stages]]
        priors = log_odds(prospect.right)
        seen = [model.actions_seen(priors, each) for model, each in zip(models, features, strict=True)]
        posterior = [
            expit(model.posterior(prospect.prior, each)) for model, each in zip(models, features, strict=True)
        ]
        seen_right = np.stack(seen, axis=1) if seen else None
    else:
        posterior = [each[:, _SCORE] for each in features]
    return Recorded(
        pick(chunk.table.right, columns)[rows],
        pick(chunk.table.cost_usd, columns)[rows],
        chunk.table.probe_usd[rows],
        chunk.probe_samples()[rows],
        np.stack(posterior, axis=1) if posterior else np.empty((len(rows), 0)),
        seen_right,
    )
