"""How tests ask a running product, and what every answer's account must be."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import Any

import httpx
import openai

from tests.e2e.product import Product

PATIENCE_S = 60.0


def ask(product: Product, question: str, model: str = "gradus", **search: Any) -> Any:
    """A completion of OpenAI's client; ``search`` is the request's ``gradus`` object."""
    with openai.OpenAI(base_url=f"{product.url}/v1", api_key="any", max_retries=0) as client:
        return client.chat.completions.create(
            model=model,
            messages=[{"role": "user", "content": question}],
            extra_body={"gradus": search} if search else None,
            timeout=PATIENCE_S,
        )


def told(answer: Any) -> dict[str, Any]:
    """The ``gradus`` object that comes with an answer."""
    extra: dict[str, Any] = answer.model_extra["gradus"]
    return extra


def worst_case_usd(product: Product, question: str, model: str = "gradus", **search: Any) -> Decimal:
    """What `explain` says that the request may cost."""
    body = {"model": model, "messages": [{"role": "user", "content": question}], "gradus": search}
    answer = httpx.post(f"{product.url}/v1/gradus/explain", json=body, timeout=PATIENCE_S)
    return Decimal(answer.json()["plan"]["worst_case_cost_usd"])


def assert_bill_adds_up(answer: Any) -> None:
    """Lines, sums by purpose, cost and OpenAI's usage say the same."""
    said, usage = told(answer), answer.usage
    by_purpose: Counter[str] = Counter()
    for line in said["lines"]:
        purpose = {"candidate": "candidates"}.get(line["purpose"], line["purpose"])
        by_purpose[purpose] += line["prompt_tokens"] + line["completion_tokens"]
    assert by_purpose == Counter(said["tokens"])
    assert usage.prompt_tokens == sum(line["prompt_tokens"] for line in said["lines"])
    assert usage.completion_tokens == sum(line["completion_tokens"] for line in said["lines"])
    assert usage.total_tokens == by_purpose.total()
    assert Decimal(said["cost_usd"]) == sum(Decimal(line["cost_usd"]) for line in said["lines"]) > 0
