"""What is right by itself but wrong together."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator

from router.config.models import LiteLLMModel, Model, OpenAIModel
from router.config.policies import Policy
from router.config.schema import Config
from router.config.verifiers import EnsembleVerifier
from router.strategy import contradictions

Problem = tuple[tuple[str, ...], str]
"""(path, what is wrong there)"""


def inconsistencies(config: Config) -> Iterator[Problem]:
    """In the order in which they are worth telling; the first makes the others meaningless."""
    for name in config.models:
        if name == "gradus" or name.startswith("gradus/"):
            yield ("models", name), "is a name of Gradus itself (gradus/<policy>); choose another"
    yield from _of_ensembles(config)
    if "default" not in config.policies:
        yield ("policies",), 'needs a policy named "default": it is what the model name "gradus" means'
    for name, policy in config.policies.items():
        yield from _of_names(config, name, policy)
        yield from _of_small(config.models[policy.small], name, policy)
        for key, problem in _of_search(config, policy):
            yield ("policies", name, key), problem


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
        ("large", policy.large, "models", list(config.models)),
    ):
        if named is not None and named not in known:
            problem = f"names {named!r}, which is not in {section}; {_advice(named, known)}"
            yield ("policies", name, key), problem
    if policy.large == policy.small:
        problem = f"is the small model itself ({policy.small!r}); name another, or leave it out"
        yield ("policies", name, "large"), problem


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


def _advice(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"did you mean {close[0]!r}?" if close else f"there are {', '.join(known)}"
