"""A gateway that keeps answers."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from gateway.app import create_app
from tests.gateway.conftest import Configure
from tests.gateway.doubles import serving
from tests.gateway.upstream import UpstreamDouble


@pytest.fixture(scope="package")
def cached_gateway(configure: Configure) -> Iterator[str]:
    with serving(create_app(configure(GRADUS__CACHE__MODE="deterministic"))) as url:
        yield url


@pytest.fixture
def http(cached_gateway: str, upstream: UpstreamDouble, redis_url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=cached_gateway, timeout=30) as client:
        yield client
