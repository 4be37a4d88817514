"""The policies that are replayed: each of a configuration, opened as a gateway opens it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from router.config import load_config, preset_names
from router.errors import UnknownPolicy
from router.market import Market
from router.opening import LoadEmbedder, Opened, open_configured
from router.predictor.identity import seen_before
from router.predictor.predictor import Embed, Predictor

DEFAULT_POLICY = "default"


@dataclass(frozen=True, slots=True)
class Contender:
    """A policy to replay; ``name`` is what was asked for, without folders where that is enough.

    ``forecasts`` names what forecasts for it: contenders with the same share them.
    """

    name: str
    market: Market
    policy_name: str
    forecasts: str | None
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Embedder:
    """The sentence encoder of ``folder``, which each process that this is sent to loads for itself."""

    load: LoadEmbedder
    folder: Path

    def __call__(self, texts: Sequence[str]) -> NDArray[Any]:
        return _loaded(self.load, self.folder)(texts)


@lru_cache(maxsize=4)
def _loaded(load: LoadEmbedder, folder: Path) -> Embed:
    return load(folder)


def _portable(load: LoadEmbedder, folder: Path) -> Embed:
    _loaded(load, folder)  # what is wrong with it is told now
    return _Embedder(load, folder)


def open_contenders(
    references: Sequence[str], env: Mapping[str, str], load_embedder: LoadEmbedder | None = None
) -> tuple[Contender, ...]:
    """Each reference is ``FILE`` or ``FILE:POLICY``; a file is a configuration or a preset's name.

    ``load_embedder`` loads the sentence encoder that a predictor was fitted with; it is a function of a
    module, so that contenders can be sent to other processes. Raises :class:`router.errors.RouterError` for
    what is wrong with a configuration or what it names.
    """
    opened: dict[str, Opened] = {}
    found: list[Contender] = []
    short = [Path(reference).name for reference in references]
    load = None if load_embedder is None else partial(_portable, load_embedder)
    names = short if len(set(short)) == len(set(references)) else references
    for name, reference in zip(names, references, strict=True):
        source, policy_name = _parts(reference)
        if source not in opened:
            opened[source] = open_configured(load_config(source, env), load)
        market = opened[source].market
        if policy_name not in market.config.policies:
            known = ", ".join(market.config.policies)
            raise UnknownPolicy(
                f"--policy {reference}: {source} has no policy {policy_name!r}; there are {known}"
            )
        guided = policy_name in market.guides
        found.append(
            Contender(
                name,
                market,
                policy_name,
                market.config.predictor if guided else None,
                tuple(each for each in opened[source].warnings if repr(policy_name) in each),
            )
        )
    return tuple(found)


def fitted_to(contenders: Sequence[Contender], files: Sequence[Path], questions: int) -> str | None:
    """What to say where these files of so many questions are what a contender's predictor was fitted to."""
    predictors = [each.market.predictor for each in contenders]
    # To hash gigabytes takes a while; the number of their questions mostly says that they are others.
    return seen_before(
        [
            each
            for each in predictors
            if isinstance(each, Predictor) and each.manifest.data.questions == questions
        ],
        files,
    )


def _parts(reference: str) -> tuple[str, str]:
    if reference in preset_names() or Path(reference).exists():
        return reference, DEFAULT_POLICY
    source, colon, policy_name = reference.rpartition(":")
    return (source, policy_name) if colon else (reference, DEFAULT_POLICY)
