"""From a configuration to the market that a gateway decides by: artefacts are read, policies tuned."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from cost_model.architecture import architecture
from router.artifacts import artifact_path, load_calibration, missing_calibration, weights_sha256
from router.config import Config, Policy, TransformersModel
from router.drift import DriftMonitor
from router.errors import ArtifactInvalid, CannotTune
from router.market import Market, open_market
from router.outcomes import SMALL
from router.predictor.predictor import Embed, Predictor
from router.price_list import listed_prices
from router.quality import load_shortfalls
from router.tuning import Tuned

if TYPE_CHECKING:
    from router.strategy_table import StrategyTable


LoadEmbedder = Callable[[Path], Embed]
"""From the folder of a sentence encoder."""


@dataclass(frozen=True, slots=True)
class Opened:
    """``tuned`` says how each policy that a predictor guides was tuned, ``warnings`` what is amiss.

    ``drift`` watches the traffic that the predictor forecasts.
    """

    market: Market
    tuned: Mapping[str, Tuned]
    warnings: tuple[str, ...]
    drift: DriftMonitor | None


@dataclass(frozen=True, slots=True)
class Untuned:
    """What a configuration names, read; ``warnings`` say what of it is not there (yet)."""

    market: Market
    predictor: Predictor | None
    warnings: tuple[str, ...]


def open_configured(config: Config, load_embedder: LoadEmbedder | None = None) -> Opened:
    """Read what the configuration names, and tune its policies.

    Raises :class:`ArtifactInvalid` for an artefact that is wrong, and for a predictor that fits no policy.
    One that fits some guides these; the others go by difficulty bin.
    """
    untuned = open_untuned(config, load_embedder)
    market, predictor, warnings = untuned.market, untuned.predictor, list(untuned.warnings)
    tuned: dict[str, Tuned] = {}
    if predictor is not None:
        market, tuned, problems = _guided(market, predictor)
        warnings += problems
    return Opened(market, tuned, (*warnings, *_untuned(market)), _drift(predictor))


def open_untuned(config: Config, load_embedder: LoadEmbedder | None = None) -> Untuned:
    """Read what the configuration names, and tune nothing.

    ``load_embedder`` loads the sentence encoder that a predictor was fitted with: the router itself runs no
    model. Raises :class:`ArtifactInvalid` for an artefact that is wrong.
    """
    config = _sized(config)
    calibration = load_calibration(config.calibration)
    predictor, missing = _predictor(config, load_embedder)
    market = open_market(
        config,
        calibration=calibration,
        price_map=listed_prices(config),
        shortfalls=load_shortfalls(config),
        predictor=predictor,
        strategies=_strategies(config),
    )
    warnings = missing_calibration(config.calibration, calibration), missing
    return Untuned(market, predictor, tuple(each for each in warnings if each))


def strangers(untuned: Untuned) -> dict[str, str]:
    """The policies that the predictor does not fit, with why: a gateway guides these by difficulty bin."""
    if untuned.predictor is None:
        return {}
    found: dict[str, str] = {}
    for name in untuned.market.config.policies:
        try:
            _check_known(untuned.market, name, untuned.predictor)
        except ArtifactInvalid as error:
            found[name] = str(error)
    return found


def tune_by(market: Market, name: str, predictor: Predictor, *, doubt: str | None = None) -> Tuned:
    """Tune one policy on the calibration questions of a predictor; a ``doubt`` about them certifies nothing.

    Raises :class:`ArtifactInvalid` for a predictor of other models, :class:`CannotTune`.
    """
    from router.tuned_market import tune_policy

    _check_known(market, name, predictor)
    if predictor.calibration is None:
        raise CannotTune("the predictor has no calibration questions; make it anew with `gradus fit`")
    return tune_policy(market, name, market.guides[name], predictor.calibration, doubt=doubt)


def _check_known(market: Market, name: str, predictor: Predictor) -> None:
    """Raises :class:`ArtifactInvalid` for a predictor of other models."""
    from router.predictor.identity import check_fits

    check_fits(predictor, market.config, name)
    if name not in market.guides:
        raise ArtifactInvalid(_stranger(market, name, predictor))


def _stranger(market: Market, name: str, predictor: Predictor) -> str:
    """What to say of a predictor that does not know every model of a policy."""
    policy = market.config.policies[name]
    known = ", ".join(
        each.name if each.name == each.model else f"{each.name} (of {each.model})"
        for each in predictor.actions
    )
    large = ", ".join(policy.larges) or "(none)"
    return (
        f"{market.config.predictor}: the predictor knows {known}, and policy {name!r} has the small model "
        f"{policy.small} (action {SMALL!r}) and the large {large}; `gradus fit` one to outcomes of these"
    )


def _strategies(config: Config) -> dict[str, StrategyTable]:
    """The learned table, for the policies whose models it measured.

    Raises :class:`ArtifactInvalid` where it is not there, wrong, or about the models of no policy.
    """
    if config.strategies is None:
        return {}
    from router.strategy_table import load_strategy_table

    found: dict[str, StrategyTable] = {}
    problem = None
    for name, policy in config.policies.items():
        weights = {each: weights_sha256(path) for each, path in _paths(config, policy).items()}
        try:
            found[name] = load_strategy_table(
                config.strategies, model=policy.small, verifier=policy.verifier, weights=weights
            )
        except FileNotFoundError:
            raise ArtifactInvalid(f"{config.strategies}: no such file; make it with `gradus fit`") from None
        except ArtifactInvalid as error:
            problem = problem or error
    if problem is not None and not found:
        raise problem
    return found


def _sized(config: Config) -> Config:
    """With ``parameters`` of models that workers run, where they are not given but their folder tells."""
    models = {
        name: model.model_copy(update={"parameters": _active(model.path)})
        if isinstance(model, TransformersModel) and model.parameters is None
        else model
        for name, model in config.models.items()
    }
    return config.model_copy(update={"models": models})


def _active(reference: str) -> int | None:
    """Parameters that a token passes, by the folder's ``config.json``; ``None`` where that does not tell."""
    try:
        return architecture(json.loads((artifact_path(reference) / "config.json").read_text("utf-8"))).active
    except (OSError, ValueError, LookupError, TypeError, AttributeError, StopIteration):
        # No such file, a kind of model that is not known, or one that is described in another way.
        return None


def _paths(config: Config, policy: Policy) -> dict[str, str]:
    """Where weights are, of what a policy searches with."""
    used = {policy.small: config.models[policy.small], policy.verifier: config.verifiers[policy.verifier]}
    return {name: str(getattr(each, "path", "")) for name, each in used.items()}


def _predictor(config: Config, load_embedder: LoadEmbedder | None) -> tuple[Predictor | None, str | None]:
    """The one that is configured, and what to tell the operator where it is not there (yet)."""
    if config.predictor is None:
        return None, None
    if not artifact_path(config.predictor).is_dir():
        return None, f"predictor {config.predictor} is not there: make it with `gradus fit`"
    from router.predictor.files import load_predictor  # scikit-learn takes a second to load

    predictor = load_predictor(config.predictor)
    if predictor.manifest.embedding is not None and load_embedder is not None:
        predictor = replace(predictor, embed=load_embedder(Path(predictor.manifest.embedding)))
    return predictor, None


def _guided(market: Market, predictor: Predictor) -> tuple[Market, dict[str, Tuned], list[str]]:
    """The market with what tuning found, and what kept it from a policy."""
    guides, objectives = dict(market.guides), dict(market.objectives)
    tuned: dict[str, Tuned] = {}
    problems: list[str] = []
    for name, guide in market.guides.items():
        try:
            tuned[name] = found = tune_by(market, name, predictor)
        except ArtifactInvalid as error:
            problems.append(str(error))
            del guides[name]
            continue
        except CannotTune as error:
            problems.append(f"policy {name!r}: {error}")
            continue
        if found.notice is not None:
            problems.append(f"policy {name!r}: {found.notice}")
        if found.chosen.always is not None:
            guides[name] = guide.only(next(way for way in guide.ways if way.name == found.chosen.always))
        elif found.chosen.usd_per_right_answer is not None:
            worth = found.chosen.usd_per_right_answer
            objectives[name] = replace(objectives[name], usd_per_right_answer=worth)
    if not guides:
        first = next(iter(market.config.policies))
        raise ArtifactInvalid(problems[0] if problems else _stranger(market, first, predictor))
    return replace(market, guides=guides, objectives=objectives), tuned, problems


def _drift(predictor: Predictor | None) -> DriftMonitor | None:
    if predictor is None or predictor.calibration is None or predictor.unseen is None:
        return None
    names = [action.name for action in predictor.actions]
    small = names.index(SMALL) if SMALL in names else 0
    split = predictor.calibration
    return DriftMonitor(len(split), split.forecast_right[:, small])


def _untuned(market: Market) -> list[str]:
    return [
        f"policy {name!r} asks for {policy.objective}, but no predictor guides it: until `gradus fit` made "
        "one, it takes the most accurate way"
        for name, policy in market.config.policies.items()
        if policy.is_tuned and name not in market.guides
    ]
