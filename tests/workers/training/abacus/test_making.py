"""Everything in order: the commands exist, run one after another, and stop at the first that fails."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from typer.testing import CliRunner

from workers.training.abacus.making import commands, make_all, steps
from workers.training.cli import app


class Recorder:
    """Runs nothing; a training leaves a model in its output folder."""

    def __init__(self, fails: str = "no command") -> None:
        self.ran: list[str] = []
        self._fails = fails

    def __call__(self, arguments: Sequence[str]) -> int:
        self.ran.append(" ".join(arguments[:2]))
        if self._fails in self.ran[-1]:
            return 2
        if "--data" in arguments:
            output = Path(arguments[arguments.index("--output") + 1])
            output.mkdir(parents=True)
            (output / "model.safetensors").write_text(arguments[1])
        return 0


def test_what_a_recipe_makes_joins_the_models_before_the_next_command(tmp_path: Path) -> None:
    call = Recorder()
    assert make_all(steps(1, 200, 1), tmp_path / "data", tmp_path / "models", call) == 0
    assert call.ran[0] == "abacus data"
    assert call.ran[-1] == "abacus report"
    made = {folder.name for folder in (tmp_path / "models").iterdir()}
    assert made == {"abacus-prm", "abacus-revision", "abacus-revision-orm"}
    assert (tmp_path / "models" / "abacus-prm" / "model.safetensors").read_text() == "abacus-prm"


def test_the_first_failure_ends_it(tmp_path: Path) -> None:
    call = Recorder(fails="revision-data")
    assert make_all(steps(1, 200, 1), tmp_path / "data", tmp_path / "models", call) == 2
    assert call.ran[-1] == "revision-data abacus-revision-data"
    assert {folder.name for folder in (tmp_path / "models").iterdir()} == {"abacus-prm"}


def test_a_large_model_that_has_begun_is_not_grown_again(tmp_path: Path) -> None:
    (tmp_path / "lm-large").mkdir()
    (tmp_path / "lm-large" / "checkpoint.pt").touch()
    call = Recorder()
    make_all(steps(1, 200, 1), tmp_path, tmp_path / "models", call)
    assert "abacus grow" not in call.ran
    assert call.ran.count("abacus lm") == 2


def test_every_command_of_the_document_exists_with_its_options() -> None:
    for line in commands(1, 150_000):
        if line.startswith("gradus train"):
            result = CliRunner().invoke(app, [*line.split()[2:], "--help"])
            assert result.exit_code == 0, (line, result.output)
