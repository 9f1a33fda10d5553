"""How fast the traced loop decodes beside the library's own generate(), as ratios of one run.

    python -m benchmarks.decode [MEASURE ...] [--model NAME] [--rounds N] [--threads T] [--cuda]

Both decode the same prompts, in turn, N times (5 unless given): in CPU seconds of one thread, which
a busy machine leaves about as they are, or with more threads in seconds of the clock, which need a
quiet one. The loop reports ten candidates a step, ``generate()`` nothing and has no streamer.
With --cuda both decode in bf16 on the GPU, by the clock. Our loop is a worker's: its recorded steps
are warm, and what it remembers of prompts is forgotten before each round.

    stream       one stream, greedy and sampled, tokens per second: ours over generate()
    strategies   six strategies on one prompt of 300 tokens, time: ours over six generate() calls
    crowd        16 people at once over one after the other, tokens per second in all
    turn         time to the first token of a turn after 1,000 tokens of chat, over a full prefill
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch

from benchmarks.shapes import NAMES, make
from playground.core.decoding import Decoding
from playground.core.events import Failed, Step
from playground.core.prompt import Ids
from playground.core.run import Run
from playground.decode.loop import DecodeLoop
from playground.models.loading import Model

DICE = {"do_sample": True, "top_k": 0}  # the library's own top_k=50 is silently on otherwise
SIX: tuple[tuple[Decoding, dict[str, object]], ...] = (
    (Decoding(), {"do_sample": False}),
    (Decoding(do_sample=True, top_k=50), {**DICE, "top_k": 50}),
    (Decoding(do_sample=True, top_p=0.9), {**DICE, "top_p": 0.9}),
    (Decoding(do_sample=True, min_p=0.1), {**DICE, "min_p": 0.1}),
    (Decoding(do_sample=True, typical_p=0.9), {**DICE, "typical_p": 0.9}),
    (Decoding(do_sample=True, temperature=0.7), {**DICE, "temperature": 0.7}),
)


class Bench:
    """One model, and both ways to decode with it."""

    def __init__(
        self, model: Model, rounds: int, clock: Callable[[], float] = time.process_time
    ) -> None:
        self.model, self.rounds, self.clock = model, rounds, clock
        self.new = 200 if model.card.parameters < 20e6 else 32
        self.worker = DecodeLoop(model)

    def loop(self) -> DecodeLoop:
        """The worker's loop, which knows no prompt."""
        self.worker._warm.clear()
        return self.worker

    def prompt(self, tokens: int, seed: int = 0) -> tuple[int, ...]:
        """Random ids of the vocabulary, the same for the same seed."""
        dice = torch.Generator().manual_seed(seed)
        return tuple(torch.randint(300, 4000, (tokens,), generator=dice).tolist())

    def traced(
        self, loop: DecodeLoop, prompts: Sequence[tuple[int, ...]], ways: Sequence[Decoding]
    ) -> int:
        """All of them together in one loop; how many tokens came."""
        for key, (ids, way) in enumerate(zip(prompts, ways, strict=True)):
            loop.join(key, Run(self.model.spec, Ids(ids), way, seed=key))
        told = 0
        while loop.busy:
            for _, event in loop.step():
                assert not isinstance(event, Failed), event
                told += isinstance(event, Step)
        return told

    def library(self, ids: tuple[int, ...], new: int, seed: int, **knobs: object) -> int:
        """One call of generate(); how many tokens came."""
        torch.manual_seed(seed)
        given = torch.tensor([ids], device=self.model.lm.device)
        out = self.model.lm.generate(
            given, attention_mask=torch.ones_like(given), max_new_tokens=new, min_new_tokens=new,
            **knobs,
        )
        return int(out.shape[1]) - len(ids)

    def pairs(
        self, ours: Callable[[], object], theirs: Callable[[], object]
    ) -> list[tuple[float, float]]:
        """Seconds of both, in turn, after a round that does not count."""
        ours(), theirs()
        return [(self.seconds(ours), self.seconds(theirs)) for _ in range(self.rounds)]

    def seconds(self, work: Callable[[], object]) -> float:
        """What the work takes by the clock."""
        began = self.clock()
        work()
        if self.model.lm.device.type == "cuda":
            torch.cuda.synchronize()
        return self.clock() - began

    def stream(self) -> None:
        """One stream against one call."""
        ids = self.prompt(12)
        for name, way, knobs in (
            ("greedy", Decoding(), {"do_sample": False}),
            ("sampled", Decoding(do_sample=True), DICE),
        ):
            way = self.long(way)
            pairs = self.pairs(
                lambda way=way: self.traced(self.loop(), [ids], [way]),
                lambda knobs=knobs: self.library(ids, self.new, 0, **knobs),
            )
            speed = [(self.new / a, self.new / b) for a, b in pairs]
            _row(f"one stream, {name}", *_medians(speed), [a / b for a, b in speed], "tokens/s")
            if self.model.lm.device.type == "cuda":
                reached = self.model.card.bytes * _medians(speed)[0] / _bandwidth()
                print(f"{'':34} {reached:.0%} of what reading the weights once a token allows")

    def strategies(self) -> None:
        """Six decodings of one prompt against six calls."""
        ids = self.prompt(300)
        ways = [self.long(way) for way, _ in SIX]
        pairs = self.pairs(
            lambda: self.traced(self.loop(), [ids] * 6, ways),
            lambda: [self.library(ids, self.new, k, **knobs) for k, (_, knobs) in enumerate(SIX)],
        )
        _row("six strategies, 300 + new", *_medians(pairs), [a / b for a, b in pairs], "s")
        pairs = self.pairs(
            lambda: self.traced(self.loop(), [ids] * 6, ways),
            lambda: self.traced(self.loop(), [ids], ways[1:2]),
        )
        _row("six, against our own one", *_medians(pairs), [a / b for a, b in pairs], "s")

    def crowd(self) -> None:
        """Sixteen prompts together against one after the other, ours and the library's."""
        prompts = [self.prompt(24 + 4 * n, n) for n in range(16)]
        way = self.long(Decoding(do_sample=True))
        total = 16 * self.new

        def one_by_one() -> None:
            for ids in prompts:
                self.traced(self.loop(), [ids], [way])

        def calls() -> None:
            for n, ids in enumerate(prompts):
                self.library(ids, self.new, n, **DICE)

        for name, other in (("generate() calls", calls), ("our own runs", one_by_one)):
            pairs = self.pairs(
                lambda: self.traced(self.loop(), prompts, [way] * 16), other
            )
            speed = [(total / a, total / b) for a, b in pairs]
            ratios = [a / b for a, b in speed]
            _row(f"16 at once, against {name}", *_medians(speed), ratios, "tokens/s")

    def turn(self) -> None:
        """A chat's next turn with what is known of it, and without."""
        most = self.model.card.context - 40
        said = self.prompt(min(1000, most))
        first = Decoding(max_new_tokens=1)
        loop = DecodeLoop(self.model)
        self.traced(loop, [said], [first])
        following = iter(range(1, 10_000))

        def next_turn(loop: DecodeLoop) -> None:
            self.traced(loop, [(*said, *self.prompt(30, next(following)))], [first])

        pairs = self.pairs(
            lambda: next_turn(loop),
            lambda: next_turn(DecodeLoop(self.model)),
        )
        _row(f"a turn after {len(said)} tokens", *_medians(pairs), [a / b for a, b in pairs], "s")

    def long(self, way: Decoding) -> Decoding:
        """The same decoding with as many new tokens as are measured."""
        return replace(way, max_new_tokens=self.new, min_new_tokens=self.new)


def _bandwidth() -> float:
    """Bytes that the device reads in a second, from the sum of a gigabyte."""
    block = torch.ones(2**28, dtype=torch.float32, device="cuda")
    block.sum(), torch.cuda.synchronize()
    began = time.perf_counter()
    for _ in range(20):
        block.sum()
    torch.cuda.synchronize()
    return 20 * block.nbytes / (time.perf_counter() - began)


def _medians(pairs: Sequence[tuple[float, float]]) -> tuple[float, float]:
    a, b = zip(*pairs, strict=True)
    return statistics.median(a), statistics.median(b)


def _row(name: str, ours: float, other: float, ratios: Sequence[float], unit: str) -> None:
    spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
    print(f"{name:34} {ours:9.3g} {other:9.3g} {unit:9} {statistics.median(ratios):6.3f}  {spread}")


def main() -> None:
    """Print a table: both figures, the median ratio of the pairs, and its range."""
    measures = ("stream", "strategies", "crowd", "turn")
    asked = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    help = ", ".join(measures)
    asked.add_argument("measure", nargs="*", default=[], metavar="MEASURE", help=help)
    asked.add_argument("--model", choices=NAMES, default="builtin")
    asked.add_argument("--rounds", type=int, default=5)
    asked.add_argument("--threads", type=int, default=1)
    asked.add_argument("--cuda", action="store_true")
    given = asked.parse_args()
    model = make(given.model, torch.device("cuda") if given.cuda else None)
    torch.set_num_threads(given.threads)
    bench = Bench(
        model, given.rounds,
        time.process_time if given.threads == 1 and not given.cuda else time.perf_counter,
    )
    print(
        f"{given.model}, {bench.new} new tokens, {given.rounds} pairs in turn, "
        f"{given.threads} thread{'s' * (given.threads > 1)}"
    )
    print(f"{'':34} {'ours':>9} {'other':>9} {'':9} ratio   range")
    for measure in given.measure or measures:
        getattr(bench, measure)()


if __name__ == "__main__":
    main()
