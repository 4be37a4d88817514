"""Every way to answer one question, tried: what `gradus train outcomes` does for each.

The small model's samples are drawn once. The first of them are the probe: the first candidates of every
search, as in serving (:mod:`workers.executor`). A search with a smaller budget takes as many as that.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

from cost_model.usage import Usage, merge
from router.market import Market
from router.outcomes import LARGE, SMALL, ActionOutcome, Probe, bill_of
from router.types import StrategySpec
from workers.errors import NoAnswer
from workers.protocols import Generation, Prompt
from workers.search import STRATEGIES, UNJUDGED
from workers.search.sampling import as_candidate
from workers.steps import Steps
from workers.training.drawing import Draw
from workers.training.questions import Question
from workers.training.samples import Samples, Sampling

_ONE_ANSWER = StrategySpec("direct")


@dataclass(frozen=True, slots=True)
class Action:
    """A search on the small model; ``label`` is what its rows call it."""

    label: str
    spec: StrategySpec


@dataclass(frozen=True, slots=True)
class Large:
    """The policy's large model, and how it is asked for one answer."""

    model: str
    steps: Steps
    generate: Callable[[Prompt], Generation]


@dataclass(frozen=True, slots=True)
class Team:
    """Who answers, at which prices; ``large`` is ``None`` where the policy has none."""

    market: Market
    sampling: Sampling
    searches: tuple[Action, ...]
    large: Large | None


def outcomes_of(team: Team, question: Question, draw: Draw) -> dict[str, Any]:
    """The row of a log: "actions", a row each, and "turns", the samples as `gradus quality` reads them.

    Raises what an engine or the verifier raises.
    """
    samples = Samples(team.sampling, question, draw)
    found = [_small(team, samples), *(_search(team, samples, action) for action in team.searches)]
    if team.large is not None:
        found.append(_large(team, samples, team.large))
    return {"actions": [one.row() for one in found], "turns": samples.turns()}


def _small(team: Team, samples: Samples) -> ActionOutcome:
    """One answer of the small model, as often as there are samples."""
    runs, count = team.sampling.samples, team.sampling.probes
    each_read = replace(samples.drawing, prompt_tokens=runs * samples.drawing.prompt_tokens)
    outcome = _outcome(
        team,
        samples,
        Action(SMALL, _ONE_ANSWER),
        samples.draw.engine.model,
        before=[each_read] if count else [],  # a sample of the probe is an answer already
        after=[] if count else [each_read],
        seconds=samples.drawing.seconds,
        runs=runs,
        right=fmean(samples.right),
    )
    if not count:
        return outcome
    probe = samples.probe(count)
    usage = team.market.priced(probe.lines)
    return replace(
        outcome,
        score=fmean(one.score for one in probe.candidates),
        agreement=samples.agreement(probe.candidates),
        probe=Probe(samples.evidence(probe), bill_of(usage, 1, probe.seconds), usage),
    )


def _search(team: Team, samples: Samples, action: Action) -> ActionOutcome:
    """A search that begins with samples of the probe, and what both took."""
    spec, sampling = action.spec, team.sampling
    is_judged = spec.name not in UNJUDGED
    begun = samples.begun(min(spec.samples, sampling.probes), is_judged=is_judged)
    problem = replace(
        samples.problem,
        probes=begun.candidates,
        judged_together=is_judged and sampling.verifier.compares_turns,
    )
    meter = samples.meter()
    params = replace(samples.params(action.label), logprobs=spec.name == "majority")
    generate = meter.generator(samples.draw.engine, "candidate", params, steps=problem.steps)
    score = meter.scorer(sampling.verifier, sampling.task, problem.steps)
    started_s = time.monotonic()
    try:
        found = STRATEGIES[spec.name](problem, spec, generate, score)
    except NoAnswer:  # not one of its turns says anything
        found = None
    searched_s = time.monotonic() - started_s
    samples.count(meter)
    outcome = _outcome(
        team,
        samples,
        action,
        samples.draw.engine.model,
        before=begun.lines,
        after=meter.usage,
        seconds=begun.seconds + searched_s,
        candidates=0,
    )
    if found is None:
        return outcome
    return replace(
        outcome,
        right=float(samples.are_right([found.best])[0]),
        score=found.best.score if is_judged else None,
        agreement=samples.agreement(found.candidates),
        confidence=found.confidence,
        candidates=len(found.candidates),
        text=found.best.text,
    )


def _large(team: Team, samples: Samples, large: Large) -> ActionOutcome:
    """One answer of the large model, which nobody judges."""
    started_s = time.monotonic()
    done = large.generate(samples.problem.turn())
    seconds = time.monotonic() - started_s
    (completion,) = done.completions
    problem = replace(samples.problem, steps=large.steps)
    answer = as_candidate(problem, completion.text, completion.ended)
    line = Usage(
        "direct",
        large.model,
        1,
        done.prompt_tokens,
        done.completion_tokens,
        done.cached_prompt_tokens,
        completion.reasoning_tokens,
        seconds,
    )
    return _outcome(
        team,
        samples,
        Action(LARGE, _ONE_ANSWER),
        large.model,
        after=[line],
        seconds=seconds,
        right=float(samples.are_right([answer])[0]),
        text=answer.text,
    )


def _outcome(
    team: Team,
    samples: Samples,
    action: Action,
    model: str,
    *,
    after: Sequence[Usage],
    seconds: float,
    before: Sequence[Usage] = (),
    runs: int = 1,
    candidates: int = 1,
    right: float = 0.0,
    text: str | None = None,
) -> ActionOutcome:
    """With the bill of these lines: ``before`` are those of the probe, ``after`` what came after it."""
    usage = team.market.priced(merge([*before, *after]))
    question = samples.question
    return ActionOutcome(
        id=question.id,
        question=question.question,
        answer=question.answer,
        action=action.label,
        model=model,
        strategy=action.spec.name,
        samples=action.spec.samples,
        runs=runs,
        right=right,
        score=None,
        agreement=None,
        confidence=None,
        candidates=candidates,
        text=text,
        bill=bill_of(usage, runs, seconds),
        after_probe_usd=bill_of(team.market.priced(after), runs, seconds).cost_usd,
        usage=usage,
        probe=None,
    )
