"""What the forkserver imports once so that every worker starts with it; it runs no model.

Importing is all it may do: a forked process cannot use a GPU that its parent has already opened.
"""

from __future__ import annotations

from multiprocessing import spawn

import torch  # noqa: F401
import transformers  # noqa: F401
from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: F401

import playground.worker.serve  # noqa: F401


def _stay_out(*_: object) -> None:
    """Leave the app's main module alone."""


# A child of multiprocessing imports the app's main module again, with the page and all it needs.
# A worker needs nothing of it: its target is imported above.
spawn._fixup_main_from_name = _stay_out  # type: ignore[attr-defined]
spawn._fixup_main_from_path = _stay_out  # type: ignore[attr-defined]
