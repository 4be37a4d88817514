"""From a configured server to an engine: wait for it, find out what it can do, say what it lacks."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from router.config import OpenAIModel
from workers.engines.chat import Chat
from workers.engines.loading import resolve
from workers.engines.server.engine import ServerEngine
from workers.engines.server.probing import Probe
from workers.engines.server.wire import USUAL, Broken, Json, Patience, Refused, Wire
from workers.errors import ModelNotLoadable

log = logging.getLogger(__name__)

_AGAIN_S = 1.0
_LOADING = 503
_BAD_KEY = (401, 403)


def connect(
    name: str, model: OpenAIModel, *, wait_s: float = 60.0, patience: Patience = USUAL
) -> ServerEngine:
    """The engine of a server that answers within ``wait_s`` seconds.

    Raises :class:`workers.errors.ModelNotLoadable` where none answers, or none that can be used.
    """
    key, server = None, model.deployed[0]  # searches keep to one: it holds what they have in common
    if server.api_key_env is not None:
        key = os.environ.get(server.api_key_env)
        if not key:
            raise ModelNotLoadable(f"model {name}: its server needs a key; set {server.api_key_env}")
    chat = None if model.tokenizer is None else Chat(_tokenizer(name, model.tokenizer), name)
    wire = Wire(server.base_url or "", key, patience)
    try:
        listed = _wait(name, wire, wait_s)
        capabilities = Probe(wire, name, server.model, chat).run()
        readable = capabilities.context_tokens or _listed_context(listed, server.model)
        context_tokens = model.context_tokens or readable
        if context_tokens is None:
            raise ModelNotLoadable(f"model {name}: its server does not say what it reads; set context_tokens")
        if readable is not None and context_tokens > readable:
            raise ModelNotLoadable(
                f"model {name}: context_tokens is {context_tokens}; the server reads {readable}"
            )
    except BaseException:
        wire.close()
        raise
    log.info("model %s: %s %s, asked by %s", name, wire.base_url, server.model, capabilities.prompts)
    if lacking := capabilities.lacking(chat is not None):
        log.warning("model %s: its server lacks: %s", name, "; ".join(lacking))
    return ServerEngine(
        wire,
        capabilities,
        model=name,
        upstream_model=server.model,
        context_tokens=context_tokens,
        chat=chat,
    )


def _wait(name: str, wire: Wire, wait_s: float) -> Json:
    """The server's list of models, once it answers; empty where it keeps none."""
    give_up_s = time.monotonic() + wait_s
    said = False
    while True:
        try:
            return wire.ask("models")
        except Refused as refusal:
            if refusal.status in _BAD_KEY:
                raise ModelNotLoadable(
                    f"model {name}: the server at {wire.base_url} refuses the key ({refusal.status}); check "
                    "its api_key_env"
                ) from refusal
            if refusal.status != _LOADING:
                return {}
            problem: Exception = refusal
        except Broken as error:
            problem = error
        if time.monotonic() + _AGAIN_S > give_up_s:
            raise ModelNotLoadable(
                f"model {name}: no server answered at {wire.base_url} for {wait_s:g} s ({problem}); start "
                "it, or correct its base_url"
            )
        if not said:
            log.warning("model %s: waiting for the server at %s (%s)", name, wire.base_url, problem)
            said = True
        time.sleep(_AGAIN_S)


def _listed_context(listed: Json, upstream_model: str) -> int | None:
    """What the list of models says that a model reads (vLLM, SGLang)."""
    entries = listed.get("data")
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, Mapping) and entry.get("id") == upstream_model:
            readable = entry.get("max_model_len")
            return readable if isinstance(readable, int) else None
    return None


def _tokenizer(name: str, path: str) -> Any:
    from workers.engines.loading import stay_offline

    stay_offline()
    from transformers import AutoTokenizer

    folder = Path(path).expanduser()
    if not (folder / "tokenizer_config.json").is_file():
        folder = resolve(path)
    try:
        return AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError) as error:
        raise ModelNotLoadable(f"model {name}: its tokenizer {path} cannot be loaded: {error}") from error
