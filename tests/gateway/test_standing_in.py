"""A large model that answers because no worker could is paid for like any answer: reserved first."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.gateway.conftest import Configure, Start
from tests.gateway.doubles import ScriptedWorker
from tests.gateway.upstream import UpstreamDouble

MESSAGES: list[Any] = [{"role": "user", "content": "Calculate 3 + 4."}]
FRUGAL = {
    "GRADUS__POLICIES__REMOTE__USD_PER_RIGHT_ANSWER": "0.0000001",
    "GRADUS__POLICIES__REMOTE__STRATEGY": "direct",
}
"""No answer of the large model is worth its price: what is reserved is the price of one of the small one."""


@pytest.fixture
def redis_url(redis_url: str) -> str:
    """A database of that Redis in which no other gateway counts."""
    return f"{redis_url}?db=1"


def worst_usd(client: openai.OpenAI) -> Decimal:
    body = {"model": "gradus/remote", "messages": MESSAGES}
    explained = client.post("/gradus/explain", body=body, cast_to=object)
    assert isinstance(explained, dict)
    return Decimal(explained["plan"]["worst_case_cost_usd"])


@pytest.mark.parametrize(("spare_usd", "status"), [("0.00001", 429), ("0.01", 200)])
def test_what_a_cap_cannot_pay_is_refused_and_not_overspent(
    configure: Configure,
    start: Start,
    upstream: UpstreamDouble,
    redis_url: str,
    tmp_path: Path,
    spare_usd: str,
    status: int,
) -> None:
    free = start(configure(**FRUGAL))
    with openai.OpenAI(base_url=f"{free}/v1", api_key="any", max_retries=0) as client:
        small_usd = worst_usd(client)
    cap_usd = format(small_usd + Decimal(spare_usd), "f")
    capped = start(
        configure(
            **FRUGAL,
            GRADUS_REDIS_URL=redis_url,
            GRADUS_DATABASE_URL=f"sqlite:///{tmp_path}/capped.db",
            GRADUS__LIMITS__USD_TOTAL=cap_usd,
        )
    )
    with openai.OpenAI(base_url=f"{capped}/v1", api_key="any", max_retries=0) as client:
        ask = client.chat.completions.with_raw_response.create
        if status == 200:
            assert ask(model="gradus/remote", messages=MESSAGES).headers["x-gradus-model"] == "remote"
        else:
            with pytest.raises(openai.RateLimitError, match="may cost"):
                ask(model="gradus/remote", messages=MESSAGES)
        assert len(upstream.bodies) == (status == 200)
        with ScriptedWorker(redis_url):  # nothing is left reserved of what was refused
            assert status == 200 or ask(model="gradus/remote", messages=MESSAGES).status_code == 200
