"""The command line: what a user can mend is one line on stderr and exit code 2."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from gateway import cli, client
from tests.e2e.product import free_port
from tests.gateway.doubles import ScriptedWorker


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """The exit code of ``gradus <arguments>``."""
    monkeypatch.setattr(sys, "argv", ["gradus", *arguments])
    with pytest.raises(SystemExit) as exit_info:
        cli.main()
    code = exit_info.value.code
    assert isinstance(code, int)
    return code


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["up", "--prot", "1"], "No such option: --prot"),
        (["up", "--port", "70000"], "65535"),
        (["dance"], "No such command 'dance'"),
        (["up", "--models", "gpt-17"], "gpt-17"),
        (["config", "check", "/nowhere/gradus.yaml"], "/nowhere/gradus.yaml"),
        (["ask", "hello", "--url", "http://127.0.0.1:9"], "gradus up"),
        (["explain", "hello", "--url", "http://127.0.0.1:9"], "gradus up"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
    arguments: list[str], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, *arguments) == 2

    complaint = capsys.readouterr().err
    assert said in complaint
    assert len(complaint.strip().splitlines()) == 1


@pytest.mark.process
@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("GRADUS_ADMIN_KEY", "short", "$GRADUS_ADMIN_KEY: must have at least 16"),
        ("GRADUS_DATABASE_URL", "postgresql://gradus@db:port/gradus", "should be like sqlite:"),
        ("GRADUS_REDIS_URL", "redis://127.0.0.1:1/0?timeout=1", "server.redis_url: got an unexpected"),
        ("GRADUS__RECORDS", "/", "/: Is a directory"),
    ],
)
def test_a_gateway_that_cannot_start_says_why_in_one_line(
    variable: str, value: str, said: str, tmp_path: Path
) -> None:
    started = subprocess.run(
        [sys.executable, "-P", "-m", "gateway", "serve", "--port", str(free_port())],
        env={**os.environ, "GRADUS_HOME": str(tmp_path), variable: value},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert started.returncode == 2
    assert said in started.stderr
    assert len(started.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    "command",
    [
        ["plan", "examples/plan-10m-queries.yaml"],
        ["replay", "traffic.jsonl", "--policy", "abacus"],
        ["fit", "outcomes.jsonl", "--output", "predictor"],
        ["evaluate", "outcomes.jsonl"],
        ["policy", "check", "abacus"],
    ],
)
@pytest.mark.parametrize(
    ("option", "file", "said"),
    [
        ("--json", "nowhere/x.json", "there is no folder nowhere"),
        ("--json", "tests", "is a folder"),
        ("--plot", "nowhere/x.png", "there is no folder nowhere"),
        ("--plot", "x.xyz", "a figure is one of .png, .svg, .pdf"),
    ],
)
def test_where_nothing_can_be_written_is_said_before_the_work(
    command: list[str],
    option: str,
    file: str,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(Path(cli.__file__).parents[1])
    assert run(monkeypatch, *command, option, file) == 2

    shown = capsys.readouterr()
    assert option in shown.err
    assert said in shown.err
    assert len(shown.err.strip().splitlines()) == 1
    assert not shown.out


def test_what_the_system_refuses_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "evaluate", str(tmp_path), "--actions", "small") == 2

    assert len(capsys.readouterr().err.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [("predictor", ".", "no predictor there"), ("strategies", "nowhere.json", "no such file")],
)
def test_config_check_opens_what_was_fitted_like_the_gateway(
    key: str,
    value: str,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(f"GRADUS__{key.upper()}", str(tmp_path / value))

    assert run(monkeypatch, "config", "check", "abacus") == 2

    shown = capsys.readouterr()
    assert said in shown.err
    assert "is right" not in shown.out


def test_config_check_misses_a_file_that_the_gateway_would_miss(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "gradus.yaml"
    preset = Path(cli.__file__).parents[1] / "router" / "presets" / "abacus.yaml"
    quality = "kind: prm\n    quality: {file: nowhere.json, min_auc: 0.6}"
    file.write_text(preset.read_text().replace("kind: prm", quality))

    assert run(monkeypatch, "config", "check", str(file)) == 2

    assert "nowhere.json: no such file" in capsys.readouterr().err


def test_config_check_tells_of_a_calibration_that_is_not_there_and_takes_the_rest(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GRADUS__CALIBRATION", "nowhere.json")
    assert run(monkeypatch, "config", "check", "abacus") == 0
    said = capsys.readouterr()
    assert "nowhere.json: no such file" in said.err
    assert "abacus is right" in said.out


def test_config_check_names_file_and_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "gradus.yaml"
    preset = Path(cli.__file__).parents[1] / "router" / "presets" / "abacus.yaml"
    file.write_text(preset.read_text().replace("port: 8080", "port: eighty"))
    line = next(number for number, text in enumerate(file.read_text().splitlines(), 1) if "eighty" in text)

    assert run(monkeypatch, "config", "check", str(file)) == 2

    assert f"{file}:{line}: server.port" in capsys.readouterr().err


@pytest.mark.parametrize("preset", ["abacus", "smollm2"])
def test_config_check_accepts_the_presets(
    preset: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "config", "check", preset) == 0

    assert f"{preset} is right" in capsys.readouterr().out


def test_up_on_a_used_port_says_so_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GRADUS_HOME", str(tmp_path / "home"))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        assert run(monkeypatch, "up", "--port", str(port)) == 2

    assert f"127.0.0.1:{port} is already in use" in capsys.readouterr().err
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("command", ["up", "serve", "ask", "explain"])
def test_help_has_an_example(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, command, "--help") == 0

    assert f"gradus {command}" in capsys.readouterr().out


def test_without_options_the_environment_names_the_configuration(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GRADUS_CONFIG", "smollm2")

    assert run(monkeypatch, "config", "check") == 0

    assert "smollm2 is right" in capsys.readouterr().out


def test_up_takes_its_configuration_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GRADUS_CONFIG", "/nowhere/gradus.yaml")

    assert run(monkeypatch, "up") == 2

    assert "/nowhere/gradus.yaml" in capsys.readouterr().err


def test_up_without_a_folder_to_write_to_says_what_to_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("GRADUS_HOME", str(tmp_path / "file"))

    assert run(monkeypatch, "up", "--port", str(free_port())) == 2

    assert "GRADUS_HOME" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["ask", "explain"])
def test_options_of_a_search_are_the_gradus_object_of_the_request(
    command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[object, ...]] = []
    monkeypatch.setattr(client, command, lambda _console, *arguments: asked.append(arguments))
    options = ["--strategy", "beam", "--budget", "8", "--beam-width", "2", "--task", "math"]
    options += ["--max-rounds", "60"]

    assert run(monkeypatch, command, "hello", "--url", "http://g", *options) == 0
    assert run(monkeypatch, command, "hello", "--url", "http://g", "--beam-width", "sqrt") == 0
    assert run(monkeypatch, command, "hello", "--url", "http://g") == 0

    searched = {"strategy": "beam", "budget": 8, "beam_width": 2, "max_rounds": 60, "task": "math"}
    assert [arguments[-1] for arguments in asked] == [searched, {"beam_width": "sqrt"}, {}]


def test_a_search_that_the_gateway_refuses_is_one_line(
    url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "ask", "hello", "--url", url, "--strategy", "beams") == 2
    assert "'beam', 'lookahead'" in capsys.readouterr().err

    assert run(monkeypatch, "explain", "hello", "--url", url, "--strategy", "beam", "--budget", "6") == 2
    assert "must be a multiple of beam_width (4)" in capsys.readouterr().err


def test_an_explained_search_is_named(
    url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "explain", "hello", "--url", url, "--strategy", "dvts", "--budget", "8") == 0
    assert "asked for: small (dvts of 8)" in " ".join(capsys.readouterr().out.split())


def test_explaining_says_once_of_which_models_no_latency_is_known(
    url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "explain", "hello", "--url", url) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert said.count("latency unknown: small") == said.count("latency unknown") == 1


def test_an_answer_says_by_which_search_it_was_found(
    url: str, worker: ScriptedWorker, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "ask", "hello", "--url", url, "--strategy", "dvts", "--budget", "8") == 0
    said = capsys.readouterr().out
    assert "The answer is 7." in said
    assert "dvts x1" in said


def test_lines_of_a_stream_end_at_newlines_only() -> None:
    text = "a\u2028b\nc\x85d"
    blocks = (bytes([byte]) for byte in text.encode())

    assert list(client._lines(blocks)) == ["a\u2028b".encode(), "c\x85d".encode()]
