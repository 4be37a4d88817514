"""`gradus train outcomes`: what every way to answer gets right and costs, question by question.

The input of `gradus fit`. The ways are those of a policy: one answer of its small model, searches on it, and
one answer of its large model. docs/outcomes.md describes what is written.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Annotated

import typer
from pydantic import Field

from router.artifacts import weights_sha256
from router.config import Config, LiteLLMModel, Policy, SearchedModel
from router.config.fields import Count, Real, Section
from router.config.policies import BeamWidth
from router.market import open_market
from router.outcomes import SMALL
from router.price_list import listed_prices
from router.strategy import BY_STEPS, contradictions
from router.types import StrategyName, Task
from workers.executor import Model
from workers.litellm_calls import LiteLLMCalls
from workers.protocols import Completion, Generation, Prompt, SamplingParams
from workers.steps import LINES, steps_of
from workers.training.actions import Action, Large, Team, outcomes_of
from workers.training.commands import DataOutput, Overrides, QuestionsFile, Recipe
from workers.training.drawing import check_references, claim, draw_all
from workers.training.errors import TrainingError
from workers.training.outcome_files import write_outcomes
from workers.training.questions import Question, read_questions
from workers.training.recipes import Comparing, load_recipe, recipe_text
from workers.training.samples import Sampling

LOG = "questions.jsonl"


class Search(Section):
    """A strategy that is tried at every budget; what is left out is as the policy has it."""

    name: StrategyName
    beam_width: BeamWidth | None = None
    lookahead_steps: Count | None = None
    chain_length: Count | None = None


class OutcomesRecipe(Section):
    """``samples`` are drawn of every question; pass@1 is their share that is right."""

    task: Comparing = "auto"
    samples: Count = 16
    strategies: tuple[Search, ...] = ()
    budgets: tuple[Count, ...] = ()
    large_temperature: Real = Field(default=0.0, ge=0, le=2)
    seed: int = Field(default=1, strict=True, ge=0)


class _Work(Section):
    """All that outcomes depend on: other than the same is never added to a folder."""

    recipe: OutcomesRecipe
    policy: str
    configuration: Config
    weights: dict[str, str | None]


def command(
    recipe: Recipe,
    questions: QuestionsFile,
    output: DataOutput,
    config: Annotated[
        str | None, typer.Option(help="YAML file or preset; else GRADUS_CONFIG, else the embedded models.")
    ] = None,
    policy: Annotated[str, typer.Option(help="Whose models and verifier are asked.")] = "default",
    overrides: Overrides = None,
) -> None:
    """Answer questions in every way a policy has, and label each: right, scores, tokens, cost, seconds."""
    from workers import settings

    loaded = load_recipe(OutcomesRecipe, recipe, overrides or ())
    asked = read_questions(questions.expanduser())
    make(loaded, settings.load(config), policy, asked, output.expanduser())
    typer.echo(str(output))


def make(
    recipe: OutcomesRecipe, config: Config, policy: str, questions: Sequence[Question], folder: Path
) -> None:
    """The outcomes of ``questions`` in ``folder``.

    Raises :class:`TrainingError`, and as :func:`workers.training.drawing.draw_all`.
    """
    if policy not in config.policies:
        raise TrainingError(
            f"--policy: there is no policy {policy!r}; there are {', '.join(config.policies)}"
        )
    config = _of_policy(config, config.policies[policy], policy)
    work = _Work(recipe=recipe, policy=policy, configuration=config, weights=_weights(config))
    searches = actions(recipe, config, policy)
    claim(folder / LOG, work, questions)
    check_references(questions, recipe.task)
    with ExitStack() as resources:
        team = cache(lambda: _load(work, searches, resources))
        draw_all(
            folder / LOG,
            questions,
            lambda question, draw: outcomes_of(team(), question, draw),
            lambda: team().sampling.small.engine,
            _small(config, policy),
            recipe.seed,
        )
    write_outcomes(folder / LOG, f"Outcomes of the policy {policy}", recipe_text(work))


def actions(recipe: OutcomesRecipe, config: Config, policy_name: str) -> tuple[Action, ...]:
    """Every search at every budget. Raises :class:`TrainingError` for one that cannot be done."""
    policy = config.policies[policy_name]
    if recipe.samples < policy.probe_samples:
        raise TrainingError(
            f"samples: {recipe.samples} are fewer than policy {policy_name!r} probes with "
            f"(probe_samples: {policy.probe_samples}); draw at least as many"
        )
    if recipe.strategies and not recipe.budgets:
        raise TrainingError("budgets: strategies without a budget; give at least one, like budgets: [4, 16]")
    found: dict[str, Action] = {}
    for search in recipe.strategies:
        given = search.model_dump(exclude={"name"}, exclude_none=True)
        marks = ", ".join(f"{key}={value}" for key, value in given.items())
        for samples in recipe.budgets:
            label = f"{search.name}({marks})@{samples}" if marks else f"{search.name}@{samples}"
            budget = policy.model_copy(update={**given, "search_samples": samples}).budget()
            if search.name == "direct":
                raise TrainingError(f"strategies: direct is the action {SMALL!r} already; leave it out")
            if label in found:
                raise TrainingError(f"strategies: {label} is there twice; leave one out")
            judging = config.judging(policy.verifier)
            for parameter, problem in contradictions(search.name, budget, judging, "budgets"):
                raise TrainingError(f"strategies: {label}: {parameter}: {problem}")
            found[label] = Action(label, replace(budget, name=search.name))
    return tuple(found.values())


def _of_policy(config: Config, policy: Policy, name: str) -> Config:
    """As much of the configuration as the policy needs."""
    judge = config.verifiers[policy.verifier]
    judges = {policy.verifier, *getattr(judge, "weights", {})}
    return Config(
        models={each: model for each, model in config.models.items() if each in (policy.small, policy.large)},
        verifiers={each: verifier for each, verifier in config.verifiers.items() if each in judges},
        policies={name: policy},
        embedding=config.embedding,
    )


def _weights(config: Config) -> dict[str, str | None]:
    """The sha256 of the weights of embedded models; of others, nobody reads gigabytes for that."""
    named = {**config.models, **config.verifiers}
    return {name: weights_sha256(getattr(each, "path", "")) for name, each in named.items()}


def _small(config: Config, policy: str) -> SearchedModel:
    small = config.models[config.policies[policy].small]
    assert not isinstance(small, LiteLLMModel), "the configuration was checked"
    return small


def _load(work: _Work, searches: Sequence[Action], resources: ExitStack) -> Team:
    """Raises :class:`TrainingError`, and as the loaders of engines and verifiers do."""
    from workers.answers.embedding import load_embed
    from workers.bootstrap import load_verifiers
    from workers.engines import load_engine

    recipe, config = work.recipe, work.configuration
    policy = config.policies[work.policy]
    small = _small(config, work.policy)
    engine = load_engine(policy.small, small)
    resources.callback(engine.close)
    by_steps = [each.label for each in searches if each.spec.name in BY_STEPS]
    if by_steps and not engine.continues_turns:
        raise TrainingError(
            f"strategies: {by_steps[0]}: model {policy.small!r} continues no turns; leave it out"
        )
    embed = load_embed(config.embedding) if config.embedding else None
    sampling = Sampling(
        Model(engine, small),
        load_verifiers(config, resources, embed)[policy.verifier],
        Task(recipe.task),
        embed,
        recipe.samples,
        policy.probe_samples,
    )
    large = None if policy.large is None else _large(work, policy.large, resources)
    return Team(open_market(config, price_map=listed_prices(config)), sampling, tuple(searches), large)


def _large(work: _Work, name: str, resources: ExitStack) -> Large:
    from workers.engines import load_engine

    model = work.configuration.models[name]
    limit = model.completion_limit(None)
    if limit is None:
        raise TrainingError(f"models.{name}.max_tokens is missing: an answer needs a limit")
    params = SamplingParams(limit, work.recipe.large_temperature, seed=work.recipe.seed)
    if isinstance(model, LiteLLMModel):
        place = model.deployed[0]
        calls = LiteLLMCalls(
            f"model {name}", place.model, api_key_env=place.api_key_env, base_url=place.base_url
        )
        return Large(name, LINES, partial(_ask, calls, params))
    engine = load_engine(name, model)
    resources.callback(engine.close)
    return Large(name, steps_of(model), lambda prompt: engine.generate([prompt], params))


def _ask(calls: LiteLLMCalls, params: SamplingParams, prompt: Prompt) -> Generation:
    said = calls.ask(prompt.messages, temperature=params.temperature, max_tokens=params.max_tokens)
    return Generation((Completion(said.text, said.ended, said.completion_tokens),), said.prompt_tokens)
