"""Candidates that were drawn before: a larger budget for the same prompt starts from them and adds the rest.

They lie on *tapes* in Redis: the samples of one model for one prompt, sampled and judged in one way, in the
order that they were drawn. A search reads a tape from its beginning and may append what it draws itself.
What it reads is then what it would have drawn, because nothing chooses among samples by what they say:

- Who appends has claimed that before it drew anything. (The first to be done would be the one with the
  shortest samples.) Whoever draws without a claim keeps that to itself and reads no further.
- Only batches go on a tape that nothing but their own samples could end. One that a stopping rule may cut
  short as soon as enough of it agree would leave the prompts on which samples disagree, and the short ones.
- A seed is part of the name of the tape, and sample i of a tape was drawn with seed + i.

Scores that compare the turns of one batch mean nothing in another: such verifiers have no tapes.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from typing import Any, Final, Literal

import redis
from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_json

from router.bounded import BOUND, OVERHEAD_BYTES
from router.config.cache import Cache
from router.types import StrategySpec, Task
from workers.meter import Meter
from workers.protocols import (
    Candidate,
    Generate,
    Problem,
    SamplingParams,
    Score,
    Scored,
    SearchResult,
    Verifier,
)
from workers.search import PARALLEL, STRATEGIES, UNJUDGED
from workers.search.sampling import as_candidate, sample
from workers.search.voting import rule_of

log = logging.getLogger(__name__)

_VERSION: Final = 1
"""Of what a tape holds, and of what its name is made from."""
_CUT_NOTHING: Final = frozenset({"none", "window"})
"""Stopping rules that let every sample come to its end: "window" looks only between batches."""
_CLAIM_MS: Final = 300_000
"""Longer than a batch takes; the claim of a worker that died ends by itself."""

_TAKE: Final = """
local found = redis.call('LRANGE', KEYS[1], ARGV[1], ARGV[2] - 1)
local claimed = 0
if ARGV[3] ~= '' and redis.call('LLEN', KEYS[1]) == ARGV[1] + #found and ARGV[1] + #found < tonumber(ARGV[2])
    and redis.call('SET', KEYS[2], ARGV[3], 'NX', 'PX', ARGV[4]) then claimed = 1 end
return {found, claimed}
"""
_APPEND: Final = (
    BOUND
    + """
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[2])
if redis.call('LLEN', KEYS[1]) ~= tonumber(ARGV[2]) or #ARGV < 8 then return 0 end
for at = 8, #ARGV do redis.call('RPUSH', KEYS[1], ARGV[at]) end
if ARGV[2] == '0' then redis.call('EXPIRE', KEYS[1], ARGV[6]) end
bound(KEYS[3], KEYS[4], KEYS[1], ARGV[3], ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7]))
return 1
"""
)


@dataclass(frozen=True, slots=True)
class _Kept:
    """A candidate on a tape; its answer is read anew."""

    text: str
    ended: Literal["stop", "length"]
    score: float
    step_scores: tuple[float, ...]
    completion_tokens: int | None
    mean_logprob: float | None


_kept: Final[TypeAdapter[_Kept]] = TypeAdapter(_Kept)


class CandidateCache:
    """The tapes of all models of a worker. Thread-safe.

    ``models`` and ``verifiers`` say of each name what it is (:func:`router.fingerprint.identity_of`).
    """

    def __init__(
        self, client: redis.Redis, settings: Cache, models: Mapping[str, str], verifiers: Mapping[str, str]
    ) -> None:
        self._client = client
        self._settings = settings
        self._models, self._verifiers = models, verifiers
        self._take = client.register_script(_TAKE)
        self._append = client.register_script(_APPEND)

    def tape(
        self,
        scope: str,
        model: str,
        messages: Sequence[Mapping[str, Any]],
        params: SamplingParams,
        verifier: Verifier | None,
        task: Task,
    ) -> Tape:
        """That of a prompt, as those of ``scope`` share it; no ``verifier`` where nobody judges."""
        if model not in self._models or (verifier is not None and verifier.name not in self._verifiers):
            return NO_TAPE
        if verifier is not None and verifier.compares_turns:
            return NO_TAPE
        judged = None if verifier is None else [self._verifiers[verifier.name], asdict(task)]
        said = [_VERSION, scope, self._models[model], messages, asdict(params), judged]
        return Tape(self, sha256(to_json(said)).hexdigest(), model)

    def take(self, name: str, start: int, stop: int, token: str) -> tuple[list[bytes], bool]:
        """What lies at ``start`` to ``stop``, and whether ``token`` may append; empty: it is not to."""
        found, claimed = self._take(_keys(name)[:2], [start, stop, token, _CLAIM_MS])
        return found, bool(claimed)

    def append(self, name: str, at: int, token: str, kept: Sequence[bytes]) -> bool:
        """End the claim; of nothing, or of what no longer fits, that is all."""
        size = sum(map(len, kept)) + OVERHEAD_BYTES
        bounds: list[bytes | str | float] = [
            uuid.uuid4().hex,
            size,
            time.time(),
            self._settings.ttl_s,
            self._settings.max_bytes,
        ]
        if size > self._settings.max_bytes:
            kept = ()
        return bool(self._append(_keys(name), [token, at, *bounds, *kept]))


class Tape:
    """One tape, as one job reads it. For one thread."""

    def __init__(self, cache: CandidateCache | None, name: str, model: str) -> None:
        self._cache = cache
        self._name, self._model = name, model
        self._token = uuid.uuid4().hex
        self._at = 0
        self._claimed = False

    def draw(
        self, problem: Problem, count: int, generate: Generate, score: Score, meter: Meter
    ) -> tuple[Candidate, ...]:
        """Up to ``count`` candidates: those that come next on the tape, and new ones, which are appended."""
        known = self.next(problem, count, meter, appends=True)
        new = sample(problem, count - len(known), generate, score)
        self.append(new, whole=len(known) + len(new) == count and not meter.broken_off)
        return known + new

    def next(self, problem: Problem, count: int, meter: Meter, *, appends: bool) -> tuple[Candidate, ...]:
        """Up to ``count`` that were drawn before; ``appends``: what is drawn after them is to follow."""
        if self._cache is None or count <= 0:
            return ()
        token = self._token if appends else ""
        try:
            found, self._claimed = self._cache.take(self._name, self._at, self._at + count, token)
            kept = [_kept.validate_json(one) for one in found]
        except (redis.RedisError, ValidationError) as error:
            log.warning("no candidates are used again: %s", error)
            self._cache = None
            return ()
        self._at += len(kept)
        if len(kept) < count and not self._claimed:  # what is drawn now is not of this tape
            self._cache = None
        meter.reuse(self._model, len(kept))
        return tuple(_candidate(problem, one) for one in kept)

    def append(self, new: Sequence[Candidate], *, whole: bool) -> None:
        """Add what was drawn after :meth:`next`, all of it, in order; nothing where it is not ``whole``."""
        if self._cache is None or not self._claimed:
            return
        self._claimed = False
        kept = [_kept.dump_json(_as_kept(one)) for one in new] if whole else []
        try:
            follows = self._cache.append(self._name, self._at, self._token, kept)
        except redis.RedisError as error:
            log.warning("candidates are not kept: %s", error)
            follows = False
        self._at += len(new)
        if not follows:
            self._cache = None

    def leave(self) -> None:
        """Let others append, where this one claimed that and did not."""
        self.append((), whole=False)


NO_TAPE: Final = Tape(None, "", "")
"""Empty, and nothing is appended."""


def topped_up(
    tape: Tape, problem: Problem, spec: StrategySpec, generate: Generate, score: Score, meter: Meter
) -> SearchResult:
    """The search, from the candidates that are there; what a search in parallel draws more is appended.

    Not where a stopping rule may cut it short: see above. Searches by steps and chains start from the probe.
    """
    if spec.name not in PARALLEL:
        return STRATEGIES[spec.name](problem, spec, generate, score)
    unjudged = spec.name in UNJUDGED
    if unjudged and problem.probes:  # what follows would not be judged, as the tape of a probe is
        tape = NO_TAPE
    rule = rule_of(problem, spec, None if unjudged else score)
    lacks = spec.samples - len(problem.probes)
    known = tape.next(problem, lacks, meter, appends=rule in _CUT_NOTHING)
    problem = replace(problem, probes=(*problem.probes, *known))
    result = STRATEGIES[spec.name](problem, spec, generate, score)
    tape.append(result.candidates[len(problem.probes) :], whole=not meter.broken_off)
    return result


def _keys(name: str) -> list[str]:
    tape = f"gradus:candidates:tape:{name}"
    return [tape, f"gradus:candidates:claim:{name}", "gradus:candidates:index", "gradus:candidates:total"]


def _candidate(problem: Problem, kept: _Kept) -> Candidate:
    judgement = Scored(kept.step_scores, kept.score)
    return as_candidate(problem, kept.text, kept.ended, judgement, kept.mean_logprob, kept.completion_tokens)


def _as_kept(one: Candidate) -> _Kept:
    return _Kept(
        one.text, one.finish_reason, one.score, one.step_scores, one.completion_tokens, one.mean_logprob
    )
