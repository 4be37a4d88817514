"""One job from plan to outcome: probe, replan, search. The file to read first.

    probe    sample the small model, the samples of a stage in one batch, and score them
    replan   the evidence -> P(right) -> the branch that the plan holds for it, or the next stage
    search   the branch's strategy; the probe's samples are its first candidates
             (or status "escalate": the gateway asks the large model)

A plan without a probe has one branch, which is followed at once.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from router.config import SearchedModel
from router.replanning import replan
from router.strategy import BY_STEPS
from router.tracing import span
from router.types import (
    Alternative,
    Decision,
    Failure,
    Job,
    Outcome,
    Plan,
    StrategyName,
    StrategySpec,
)
from router.wire import Event
from workers.answers import Answers, Embed, answers_for
from workers.candidate_cache import NO_TAPE, CandidateCache, Tape, topped_up
from workers.errors import ModelUnavailable, NoAnswer, SearchImpossible, WorkerError
from workers.evidence import evidence_of
from workers.meter import Meter, OnComplete
from workers.notices import notice_of
from workers.protocols import (
    Cancellation,
    Candidate,
    Engine,
    OnText,
    Problem,
    Prompt,
    SamplingParams,
    Score,
    Scored,
    Verifier,
)
from workers.replies import answered, streamed
from workers.sampling_params import sampling_params
from workers.search import PARALLEL, UNJUDGED
from workers.steps import Steps, steps_of

log = logging.getLogger(__name__)

_LAST_COMPARISONS_S = 0.2
"""After generation has ended at the deadline: most answers are compared only then."""

Emit = Callable[[Event], None]
"""Sends an event to whoever waits for the job. Does not raise; may be called from several threads."""


@dataclass(frozen=True, slots=True)
class Model:
    """A model that this worker runs, and how it samples where the request does not say."""

    engine: Engine
    config: SearchedModel

    @property
    def steps(self) -> Steps:
        return steps_of(self.config)


def run(
    job: Job,
    models: Mapping[str, Model],
    verifiers: Mapping[str, Verifier],
    emit: Emit,
    cancellation: Cancellation,
    embed: Embed | None = None,
    cache: CandidateCache | None = None,
) -> Outcome:
    """Do the job; ``embed`` tells which free texts mean the same, ``cache`` holds candidates of earlier jobs.

    Does not raise: what goes wrong is the outcome's failure, beside what was spent by then.
    """
    deadline_s = cancellation.deadline_monotonic_s
    compared_s = None if deadline_s is None else deadline_s + _LAST_COMPARISONS_S
    meter = Meter(job.query.messages, cancellation)
    execution = _Execution(job, models, verifiers, emit, meter, embed, compared_s, cache)
    try:
        return execution.run()
    except NoAnswer as error:
        cause = execution.meter.failure or error
        return execution.failed(cause.code, str(cause))
    except WorkerError as error:
        return execution.failed(error.code, str(error))
    except Exception as error:
        log.exception("job %s failed by a defect", job.id)
        return execution.failed(WorkerError.code, f"a worker failed: {type(error).__name__}: {error}")
    finally:
        execution.tape.leave()


@dataclass(slots=True)
class _Execution:
    job: Job
    models: Mapping[str, Model]
    verifiers: Mapping[str, Verifier]
    emit: Emit
    meter: Meter
    embed: Embed | None
    compared_monotonic_s: float | None
    """When the last answers must have been compared."""
    cache: CandidateCache | None
    tape: Tape = NO_TAPE
    """Where candidates of earlier jobs are, and those of this one go."""
    answers: Answers | None = None
    """Those of the query: the search remembers what the probe compared."""
    decision: Decision | None = None
    stages_s: dict[str, float] = field(default_factory=dict)

    def run(self) -> Outcome:
        plan = self.job.plan
        if not plan.probe_samples:
            self.decision = Decision(None, plan.branches[0])
            return self._search(plan.branches[0].chosen, ())
        probes, decision = self._probe(plan)
        self.decision = self._possible(decision)
        chosen = self.decision.branch.chosen
        if chosen.route == "large":
            return replace(self._so_far(), status="escalate", samples=len(probes))
        return self._search(chosen, probes)

    def failed(self, code: str, message: str) -> Outcome:
        return replace(self._so_far(), failure=Failure(code, message))

    def _probe(self, plan: Plan) -> tuple[tuple[Candidate, ...], Decision]:
        """Stage by stage, until the plan says what to do."""
        with self._stage("probe"):
            model = self._model(plan.small)
            generate = self.meter.generator(
                model.engine,
                "probe",
                self._params(model),
                steps=model.steps,
                on_complete=self._progress("probe", plan.probe_samples),
            )
            score = self.meter.scorer(self._verifier(), self.job.query.task, model.steps)
            self.tape = self._tape(model, self._params(model), self._verifier())
            probes: tuple[Candidate, ...] = ()
            for index, stage in enumerate(plan.stages):
                lacks = stage.samples - len(probes)
                probes += self.tape.draw(self._problem(model), lacks, generate, score, self.meter)
                if self.meter.failure is not None:  # half a probe, or one that nobody judged, says nothing
                    raise self.meter.failure
                if not probes:
                    raise NoAnswer("the deadline came before a sample of the probe was complete")
                decision = replan(plan, index, evidence_of(probes))
                if decision is not None:
                    return probes, decision
        raise AssertionError("the last stage of a plan covers everything")

    def _search(self, chosen: Alternative, probes: Sequence[Candidate]) -> Outcome:
        spec = chosen.strategy
        with self._stage("search"):
            model = self._model(chosen.model)
            problem = self._problem(model, probes, judged_together=self._compares_turns(spec))
            is_direct = spec.name == "direct"
            params = self._params(model, direct=is_direct, votes=spec.name == "majority")
            score = self._score(model, spec)
            generate = self.meter.generator(
                self._engine(model, spec),
                "candidate" if not is_direct else "escalation" if self.job.escalated else "direct",
                params,
                steps=model.steps,
                token_cap=chosen.token_cap,
                on_text=self._text(model.steps) if is_direct else None,
                on_complete=None if is_direct else self._progress("search", spec.samples),
            )
            if not probes and spec.name in PARALLEL:
                self.tape = self._tape(model, params, None if spec.name in UNJUDGED else self._verifier())
            result = topped_up(self.tape, problem, spec, generate, score, self.meter)
        outcome = answered(self._so_far(), self.job.query.task, model.steps, result)
        sampled = bool(probes) or not is_direct
        asked = self.job.query.sampling
        notice = notice_of(asked, self._params(model), spec, model.steps, result, self.meter, sampled=sampled)
        return replace(outcome, notice=notice, broken_off=self.meter.broken_off)

    def _tape(self, model: Model, params: SamplingParams, judge: Verifier | None) -> Tape:
        scope, query = self.job.cache_scope, self.job.query
        if self.cache is None or scope is None:
            return NO_TAPE
        return self.cache.tape(scope, model.engine.model, query.messages, params, judge, query.task)

    def _possible(self, decision: Decision) -> Decision:
        """The same, but best-of-N for steps where the engine continues no turns: only a worker knows that."""
        branch, chosen = decision.branch, decision.branch.chosen
        name = chosen.strategy.name
        if name not in BY_STEPS or self._model(chosen.model).engine.continues_turns:
            return decision
        instead: StrategyName = "best_of_n_weighted"
        notice = f"{_needs_turns(name, chosen.model)}: {instead} was done instead"
        possible = replace(chosen, strategy=replace(chosen.strategy, name=instead))
        notices = filter(None, (notice, branch.notice))
        return replace(decision, branch=replace(branch, chosen=possible, notice="; ".join(notices)))

    def _score(self, model: Model, spec: StrategySpec) -> Score:
        if spec.name in UNJUDGED:
            return _unscored
        verifier = self._verifier()
        if spec.name in BY_STEPS and not verifier.scores_steps:
            raise SearchImpossible(
                f"{spec.name} searches by steps: it needs a verifier that scores steps, and "
                f"{verifier.name!r} does not"
            )
        return self.meter.scorer(verifier, self.job.query.task, model.steps)

    def _so_far(self) -> Outcome:
        return Outcome(
            self.job.id, "failed", self.decision, usage=self.meter.usage, stages_s=dict(self.stages_s)
        )

    def _compares_turns(self, spec: StrategySpec) -> bool:
        return spec.name not in UNJUDGED and self._verifier().compares_turns

    def _problem(
        self, model: Model, probes: Sequence[Candidate] = (), *, judged_together: bool = False
    ) -> Problem:
        if self.answers is None:
            self.answers = answers_for(self.job.query.task, self.embed, self.compared_monotonic_s)
        asked, revise = self.meter.messages, model.config.revise_prompt
        return Problem(asked, self.answers, model.steps, tuple(probes), judged_together, revise)

    def _params(self, model: Model, *, direct: bool = False, votes: bool = False) -> SamplingParams:
        asked = self.job.query.sampling
        return sampling_params(model.engine.model, model.config, asked, direct=direct, votes=votes)

    def _model(self, name: str | None) -> Model:
        if name is None or name not in self.models:
            raise ModelUnavailable(f"this worker does not run model {name!r}, only {_names(self.models)}")
        return self.models[name]

    def _engine(self, model: Model, spec: StrategySpec) -> Engine:
        if spec.name in BY_STEPS and not model.engine.continues_turns:
            raise SearchImpossible(_needs_turns(spec.name, model.engine.model))
        return model.engine

    def _verifier(self) -> Verifier:
        name = self.job.plan.verifier
        if name is None or name not in self.verifiers:
            raise ModelUnavailable(
                f"this worker does not run verifier {name!r}, only {_names(self.verifiers)}"
            )
        return self.verifiers[name]

    def _progress(self, stage: str, total: int) -> OnComplete:
        def on_complete(complete: int) -> None:
            progress = {"stage": stage, "done": min(complete, total), "total": total}
            self.emit(Event("progress", self.job.id, progress))

        return on_complete

    def _text(self, steps: Steps) -> OnText | None:
        """``None`` where the text is not what the client gets: tool calls are read out of it first."""
        if not self.job.stream or self.job.query.task.kind == "tools":
            return None
        return streamed(steps, lambda text: self.emit(Event("text", self.job.id, {"text": text})))

    @contextmanager
    def _stage(self, name: str) -> Iterator[None]:
        started_s = time.monotonic()
        try:
            with span(name):
                yield
        finally:
            self.stages_s[name] = time.monotonic() - started_s


def _unscored(_turns: Sequence[Prompt]) -> tuple[Scored, ...]:
    raise AssertionError("this search judges nothing")


def _needs_turns(strategy: StrategyName, model: str) -> str:
    return f"{strategy} needs an engine that continues turns, and that of {model!r} does not"


def _names(known: Mapping[str, object]) -> str:
    return ", ".join(sorted(known)) or "none"
