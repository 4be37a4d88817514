"""Running products, started once and gone with the last of these tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.product import Product, free_port, start_product
from tests.e2e.served import Served, serving_everything


@pytest.fixture(scope="package")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """With the embedded models; policy "accurate" probes whatever the predictor says."""
    always = {"GRADUS__POLICIES__ACCURATE__PROBE": "always"}
    running = start_product(tmp_path_factory.mktemp("home"), free_port(), always)
    yield running
    running.stop()


@pytest.fixture(scope="package")
def served(product: Product, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """With policies of every kind, and models behind servers."""
    with serving_everything(tmp_path_factory.mktemp("served"), product) as running:
        yield running
