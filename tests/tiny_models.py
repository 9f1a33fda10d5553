"""Tiny random models and tokenizers, made in memory in a moment; no file and no network."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from tokenizers import (
    AddedToken,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from playground.core.run import ModelSpec
from playground.models.loading import Model, assemble

KINDS = ("llama", "gpt2", "qwen2")
CONTEXT = 160

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
# Gemma's: no system role, user and assistant in turns, every message trimmed.
STRICT = (
    "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}"
    "{% endif %}{% for m in messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant') }}{% endif %}"
    "<|im_start|>{{ m['role'] }}\n{{ m['content'] | trim }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
# Qwen3's: what an answer thought is cut out of it, and a last answer gets an empty thought.
THINKING = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{% set said = m['content'] %}"
    "{% if m['role'] == 'assistant' %}{% if '</think>' in said %}"
    "{% set said = said.split('</think>')[-1].lstrip('\n') %}{% endif %}"
    "{% if loop.last %}<think>\n\n</think>\n\n{% endif %}{% endif %}"
    "{{ said }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SPECIALS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")

# Eight strings whose characters fall apart into several tokens.
UNICODE = (
    "plain words, and a number: 1234",
    "family 👨‍👩‍👧‍👦 and thumbs 👍🏽 up",
    "flags 🇫🇷🇯🇵 side by side",
    "《梦游天姥吟留别》的作者是谁",
    "हिन्दी में नमस्ते",
    "cafe\u0301 in NFD, café in NFC",
    "مرحبا بالعالم and שלום",
    "math 𝒜 ∑ and kana かな\nnext line\ttab",
)

_CORPUS = [
    "The capital of France is Paris. The capital of Japan is Tokyo.",
    "Once upon a time there was a small fox who liked to read books by the river.",
    "hello, how are you? I am fine, thank you. What is the name of the poem?",
    "user assistant system You are a helpful assistant. Answer in one word.",
    "one two three four five six seven eight nine ten",
] * 4


@lru_cache(maxsize=1)
def byte_level_backend() -> Tokenizer:
    """A byte-level BPE of 400 entries with three ChatML control tokens, trained on five lines."""
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=list(SPECIALS),
        show_progress=False,
    )
    backend.train_from_iterator(_CORPUS, trainer)
    return backend


def byte_level_tokenizer(chat: bool = True) -> PreTrainedTokenizerFast:
    """The byte-level tokenizer, with a ChatML template or without one."""
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(byte_level_backend().to_str()),
        eos_token="<|im_end|>" if chat else "<|endoftext|>",
        pad_token="<|endoftext|>",
        additional_special_tokens=list(SPECIALS),
    )
    if chat:
        tokenizer.chat_template = CHATML
    return tokenizer


@lru_cache(maxsize=1)
def _metaspace_backend() -> Tokenizer:
    """A BPE of the SentencePiece kind (Llama 2): ``▁`` for a space, bytes as ``<0xE4>``."""
    bytes_ = [f"<0x{b:02X}>" for b in range(256)]
    letters = sorted({c for line in _CORPUS for c in line.replace(" ", "▁")})
    words = [
        "▁t",
        "▁th",
        "▁the",
        "he",
        "in",
        "▁a",
        "▁i",
        "▁is",
        "re",
        "▁c",
        "▁ca",
        "▁cap",
        "it",
        "al",
    ]
    merges = [
        ("▁", "t"),
        ("▁t", "h"),
        ("▁th", "e"),
        ("h", "e"),
        ("i", "n"),
        ("▁", "a"),
        ("▁", "i"),
        ("▁i", "s"),
        ("r", "e"),
        ("▁", "c"),
        ("▁c", "a"),
        ("▁ca", "p"),
        ("i", "t"),
        ("a", "l"),
    ]
    vocabulary = {
        piece: i
        for i, piece in enumerate(
            dict.fromkeys(["<unk>", "<s>", "</s>", *bytes_, *letters, *words])
        )
    }
    backend = Tokenizer(
        models.BPE(
            vocab=vocabulary, merges=merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True
        )
    )
    backend.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    backend.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    backend.add_special_tokens([AddedToken(t, special=True) for t in ("<unk>", "<s>", "</s>")])
    backend.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", vocabulary["<s>"])]
    )
    return backend


def metaspace_tokenizer() -> PreTrainedTokenizerFast:
    """A tokenizer of the SentencePiece kind with byte fallback and a BOS before every text."""
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(_metaspace_backend().to_str()),
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        pad_token="</s>",
    )


def tiny_lm(kind: str, vocabulary: int, seed: int = 0, **changes: Any) -> Any:
    """A random language model of the ``kind``, with weights wild enough that its texts differ."""
    torch.manual_seed(seed)
    wild = 0.35
    match kind:
        case "llama":
            return LlamaForCausalLM(
                LlamaConfig(
                    **{
                        "vocab_size": vocabulary,
                        "hidden_size": 32,
                        "intermediate_size": 64,
                        "num_hidden_layers": 2,
                        "num_attention_heads": 4,
                        "num_key_value_heads": 2,
                        "max_position_embeddings": CONTEXT,
                        "initializer_range": wild,
                        "bos_token_id": None,
                        "eos_token_id": None,
                        **changes,
                    }
                )
            )
        case "gpt2":
            return GPT2LMHeadModel(
                GPT2Config(
                    **{
                        "vocab_size": vocabulary,
                        "n_embd": 32,
                        "n_layer": 2,
                        "n_head": 4,
                        "n_positions": CONTEXT,
                        "initializer_range": wild,
                        "bos_token_id": None,
                        "eos_token_id": None,
                        **changes,
                    }
                )
            )
        case "qwen2":
            return Qwen2ForCausalLM(
                Qwen2Config(
                    **{
                        "vocab_size": vocabulary,
                        "hidden_size": 32,
                        "intermediate_size": 64,
                        "num_hidden_layers": 2,
                        "num_attention_heads": 4,
                        "num_key_value_heads": 2,
                        "max_position_embeddings": CONTEXT,
                        "initializer_range": wild,
                        "tie_word_embeddings": True,
                        "bos_token_id": None,
                        "eos_token_id": None,
                        **changes,
                    }
                )
            )
    raise ValueError(kind)


def tiny_model(
    kind: str = "llama",
    chat: bool = True,
    seed: int = 0,
    ends: tuple[int, ...] = (),
    **changes: Any,
) -> Model:
    """A ready ``Model`` on the CPU in fp32.

    ``chat`` gives its tokenizer a ChatML template; ``ends`` are end tokens beside the tokenizer's,
    so that random texts end now and then; ``changes`` go into the model's config.
    """
    tokenizer = byte_level_tokenizer(chat)
    lm = tiny_lm(kind, len(tokenizer), seed, **changes)
    return assemble(ModelSpec(f"tiny/{kind}"), lm, tokenizer, {"eos_token_id": list(ends)})


def save(folder: Path, kind: str = "llama", chat: bool = True, **changes: Any) -> Path:
    """Write a tiny model and its tokenizer as files, as a repository does; gives the folder."""
    tokenizer = byte_level_tokenizer(chat)
    tiny_lm(kind, len(tokenizer), **changes).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
