"""What judges a candidate. Nothing heavy is imported before a verifier is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from router import config
from workers.answers import Embed
from workers.protocols import Verifier
from workers.verifiers.ensemble import EnsembleVerifier
from workers.verifiers.majority import MajorityVerifier


def load_verifier(
    name: str,
    verifier: config.Verifier,
    loaded: Mapping[str, Verifier] = MappingProxyType({}),
    embed: Embed | None = None,
) -> Verifier:
    """The verifier of a configuration; an ensemble finds its members in ``loaded``.

    ``embed`` tells those that compare answers which texts mean the same.
    Raises :class:`workers.errors.ModelNotLoadable`.
    """
    match verifier:
        case config.MajorityVerifier():
            return MajorityVerifier(name, embed)
        case config.EnsembleVerifier():
            weights = verifier.weights.items()
            return EnsembleVerifier(name, [(loaded[member], float(weight)) for member, weight in weights])
        case config.CheckVerifier():
            from workers.verifiers.checks import load_check

            return load_check(
                name,
                verifier.check,
                entry_point=verifier.entry_point,
                timeout_s=verifier.timeout_s,
                memory_bytes=verifier.memory_mb * 2**20,
                embed=embed,
            )
        case config.JudgeVerifier():
            from workers.verifiers.judge import load_judge

            return load_judge(name, verifier)
        case _:
            return _load_model(name, verifier)


def _load_model(
    name: str, verifier: config.PrmVerifier | config.OrmVerifier | config.RemoteVerifier
) -> Verifier:
    from workers.engines.loading import resolve, stay_offline

    stay_offline()
    if isinstance(verifier, config.PrmVerifier):
        from workers.verifiers.prm import load_prm

        return load_prm(
            name,
            resolve(verifier.path),
            verifier.family,
            context_tokens=verifier.context_tokens,
            aggregation=verifier.aggregation,
        )
    if isinstance(verifier, config.OrmVerifier):
        from workers.verifiers.orm import load_orm

        return load_orm(
            name,
            resolve(verifier.path),
            context_tokens=verifier.context_tokens,
            reads_history=verifier.reads_history,
        )
    from workers.verifiers.remote import load_remote

    return load_remote(name, verifier)
