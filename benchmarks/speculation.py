"""What proposed tokens save: prompt lookup and drafts beside plain decoding, as ratios of one run.

    python -m benchmarks.speculation [--model NAME] [--rounds N] [--only WORDS]

Every way decodes the same prompt and gets the same ids with and without, in turn, N times (3 unless
given), in CPU seconds of one thread; then several greedy runs at once, with lookup beside as
many that share a batch without; the last row is the library's own prompt lookup beside its plain
``generate()``. ``--only`` takes the rows whose name has these words.

The prompt says the same things again and again. The built-in base model is drafted for by the
built-in chat model, which is as large; a random model by its own first layers. Random weights soon
write in circles, so what they accept says nothing of real texts: their rows show what a forward
over several tokens costs.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch

from benchmarks.shapes import CONFIGS, make
from playground.core.decoding import Decoding
from playground.core.prompt import Ids
from playground.core.run import ModelSpec, Run
from playground.core.trace import Trace
from playground.decode.loop import DecodeLoop
from playground.models.loading import Model, assemble, load
from playground.models.place import place

PROMPT = "Hello Tom. Hello Anna. Hello Tom. Hello Anna. Hello Tom. Hello"
COOL = Decoding(do_sample=True, temperature=0.7)
WAYS = {
    "greedy, lookup 4": Decoding(prompt_lookup_tokens=4),
    "greedy, lookup 10": Decoding(prompt_lookup_tokens=10),
    "greedy, draft 3": Decoding(draft_tokens=3),
    "temperature 0.7, lookup 4": replace(COOL, prompt_lookup_tokens=4),
    "temperature 0.7, draft 3": replace(COOL, draft_tokens=3),
}
CROWDS = (2, 4, 8)  # who speculates has forwards of his own, who does not shares them


def draft_of(model: Model) -> Model:
    """The built-in chat model, or the first sixth of a random model's layers."""
    if model.spec.repo.startswith("builtin/"):
        spec = ModelSpec("builtin/tiny-chat")
        return load(spec, str(place(spec, (spec.repo,), any_model=False)), "cpu")
    config = copy.deepcopy(model.lm.config)
    config.num_hidden_layers = max(1, config.num_hidden_layers // 6)
    lm = type(model.lm)(config)
    whole = model.lm.state_dict()
    lm.load_state_dict({name: whole[name] for name in lm.state_dict()})
    return assemble(ModelSpec("random/draft"), lm, model.tokenizer)


def main(name: str, rounds: int, only: str = "") -> None:
    """Print a row for each way: both speeds, their ratio, and what was accepted."""
    model = make(name)
    draft = draft_of(model)
    new = 200 if model.card.parameters < 20e6 else 64
    ids = tuple(model.tokenizer(PROMPT)["input_ids"])
    torch.set_num_threads(1)

    def together(ways: Sequence[Decoding]) -> list[Trace]:
        loop = DecodeLoop(model, {draft.spec: draft})
        runs = [Run(model.spec, Ids(ids), way, 1 + n, draft.spec) for n, way in enumerate(ways)]
        traces = [Trace(run) for run in runs]
        for key, made in enumerate(runs):
            loop.join(key, made)
        while loop.busy:
            for key, event in loop.step():
                traces[key] = traces[key].add(event)
        assert all(t.problem is None and len(t.ids) == new for t in traces)
        return traces

    def run(way: Decoding) -> Trace:
        return together([way])[0]

    def library(**more: int) -> None:
        given = torch.tensor([ids])
        model.lm.generate(given, attention_mask=torch.ones_like(given), do_sample=False,
                          max_new_tokens=new, min_new_tokens=new, **more)

    print(f"{name}, {new} new tokens after {len(ids)}, {rounds} pairs in turn, one thread")
    print(f"{'tokens a CPU second':28} {'plain':>6} {'with':>6} {'ratio':>6}   {'range':12} "
          f"{'accepted':>8} {'a forward':>9}")
    for label, way in WAYS.items():
        if only not in label:
            continue
        way = replace(way, max_new_tokens=new, min_new_tokens=new)
        plain = replace(way, prompt_lookup_tokens=0, draft_tokens=0)
        found = run(way)
        assert found.ids == run(plain).ids
        told = f"{found.acceptance or 0:8.0%} {new / found.forwards:9.2f}"
        _row(label, new, rounds, lambda plain=plain: run(plain), lambda way=way: run(way), told)
    for count in CROWDS:
        if only not in (label := f"{count} at once, lookup 4"):
            continue
        ways = [
            Decoding(prompt_lookup_tokens=4, max_new_tokens=new, min_new_tokens=new)
        ] * count
        shared = [replace(way, prompt_lookup_tokens=0) for way in ways]
        assert [t.ids for t in together(ways)] == [t.ids for t in together(shared)]
        _row(label, count * new, rounds, lambda shared=shared: together(shared),
             lambda ways=ways: together(ways))
    if only in (label := "generate(), lookup 4"):
        _row(label, new, rounds, library, lambda: library(prompt_lookup_num_tokens=4))


def _row(
    label: str, new: int, rounds: int, plain: Callable[[], object], way: Callable[[], object],
    told: str = "",
) -> None:
    plain(), way()
    pairs = [(new / _seconds(plain), new / _seconds(way)) for _ in range(rounds)]
    a, b = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratios = [with_ / without for without, with_ in pairs]
    spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
    print(f"{label:28} {a:6.1f} {b:6.1f} {statistics.median(ratios):6.2f}   {spread:12} {told}")


def _seconds(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


if __name__ == "__main__":
    asked = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    asked.add_argument("--model", choices=("builtin", *CONFIGS), default="builtin")
    asked.add_argument("--rounds", type=int, default=3)
    asked.add_argument("--only", default="", metavar="WORDS")
    given = asked.parse_args()
    main(given.model, given.rounds, given.only)
