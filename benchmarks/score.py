"""What exact scores cost beside bare forwards of the same model, as ratios of one run.

    python -m benchmarks.score MODEL [ROUNDS]

MODEL is one of benchmarks.shapes.NAMES. A text of 900 tokens: in chunks, with ten candidates, rank
and entropy of every token, against one forward and its log_softmax. A contest of eight
continuations behind 300 tokens, against eight forwards over the whole texts. In turn, ROUNDS times
(3 unless given), in CPU seconds of one thread; and the longest single chunk.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from functools import partial

import torch

from benchmarks.shapes import NAMES, make
from playground.core.prompt import Ids
from playground.core.score import ContestRequest, ScoreOrContest, ScoreRequest
from playground.decode.score import Scorer
from playground.errors import Problem
from playground.models.loading import Model

TEXT = tuple(range(100, 1000))
PROMPT = TEXT[:300]
CONTINUATIONS = tuple(" once upon a time" * 2 + f" there was number {n}" for n in range(8))


def main(name: str, rounds: int) -> None:
    """Print a table: CPU seconds of both, and the median ratio of the pairs."""
    model = make(name)
    torch.set_num_threads(1)  # after loading, which sets as many as there are
    endings = [
        model.tokenizer(text, add_special_tokens=False)["input_ids"] for text in CONTINUATIONS
    ]
    wholes = [[*PROMPT, *ids] for ids in endings]
    # PMI reads the continuations once more, behind a neutral token.
    neutral = [[0, *ids] for ids in endings]
    contest = ContestRequest(Ids(PROMPT), CONTINUATIONS, Ids((0,)))
    cases: list[tuple[str, ScoreOrContest, list[list[int]]]] = [
        ("a text of 900 tokens", ScoreRequest(Ids(TEXT)), [list(TEXT)]),
        ("a contest of 8 behind 300", contest, [*wholes, *neutral]),
    ]
    print(f"{name}: CPU seconds, medians of {rounds}, one thread")
    print("| | ours | bare forwards | ratio | longest chunk |")
    print("|---|---|---|---|---|")
    for what, request, texts in cases:
        chunks: list[float] = []
        pairs = [
            (_timed(partial(_ours, model, request, chunks)), _timed(partial(_bare, model, texts)))
            for _ in range(rounds)
        ]
        ours, bare = (statistics.median(side) for side in zip(*pairs, strict=True))
        ratio = statistics.median(one / other for one, other in pairs)
        print(f"| {what} | {ours:.2f} | {bare:.2f} | {ratio:.2f} | {max(chunks):.2f} |")


def _timed(work: Callable[[], None]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def _ours(model: Model, request: ScoreOrContest, chunks: list[float]) -> None:
    scorer = Scorer(model)
    scorer.join(0, request)
    while scorer.busy:
        began = time.process_time()
        told = scorer.step()
        chunks.append(time.process_time() - began)
        assert told is None or not isinstance(told[1], Problem), told


@torch.inference_mode()
def _bare(model: Model, texts: list[list[int]]) -> None:
    for text in texts:
        logits = model.lm(input_ids=torch.tensor([text]), use_cache=False).logits[0, :-1]
        torch.log_softmax(logits.float(), dim=-1).gather(1, torch.tensor(text[1:])[:, None])


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in NAMES:
        sys.exit(f"Name a model: {', '.join(NAMES)}.")
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 3)
