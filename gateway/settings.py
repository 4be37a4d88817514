"""What a gateway process is started with: the configuration, and the environment its API keys come from."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from router.config import Config, load_config
from router.wire import LOST_AFTER_S


@dataclass(frozen=True, slots=True)
class Settings:
    """``lost_after_s``: how long a started job may be silent before its worker counts as lost.

    ``source`` is where the configuration was read from.
    """

    config: Config
    environ: Mapping[str, str] = field(repr=False)  # it holds keys
    lost_after_s: float = LOST_AFTER_S
    source: str | Path | None = None

    def read_again(self) -> Config:
        """The configuration as it is now. Raises :class:`router.errors.ConfigInvalid`."""
        return load_config(self.source, self.environ)


def load_settings(source: str | Path | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """Read the configuration (:func:`router.config.load_config`), with the process's environment by default.

    Raises :class:`router.errors.ConfigInvalid`.
    """
    environ = dict(os.environ if environ is None else environ)
    return Settings(load_config(source, environ), environ, source=source)
