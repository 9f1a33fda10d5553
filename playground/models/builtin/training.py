"""Holds the network, the batches and the optimiser of the built-in models.

It does not know the command line or where files lie; train.py puts the parts together.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

import torch
from torch import Tensor
from transformers import Qwen2Config, Qwen2ForCausalLM

from . import corpus
from .tokens import CONTEXT, VOCABULARY, Encoder

SHAPE = {
    "hidden_size": 192,
    "intermediate_size": 512,
    "num_hidden_layers": 5,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
}
TOKENS_PER_STEP = 2048
TOKENS_PER_PART = 1024
SHORT_ROW, LONG_ROW = 256, 512
# Long rows cost a third more a token, so only the last part of the decay uses them.
LONG_ROWS_FROM = 0.85
# Documents in the chat model: many at first, few later, and some at the end for the stories.
DOCUMENTS_IN_CHAT = ((600, 0.5), (1000, 0.2), (3900, 0.06))
LAST_DOCUMENTS_IN_CHAT = 0.25
MORE_NAMES_FROM = 3300
WARM_UP = 40
MATRIX_RATE, VECTOR_RATE = 0.02, 0.004
NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)


def network(seed: int) -> Qwen2ForCausalLM:
    """Build the untrained network."""
    torch.manual_seed(seed)
    config = Qwen2Config(
        vocab_size=VOCABULARY,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        use_sliding_window=False,
        bos_token_id=None,
        **SHAPE,
    )
    return Qwen2ForCausalLM(config)


@dataclass(frozen=True)
class Schedule:
    """Learning rate and mixture as functions of the step."""

    steps: int
    decay_from: int
    rows: int = 0

    def rate(self, step: int) -> float:
        """Return the factor of the learning rate: warm-up, constant, linear to zero."""
        if step < WARM_UP:
            return (step + 1) / WARM_UP
        if step < self.decay_from:
            return 1.0
        return max(0.0, (self.steps - step) / (self.steps - self.decay_from))

    def row_length(self, step: int) -> int:
        """Return how many tokens a row has; a fixed length goes before the plan."""
        if self.rows:
            return self.rows
        decayed = (step - self.decay_from) / max(1, self.steps - self.decay_from)
        return LONG_ROW if decayed >= LONG_ROWS_FROM else SHORT_ROW

    def share_of_documents(self, step: int, kind: str) -> float:
        """Return how much of the batch is plain documents: all, or ever less for the chat."""
        if kind == "base":
            return 1.0
        shares = (share for until, share in DOCUMENTS_IN_CHAT if step < until)
        return next(shares, LAST_DOCUMENTS_IN_CHAT)

    def kinds(self, step: int) -> dict[str, int]:
        """Return how often each kind of conversation comes."""
        return corpus.MORE_NAMES if step >= MORE_NAMES_FROM else corpus.KINDS


def _texts(
    encoder: Encoder, rng: Random, share: float, kinds: dict[str, int]
) -> Iterator[tuple[list[int], list[bool]]]:
    while True:
        if rng.random() < share:
            yield encoder.document(corpus.document(rng))
        else:
            yield encoder.conversation(corpus.conversation(rng, kinds))


def batch(
    encoder: Encoder, rng: Random, share: float, length: int, kinds: dict[str, int]
) -> tuple[Tensor, Tensor]:
    """Pack texts into rows that each begin with a text, and mark what is to be learnt.

    At use every prompt stands at the beginning of the context, so rows must not begin in the
    middle of a text.
    """
    count = TOKENS_PER_STEP // length
    rows: list[tuple[list[int], list[bool]]] = [([], []) for _ in range(count)]
    misses = 0
    for ids, learn in _texts(encoder, rng, share, kinds):
        ids, learn = ids[:length], learn[:length]
        for row_ids, row_learn in rows:
            if len(row_ids) + len(ids) <= length:
                row_ids += ids
                row_learn += learn
                misses = 0
                break
        else:
            misses += 1
            if misses == 8:
                break
    for row_ids, row_learn in rows:
        missing = length - len(row_ids)
        row_ids += [encoder.end_of_text] * missing
        row_learn += [False] * missing
    return torch.tensor([ids for ids, _ in rows]), torch.tensor([learn for _, learn in rows])


def backward(model: Qwen2ForCausalLM, ids: Tensor, learn: Tensor) -> float:
    """Add the gradients of the mean loss of a batch and return that loss.

    Parts of a thousand tokens stay in the cache of the processor, which is a tenth faster.
    """
    count, total = learn[:, 1:].sum(), 0.0
    rows = TOKENS_PER_PART // ids.shape[1]
    for part_ids, part_learn in zip(ids.split(rows), learn.split(rows), strict=True):
        value = _loss(model, part_ids, part_learn) / count
        value.backward()
        total += value.item()
    return total


def _loss(model: Qwen2ForCausalLM, ids: Tensor, learn: Tensor) -> Tensor:
    hidden = model.model(input_ids=ids, use_cache=False).last_hidden_state[:, :-1]
    wanted = learn[:, 1:]
    # The output layer is the dearest one, so it sees only the positions that count.
    logits = model.lm_head(hidden[wanted])
    return torch.nn.functional.cross_entropy(logits, ids[:, 1:][wanted], reduction="sum")


class Muon:
    """Momentum whose matrix updates are made orthogonal, all matrices of one shape at a time."""

    def __init__(self, parameters: list[Tensor], momentum: float = 0.95) -> None:
        self.groups: dict[tuple[int, ...], list[Tensor]] = {}
        for parameter in parameters:
            self.groups.setdefault(tuple(parameter.shape), []).append(parameter)
        self.momentum = momentum
        self.state = {shape: torch.zeros(len(g), *shape) for shape, g in self.groups.items()}

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """Update every matrix and forget the gradients."""
        for shape, group in self.groups.items():
            gradient = torch.stack([parameter.grad for parameter in group])
            average = self.state[shape]
            average.mul_(self.momentum).add_(gradient)
            update = _orthogonal(gradient.add(average, alpha=self.momentum))
            scale = rate * max(1.0, shape[0] / shape[1]) ** 0.5
            for parameter, change in zip(group, update, strict=True):
                parameter.sub_(change, alpha=scale)
                parameter.grad = None


def _orthogonal(matrices: Tensor) -> Tensor:
    a, b, c = NEWTON_SCHULZ
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.transpose(1, 2) if tall else matrices
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(5):
        square = x @ x.transpose(1, 2)
        x = a * x + (b * square + c * square @ square) @ x
    return x.transpose(1, 2) if tall else x


class Optimiser:
    """Muon for the matrices of the layers and AdamW for embeddings, norms and biases."""

    def __init__(self, model: Qwen2ForCausalLM) -> None:
        named = list(model.named_parameters())
        matrices = [p for name, p in named if p.ndim == 2 and "embed" not in name]
        others = [p for name, p in named if p.ndim != 2 or "embed" in name]
        self.muon = Muon(matrices)
        self.adam = torch.optim.AdamW(others, lr=VECTOR_RATE, betas=(0.9, 0.95), weight_decay=0.0)

    def step(self, factor: float) -> None:
        """Update all parameters at a fraction of the full learning rate."""
        self.muon.step(MATRIX_RATE * factor)
        for group in self.adam.param_groups:
            group["lr"] = VECTOR_RATE * factor
        self.adam.step()
        self.adam.zero_grad(set_to_none=True)

    def state(self) -> dict:
        """Return what is needed to go on later."""
        return {"muon": self.muon.state, "adam": self.adam.state_dict()}

    def restore(self, state: dict) -> None:
        """Go on from a saved state."""
        self.muon.state = state["muon"]
        self.adam.load_state_dict(state["adam"])
