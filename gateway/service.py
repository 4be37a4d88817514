"""One request from plan to reply: the file to read first.

Nothing is spent before the plan stands and its price is within the policy's cap. Whatever happens after, the
bill holds every line that was consumed, and a deadline ends the wait.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from cost_model.prices import add_usd
from cost_model.usage import Purpose, Usage
from gateway.bill import Bill
from gateway.dispatch import Dispatcher
from gateway.errors import GatewayError, JobFailed
from gateway.fallback import plan_after, plan_for_gave_up
from gateway.planning import Planned, Planner
from gateway.replies import Done, Listener, Reply
from gateway.translate import Asked, gradus_object, known_headers
from gateway.upstreams import Reading, Upstreams
from router.drift import DriftMonitor
from router.market import Market
from router.pricing import fees_of
from router.types import Alternative, Branch, Decision, Job, Outcome, Plan
from router.wire import Event

# A worker stops this much before the client's deadline, so that the best answer so far still arrives.
REPLY_MARGIN_S = 1.0
REPLY_MARGIN_SHARE = 0.05


@dataclass(slots=True)
class _Run:
    """One request on its way. ``deadline_s`` is on the event loop's clock; ``stages_s`` fills up."""

    asked: Asked
    planned: Planned
    deadline_s: float
    bill: Bill
    listener: Listener | None
    began_s: float
    stages_s: dict[str, float] = field(default_factory=dict)
    decision: Decision | None = None

    @property
    def plan(self) -> Plan:
        return self.planned.plan

    def took(self, stages_s: Mapping[str, float]) -> None:
        for stage, seconds in stages_s.items():
            self.stages_s[stage] = self.stages_s.get(stage, 0.0) + seconds


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a worker or a server said; ``upstream`` and ``reported`` (usage) are a server's own objects."""

    text: str = ""
    finish_reason: str = "stop"
    tool_calls: Sequence[Mapping[str, Any]] = ()
    samples: int = 1
    confidence: float | None = None
    notice: str | None = None
    by_server: bool = False
    upstream: Mapping[str, Any] | None = None
    reported: Mapping[str, Any] = field(default_factory=dict)
    estimated: bool = False


class Service:
    """Answers requests with what a market offers: workers run some models, upstream servers the others."""

    def __init__(
        self,
        market: Market,
        dispatcher: Dispatcher,
        upstreams: Upstreams,
        drift: DriftMonitor | None = None,
    ) -> None:
        self._market = market
        self._drift = drift
        self._planner = Planner(market)
        self._dispatcher = dispatcher
        self._upstreams = upstreams

    def names(self) -> list[str]:
        """Every value of ``model`` that a request may have."""
        return self._planner.names()

    def explain(self, asked: Asked) -> Plan:
        """What would be done, and for how much; spends nothing.

        Raises :class:`RouterError` or :class:`GatewayError`.
        """
        return self._planner.plan(asked).plan

    async def answer(self, asked: Asked, listener: Listener | None = None) -> Reply:
        """Plan, dispatch, escalate if need be, price, reply; ``listener`` hears of it meanwhile.

        Raises :class:`RouterError` or :class:`GatewayError`; ``account`` of the latter says what was spent.
        """
        planned = self._planner.plan(asked)
        self._watch(planned.plan)
        run = _Run(
            asked=asked,
            planned=planned,
            deadline_s=asyncio.get_running_loop().time() + planned.deadline_after_s,
            bill=Bill(self._market),
            listener=listener,
            began_s=time.perf_counter(),
        )
        try:
            branch, answer = await self._follow(run)
        except GatewayError as error:
            error.account = run.bill.account() if run.bill.lines else None
            raise
        return self._reply(run, branch, answer)

    async def _follow(self, run: _Run) -> tuple[Branch, _Answer]:
        """Do what the plan says; what the small model gives up, or cannot read, goes to the large model."""
        branch = run.plan.branches[0]
        try:
            if not run.plan.probe_samples:
                return branch, await self._ask(run, branch, run.plan, escalated=False)
            outcome = await self._work(run, run.plan, escalated=False)
        except JobFailed as error:
            return await self._fall_back(run, error)
        run.decision = outcome.decision
        branch = branch if outcome.decision is None else outcome.decision.branch
        if outcome.status == "answered":
            return branch, _said(outcome)
        return branch, await self._ask(run, branch, plan_for_gave_up(run.plan, branch), escalated=True)

    async def _fall_back(self, run: _Run, error: JobFailed) -> tuple[Branch, _Answer]:
        """Ask the large model, where only a worker could tell that the small one cannot; else ``error``."""
        policy = run.planned.policy
        if policy is None or run.planned.settled:
            raise error
        failed = run.plan.small if run.plan.probe_samples else run.plan.branches[0].chosen.model
        spent_usd = add_usd(*(line.cost_usd for line in run.bill.lines))
        second = plan_after(error.code, run.planned.query, policy, failed, spent_usd, self._market)
        if second is None:
            raise error
        branch = replace(second.branches[0], notice=f"{second.branches[0].reason}: {error}")
        return branch, await self._ask(run, branch, second, escalated=True)

    async def _ask(self, run: _Run, branch: Branch, decided: Plan, *, escalated: bool) -> _Answer:
        """An answer without a probe, of the model that ``branch`` chose: in a worker, or from its server."""
        if self._in_worker(branch.chosen):
            return _said(await self._work(run, decided, escalated=escalated))
        return await self._upstream(run, branch.chosen.model, escalated=escalated)

    async def _work(self, run: _Run, decided: Plan, *, escalated: bool) -> Outcome:
        """Have a worker follow ``decided``. Raises :class:`JobFailed` where it gave up."""
        left_s = run.deadline_s - asyncio.get_running_loop().time()
        job = Job(
            id=uuid.uuid4().hex,
            reply_to=self._dispatcher.reply_to,
            query=run.planned.query,
            plan=decided,
            deadline_unix_s=time.time() + left_s - min(REPLY_MARGIN_S, REPLY_MARGIN_SHARE * left_s),
            stream=run.asked.stream,
            escalated=escalated,
        )

        began_s = time.perf_counter()
        queue_s = 0.0

        def on_sent() -> None:
            if run.listener is not None:
                run.listener.open(known_headers(run.plan))
                run.listener.start()

        def on_event(event: Event) -> None:
            nonlocal queue_s
            if event.type == "started":
                queue_s = time.perf_counter() - began_s  # of a job sent again: up to its second start
            elif run.listener is not None:
                _tell(run.listener, event)

        outcome = await self._dispatcher.run(job, run.deadline_s, on_sent, on_event)
        run.bill.add(outcome.usage)
        run.took({"queue": queue_s})
        run.took(_stages_s(decided, outcome, escalated))
        if outcome.failure is not None:
            raise JobFailed(outcome.failure.message, code=outcome.failure.code)
        return outcome

    async def _upstream(self, run: _Run, name: str, *, escalated: bool) -> _Answer:
        """The named model's answer, from its server; what it consumed is on the bill even if it fails."""
        asked, listener, reading = run.asked, run.listener, Reading(run.asked.body)
        body, counted = None, False
        began_s = time.perf_counter()
        try:
            if listener is None:
                body = await self._upstreams.complete(name, asked.body, run.deadline_s, reading)
            else:
                on_open = partial(listener.open, known_headers(run.plan))
                await self._upstreams.stream(
                    name, asked.body, run.deadline_s, reading, on_open, listener.chunk
                )
            counted = True
        finally:
            seconds = time.perf_counter() - began_s
            run.took({"escalation" if escalated else "direct": seconds})
            if reading.sent:
                purpose: Purpose = "escalation" if escalated else "direct"
                read, written = reading.prompt_tokens, reading.completion_tokens
                line = Usage(
                    purpose,
                    name,
                    1,
                    read,
                    written,
                    reading.cached_prompt_tokens,
                    reading.reasoning_tokens,
                    seconds,
                )
                fees = fees_of(run.planned.query)
                if fees and (counted or reading.reported):
                    run.bill.add_with_fees(line, fees)
                elif counted or reading.reported:
                    run.bill.add([line])
                else:
                    run.bill.add_uncounted(line)
        return _Answer(by_server=True, upstream=body, reported=reading.reported, estimated=reading.estimated)

    def _watch(self, plan: Plan) -> None:
        if self._drift is not None and plan.familiarity is not None and plan.p_right is not None:
            self._drift.observe(plan.familiarity, plan.p_right)

    def _reply(self, run: _Run, branch: Branch, answer: _Answer) -> Reply:
        left_out = () if answer.by_server else run.asked.not_honoured
        notices = (
            branch.notice,
            answer.notice,
            f"Left out, because no worker honours it: {', '.join(left_out)}." if left_out else None,
            "The server did not count tokens: its usage is estimated." if answer.estimated else None,
        )
        seconds = time.perf_counter() - run.began_s
        gradus = gradus_object(
            policy=run.planned.policy,
            chosen=branch.chosen,
            decision=run.decision,
            predicted=run.plan.p_right,
            samples=answer.samples,
            confidence=answer.confidence,
            account=run.bill.account(),
            latency_s={**run.stages_s, "total": seconds},
            notice="; ".join(notice.removesuffix(".") for notice in notices if notice),
        )
        return Reply(
            text=answer.text,
            finish_reason=answer.finish_reason,
            usage=run.bill.usage(answer.reported),
            gradus=gradus,
            tool_calls=answer.tool_calls,
            upstream=answer.upstream,
            done=Done(run.planned, branch, run.decision, run.bill.lines, seconds),
        )

    def _in_worker(self, chosen: Alternative) -> bool:
        """Searches are for workers, whatever runs the model; a direct answer of a server needs none."""
        engine = self._market.config.models[chosen.model].engine
        return engine == "transformers" or chosen.strategy.name != "direct"


def _said(outcome: Outcome) -> _Answer:
    return _Answer(
        outcome.text,
        outcome.finish_reason,
        outcome.tool_calls,
        outcome.samples,
        outcome.confidence,
        outcome.notice,
    )


def _stages_s(decided: Plan, outcome: Outcome, escalated: bool) -> Mapping[str, float]:
    """Seconds by stage; what a worker calls its search is the whole answer where there was none."""
    if decided.probe_samples or decided.branches[0].chosen.strategy.name != "direct":
        return outcome.stages_s
    return {"escalation" if escalated else "direct": sum(outcome.stages_s.values())}


def _tell(listener: Listener, event: Event) -> None:
    if event.type == "text":
        listener.text(str(event.data["text"]))
    elif event.type == "progress":
        listener.progress(str(event.data["stage"]), int(event.data["done"]), int(event.data["total"]))
