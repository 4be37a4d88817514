"""What judges a candidate. Nothing heavy is imported before a verifier is loaded."""

from __future__ import annotations

from router.config import MajorityVerifier as MajorityConfig
from router.config import PrmVerifier as PrmConfig
from workers.protocols import Verifier
from workers.verifiers.majority import MajorityVerifier


def load_verifier(name: str, verifier: PrmConfig | MajorityConfig) -> Verifier:
    """The verifier of a configuration. Raises :class:`workers.errors.ModelNotLoadable`."""
    if isinstance(verifier, MajorityConfig):
        return MajorityVerifier(name)
    from workers.engines.loading import resolve, stay_offline

    stay_offline()
    from workers.verifiers.prm import PrmVerifier

    return PrmVerifier(resolve(verifier.path), name=name, context_tokens=verifier.context_tokens)
