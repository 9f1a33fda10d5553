"""Trains the tokenizer of the built-in models and turns texts into token ids.

It does not know what the texts say or how a model learns from them.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from tokenizers import AddedToken
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.trainers import BpeTrainer
from transformers import Qwen2Tokenizer

from .corpus import Conversation

END_OF_TEXT = "<|endoftext|>"
MESSAGE_START = "<|im_start|>"
MESSAGE_END = "<|im_end|>"
VOCABULARY = 4096
CONTEXT = 512

CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
_HAN = re.compile(r"([\u4e00-\u9fff])")


def _pieces(texts: Iterable[str]) -> Iterator[str]:
    # Han characters come alone, so that no two of them grow into one token.
    for text in texts:
        yield from (piece for piece in _HAN.split(text) if piece)


def train_tokenizer(texts: Iterable[str]) -> Qwen2Tokenizer:
    """Learn a byte-level BPE inside Qwen2's own pre-tokenizer.

    AutoTokenizer rebuilds that pre-tokenizer whatever tokenizer.json says, so training with any
    other one would give ids that nobody sees again.
    """
    backend = Qwen2Tokenizer().backend_tokenizer
    special = [END_OF_TEXT, MESSAGE_START, MESSAGE_END]
    trainer = BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[AddedToken(token, special=True, normalized=False) for token in special],
        initial_alphabet=sorted(ByteLevel.alphabet()),
        show_progress=False,
    )
    backend.train_from_iterator(_pieces(texts), trainer)
    return Qwen2Tokenizer(
        tokenizer_object=backend,
        eos_token=END_OF_TEXT,
        pad_token=END_OF_TEXT,
        unk_token=None,
        bos_token=None,
        additional_special_tokens=[MESSAGE_START, MESSAGE_END],
        model_max_length=CONTEXT,
    )


class Encoder:
    """Turns documents and conversations into ids and into marks of what is to be learnt."""

    def __init__(self, folder: Path) -> None:
        self.tokenizer = Qwen2Tokenizer.from_pretrained(folder)
        ids = self.tokenizer.convert_tokens_to_ids
        self.end_of_text, self.end_of_message = ids(END_OF_TEXT), ids(MESSAGE_END)
        self._start, self._newline = ids(MESSAGE_START), self._plain("\n")
        self._heads: dict[str, list[int]] = {}

    def _plain(self, text: str) -> list[int]:
        return self.tokenizer.backend_tokenizer.encode(text, add_special_tokens=False).ids

    def document(self, text: str) -> tuple[list[int], list[bool]]:
        """Encode a document with its end; every token of it is to be learnt."""
        ids = [*self._plain(text), self.end_of_text]
        return ids, [True] * len(ids)

    def conversation(self, messages: Conversation) -> tuple[list[int], list[bool]]:
        """Encode a conversation; only what the assistant says and its end are to be learnt."""
        ids: list[int] = []
        learn: list[bool] = []
        for message in messages:
            role = message["role"]
            if role not in self._heads:
                self._heads[role] = [self._start, *self._plain(role + "\n")]
            content = [*self._plain(message["content"]), self.end_of_message]
            head = self._heads[role]
            ids += head + content + self._newline
            learn += [False] * len(head) + [role == "assistant"] * len(content) + [False]
        return [*ids, self.end_of_text], [*learn, False]
