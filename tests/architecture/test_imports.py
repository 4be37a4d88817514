"""Nothing heavy is loaded where it is not needed: checked in fresh interpreters, import by import.

The layers themselves are contracts of import-linter (pyproject.toml); these tests also see what is loaded
indirectly, and at run time.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

QUEUE_AND_WEB = {"fastapi", "starlette", "uvicorn", "celery", "kombu", "redis", "httpx", "requests", "openai"}
MODELS = {"torch", "transformers", "litellm", "safetensors"}


def _modules_of(*rooms: str) -> list[str]:
    return sorted(
        ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for room in rooms
        for file in (ROOT / room).rglob("*.py")
        if file.name != "__main__.py"
    )


def _loaded_by(statement: str) -> set[str]:
    """Top-level packages that a fresh interpreter has loaded after ``statement``."""
    script = f"import sys\n{statement}\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_the_cores_load_no_web_queue_model_or_network_library() -> None:
    loaded = _loaded_by("import " + ", ".join(_modules_of("cost_model", "router")))
    assert not loaded & (QUEUE_AND_WEB | MODELS)


def test_the_cost_model_needs_nothing_but_python() -> None:
    loaded = _loaded_by("import " + ", ".join(_modules_of("cost_model")))
    assert not loaded & (QUEUE_AND_WEB | MODELS | {"pydantic", "yaml", "router"})


def test_planning_loads_nothing_of_gateway_or_workers() -> None:
    plan = (
        "from router.config import load_config; from router.market import open_market; "
        "from router.policy import plan; from router.types import Query; from router import wire; "
        "plan(Query(({'role': 'user', 'content': 'hi'},)), 'default', open_market(load_config('abacus', {})))"
    )
    assert not _loaded_by(plan) & (QUEUE_AND_WEB | MODELS | {"gateway", "workers"})


@pytest.mark.parametrize(
    ("module", "never"),
    [
        ("gateway.app", {"torch", "transformers", "litellm", "workers"}),
        ("gateway.cli", {"torch", "transformers", "litellm", "workers", "fastapi", "scipy", "sklearn"}),
        ("workers.executor", {"torch", "transformers", "litellm", "gateway", "celery", "scipy", "sklearn"}),
        ("router.replanning", {"scipy", "sklearn"}),
        ("workers.search", {"torch", "transformers", "litellm", "gateway", "celery", "redis"}),
        ("workers.tasks", {"torch", "transformers", "litellm", "gateway"}),
    ],
)
def test_importing_a_module_loads_only_what_it_needs(module: str, never: set[str]) -> None:
    assert not _loaded_by(f"import {module}") & never


def test_a_predictor_is_read_without_torch() -> None:
    read = "from router.predictor.files import load_predictor; load_predictor('embedded:abacus-predictor')"
    loaded = _loaded_by(read)
    assert "skops" in loaded
    assert not loaded & {"torch", "transformers", "litellm"}


def test_files_stay_short_enough_to_be_read() -> None:
    files = [
        file
        for room in ("cost_model", "gateway", "router", "workers")
        for file in (ROOT / room).rglob("*.py")
    ]
    long = {str(file.relative_to(ROOT)): lines for file in files if (lines := _lines(file)) > 300}
    assert not long, f"split these files, or explain: {long}"


def _lines(file: Path) -> int:
    return file.read_text("utf-8").count("\n")
