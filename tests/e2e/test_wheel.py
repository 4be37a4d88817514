"""What is built is complete: the wheel alone, without the checkout, runs the product."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import httpx
import pytest

from tests.e2e.product import free_port, start_product

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

CHECKOUT = Path(__file__).parents[2]


def test_the_unpacked_wheel_answers_with_its_own_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*build, "--wheel-dir", str(tmp_path), str(CHECKOUT)], check=True, timeout=200)
    site = tmp_path / "site"
    with zipfile.ZipFile(next(tmp_path.glob("gradus-*.whl"))) as wheel:
        wheel.extractall(site)
        names = set(wheel.namelist())
    assert "gateway/store/migrations/versions/schema_0001.py" in names
    assert "gateway/ledger/batch.lua" in names
    monkeypatch.chdir(tmp_path)

    running = start_product(tmp_path / "home", free_port(), {"PYTHONPATH": str(site)})
    body = {"model": "gradus", "messages": [{"role": "user", "content": "Calculate 3 + 4."}]}
    answer = httpx.post(f"{running.url}/v1/chat/completions", json=body, timeout=120)
    running.stop()

    assert answer.json()["choices"][0]["message"]["content"].endswith("The answer is 7.")
    assert _where_gateway_is(site) == site / "gateway" / "__init__.py"


def _where_gateway_is(site: Path) -> Path:
    code = "import gateway; print(gateway.__file__)"
    said = subprocess.run(
        [sys.executable, "-P", "-c", code],
        env={"PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=True,
    )
    return Path(said.stdout.strip())
