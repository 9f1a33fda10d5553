"""What a forward may raise, and the sentence for it; it knows no batch and no run."""

from __future__ import annotations

import torch

from playground.errors import OutOfMemory, PlaygroundError, Problem
from playground.models.loading import Model

# What a model's own code can raise in a forward; one run fails by it, the loop goes on.
FORWARD_FAULTS = (
    RuntimeError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    MemoryError,
)


def is_memory(fault: BaseException) -> bool:
    """Whether memory ended: CUDA has a type for it, the CPU's allocator only words."""
    if isinstance(fault, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(fault, RuntimeError) and "can't allocate memory" in str(fault)


def problem_of(fault: BaseException, model: Model) -> Problem:
    """The sentence for what a forward raised. A broken accelerator ends the process: raised."""
    if isinstance(fault, torch.AcceleratorError):
        raise fault
    if is_memory(fault):
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        return OutOfMemory(
            f"Memory on {model.card.device} ended in the middle of the run; the text so far stays.",
            field="max_new_tokens",
            advice="Use a shorter prompt, fewer columns or beams, or a smaller model.",
        ).problem
    words = (str(fault).strip().splitlines() or [""])[0][:200]
    return PlaygroundError(
        f"The model {model.spec.label} broke off: {words or type(fault).__name__}", field="model"
    ).problem
