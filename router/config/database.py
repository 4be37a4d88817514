"""Where keys and the journal are kept."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator

_KINDS = ("sqlite:///", "postgresql://", "postgres://")


def _known(url: str) -> str:
    if not url.startswith(_KINDS):  # which is not shown: there may be a password in it
        raise ValueError(
            "must be a URL that starts with sqlite:/// or postgresql://, as "
            "sqlite:////var/lib/gradus/gradus.db or postgresql://USER:PASSWORD@HOST/NAME"
        )
    return url


DatabaseUrl = Annotated[str, AfterValidator(_known)]
