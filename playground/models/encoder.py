"""A loaded encoder: the head that its files have, its longest text, a trial; it reads no file."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import torch

NO_HEAD = (
    "Its files hold no masked-language-model head, so it cannot say what stands at a hidden place; "
    "its vectors and its attention are there."
)


def with_its_own_head(lm: Any, missing: Collection[str]) -> tuple[Any, list[str]]:
    """The model, or its encoder alone where only weights of the head are ``missing``; and what is
    still missing. A head of random numbers would be made up.
    """
    if not missing or lm.base_model is lm:
        return lm, list(missing)
    inner = f"{lm.base_model_prefix}."
    if any(name.startswith(inner) for name in missing):
        return lm, [name for name in missing if name.startswith(inner)]
    encoder = lm.base_model
    if hasattr(lm, "hf_quantizer"):
        encoder.hf_quantizer = lm.hf_quantizer
    return encoder, []


def has_head(lm: Any) -> bool:
    """Whether it says what stands at a hidden place."""
    return lm.base_model is not lm


def longest_text(lm: Any, context: int) -> int:
    """Tokens that it can read at once, special ones included; ``context`` is what its config says.

    RoBERTa and its kin count positions from behind the padding id, so of 514 there are 512.
    """
    for name, module in lm.named_modules():
        if name.endswith("position_embeddings") and hasattr(module, "weight"):
            skipped = getattr(module, "padding_idx", None)
            rows = int(module.weight.shape[0])
            context = min(context, rows if skipped is None else rows - skipped - 1)
    return context


@torch.inference_mode()
def try_out(lm: Any, rows: int) -> None:
    """Read a few tokens; whatever the weights cannot do is raised here and not later."""
    step = max(1, rows // 7)
    ids = torch.tensor([[(5 + i * step) % rows for i in range(6)]], device=lm.device)
    lm(input_ids=ids)
