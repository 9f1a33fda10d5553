"""What the forkserver imports once so that every worker starts with it; it runs no model.

transformers imports most of itself only when it is asked for a model (two seconds), so the names
here ask for what nearly every model needs; no_garbage.py is imported before, which makes that a
quarter shorter. Importing is all it may do: a forked process cannot use
a GPU that its parent has already opened.
"""

from __future__ import annotations

import gc
import threading
from multiprocessing import spawn

import numpy.random  # noqa: F401
import psutil  # noqa: F401
import torch  # noqa: F401
import transformers.modeling_layers
from tqdm import tqdm
from transformers import Qwen2ForCausalLM, Qwen2TokenizerFast, conversion_mapping  # noqa: F401

import playground.worker.serve  # noqa: F401


def _stay_out(*_: object) -> None:
    """Leave the app's main module alone."""


# A child of multiprocessing imports the app's main module again, with the page and all it needs.
# A worker needs nothing of it: its target is imported above.
spawn._fixup_main_from_name = _stay_out  # type: ignore[attr-defined]
spawn._fixup_main_from_path = _stay_out  # type: ignore[attr-defined]

# What is imported is never garbage, and a worker that does not look at it does not copy it either.
gc.freeze()
gc.enable()

# Names of weights that old files have otherwise: hundreds of patterns, compiled once.
conversion_mapping.get_checkpoint_conversion_mapping("qwen2")

# The page shows how far loading is; bars in the log of the app say it to nobody.
transformers.utils.logging.disable_progress_bar()
# The lock that tqdm would make is one between processes, which a killed worker never gives back.
tqdm.set_lock(threading.RLock())
