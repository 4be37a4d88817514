"""What two questions of one template share must not pass for skill."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from router.fitting.fit import fit_predictor
from tests.router.tables import table

TEMPLATES, TOLD = 120, 4


def test_a_template_that_was_fitted_is_in_nothing_that_was_held_out() -> None:
    """Right or wrong is a coin tossed once a template: whoever peeks at one telling knows the others."""
    random = np.random.default_rng(1)
    words = [f"{a}{b}{c}" for a in "bdfgklmnp" for b in "aeiou" for c in "rstvz"]
    stories = [" ".join(random.choice(words, 14)) for _ in range(TEMPLATES)]
    coins = random.integers(0, 2, (TEMPLATES, 3)).astype(float)
    rows = np.repeat(np.arange(TEMPLATES), TOLD)
    prompts = tuple(f"{stories[row]} {random.integers(1000)}" for row in rows)
    toss = replace(table(len(rows)), prompts=prompts, right=coins[rows], evidence=(None,) * len(rows))

    manifest = fit_predictor(toss, method="words").manifest

    assert all(each.auc is None or each.auc < 0.75 for each in manifest.metrics.values())
