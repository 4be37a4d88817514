"""What a provider calls our models: invoices use its names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from router.config import Config

_DATE: Final = re.compile(r"[-@]\d{4}-?\d{2}-?\d{2}$")
_FIELDS: Final = ("upstream_model", "litellm_model")


class ProviderNames:
    """``given`` maps names of an invoice to names of models, before all else."""

    def __init__(self, config: Config, given: Mapping[str, str]) -> None:
        self._given = {invoice.lower(): ours for invoice, ours in given.items()}
        self._names: dict[str, frozenset[str]] = {
            ours: frozenset(name for each in (ours, *_written(model.model_dump())) for name in _forms(each))
            for ours, model in {**config.verifiers, **config.models}.items()
        }

    def ours(self, invoice: str) -> frozenset[str]:
        """Which of our models it means. A dated name (``gpt-4o-2024-08-06``) also means the one without."""
        name = invoice.lower()
        if name in self._given:
            return frozenset({self._given[name]})
        for wanted in (name, _DATE.sub("", name)):
            found = frozenset(ours for ours, names in self._names.items() if wanted in names)
            if found:
                return found
        return frozenset()


def _written(value: Any) -> Iterator[str]:
    """Every provider's name in a model's configuration, those of its deployments too."""
    if isinstance(value, dict):
        for key, each in value.items():
            if key in _FIELDS and isinstance(each, str):
                yield each
            else:
                yield from _written(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _written(each)


def _forms(name: str) -> tuple[str, str]:
    """As it is, and without litellm's ``provider/``."""
    return name.lower(), name.lower().rpartition("/")[2]
