"""One request from plan to reply: the file to read first.

    cache     an equal request's answer, if there is one
    plan      what to do in every case, and for how much (router.policy)
    reserve   the most that it may cost, of every budget that it is held to; nothing is spent before
    follow    the plan, by workers and upstream servers (gateway.running)
    settle    what it came to, whatever ended it

Whatever happens, the bill holds every line that was consumed, and a deadline ends the wait.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from cost_model.usage import Usage
from gateway.bill import Bill
from gateway.cache.answers import AnswerCache
from gateway.cache.entries import KeptAnswer, reply_of
from gateway.cache.streaming import Collector, chunks_of
from gateway.cache.tickets import Ticket
from gateway.cache.visits import Visit
from gateway.caller import Caller
from gateway.errors import GatewayError
from gateway.fallback import Instead
from gateway.planning import Planner
from gateway.replies import Done, Listener, Reply
from gateway.run import Answer, Given, Run
from gateway.running import Runner
from gateway.settling import Cashier
from gateway.streams import event_of
from gateway.telemetry.metrics import decided, stage
from gateway.translate import Asked, gradus_object, headers_of
from gateway.upstreams import Said
from router.drift import DriftMonitor
from router.market import Market
from router.types import Branch, Plan

ENDPOINT = "chat/completions"


class Service:
    """Answers requests with what a market offers: workers run some models, upstream servers the others."""

    def __init__(
        self,
        market: Market,
        runner: Runner,
        cashier: Cashier,
        cache: AnswerCache,
        drift: DriftMonitor | None = None,
    ) -> None:
        self._market = market
        self._planner = Planner(market)
        self._runner = runner
        self._cashier = cashier
        self._cache = cache
        self._drift = drift

    def names(self) -> list[str]:
        """Every value of ``model`` that a request may have."""
        return self._planner.names()

    def explain(self, asked: Asked) -> Plan:
        """What would be done, and for how much; spends nothing.

        Raises :class:`RouterError` or :class:`GatewayError`.
        """
        return self._planner.explain(asked)

    async def answer(self, asked: Asked, caller: Caller, listener: Listener | None = None) -> Reply:
        """Look it up, plan, reserve, follow, settle, reply; ``listener`` hears of it meanwhile.

        Raises :class:`RouterError` or :class:`GatewayError`; ``account`` of the latter says what was spent.
        """
        began_s = time.perf_counter()
        policy = self._planner.followed(asked)
        deadline_s = asyncio.get_running_loop().time() + self._planner.deadline_after_s(policy)
        ticket = self._ticket(asked, caller, policy)
        with await self._cache.visit(ticket, deadline_s) as visit:
            if listener is not None:
                listener.known = visit.headers
                listener.on_lag = partial(self._cache.let_go, ticket, visit)
            if visit.entry is not None:
                given = Given(asked, caller, policy, Bill(self._market), began_s)
                return await self._again(given, visit.entry, visit.headers, listener)
            with stage("plan"):
                planned = await self._planner.plan(asked, policy)
            self._watch(planned.plan)
            run = Run(asked, caller, planned, deadline_s, Bill(self._market), listener, began_s)
            run.headers = visit.headers
            run.collector = Collector(self._cache.max_entry_bytes) if asked.stream and ticket.key else None
            if planned.plan.probe_samples or planned.plan.small is not None:
                run.cache_scope = await self._cache.candidate_scope(ticket, visit)
            return await self._paid(run, visit)

    async def _again(
        self, given: Given, entry: KeptAnswer, headers: Mapping[str, str], listener: Listener | None
    ) -> Reply:
        """An answer that was given before. It costs nothing, and is on the books all the same."""
        model, route = str(entry.gradus["model"]), entry.gradus["route"]
        given.bill.add([Usage("cache", model, calls=1)])
        await self._cashier.give(given, route, model, str(entry.gradus["strategy"]))
        if listener is not None:
            listener.open({**headers, **headers_of(entry.gradus)})
            if entry.upstream is not None:
                chunks = chunks_of(entry.upstream)
                await listener.chunks([Said(event_of(chunk), chunk) for chunk in chunks])
        seconds = time.perf_counter() - given.began_s
        return reply_of(entry, given.bill.account(), given.bill.usage(), seconds, headers)

    async def _paid(self, run: Run, visit: Visit) -> Reply:
        p_right = run.plan.p_right
        try:
            try:
                branch, answer = await self._billed(run)
            except Instead as instead:  # nothing was spent; what it may cost now is another sum
                run.planned, run.instead = replace(run.planned, plan=instead.plan), instead
                branch, answer = await self._billed(run)
        finally:
            decided(p_right, run.decision, run.stages_s)
        reply = self._reply(run, branch, answer)
        if not (answer.broken_off or answer.stopgap):
            visit.keep(reply, answer.completion)
        return reply

    async def _billed(self, run: Run) -> tuple[Branch, Answer]:
        try:
            async with self._cashier.billing(run) as slip:
                branch, answer = await self._runner.follow(run)
                if answer.server and answer.server != branch.chosen.model:
                    branch = replace(branch, chosen=replace(branch.chosen, model=answer.server))
                chosen = branch.chosen
                slip.answer(chosen.route, chosen.model, chosen.strategy.name, answer.upstream_id)
                self._cache.counters.reused(run.bill.lines)
        except GatewayError as error:
            error.account = run.bill.account() if run.bill.lines else None
            raise
        return branch, answer

    def _ticket(self, asked: Asked, caller: Caller, policy: str | None) -> Ticket:
        return self._cache.tickets.of(
            endpoint=ENDPOINT,
            body=asked.body,
            options=asked.options,
            policy=policy,
            account=caller.account,
            control=caller.control,
        )

    def _watch(self, plan: Plan) -> None:
        if self._drift is not None and plan.familiarity is not None and plan.p_right is not None:
            self._drift.observe(plan.familiarity, plan.p_right)

    def _reply(self, run: Run, branch: Branch, answer: Answer) -> Reply:
        left_out = () if answer.server else run.asked.not_honoured
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
            headers=run.headers,
            done=Done(run.planned, branch, run.decision, run.bill.lines, seconds),
        )
