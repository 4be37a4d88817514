"""How many tokens a text is, where a server did not count: by a tokenizer if there is one, else by bytes."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from router.config import LiteLLMModel, OpenAIModel

log = logging.getLogger(__name__)

BYTES_PER_TOKEN: Final = 4  # a rough average, of English and of other scripts
LONGEST_COUNTED: Final = 200_000
"""Characters; counting blocks its process, and what is longer is estimated by bytes."""
USUAL_ENCODING: Final = "o200k_base"
_BUNDLED: Final = {
    "cl100k_base": "9b5ad71b2ce5302211f9c61530b329a4922fc6a4",
    "o200k_base": "fb374d419588a4632f3f557e76b4b70aebbca790",
}
"""What tiktoken calls these in its cache; litellm comes with them, so that nothing is downloaded."""


def by_bytes(text: str) -> int:
    return -(-len(text.encode("utf-8", "replace")) // BYTES_PER_TOKEN)


class TokenCounter:
    """Counts as one model's tokenizer does: the configured one, else OpenAI's, which comes near others'."""

    def __init__(self, model: OpenAIModel | LiteLLMModel) -> None:
        self._folder = model.tokenizer if isinstance(model, OpenAIModel) else None
        self._name = model.deployed[0].model.rpartition("/")[2]
        self._count: Callable[[str], int] | None = None
        self._loading: asyncio.Task[None] | None = None

    def __call__(self, text: str) -> int:
        if self._count is None or len(text) > LONGEST_COUNTED:
            return by_bytes(text)
        return self._count(text)

    async def load(self) -> None:
        """Once, beside the event loop, on the first answer that has to be counted."""
        if self._loading is None:
            self._loading = asyncio.create_task(self._load())
        await asyncio.shield(self._loading)

    async def _load(self) -> None:
        try:
            self._count = await asyncio.to_thread(_tokenizer, self._folder, self._name)
        except Exception as error:  # whatever two libraries make of a file; the answer is there all the same
            log.warning("tokens of %s are estimated by their bytes: %s", self._name, error)


def _tokenizer(folder: str | None, name: str) -> Callable[[str], int]:
    if folder is not None:
        import tokenizers

        read = tokenizers.Tokenizer.from_file(str(Path(folder) / "tokenizer.json"))
        return lambda text: len(read.encode(text, add_special_tokens=False).ids)

    spec = find_spec("litellm")
    bundled = Path((spec and spec.origin) or "").parent / "litellm_core_utils" / "tokenizers"
    os.environ.setdefault("TIKTOKEN_CACHE_DIR", str(bundled))
    import tiktoken

    try:
        encoding = tiktoken.encoding_name_for_model(name)
    except KeyError:
        encoding = USUAL_ENCODING
    if encoding not in _BUNDLED:
        encoding = USUAL_ENCODING
    if not (Path(os.environ["TIKTOKEN_CACHE_DIR"]) / _BUNDLED[encoding]).exists():
        raise FileNotFoundError(f"{encoding} is not in {os.environ['TIKTOKEN_CACHE_DIR']}")
    of = tiktoken.get_encoding(encoding)
    return lambda text: len(of.encode(text, disallowed_special=()))
