"""The policies that are replayed: each of a configuration, opened as a gateway opens it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from router.config import load_config, preset_names
from router.errors import UnknownPolicy
from router.market import Market
from router.opening import Opened, open_configured

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


def open_contenders(references: Sequence[str], env: Mapping[str, str]) -> tuple[Contender, ...]:
    """Each reference is ``FILE`` or ``FILE:POLICY``; a file is a configuration or a preset's name.

    Raises :class:`router.errors.RouterError` for what is wrong with a configuration or what it names.
    """
    opened: dict[str, Opened] = {}
    found: list[Contender] = []
    short = [Path(reference).name for reference in references]
    names = short if len(set(short)) == len(set(references)) else references
    for name, reference in zip(names, references, strict=True):
        source, policy_name = _parts(reference)
        if source not in opened:
            opened[source] = open_configured(load_config(source, env))
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


def _parts(reference: str) -> tuple[str, str]:
    if reference in preset_names() or Path(reference).exists():
        return reference, DEFAULT_POLICY
    source, colon, policy_name = reference.rpartition(":")
    return (source, policy_name) if colon else (reference, DEFAULT_POLICY)
