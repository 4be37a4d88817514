"""What README shows of a configuration works as it is written."""

from __future__ import annotations

import re
from pathlib import Path

from router.config import load_config

README = Path(__file__).parents[2] / "README.md"
REST = """
  gpt-mini: {engine: litellm, litellm_model: openai/gpt-4o-mini}
  small: {engine: transformers, path: small, context_tokens: 512, max_tokens: 100}
verifiers: {votes: {kind: majority}}
policies:
  default: {small: small, verifier: votes, large: gpt, usd_per_right_answer: 0.01}
"""


def test_its_large_model_has_what_its_budget_asks_for(tmp_path: Path) -> None:
    (shown,) = [
        each
        for each in re.findall(r"```yaml\n(.*?)```", README.read_text("utf-8"), re.S)
        if "server:" in each
    ]
    file = tmp_path / "gradus.yaml"
    file.write_text(shown + REST, "utf-8")
    config = load_config(str(file), {})

    assert config.limits.usd_per_day is not None
    assert config.models["gpt"].max_tokens is not None
    assert config.models["gpt"].price is not None
