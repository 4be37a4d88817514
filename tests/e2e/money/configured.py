"""What the gateways are told to serve, and what it costs."""

from __future__ import annotations

from decimal import Decimal

PROMPT_USD, COMPLETION_USD = Decimal("0.000003"), Decimal("0.000007")
"""Of a token of the model "remote"."""

CONFIG = """
models:
  small:
    engine: transformers
    path: nowhere
    context_tokens: 512
    max_tokens: 100
    price: {{usd_per_million_prompt_tokens: 1, usd_per_million_completion_tokens: 2}}
  remote:
    engine: openai
    base_url: {upstream}/v1
    upstream_model: double
    max_tokens: 1000
    max_retries: 0
    price: &price {{usd_per_million_prompt_tokens: 3, usd_per_million_completion_tokens: 7}}
  away:       # nobody listens there
    engine: openai
    base_url: http://127.0.0.1:9/v1
    upstream_model: double
    max_tokens: 1000
    max_retries: 1
    price: *price
  hasty:
    engine: openai
    base_url: {upstream}/v1
    upstream_model: double
    max_tokens: 1000
    max_retries: 2
    timeouts: {{total_s: 0.3}}
    price: *price
verifiers:
  prm: {{kind: prm, path: nowhere, context_tokens: 512, price: {{usd_per_million_tokens: 0.3}}}}
policies:
  default:
    small: small
    verifier: prm
    large: remote
    probe: always
    probe_samples: 4
    search_samples: 8
    usd_per_right_answer: 1
    deadline_s: 30
server:
  auth: keys
"""


def price(tokens: tuple[int, int]) -> Decimal:
    """Of prompt and completion tokens of the model "remote", in USD."""
    return tokens[0] * PROMPT_USD + tokens[1] * COMPLETION_USD
