"""Holds the tokenizer, the network and the masked batches of the built-in encoder.

It does not know the command line or where files lie; train.py puts the parts together.
"""

from collections.abc import Iterable
from pathlib import Path
from random import Random

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from tokenizers.trainers import WordPieceTrainer
from torch import Tensor
from transformers import BertConfig, BertForMaskedLM, BertTokenizer

from .corpus.senses import encoder_document

VOCABULARY, CONTEXT = 4096, 128
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
SHAPE = {
    "hidden_size": 128,
    "intermediate_size": 384,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
}
TOKENS_PER_STEP = 2048
PARTS = 4  # of a step; rows of about one length go together, so that little is padding
JOINED = 0.03  # of the rows: several documents, so that every position is learnt
# Seldom those that stand everywhere and say little of what is spoken of.
MASKED, MASKED_COMMON = 0.35, 0.08
COMMON = ". , ! ? ' \" : the a an and of to in is was on it its that with he she his her i you for"
SHOWN_AS_MASK, SHOWN_AS_OTHER = 0.8, 0.1
IGNORED = -100


def train_word_pieces(texts: Iterable[str]) -> BertTokenizer:
    """Learn lower-case word pieces behind BERT's own normalizer and pre-tokenizer."""
    backend = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer(lowercase=True)
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = WordPieceTrainer(
        vocab_size=VOCABULARY, special_tokens=list(SPECIAL), show_progress=False
    )
    backend.train_from_iterator(texts, trainer)
    ordered = sorted(backend.get_vocab().items(), key=lambda pair: pair[1])
    return BertTokenizer(vocab=dict(ordered), do_lower_case=True, model_max_length=CONTEXT)


def encoder_network(seed: int) -> BertForMaskedLM:
    """Build the untrained network."""
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=VOCABULARY,
        max_position_embeddings=CONTEXT,
        type_vocab_size=1,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        pad_token_id=0,
        **SHAPE,
    )
    return BertForMaskedLM(config)


class Masker:
    """Draws documents as rows of ids and hides some of their tokens."""

    def __init__(self, folder: Path) -> None:
        self.tokenizer = BertTokenizer.from_pretrained(folder)
        ids = self.tokenizer.convert_tokens_to_ids
        self._begin, self._end, self._mask = ids("[CLS]"), ids("[SEP]"), ids("[MASK]")
        self._common = set(ids(COMMON.split()))
        self._backend = self.tokenizer.backend_tokenizer

    def row(self, rng: Random) -> list[int]:
        """Draw the ids of a document, or of several to fill the context; a long one is cut."""
        wanted = CONTEXT - 2 if rng.random() < JOINED else 1
        ids: list[int] = []
        while len(ids) < wanted:
            text = encoder_document(rng)
            ids += self._backend.encode(text, add_special_tokens=False).ids
        # Few documents are longer than a half; their beginnings are enough to learn from.
        longest = CONTEXT - 2 if wanted > 1 else CONTEXT // 2
        return [self._begin, *ids[:longest], self._end]

    def parts(self, rng: Random) -> list[tuple[Tensor, Tensor]]:
        """Draw the batches of a step: ids with masks in them, and what stood there."""
        rows: list[list[int]] = []
        while sum(map(len, rows)) < TOKENS_PER_STEP:
            rows.append(self.row(rng))
        rows.sort(key=len)
        share, parts, part = TOKENS_PER_STEP / PARTS, [], list[list[int]]()
        for row in rows:
            part.append(row)
            if len(part) * len(row) >= share:
                parts.append(self._hidden(rng, part))
                part = []
        return [*parts, self._hidden(rng, part)] if part else parts

    def _hidden(self, rng: Random, rows: list[list[int]]) -> tuple[Tensor, Tensor]:
        length = max(map(len, rows))
        shown, wanted = [], []
        for row in rows:
            row_shown, row_wanted = list(row), [IGNORED] * length
            for place in range(1, len(row) - 1):
                share = MASKED_COMMON if row[place] in self._common else MASKED
                if rng.random() >= share:
                    continue
                row_wanted[place] = row[place]
                drawn = rng.random()
                if drawn < SHOWN_AS_MASK:
                    row_shown[place] = self._mask
                elif drawn < SHOWN_AS_MASK + SHOWN_AS_OTHER:
                    row_shown[place] = rng.randrange(len(SPECIAL), VOCABULARY)
            shown.append(row_shown + [0] * (length - len(row)))
            wanted.append(row_wanted)
        return torch.tensor(shown), torch.tensor(wanted)


def masked_backward(model: BertForMaskedLM, parts: list[tuple[Tensor, Tensor]]) -> float:
    """Add the gradients of the mean loss of the hidden tokens and return that loss."""
    count = sum(int((wanted != IGNORED).sum()) for _, wanted in parts)
    total = 0.0
    for shown, wanted in parts:
        hidden = model.bert(input_ids=shown, attention_mask=shown != 0).last_hidden_state
        asked = wanted != IGNORED
        # The output layer is the dearest one, so it sees only the positions that count.
        logits = model.cls(hidden[asked])
        loss = torch.nn.functional.cross_entropy(logits, wanted[asked], reduction="sum")
        (loss / count).backward()
        total += loss.item() / count
    return total
