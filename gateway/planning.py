"""From a checked request to its plan: which policy it means, what it wants of it, and what it may."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from gateway.errors import BadRequest, ModelNotFound
from gateway.together import Together
from gateway.translate import Asked
from router.config import CheckVerifier, Config, Policy
from router.errors import CannotHonour, CannotSearch
from router.market import Market
from router.policy import case_of, decide, direct_plan, search_plan
from router.prompts import prompt_size
from router.table import Case
from router.together import weigh_together
from router.types import Plan, Query, Task, TaskKind

GRADUS: Final = "gradus"
DEFAULT_POLICY: Final = "default"
ASSUMED_TOKENS: Final = 4096
"""Of one answer that neither the request nor the configuration bounds, for limits of tokens a minute."""


@dataclass(frozen=True, slots=True)
class Planned:
    """``query`` is the request's, with its policy's task; ``policy`` is ``None`` where none is followed.

    ``settled``: what the request names is done or fails; nothing else is done in its place. ``waits``: for a
    worker, as long as it takes.
    """

    plan: Plan
    query: Query
    policy: str | None
    settled: bool
    waits: bool


class Planner:
    """Plans requests with what a market offers."""

    def __init__(self, market: Market) -> None:
        self._market = market
        self._config: Config = market.config
        self._together = Together()
        self._checks = {name: _checks(self._config, policy) for name, policy in self._config.policies.items()}

    def names(self) -> list[str]:
        """Every value of ``model`` that a request may have."""
        return [GRADUS, *(f"{GRADUS}/{policy}" for policy in self._config.policies), *self._config.models]

    async def plan(self, asked: Asked, policy: str | None) -> Planned:
        """What is done, and for how much, by the ``policy`` that is :meth:`followed`; spends nothing.

        Requests of one moment share the work. Raises :class:`RouterError` or :class:`GatewayError`.
        """
        query = self._with_task(asked.query, policy)
        found = self._opened(asked, query, policy, explained=False)
        if isinstance(found, Case):
            found = decide(await self._together.weigh(found))
        waits = self._config.policies[policy or DEFAULT_POLICY].overflow == "wait"
        return Planned(found, query, policy, self._is_settled(asked), waits)

    def explain(self, asked: Asked) -> Plan:
        """What would be done, and why. Raises what :meth:`plan` does."""
        policy = self.followed(asked)
        found = self._opened(asked, self._with_task(asked.query, policy), policy, explained=True)
        return decide(weigh_together([found])[0]) if isinstance(found, Case) else found

    def _opened(self, asked: Asked, query: Query, policy: str | None, *, explained: bool) -> Plan | Case:
        """The plan, or what is to be weighed for one."""
        wish = asked.wish
        try:
            if policy is None:
                return direct_plan(query, asked.model, self._market)
            if wish is not None and self._is_settled(asked):
                return search_plan(query, policy, self._market, wish)
            return case_of(query, policy, self._market, wish=wish, explained=explained)
        except CannotHonour as error:
            param = asked.params.get(error.needs[0]) if error.needs else None
            raise BadRequest(f"{error}.", code=error.code, param=param) from error
        except CannotSearch as error:
            raise BadRequest(f"{error}.", param=f"gradus.{error.parameter}") from error

    def _is_settled(self, asked: Asked) -> bool:
        """Whether the request names what is done: a model, or a search."""
        return self._policy(asked.model) is None or (
            asked.wish is not None and asked.wish.strategy is not None
        )

    def followed(self, asked: Asked) -> str | None:
        """The policy that is followed; ``None`` where a model is asked by its own name, for one answer.

        Raises :class:`GatewayError`.
        """
        policy, wish = self._policy(asked.model), asked.wish
        if policy is None and wish is not None and wish.strategy != "direct":
            return self._searching(asked.model)
        return policy

    def deadline_after_s(self, policy: str | None) -> float:
        """How long an answer may take, of a policy that is followed."""
        return self._config.policies[policy or DEFAULT_POLICY].deadline_s

    def _policy(self, model: str) -> str | None:
        """The policy that a request's ``model`` means; ``None`` for a configured model's own name."""
        if model == GRADUS:
            return DEFAULT_POLICY
        prefix, _, policy = model.partition("/")
        if prefix == GRADUS and policy in self._config.policies:
            return policy
        if model in self._config.models:
            return None
        raise ModelNotFound(
            f"There is no model '{model}'; there are {', '.join(self.names())}.", param="model"
        )

    def _searching(self, model: str) -> str:
        """The policy whose verifier and budget a search on this model uses."""
        names = [name for name, policy in self._config.policies.items() if policy.small == model]
        if not names:
            raise BadRequest(
                f"No policy searches on '{model}', so it has no verifier for that; ask for gradus, or for "
                "gradus/<policy>.",
                param="model",
            )
        return DEFAULT_POLICY if DEFAULT_POLICY in names else names[0]

    def _with_task(self, query: Query, policy_name: str | None) -> Query:
        """What an answer is where the request does not say; and only checks that the operator configured."""
        checks: set[str] = set()
        kind: TaskKind = "auto"
        if policy_name is not None:
            checks, kind = self._checks[policy_name], self._config.policies[policy_name].task
        _refuse_unchecked(query.task, checks, runs_code=kind == "code" or "tests" in checks)
        if query.task.kind != "auto" or kind == "auto":
            return query
        return replace(query, task=replace(query.task, kind=kind))


def _checks(config: Config, policy: Policy) -> set[str]:
    """What the checks among a policy's verifiers look at."""
    members = config.members(policy.verifier).values()
    return {each.check for each in members if isinstance(each, CheckVerifier)}


def _refuse_unchecked(task: Task, checks: set[str], *, runs_code: bool) -> None:
    """Raises for what nobody would look at, and for code that the operator did not agree to run."""
    for field, value in (("key", task.key), ("tests", task.tests), ("pattern", task.pattern)):
        if value is not None and not checks & {field, "python"}:
            raise BadRequest(
                f"Nothing here checks 'gradus.task.{field}': the policy's verifier must be a check of kind "
                f"{field}, and is not.",
                code="unsupported_feature",
                param=f"gradus.task.{field}",
            )
    if task.cases and not runs_code:
        raise BadRequest(
            "Nothing here runs 'gradus.task.cases': the policy needs task: code, or a check of kind tests.",
            code="unsupported_feature",
            param="gradus.task.cases",
        )


def most_tokens(planned: Planned, config: Config) -> int:
    """How many tokens are read and written at most, but for what verifiers read: for limits a minute."""
    decided, limit = planned.plan, planned.query.sampling.max_tokens
    prompt, probe = prompt_size(planned.query, None).expected, 0
    if decided.probe_samples and decided.small is not None:
        turn = config.models[decided.small].completion_limit(limit) or ASSUMED_TOKENS
        probe = prompt + decided.probe_samples * turn
    answers = (
        branch.chosen.token_cap
        or config.models[branch.chosen.model].completion_limit(limit)
        or ASSUMED_TOKENS
        for branch in decided.branches
    )
    return probe + prompt + max(answers)
