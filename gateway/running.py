"""A plan is followed by workers and upstream servers; everything that they consume is on the bill."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Literal

from cost_model.prices import add_usd
from gateway.dispatch import Dispatcher
from gateway.errors import GatewayError, JobFailed
from gateway.fallback import OVERFLOWS, Instead, plan_after, plan_for_gave_up
from gateway.replies import Listener
from gateway.run import Answer, Run
from gateway.translate import headers_of, known_headers
from gateway.upstreams import Calls, Question, Said, Upstreams
from router.market import Market
from router.tracing import span
from router.types import Alternative, Branch, Job, Outcome, Plan
from router.wire import Event

# A worker stops this much before the client's deadline, so that the best answer so far still arrives.
REPLY_MARGIN_S = 1.0
REPLY_MARGIN_SHARE = 0.05


class Runner:
    """Follows plans with a market's workers and upstream servers."""

    def __init__(self, market: Market, dispatcher: Dispatcher, upstreams: Upstreams) -> None:
        self._market = market
        self._dispatcher = dispatcher
        self._upstreams = upstreams
        config = market.config
        self._in_process = {name for name, model in config.models.items() if model.engine == "transformers"}
        self._capped = {name for name, policy in config.policies.items() if policy.max_cost_usd is not None}

    async def follow(self, run: Run) -> tuple[Branch, Answer]:
        """Do what the plan says; what the small model gives up, or cannot read, goes to the large model.

        Raises :class:`Instead` where that is yet to be reserved.
        """
        branch = run.plan.branches[0]
        if run.instead is not None:
            answer = await self._ask(run, branch, run.plan, escalated=True)
            return branch, replace(answer, stopgap=answer.stopgap or run.instead.absent)
        try:
            if not run.plan.probe_samples:
                return branch, await self._ask(run, branch, run.plan, escalated=False)
            outcome = await self._work(run, run.plan, escalated=False)
        except (JobFailed, *OVERFLOWS) as error:
            return await self._fall_back(run, error)
        run.decision = outcome.decision
        branch = branch if outcome.decision is None else outcome.decision.branch
        if outcome.status == "answered":
            return branch, _said(outcome)
        return branch, await self._ask(run, branch, plan_for_gave_up(run.plan, branch), escalated=True)

    async def _fall_back(self, run: Run, error: GatewayError) -> tuple[Branch, Answer]:
        """Ask the large model, where no worker is there or can do it; else ``error``.

        What a worker did before it failed is on the bill: with it the large model must cost no more than was
        reserved.
        """
        policy = run.planned.policy
        if policy is None or run.planned.settled:
            raise error
        spent_usd = add_usd(*(line.cost_usd for line in run.bill.lines))
        second = plan_after(
            error.code, run.planned.query, policy, _first_model(run.plan), spent_usd, self._market
        )
        if second is None:
            raise error
        branch = replace(second.branches[0], notice=f"{second.branches[0].reason}: {error}")
        if not (run.bill.lines or run.given_up):
            stages = (replace(second.stages[0], branches=(branch,)),)
            raise Instead(replace(second, stages=stages), absent=isinstance(error, OVERFLOWS)) from error
        if run.caller.account.caps_money and run.given_up:
            raise error  # what that job consumed is still to be heard of, and may be all that was reserved
        most_usd = add_usd(spent_usd, second.worst_case_cost_usd)
        if run.caller.account.caps_money and not _within(most_usd, run.most_usd):
            raise error
        return branch, await self._ask(run, branch, second, escalated=True)

    async def _ask(self, run: Run, branch: Branch, decided: Plan, *, escalated: bool) -> Answer:
        """An answer without a probe, of the model that ``branch`` chose: in a worker, or from its server."""
        if self._in_worker(branch.chosen):
            return _said(await self._work(run, decided, escalated=escalated))
        return await self._upstream(run, branch.chosen.model, escalated=escalated)

    async def _work(self, run: Run, decided: Plan, *, escalated: bool) -> Outcome:
        """Have a worker follow ``decided``. Raises :class:`JobFailed` where it gave up."""
        if not run.planned.waits:
            most = self._market.config.server.max_queued_jobs
            await self._dispatcher.admit(_first_model(decided), most)
        left_s = run.deadline_s - asyncio.get_running_loop().time()
        job = Job(
            id=uuid.uuid4().hex,
            reply_to=self._dispatcher.reply_to,
            query=run.planned.query,
            plan=decided,
            deadline_unix_s=time.time() + left_s - min(REPLY_MARGIN_S, REPLY_MARGIN_SHARE * left_s),
            stream=run.asked.stream,
            escalated=escalated,
            cache_scope=run.cache_scope,
        )

        began_s = time.perf_counter()
        queue_s = 0.0

        def on_sent() -> None:
            run.open(known_headers(run.plan))
            if run.listener is not None:
                run.listener.start()

        def on_event(event: Event) -> None:
            nonlocal queue_s
            if event.type == "started":
                queue_s = time.perf_counter() - began_s  # of a job sent again: up to its second start
            elif run.listener is not None:
                _tell(run.listener, event)

        with span("job", model=_first_model(decided), probe_samples=decided.probe_samples):
            outcome = await self._dispatcher.run(
                job, run.deadline_s, on_sent, run.bill.miss, on_event, run.given_up.append
            )
        run.bill.add(outcome.usage)
        run.took({"queue": queue_s})
        run.took(_stages_s(decided, outcome, escalated))
        if outcome.failure is not None:
            raise JobFailed(outcome.failure.message, code=outcome.failure.code)
        return outcome

    async def _upstream(self, run: Run, name: str, *, escalated: bool) -> Answer:
        """The named model's answer, from its server, or a fallback's; its calls are on the bill anyway."""
        listener, purpose, body, hearing = run.listener, _purpose(escalated), None, None
        question = Question(name, run.asked.body, run.deadline_s, Calls(once=self._pays_once(run)))
        began_s = time.perf_counter()
        try:
            if listener is None:
                body = (await self._upstreams.complete(question)).data
            else:
                hearing = _Hearing(run, listener)
                await self._upstreams.stream(question, hearing)
        finally:
            run.took({purpose: time.perf_counter() - began_s})
            for reading in question.calls.made:
                run.bill.add_call(purpose, reading, run.fees)
        answer = question.calls.answer
        assert answer is not None, "it answered"
        return Answer(
            notice=question.calls.why_others,
            upstream=body,
            reported=answer.reported,
            estimated=answer.estimated,
            server=answer.model,
            upstream_id=body.get("id") if body is not None else hearing.id if hearing else None,
            stopgap=question.calls.why_others is not None,
            completion=body or (run.collector.completion() if run.collector else None),
        )

    def _pays_once(self, run: Run) -> bool:
        """Whether somebody's cap holds: what was reserved is then the price of one answer."""
        return run.planned.policy in self._capped or run.caller.account.caps_money

    def _in_worker(self, chosen: Alternative) -> bool:
        """Searches are for workers, whatever runs the model; a direct answer of a server needs none."""
        return chosen.model in self._in_process or chosen.strategy.name != "direct"


class _Hearing:
    """Between a server's stream and who listens to the request. ``id`` is the server's for its answer."""

    def __init__(self, run: Run, listener: Listener) -> None:
        self._run, self._listener = run, listener
        self.id: str | None = None

    def opens(self, model: str) -> None:
        known = known_headers(self._run.plan)
        self._run.open({**known, **headers_of({"model": model})} if known else known)

    async def hears(self, said: Sequence[Said]) -> None:
        self.id = self.id or said[0].data.get("id")
        if self._run.collector is not None:
            for each in said:
                self._run.collector.add(each.data)
        await self._listener.chunks(said)


def _said(outcome: Outcome) -> Answer:
    return Answer(
        outcome.text,
        outcome.finish_reason,
        outcome.tool_calls,
        outcome.samples,
        outcome.confidence,
        outcome.notice,
        broken_off=outcome.broken_off,
    )


def _within(usd: Decimal | None, most_usd: Decimal | None) -> bool:
    return usd is not None and most_usd is not None and usd <= most_usd


def _first_model(decided: Plan) -> str:
    """The model that a worker asks first; a worker that runs it runs all that a search on it needs."""
    return decided.small if decided.small and decided.probe_samples else decided.branches[0].chosen.model


def _purpose(escalated: bool) -> Literal["direct", "escalation"]:
    return "escalation" if escalated else "direct"


def _stages_s(decided: Plan, outcome: Outcome, escalated: bool) -> Mapping[str, float]:
    """Seconds by stage; what a worker calls its search is the whole answer where there was none."""
    if decided.probe_samples or decided.branches[0].chosen.strategy.name != "direct":
        return outcome.stages_s
    return {_purpose(escalated): sum(outcome.stages_s.values())}


def _tell(listener: Listener, event: Event) -> None:
    if event.type == "text":
        listener.text(str(event.data["text"]))
    elif event.type == "progress":
        listener.progress(str(event.data["stage"]), int(event.data["done"]), int(event.data["total"]))
