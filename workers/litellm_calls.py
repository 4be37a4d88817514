"""One model behind litellm: asked without retries, counted, its failures in our words."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from workers.errors import EngineFailed, ModelNotLoadable

_TIMEOUT_S: Final = 60.0

Asked = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Reply:
    """What the model wrote, and what it read and wrote for that. ``ended`` is "stop" or "length"."""

    text: str
    ended: str
    prompt_tokens: int
    completion_tokens: int


class LiteLLMCalls:
    """Asks one model by litellm's name for it. Thread-safe. ``what`` names it in errors: "model gpt".

    Raises :class:`workers.errors.ModelNotLoadable` if ``api_key_env`` names a variable that is not set.
    """

    def __init__(self, what: str, model: str, *, api_key_env: str | None, base_url: str | None) -> None:
        key = None if api_key_env is None else os.environ.get(api_key_env)
        if api_key_env is not None and not key:
            raise ModelNotLoadable(f"{what}: api_key_env: {api_key_env} is not set")
        self._what = what
        self._model = model
        self._api_key = key
        self._base_url = base_url
        self._litellm = _litellm()

    def ask(self, conversation: Asked, *, temperature: float, max_tokens: int) -> Reply:
        """Raises :class:`workers.errors.EngineFailed`."""
        try:
            answer = self._litellm.completion(
                model=self._model,
                messages=list(conversation),
                temperature=temperature,
                max_tokens=max_tokens,
                api_key=self._api_key,
                base_url=self._base_url,
                timeout=_TIMEOUT_S,
                num_retries=0,
                max_retries=0,
                drop_params=True,  # some models have no temperature
            )
            choice = answer.choices[0]
            text = str(choice.message.content or "")
        except Exception as error:  # litellm's errors have no tree of their own
            said = str(getattr(error, "message", None) or error)[:300]
            raise EngineFailed(f"{self._what}: {self._model} failed: {said}") from error
        usage = getattr(answer, "usage", None)
        return Reply(
            text,
            "length" if choice.finish_reason == "length" else "stop",
            getattr(usage, "prompt_tokens", None) or self.count(messages=list(conversation)),
            getattr(usage, "completion_tokens", None) or (self.count(text=text) if text else 0),
        )

    def count(self, **what: Any) -> int:
        """Tokens of ``messages`` or ``text``, as near as litellm knows them."""
        return int(self._litellm.token_counter(model=self._model, **what))


def _litellm() -> Any:
    """litellm, which takes seconds to import, kept off the network."""
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # or the import asks the network for prices
    litellm: Any = importlib.import_module("litellm")
    litellm.suppress_debug_info = True
    litellm.telemetry = False
    litellm.disable_hf_tokenizer_download = True
    return litellm
