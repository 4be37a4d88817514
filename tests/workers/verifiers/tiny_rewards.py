"""Reward models of random weights, in the very architecture and tokenizer layout of each public family."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    LlamaForSequenceClassification,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from router.config.verifiers import Family
from tests.workers.engines import tiny

CONTEXT_TOKENS = 900

_LLAMA_3_SPECIAL = ["<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
_LLAMA_3_TEMPLATE = (
    "{{ bos_token }}<|start_header_id|>system<|end_header_id|>\n\n"
    "Cutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n<|eot_id|>"
    "{% for m in messages %}<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n"
    "{{ m.content | trim }}<|eot_id|>{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
_LLAMA_3_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_QWEN_SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<extra_0>"]
_QWEN_TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def mistral_tokenizer() -> Any:
    """As SentencePiece has it: spaces are "▁", written before a text too; unknown characters are bytes."""
    pieces = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁", "\n"]
    pieces += [chr(code) for code in range(33, 127)] + ["к", "и", "ки", "▁ки", "▁+", "▁-", "th", "▁th"]
    merges = [("к", "и"), ("▁", "ки"), ("▁", "+"), ("▁", "-"), ("t", "h"), ("▁", "th")]
    vocabulary = {piece: token for token, piece in enumerate(pieces)}
    core = Tokenizer(models.BPE(vocab=vocabulary, merges=merges, byte_fallback=True, unk_token="<unk>"))
    core.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    core.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    core.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=core, bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )


def byte_level_tokenizer(
    special: Sequence[str], template: str | None, *, words: str | None = None, normal: bool = False
) -> Any:
    """Bytes, a merge of two newlines, and special tokens; ``normal`` composes characters, as Qwen's does."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {piece: token for token, piece in enumerate([*alphabet, "ĊĊ"])}
    core = Tokenizer(models.BPE(vocab=vocabulary, merges=[("Ċ", "Ċ")]))
    if normal:
        core.normalizer = normalizers.NFC()
    bytes_only = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    core.pre_tokenizer = bytes_only
    if words is not None:
        from tokenizers import Regex

        split = pre_tokenizers.Split(Regex(words), behavior="isolated")
        core.pre_tokenizer = pre_tokenizers.Sequence([split, bytes_only])
    core.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, bos_token=special[0], eos_token=special[-1])
    tokenizer.add_special_tokens({"additional_special_tokens": list(special)})
    tokenizer.chat_template = template
    return tokenizer


def small(vocabulary: Any) -> dict[str, Any]:
    return {
        "vocab_size": len(vocabulary),
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 2 * CONTEXT_TOKENS,
        "initializer_range": 0.3,
        "tie_word_embeddings": False,
        "pad_token_id": None,
    }


def make_math_shepherd(folder: Path) -> Path:
    torch.manual_seed(1)
    tokenizer = mistral_tokenizer()
    MistralForCausalLM(MistralConfig(**small(tokenizer))).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def make_rlhflow(folder: Path) -> Path:
    torch.manual_seed(2)
    tokenizer = byte_level_tokenizer(_LLAMA_3_SPECIAL, _LLAMA_3_TEMPLATE, words=_LLAMA_3_WORDS)
    LlamaForCausalLM(LlamaConfig(**small(tokenizer))).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def make_qwen(folder: Path) -> Path:
    """As published: remote code is named in the configuration, and an unused output layer lies beside."""
    torch.manual_seed(3)
    tokenizer = byte_level_tokenizer(_QWEN_SPECIAL, _QWEN_TEMPLATE, normal=True)
    head = torch.nn.Sequential(torch.nn.Linear(32, 32), torch.nn.ReLU(), torch.nn.Linear(32, 2))
    _save_qwen2(folder, tokenizer, {f"score.{key}": value for key, value in head.state_dict().items()})
    return folder


def make_skywork(folder: Path) -> Path:
    torch.manual_seed(4)
    tokenizer = byte_level_tokenizer(_QWEN_SPECIAL, _QWEN_TEMPLATE, normal=True)
    head = torch.nn.Linear(32, 1)
    named = {f"v_head.summary.{key}": value for key, value in head.state_dict().items()}
    _save_qwen2(folder, tokenizer, named)
    return folder


def make_outcome(folder: Path, *, pad: bool = False, template: bool = True, labels: int = 1) -> Path:
    torch.manual_seed(5)
    tokenizer = byte_level_tokenizer(_LLAMA_3_SPECIAL, _LLAMA_3_TEMPLATE if template else None)
    settings = small(tokenizer) | {"pad_token_id": tokenizer.eos_token_id if pad else None}
    LlamaForSequenceClassification(LlamaConfig(**settings, num_labels=labels)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def context_tokens(family: Family) -> int:
    """What its model reads at most."""
    return 2 * tiny.CONTEXT_TOKENS if family == "gradus" else CONTEXT_TOKENS


def make_gradus(folder: Path) -> Path:
    return tiny.make_reward_model(folder)


MAKERS: Mapping[Family, Callable[[Path], Path]] = {
    "gradus": make_gradus,
    "math-shepherd": make_math_shepherd,
    "rlhflow": make_rlhflow,
    "qwen": make_qwen,
    "skywork": make_skywork,
}


def _save_qwen2(folder: Path, tokenizer: Any, head: dict[str, torch.Tensor]) -> None:
    config = Qwen2Config(**small(tokenizer))
    config.architectures = ["Qwen2ForProcessRewardModel"]
    config.auto_map = {"AutoModel": "modeling_qwen2_rm.Qwen2ForProcessRewardModel"}
    config.save_pretrained(folder)
    weights = Qwen2ForCausalLM(config).state_dict() | head
    save_file({key: value.contiguous() for key, value in weights.items()}, folder / "model.safetensors")
    tokenizer.save_pretrained(folder)
