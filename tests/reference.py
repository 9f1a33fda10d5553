"""The two sides of the law that ids equal ``generate()``: our loop, and the library, run by run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from playground.core.events import Event
from playground.core.run import Fork, Run
from playground.core.trace import Trace
from playground.decode.extra import Barred, Forced
from playground.decode.guidance import negative_prompt
from playground.decode.loop import DecodeLoop
from playground.decode.phrases import phrases_of
from playground.models.loading import Model


def decode(
    model: Model, runs: Sequence[Run], joins: Sequence[int] = (), loop: DecodeLoop | None = None
) -> list[Trace]:
    """The traces of ``runs`` in one loop; run ``i`` joins before step ``joins[i]`` (default 0)."""
    loop = loop or DecodeLoop(model)
    traces = {key: Trace(run) for key, run in enumerate(runs)}
    waiting = {key: joins[key] if joins else 0 for key in traces}
    step = 0
    while loop.busy or waiting:
        for key in [k for k, when in waiting.items() if when <= step]:
            loop.join(key, runs[key])
            del waiting[key]
        for key, event in loop.step():
            traces[key] = traces[key].add(event)
        step += 1
        assert step < 5000, "the loop does not end"
    return [traces[key] for key in sorted(traces)]


def events(model: Model, run: Run) -> list[Event]:
    """All events of one run, alone in its loop."""
    loop = DecodeLoop(model)
    loop.join(0, run)
    told: list[Event] = []
    while loop.busy:
        told.extend(event for _, event in loop.step())
    return told


def generate(model: Model, trace: Trace) -> tuple[tuple[int, ...], float | None]:
    """What the library writes for the trace's prompt, settings and dice: new ids, beam score.

    What stands at a fork and what is inserted is its prompt; the new ids begin with the inserted.
    """
    assert trace.started is not None, trace.problem
    d, fork = trace.run.decoding, trace.run.fork or Fork()
    insert = tuple(step.id for step in trace.steps if step.forced)
    stand = (*fork.ids, *insert)
    ids = torch.tensor([(*trace.started.prompt_ids, *stand)])
    room = model.card.context - ids.shape[1]
    d = replace(
        d, max_new_tokens=d.max_new_tokens - len(stand),
        min_new_tokens=max(0, d.min_new_tokens - len(stand)),
    )
    settings: dict[str, Any] = {
        "do_sample": d.do_sample,
        "num_beams": d.num_beams,
        "use_cache": d.use_cache,
        "max_new_tokens": min(d.max_new_tokens, room),
        "min_new_tokens": d.min_new_tokens or None,
        "repetition_penalty": d.repetition_penalty,
        "no_repeat_ngram_size": d.no_repeat_ngram_size,
    }
    if d.do_sample:
        settings |= {
            "temperature": d.temperature,
            "top_k": d.top_k,
            "top_p": d.top_p,
            "min_p": d.min_p or None,
            "typical_p": d.typical_p,
            "top_h": d.top_h or None,
            "epsilon_cutoff": d.epsilon_cutoff,
            "eta_cutoff": d.eta_cutoff,
        }
    if d.is_beam_search:
        settings |= {"length_penalty": d.length_penalty, "early_stopping": d.early_stopping}
    if d.is_guided:
        negative, _ = negative_prompt(model, d.negative_prompt)
        if stand:  # behind both prompts
            negative = (*(negative or trace.started.prompt_ids[-1:]), *stand)
        settings |= {
            "guidance_scale": d.guidance_scale,
            "negative_prompt_ids": torch.tensor([negative]) if negative else None,
        }
    if d.stop_strings:
        settings |= {"stop_strings": list(d.stop_strings), "tokenizer": model.tokenizer}
    phrases = phrases_of(model.tokenizer, d, model.card.vocabulary)
    if phrases.banned:
        settings["bad_words_ids"] = [list(ids) for ids in phrases.banned]
    if phrases.bias:
        settings["sequence_bias"] = [[list(ids), bias] for ids, bias in phrases.bias]
    if phrases.forced:
        settings["logits_processor"] = [Forced(phrases.forced, len(trace.started.prompt_ids))]
    if fork.banned:
        settings["logits_processor"] = [Barred(fork.banned, ids.shape[1])]
    torch.manual_seed(trace.run.seed)
    out = model.lm.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        return_dict_in_generate=True,
        output_scores=True,
        **settings,
    )
    score = float(out.sequences_scores[0]) if d.is_beam_search else None
    return (*insert, *out.sequences[0, ids.shape[1] :].tolist()), score
