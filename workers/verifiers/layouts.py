"""How each family of reward models is shown a turn: the text, the marks in it, and where scores are read.

A layout writes a conversation and a turn down with :data:`MARK` where a step is to be scored. The mark then
becomes the family's own tag. Where a tag stands is known from where it was written, never from looking for
its token: a question that contains the tag moves nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

from jinja2 import TemplateError, TemplateSyntaxError

from workers.answers.short import states_answer
from workers.engines.chat import Chat, flatten
from workers.errors import EngineFailed, InvalidMessages, ModelNotLoadable
from workers.protocols import Prompt
from workers.verifiers.format import Format
from workers.verifiers.reading import Reading

Messages = Sequence[Mapping[str, Any]]

MARK: Final = "\ue000"
"""A character of the private use area: no tokenizer trims it, and no text needs it."""
_QWEN_SYSTEM: Final = "Please reason step by step, and put your final answer within \\boxed{}."
_BLANK_LINES = re.compile(r"\n[^\S\n]*\n\s*")


class Layout(Protocol):
    """What a family makes of a conversation and an assistant's turn. Thread-safe."""

    def head_tokens(self, messages: Messages) -> int:
        """Tokens of the conversation alone. Raises as :meth:`reading`."""
        ...

    def reading(self, messages: Messages, text: str) -> Reading:
        """Tokens and places; a turn without a step has no place.

        Raises :class:`workers.errors.InvalidMessages` where the chat template refuses the conversation.
        """
        ...


class TokenClassification:
    """What `gradus train prm` writes: the chat, scored at each step's separator and at its end."""

    def __init__(self, tokenizer: Any, name: str, described: Format) -> None:
        self._chat = Chat(tokenizer, name)
        self._separator = described.step_separator
        self._separators = self._chat.tokens_with(described.step_separator)
        last = described.final_step_token
        self._final_token: int | None = None if last is None else tokenizer.convert_tokens_to_ids(last)

    def head_tokens(self, messages: Messages) -> int:
        return len(self._chat.encode(Prompt(tuple(messages))))

    def reading(self, messages: Messages, text: str) -> Reading:
        conversation = tuple(messages)
        head = len(self._chat.encode(Prompt(conversation)))
        tokens = self._chat.encode(Prompt(conversation, text))
        if self._final_token is not None and states_answer(text) and not text.endswith(self._separator):
            tokens.append(self._final_token)
        places = [place for place in range(head, len(tokens)) if tokens[place] in self._separators]
        if len(tokens) > head and (not places or places[-1] != len(tokens) - 1):
            places.append(len(tokens) - 1)
        return Reading(tuple(tokens), tuple(places))


class Marked:
    """A text with a tag at each step; ``offset`` -1 reads the token before the tag, which predicts it."""

    def __init__(
        self,
        tokenizer: Any,
        write: Callable[[Messages, Sequence[str]], str],
        split: Callable[[str], Sequence[str]],
        *,
        tag: str,
        offset: int = 0,
        special_tokens: bool = False,
    ) -> None:
        self._tokenizer = tokenizer
        self._write = write
        self._split = split
        self._tag = tag
        self._offset = offset
        self._special_tokens = special_tokens

    def head_tokens(self, messages: Messages) -> int:
        return len(self._encode(self._write(_unmarked(messages), ()))["input_ids"])

    def reading(self, messages: Messages, text: str) -> Reading:
        steps = self._split(text.replace(MARK, "\ufffd"))
        parts = self._write(_unmarked(messages), steps).split(MARK)
        encoded = self._encode(self._tag.join(parts))
        places = []
        written = 0
        for part in parts[:-1]:
            written += len(part)
            places.append(encoded.char_to_token(0, written) + self._offset)
            written += len(self._tag)
        tokens = encoded["input_ids"]
        # What follows the last place is seen by none: these models read from left to right.
        return Reading(tuple(tokens[: places[-1] + 1] if places else tokens), tuple(places))

    def _encode(self, text: str) -> Any:
        return self._tokenizer(text, add_special_tokens=self._special_tokens)


def math_shepherd(tokenizer: Any, name: str) -> Layout:
    """The question, a space, and every line followed by " ки" (the card of math-shepherd-mistral-7b-prm)."""
    _one_token(tokenizer, name, "ки")

    def write(messages: Messages, steps: Sequence[str]) -> str:
        return " ".join([question(messages), "\n".join(f"{step} {MARK}" for step in steps)]).rstrip(" ")

    return Marked(tokenizer, write, lines, tag="ки", special_tokens=True)


def rlhflow(tokenizer: Any, name: str) -> Layout:
    """A user's turn a step, the first with the question before it, and the answer "+" to each.

    As in RLHFlow's ``math-rm/prm_evaluate.py``; read is the token before each "+".
    """
    _one_token(tokenizer, name, "+")

    def write(messages: Messages, steps: Sequence[str]) -> str:
        first = question(messages)
        shown = [f"{first} {step}" if place == 0 else step for place, step in enumerate(steps)] or [first]
        turns = [turn for step in shown for turn in (_says("user", step), _says("assistant", MARK))]
        return rendered(tokenizer, name, turns if steps else turns[:1])

    return Marked(tokenizer, write, paragraphs, tag="+", offset=-1)


def qwen(tokenizer: Any, name: str) -> Layout:
    """The chat under the card's own system prompt, with ``<extra_0>`` after each paragraph."""
    _one_token(tokenizer, name, "<extra_0>")

    def write(messages: Messages, steps: Sequence[str]) -> str:
        asked = [message for message in messages if message["role"] != "system"]
        turns = [_says("system", _QWEN_SYSTEM), *asked]
        if not steps:
            return rendered(tokenizer, name, turns, then_assistant=True)
        return rendered(tokenizer, name, [*turns, _says("assistant", "".join(one + MARK for one in steps))])

    return Marked(tokenizer, write, paragraphs, tag="<extra_0>")


class Skywork:
    """The question and every line end in a newline, whose token is scored (skywork-o1-prm-inference).

    Each line is encoded by itself, as in its ``prepare_input``, where a blank line is a step as well. At the
    end it is none: a turn ends where its last line does, with the newline or without.
    """

    def __init__(self, tokenizer: Any, name: str) -> None:
        self._tokenizer = tokenizer
        self._newline = _one_token(tokenizer, name, "\n")

    def head_tokens(self, messages: Messages) -> int:
        return len(self._head(messages))

    def reading(self, messages: Messages, text: str) -> Reading:
        tokens = self._head(messages)
        places = []
        for line in text.rstrip().split("\n") if text.strip() else ():
            tokens += [*self._encode(line), self._newline]
            places.append(len(tokens) - 1)
        return Reading(tuple(tokens), tuple(places))

    def _head(self, messages: Messages) -> list[int]:
        return self._encode(f"{self._tokenizer.bos_token or ''}{question(messages)}\n")

    def _encode(self, text: str) -> list[int]:
        return list(self._tokenizer.encode(text, add_special_tokens=False)) if text else []


class Outcome:
    """The chat with the whole turn in it, scored once; without a chat template, the pair (question, turn)."""

    def __init__(self, tokenizer: Any, name: str) -> None:
        self._tokenizer = tokenizer
        self._name = name

    def head_tokens(self, messages: Messages) -> int:
        return len(self._encode(messages, ""))

    def reading(self, messages: Messages, text: str) -> Reading:
        if not text.strip():
            return Reading((), ())
        tokens = self._encode(messages, text)
        return Reading(tuple(tokens), (len(tokens) - 1,))

    def _encode(self, messages: Messages, text: str) -> list[int]:
        if self._tokenizer.chat_template is None:
            return list(self._tokenizer(question(messages), text)["input_ids"])
        turns = rendered(self._tokenizer, self._name, [*messages, _says("assistant", text)])
        return list(self._tokenizer.encode(turns, add_special_tokens=False))


def question(messages: Messages) -> str:
    """What a model without a chat template is shown: all that was said but the system's, a paragraph each."""
    said = [flatten(message)["content"] for message in messages if message["role"] != "system"]
    return "\n\n".join(said)


def lines(text: str) -> list[str]:
    """Steps that are lines; blank ones are none."""
    return [line.rstrip() for line in text.split("\n") if line.strip()]


def paragraphs(text: str) -> list[str]:
    """Steps between blank lines, however many there are."""
    return [part.strip() for part in _BLANK_LINES.split(text) if part.strip()]


def rendered(tokenizer: Any, name: str, turns: Messages, *, then_assistant: bool = False) -> str:
    """A conversation by the tokenizer's chat template."""
    try:
        text: str = tokenizer.apply_chat_template(
            [flatten(turn) for turn in turns], tokenize=False, add_generation_prompt=then_assistant
        )
    except TemplateSyntaxError as error:  # no message can be read by this one
        raise EngineFailed(f"verifier {name}: its chat template is broken: {error}") from error
    except TemplateError as error:
        raise InvalidMessages(f"verifier {name}: its chat template refuses the messages: {error}") from error
    return text


def _says(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


def _unmarked(messages: Messages) -> list[dict[str, Any]]:
    flat = [flatten(message) for message in messages]
    return [message | {"content": message["content"].replace(MARK, "\ufffd")} for message in flat]


def _one_token(tokenizer: Any, name: str, tag: str) -> int:
    """The token that the tag is, after a space where the tokenizer writes spaces into its tokens."""
    tokens = tokenizer.encode(tag, add_special_tokens=False)
    if len(tokens) != 1 or tokens[0] == tokenizer.unk_token_id:
        raise ModelNotLoadable(
            f"verifier {name}: {tag!r} is no single token of its tokenizer; is its family right?"
        )
    return int(tokens[0])
