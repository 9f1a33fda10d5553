"""How fast the traced loop decodes beside the library's own generate(), as ratios of one run.

    python -m benchmarks.decode [ROUNDS]

Both decode the same prompts with the built-in base model, in turn, ROUNDS times (5 unless given),
in CPU seconds of one thread; the loop reports ten candidates a step, ``generate()`` nothing.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable

import torch

from playground.core.decoding import Decoding
from playground.core.events import Failed, Step
from playground.core.prompt import Raw
from playground.core.run import ModelSpec, Run
from playground.decode.loop import DecodeLoop
from playground.models.catalog import place
from playground.models.loading import load

SPEC = ModelSpec("builtin/tiny-base")
PROMPT = "Once upon a time there was a little dragon named"
NEW = 200


def main(rounds: int) -> None:
    """Print a table: tokens a CPU second of both, and the median ratio of the pairs."""
    torch.set_num_threads(1)
    folder = place(SPEC, (SPEC.repo,), any_model=False)
    model = load(SPEC, str(folder), "cpu")
    loop = DecodeLoop(model)
    ids = model.tokenizer(PROMPT, return_tensors="pt")

    def traced(decoding: Decoding, rows: int) -> int:
        for key in range(rows):
            loop.join(key, Run(SPEC, Raw(PROMPT), decoding, seed=key))
        told = 0
        while loop.busy:
            for _, event in loop.step():
                assert not isinstance(event, Failed), event
                told += isinstance(event, Step)
        return told

    def library(rows: int, **knobs: object) -> int:
        told = 0
        for key in range(rows):
            torch.manual_seed(key)
            out = model.lm.generate(**ids, max_new_tokens=NEW, min_new_tokens=NEW, **knobs)
            told += out.shape[1] - ids.input_ids.shape[1]
        return told

    length = {"max_new_tokens": NEW, "min_new_tokens": NEW}
    dice = {"do_sample": True, "top_k": 0}  # the library's own top_k=50 is silently on otherwise
    sampled = Decoding(do_sample=True, **length)
    cases: list[tuple[str, Callable[[], int], Callable[[], int]]] = [
        ("greedy", lambda: traced(Decoding(**length), 1), lambda: library(1, do_sample=False)),
        ("sampled", lambda: traced(sampled, 1), lambda: library(1, **dice)),
        ("8 rows, sampled", lambda: traced(sampled, 8), lambda: library(8, **dice)),
    ]
    print(f"{'':16} {'ours':>9} {'generate()':>11} {'ratio':>6}   tokens a CPU second, medians")
    for name, ours, theirs in cases:
        ours(), theirs()
        pairs = [(_speed(ours), _speed(theirs)) for _ in range(rounds)]
        a, b = (statistics.median(column) for column in zip(*pairs, strict=True))
        ratio = statistics.median(one / other for one, other in pairs)
        print(f"{name:16} {a:9.0f} {b:11.0f} {ratio:6.2f}")


def _speed(work: Callable[[], int]) -> float:
    began = time.process_time()
    tokens = work()
    return tokens / (time.process_time() - began)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
