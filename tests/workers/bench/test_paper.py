"""`gradus bench paper` where its experiments are, and where they are not."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from workers.bench.cli import app


def test_without_a_checkout_it_says_in_one_line_where_to_run_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "benchmarks.paper", None)
    monkeypatch.delitem(sys.modules, "benchmarks.paper.experiments", raising=False)
    done = CliRunner().invoke(app, ["paper"])
    assert done.exit_code == 2
    assert done.stderr.count("\n") == 1
    assert "clone the repository" in done.stderr


def test_what_it_cannot_do_is_one_line_too(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["paper", "--only", "searhc", "--rows", str(tmp_path)])
    assert done.exit_code == 2
    assert done.stderr.startswith("gradus: --only: there is no 'searhc'; there are coverage, search,")
    assert done.stderr.count("\n") == 1
