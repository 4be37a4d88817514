"""What is right by itself but wrong together."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final, cast, get_args

from router.config.models import LiteLLMModel, Model, OpenAIModel, TransformersModel
from router.config.policies import Policy
from router.config.schema import Config
from router.config.verifiers import EnsembleVerifier
from router.strategy import contradictions
from router.types import StrategyName

Problem = tuple[tuple[str, ...], str]
"""(path, what is wrong there)"""

SEARCH_ACTION: Final = re.compile(rf"({'|'.join(get_args(StrategyName))})@[1-9]\d*")
"""A search on the small model as an action of predictors: strategy@samples."""
_OBJECTIVES: Final = (
    "usd_per_right_answer",
    "min_accuracy",
    "min_share_of_large",
    "max_mean_cost_usd",
    "max_usd_per_day",
)


def inconsistencies(config: Config) -> Iterator[Problem]:
    """In the order in which they are worth telling; the first makes the others meaningless."""
    for name in config.models:
        if name == "gradus" or name.startswith("gradus/"):
            yield ("models", name), "is a name of Gradus itself (gradus/<policy>); choose another"
    for name, model in config.models.items():
        yield from _of_fallbacks(config, name, model)
    yield from _of_ensembles(config)
    if "default" not in config.policies:
        yield ("policies",), 'needs a policy named "default": it is what the model name "gradus" means'
    for name, policy in config.policies.items():
        yield from _of_names(config, name, policy)
        yield from _of_small(config.models[policy.small], name, policy)
        for key, problem in _of_search(config, policy):
            yield ("policies", name, key), problem
        for key, problem in _of_objective(config, policy):
            yield ("policies", name, key) if key else ("policies", name), problem
        for key, problem in _of_probe(policy):
            yield ("policies", name, key), problem
        for path, problem in _of_ways(config, policy):
            yield ("policies", name, *path), problem


def _of_fallbacks(config: Config, name: str, model: Model) -> Iterator[Problem]:
    """Whoever answers in a model's place must be asked in the same way."""
    if isinstance(model, TransformersModel):
        return
    for fallback in model.fallbacks:
        path, other = ("models", name, "fallbacks"), config.models.get(fallback)
        if other is None:
            yield path, f"names {fallback!r}, which is not in models; {_advice(fallback, config.models)}"
        elif fallback == name:
            yield path, "names the model itself; name another"
        elif isinstance(other, TransformersModel):
            yield path, f"names {fallback!r}, which runs in workers; name a model behind a server"
        elif lacking := [each for each in model.endpoints if each not in other.endpoints]:
            yield path, f"names {fallback!r}, whose endpoints lack {', '.join(lacking)}"


def _of_ensembles(config: Config) -> Iterator[Problem]:
    for name, verifier in config.verifiers.items():
        if not isinstance(verifier, EnsembleVerifier):
            continue
        for member in verifier.weights:
            path = ("verifiers", name, "weights", member)
            if member == name:
                yield path, "names the ensemble itself; weigh other verifiers"
            elif member not in config.verifiers:
                yield path, f"is not in verifiers; {_advice(member, config.verifiers)}"
            elif isinstance(config.verifiers[member], EnsembleVerifier):
                yield path, "is an ensemble too; weigh its members here"


def _of_names(config: Config, name: str, policy: Policy) -> Iterator[Problem]:
    for key, named, section, known in (
        ("small", policy.small, "models", list(config.models)),
        ("verifier", policy.verifier, "verifiers", list(config.verifiers)),
        *(("large", large, "models", list(config.models)) for large in policy.larges),
    ):
        if named not in known:
            problem = f"names {named!r}, which is not in {section}; {_advice(named, known)}"
            yield ("policies", name, key), problem
    for key, named in (("small", policy.small), *(("large", large) for large in policy.larges)):
        model = config.models.get(named)
        if isinstance(model, OpenAIModel | LiteLLMModel) and "chat" not in model.endpoints:
            yield ("policies", name, key), f"names {named!r}, whose endpoints have no chat"
    if policy.small in policy.larges:
        problem = f"is the small model itself ({policy.small!r}); name another, or leave it out"
        yield ("policies", name, "large"), problem
    for large in sorted({each for each in policy.larges if policy.larges.count(each) > 1}):
        yield ("policies", name, "large"), f"names {large!r} twice; once is enough"


def _of_small(small: Model, policy_name: str, policy: Policy) -> Iterator[Problem]:
    """A small model is searched in a worker, which must know how long its turns may be."""
    if isinstance(small, LiteLLMModel):
        problem = (
            f"names {policy.small!r} of engine litellm, but a small model is searched in a worker: it needs "
            "engine transformers, or openai"
        )
        yield ("policies", policy_name, "small"), problem
        return
    if isinstance(small, OpenAIModel):
        for key in ("context_tokens", "max_tokens"):
            if getattr(small, key) is None:
                problem = f"is missing; policy {policy_name!r} searches on this model, within that limit"
                yield ("models", policy.small, key), problem
    samples = max(policy.probe_samples, policy.search_samples)
    if small.temperature == 0 and samples > 1:
        problem = f"is 0, so all {samples} samples of policy {policy_name!r} would be equal; must be above 0"
        yield ("models", policy.small, "temperature"), problem


def _of_search(config: Config, policy: Policy) -> Iterator[tuple[str, str]]:
    if policy.task == "tools":
        yield "task", "cannot be tools, which come with a request; leave it out"
    judging = config.judging(policy.verifier)
    for parameter, problem in contradictions(policy.strategy, policy.budget(), judging, "search_samples"):
        if parameter == "strategy":
            kind = config.verifiers[policy.verifier].kind
            yield "strategy", f"{problem}; {policy.verifier!r} is of kind {kind}"
        else:  # whichever the file sets is at fault, and the default is not
            yield parameter if parameter in policy.model_fields_set else "search_samples", problem


def _of_objective(config: Config, policy: Policy) -> Iterator[tuple[str, str]]:
    """A policy wants one thing: what a right answer is worth, or what tunes that."""
    given = [name for name in _OBJECTIVES if getattr(policy, name) is not None]
    if policy.min_accuracy is not None and policy.confidence is None:
        if given == ["usd_per_right_answer", "min_accuracy"]:
            given.remove("min_accuracy")  # it refines the other, query by query
        elif given == ["min_accuracy"]:
            problem = (
                "needs a confidence (0.9: the cheapest way to be right so often on average, certified) or "
                "usd_per_right_answer (query by query, and what counts where no way is right so often)"
            )
            yield "min_accuracy", problem
    if not given:
        yield "", f"does not say what it wants; give one of {', '.join(_OBJECTIVES)}"
        return
    if len(given) > 1:
        take_back = f"{given[0]}: null takes back what a merge brings in"
        yield given[1], f"is a second objective beside {given[0]}; keep one ({take_back})"
    if policy.min_share_of_large is not None and policy.confidence is None:
        yield "min_share_of_large", "needs a confidence, for example 0.9"
    if policy.min_share_of_large is not None and policy.large is None:
        yield "min_share_of_large", "compares with a large model, and this policy has none; give large"
    elif policy.min_share_of_large is not None and not is_allowed(policy, "large"):
        yield "min_share_of_large", "compares with the large model, which allow leaves out; add it there"
    if policy.confidence is not None and given[0] not in ("min_accuracy", "min_share_of_large"):
        yield "confidence", f"certifies min_accuracy or min_share_of_large, not {given[0]}; leave it out"
    if (policy.max_usd_per_day is None) != (policy.expected_queries_per_day is None):
        there, missing = "max_usd_per_day", "expected_queries_per_day"
        if policy.max_usd_per_day is None:
            there, missing = missing, there
        yield there, f"needs {missing} too: together they are what a query may cost on average"
    if policy.is_tuned and config.predictor is None:
        problem = (
            "is tuned on the calibration questions of a predictor; name one (predictor: FOLDER beside "
            "policies; `gradus fit` makes it), or give usd_per_right_answer"
        )
        yield policy.objective, problem
    if policy.max_latency_s is not None and policy.max_latency_s > policy.deadline_s:
        yield "max_latency_s", f"is above deadline_s ({policy.deadline_s:g}), when every answer has ended"


def _of_probe(policy: Policy) -> Iterator[tuple[str, str]]:
    given = policy.model_fields_set
    if policy.probe == "always" and not policy.stages:
        why = "strategy: direct uses one sample" if policy.probe_samples else "probe_samples is 0"
        yield "probe", f"is always, but {why}; change one of them"
    stages = policy.probe_stages
    if stages is not None and (list(stages) != sorted(set(stages)) or stages[-1] != policy.probe_samples):
        yield "probe_stages", f"must rise and end at probe_samples ({policy.probe_samples}), not {[*stages]}"
    if policy.unseen == "large" and policy.large is None:
        yield "unseen", "is large, and this policy has no large model; give large, or unseen: small"
    if policy.unseen == "probe" and "unseen" in given and not policy.stages:
        yield "unseen", "is probe, and this policy never probes; say large or small"


def _of_ways(config: Config, policy: Policy) -> Iterator[Problem]:
    """What ``allow`` and ``rules`` name must be a way to answer, and one that the policy can go."""
    own = ["small", "large", policy.small, *policy.larges]
    for index, way in enumerate(policy.allow or ()):
        if way not in own and not SEARCH_ACTION.fullmatch(way):
            yield ("allow", str(index)), _no_way(way, own)
        elif way == "large" and policy.large is None:
            yield ("allow", str(index)), "is large, and this policy has no large model; give large"
        elif problem := _impossible(config, policy, way):
            yield ("allow", str(index)), problem
    for index, rule in enumerate(policy.rules):
        path, use = ("rules", str(index), "use"), rule.use
        if use is None:
            continue
        if use == "large" and policy.large is None:
            yield path, "is large, and this policy has no large model; name a model"
        elif use not in own and use not in config.models and not SEARCH_ACTION.fullmatch(use):
            yield path, _no_way(use, ["small", "large", *config.models])
        elif not is_allowed(policy, use):
            yield path, f"is {use!r}, which allow leaves out; add it there"
        elif problem := _impossible(config, policy, use):
            yield path, problem


def _impossible(config: Config, policy: Policy, way: str) -> str | None:
    """Why a search cannot be done; ``None`` for one that can, and for other ways."""
    if not SEARCH_ACTION.fullmatch(way):
        return None
    strategy, _, samples = way.partition("@")
    search = replace(policy.budget(), name=cast(StrategyName, strategy), samples=int(samples))
    judging = config.judging(policy.verifier)
    found = next(contradictions(search.name, search, judging, "its number of samples"), None)
    return None if found is None else f"is {way!r}, which cannot be done: {found[1]}"


def is_allowed(policy: Policy, way: str) -> bool:
    """Whether ``allow`` has it, by any of its names; the name of a model allows all that it does."""
    if policy.allow is None:
        return True
    names = {way, policy.small} if SEARCH_ACTION.fullmatch(way) else {way}
    for role, model in (("small", policy.small), ("large", policy.large)):
        if way in (role, model):
            names |= {role, model or role}
    return bool(names & set(policy.allow))


def _no_way(name: str, known: Iterable[str]) -> str:
    ways = list(dict.fromkeys(known))
    return f"is no way to answer: {name!r}; {_advice(name, ways)} (a search is written like majority@16)"


def _advice(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"did you mean {close[0]!r}?" if close else f"there are {', '.join(known)}"
