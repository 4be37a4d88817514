from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.routing.baselines import perceptron
from tests.router.tables import table


def test_what_another_library_trained_is_applied_layer_by_layer(tmp_path: Path) -> None:
    """Its environment is stood in for by a program that prints |x| for strong, 1 for weak."""
    python = tmp_path / "python"
    layers = "[[[[1, 0], [-1, 0]], [0, 0]], [[[0, 0], [1, 1]], [1, 0]]]"
    python.write_text(f"#!/bin/sh\ncat > /dev/null\necho '{layers}'\n", encoding="utf-8")
    python.chmod(0o755)
    both = table(3).only(("small", "grand"))
    vectors = dict(zip(both.ids, np.array([[-3.0, 9.0], [0.5, 9.0], [2.0, 9.0]]), strict=True))
    predict = perceptron(python, vectors)(both, 0)
    np.testing.assert_allclose(predict(both), [[0.0, 2.0], [0.0, -0.5], [0.0, 1.0]])
