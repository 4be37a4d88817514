"""What this process is told: the configuration, from file and environment."""

from __future__ import annotations

import os

from router.config import Config, load_config


def load(source: str | None = None) -> Config:
    """``source`` is a path or a preset; ``None`` means ``GRADUS_CONFIG``, else the default preset.

    Raises :class:`router.errors.ConfigInvalid`.
    """
    return load_config(source, os.environ)
