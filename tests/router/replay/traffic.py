"""A configuration with a predictor for its models, and traffic that it never saw."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from router.artifacts import files_sha256
from router.fitting.fit import fit_predictor
from router.outcome_files import read_outcomes
from router.outcome_table import OutcomeTable
from router.predictor.files import save_predictor
from router.predictor.manifest import Identities
from router.predictor.predictor import Embed
from tests.router.examples import write
from tests.router.tables import table

YAML = """\
models:
  mini:
    engine: transformers
    path: /models/mini
    context_tokens: 512
    max_tokens: 200
    price: {usd_per_million_prompt_tokens: 0.01, usd_per_million_completion_tokens: 0.05}
  grand:
    engine: openai
    base_url: http://grand.example/v1
    upstream_model: grand
    context_tokens: 4096
    max_tokens: 200
    price: {usd_per_million_prompt_tokens: 1, usd_per_million_completion_tokens: 2}
  near:
    engine: openai
    base_url: http://near.example/v1
    upstream_model: near
    context_tokens: 512
    max_tokens: 200
    price: {usd_per_million_prompt_tokens: 1, usd_per_million_completion_tokens: 2}
verifiers:
  prm:
    kind: prm
    path: /models/prm
    context_tokens: 512
    price: {usd_per_million_tokens: 0.01}
policies:
  default: &default
    small: mini
    verifier: prm
    large: grand
    probe_samples: 8
    search_samples: 8
    usd_per_right_answer: 0.0003
  thrifty: {<<: *default, usd_per_right_answer: 0.00005}
  sure: {<<: *default, usd_per_right_answer: 0.01, min_accuracy: 0.8}
  probing: {<<: *default, probe: always}
  early: {<<: *default, probe_samples: 4}
  strange: {<<: *default, unseen: large, unseen_below: 0.5}
  wary: {<<: *default, unseen: probe, unseen_below: 0.5}
  capped: {<<: *default, max_cost_usd: 0.0005, usd_per_right_answer: 0.01}
  ruled:
    <<: *default
    rules:
      - {when: {pattern: integral}, use: large}
      - {when: {pattern: apples}, refuse: no fruit}
  several: {<<: *default, large: [near, grand], rules: [{when: {pattern: integral}, use: large}]}
"""


def tabled(folder: Path) -> Path:
    return write(folder, YAML, "tabled.yaml")


def predicted(folder: Path) -> Path:
    """The same with a predictor."""
    predictor = folder / "predictor"
    save_predictor(fit_predictor(table(), method="words"), predictor)
    return write(folder, f"predictor: {predictor}\n{YAML}", "predicted.yaml")


def fitted_on(folder: Path, file: Path) -> Path:
    """The same, fitted to a file of outcomes."""
    predictor = folder / "predictor"
    identities = Identities(sha256=files_sha256([file]))
    save_predictor(fit_predictor(read_outcomes([file]), method="words", identities=identities), predictor)
    return write(folder, f"predictor: {predictor}\n{YAML}", "fitted.yaml")


def lines(outcomes: OutcomeTable, **more: Any) -> str:
    """A row a question, with its probe."""
    return "".join(json.dumps({**_row(outcomes, row), **more}) + "\n" for row in range(len(outcomes)))


def _row(outcomes: OutcomeTable, row: int) -> dict[str, Any]:
    cells: dict[str, Any] = {}
    for column, action in enumerate(outcomes.actions):
        cells[action.name] = {
            "model": action.model,
            "strategy": action.strategy,
            "samples": action.samples,
            "right": _known(outcomes.right[row, column]),
            "cost_usd": _known(outcomes.cost_usd[row, column]),
        }
    found: dict[str, Any] = {
        "id": outcomes.ids[row],
        "question": outcomes.prompts[row],
        "group": outcomes.groups[row],
        "segment": outcomes.segments[row],
        "prompt_tokens": outcomes.prompt_tokens[row],
        "actions": cells,
    }
    evidence = outcomes.evidence[row]
    if evidence is not None:
        samples = [
            {"answer": answer, "score": score}
            for answer, score in zip(evidence.answers, evidence.scores, strict=True)
        ]
        found["probe"] = {"samples": samples, "cost_usd": outcomes.probe_usd[row]}
    return found


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def embedded(folder: Path) -> Path:
    """With a predictor that was fitted with embeddings, which :func:`load_embedder` gives."""
    predictor = folder / "embedding-predictor"
    identities = Identities(embedding="encoder")
    embed = load_embedder(Path("encoder"))
    save_predictor(fit_predictor(table(), method="words", identities=identities, embed=embed), predictor)
    return write(folder, f"predictor: {predictor}\n{YAML}", "embedded.yaml")


def load_embedder(folder: Path) -> Embed:
    """In place of a sentence encoder two lengths; as such an encoder, it cannot be sent to a process."""
    assert folder == Path("encoder")
    return lambda texts: np.array([[len(text), len(text.split(" ")[0])] for text in texts]) / 100
