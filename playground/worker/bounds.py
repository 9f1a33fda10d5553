"""How much memory what a repo brings may take while it runs; it knows no pipe and no model."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

# A chat template or a tokenizer that needs more than this for one prompt means no good: the longest
# prompt that is allowed takes a few MB.
MOST_BYTES = 2 * 2**30


@contextmanager
def memory_bounded(most_bytes: int = MOST_BYTES) -> Iterator[None]:
    """Inside, the process gets at most ``most_bytes`` more, on Linux; elsewhere nothing is bounded.

    Python raises MemoryError beyond that, and what is written in Rust or C++ aborts the process:
    one worker, instead of the memory of everybody on this machine.
    """
    if sys.platform != "linux":
        yield
        return
    import resource

    # What is written to and belongs to this process alone. RLIMIT_AS would count mapped files and
    # what a GPU's driver reserves, too.
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = psutil.Process().memory_info().data + most_bytes
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (allowed, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))
