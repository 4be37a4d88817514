"""Between conversations and tokens: one tokenizer and its chat template."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from jinja2 import TemplateError, TemplateSyntaxError

from workers.errors import EngineFailed, InvalidMessages
from workers.protocols import Prompt

_ANCHOR_TOKENS = 4


class Chat:
    """Reads conversations as one model does, and writes its tokens as text. Thread-safe."""

    def __init__(self, tokenizer: Any, model: str) -> None:
        self._tokenizer = tokenizer
        self._model = model
        self.tokens_with = lru_cache(maxsize=64)(self._find_tokens_with)
        self._last_head: tuple[Sequence[Mapping[str, Any]], list[int]] | None = None

    def encode(self, prompt: Prompt) -> list[int]:
        """The tokens of the conversation, the head of the assistant's turn, and ``prompt.prefix`` after it.

        The prefix is encoded by itself: the tokens of the same conversation without a prefix are a prefix of
        these, and stay so for every step that is added. Raises :class:`workers.errors.InvalidMessages` where
        the chat template refuses the messages.
        """
        last = self._last_head  # the prompts of a batch share one tuple of messages
        head = last[1] if last is not None and last[0] is prompt.messages else self._head(prompt.messages)
        self._last_head = (prompt.messages, head)
        if not prompt.prefix:
            return head.copy()
        return head + list(self._tokenizer.encode(prompt.prefix, add_special_tokens=False))

    def render(self, prompt: Prompt) -> str:
        """What :meth:`encode` reads, as text."""
        messages = [flatten(message) for message in prompt.messages]
        return str(self._template(messages, tokenize=False)) + prompt.prefix

    def without_bos(self, text: str) -> str:
        """A rendered prompt without the mark at its start, for a server that writes it itself."""
        return text.removeprefix(self._tokenizer.bos_token or "")

    def count_text(self, text: str) -> int:
        """Tokens of a text alone."""
        return len(self._tokenizer.encode(text, add_special_tokens=False))

    def decode(self, tokens: Sequence[int], prompt_tokens: Sequence[int], has_prefix: bool) -> str:
        """The text that ``tokens`` add to a prompt. Unfinished characters at the end read U+FFFD.

        After a prefix the text is read in the context of the prefix's last tokens: some tokenizers drop the
        space at the start of whatever they decode.
        """
        if not has_prefix:
            return self._text(tokens)
        anchor = list(prompt_tokens[-_ANCHOR_TOKENS:])
        return self._text([*anchor, *tokens])[len(self._text(anchor)) :]

    def _head(self, conversation: Sequence[Mapping[str, Any]]) -> list[int]:
        messages = [flatten(message) for message in conversation]
        if self._tokenizer.chat_template is None:
            return list(self._tokenizer.encode(_plain(messages)))
        return list(self._template(messages, tokenize=True))

    def _template(self, messages: Sequence[Mapping[str, Any]], *, tokenize: bool) -> Any:
        if self._tokenizer.chat_template is None:
            return _plain(messages)
        try:
            return self._tokenizer.apply_chat_template(
                messages, add_generation_prompt=True, return_dict=False, tokenize=tokenize
            )
        except TemplateSyntaxError as error:  # no message can be read by this one
            raise EngineFailed(f"model {self._model}: its chat template is broken: {error}") from error
        except TemplateError as error:
            raise InvalidMessages(
                f"model {self._model}: its chat template refuses the messages: {error}"
            ) from error

    def _text(self, tokens: Sequence[int]) -> str:
        text: str = self._tokenizer.decode(
            tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return text

    def _find_tokens_with(self, character: str) -> frozenset[int]:
        """Every token whose text contains the (ASCII) ``character``."""
        vocabulary = range(len(self._tokenizer))
        texts = self._tokenizer.batch_decode(
            [[token] for token in vocabulary], skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return frozenset(token for token, text in zip(vocabulary, texts, strict=True) if character in text)


def _plain(messages: Sequence[Mapping[str, Any]]) -> str:
    """A conversation for a model without a chat template."""
    said = "".join(f"{message['role']}: {message['content']}\n\n" for message in messages)
    return said + "assistant:"


def flatten(message: Mapping[str, Any]) -> dict[str, Any]:
    """An OpenAI message with its content as one string; parts that are no text are left out."""
    content = message.get("content")
    if isinstance(content, list | tuple):
        content = "".join(str(part.get("text", "")) for part in content if part.get("type") == "text")
    return {**message, "content": content or ""}


def settled(text: str) -> int:
    """How many leading characters of a decoded text can no longer change: all but unfinished ones."""
    return len(text.rstrip("\ufffd"))
