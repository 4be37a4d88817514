"""The tokenizer of the Abacus models: digits alone, a newline alone, common words whole, any byte as a
fallback.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

VOCABULARY_SIZE = 1536
CONTEXT_TOKENS = 512
BOS, END, PAD = "<|bos|>", "<|end|>", "<|pad|>"
ROLES = ("system", "user", "assistant")
SPECIAL_TOKENS = (PAD, BOS, END, *(f"<|{role}|>" for role in ROLES))

# Lines are split off first: a solution cut at a line end is then a token-prefix of the whole solution, which
# rollouts and step scores rely on. An operator keeps the spaces around it, so `12 + 35` costs five tokens.
_PIECES = r"\n|[0-9]| [-+*/=] | ?[\p{L}]+|[^\S\n]|[^\s\p{L}0-9]"

CHAT_TEMPLATE = (
    "{{- bos_token }}"
    "{%- for message in messages %}"
    "{{- '<|' + message['role'] + '|>' + message['content'] + eos_token }}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|assistant|>' }}{%- endif %}"
)


def build_tokenizer(texts: Iterable[str]) -> PreTrainedTokenizerFast:
    """Byte-level BPE trained on problem texts; merges never cross a digit, an operator or a line end."""
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_PIECES), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY_SIZE,
        special_tokens=[AddedToken(token, normalized=False, special=True) for token in SPECIAL_TOKENS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator(texts, trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core,
        bos_token=BOS,
        eos_token=END,
        pad_token=PAD,
        model_max_length=CONTEXT_TOKENS,
        clean_up_tokenization_spaces=False,
        padding_side="left",
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def chat_ids(tokenizer: Any, chat: list[dict[str, str]]) -> tuple[list[int], list[bool]]:
    """Tokens of a whole chat, and which of them an assistant wrote (its end token included)."""
    ids: list[int] = [tokenizer.bos_token_id]
    written: list[bool] = [False]
    for message in chat:
        head = tokenizer.convert_tokens_to_ids(f"<|{message['role']}|>")
        body = tokenizer(message["content"], add_special_tokens=False)["input_ids"]
        is_assistant = message["role"] == "assistant"
        ids += [head, *body, tokenizer.eos_token_id]
        written += [False, *([is_assistant] * (len(body) + 1))]
    return ids, written
