"""What a run tells of its model, and in whose company it decoded."""

from __future__ import annotations

from hashlib import sha256

import torch
import transformers

from playground import __version__
from playground.core.decoding import Decoding
from playground.core.prompt import Ids
from playground.core.run import Run
from playground.core.trace import Trace
from tests.reference import decode
from tests.tiny_models import tiny_model


def run(tokens: int = 6, seed: int = 0, **settings: object) -> Run:
    return Run(tiny_model("llama").spec, Ids((5, 6, 7)),
               Decoding(max_new_tokens=tokens, **settings), seed)  # type: ignore[arg-type]


def company(trace: Trace) -> int:
    assert trace.finished is not None, trace.problem
    return trace.finished.company


def test_a_run_tells_its_model_as_it_runs() -> None:
    model = tiny_model("llama")
    told = decode(model, [run()])[0].started
    assert told is not None and told.facts is not None
    facts = told.facts
    device = str(model.lm.device)
    assert (facts.dtype, facts.device, facts.quantization) == ("float32", device, "none")
    assert facts.lane == "batch" and facts.attention == "sdpa" and facts.ends == model.ends
    assert (facts.torch, facts.transformers) == (torch.__version__, transformers.__version__)
    assert facts.package == __version__
    # torch's version is of a class of its own: pickled, it imported torch in the app's process.
    assert {type(one) for one in (facts.torch, facts.transformers, facts.package)} == {str}
    template = model.tokenizer.chat_template
    assert facts.template == (sha256(template.encode()).hexdigest()[:16] if template else "")


def test_company_is_the_most_texts_of_others_in_one_forward() -> None:
    """Two rows and a search of three beams: a row has 1 + 3 others, the search 2."""
    model = tiny_model("llama")
    assert [company(t) for t in decode(model, [run()])] == [0]
    both = decode(model, [run(), run(seed=1), run(num_beams=3)])
    assert [company(trace) for trace in both] == [4, 4, 2]
    assert company(decode(model, [run(num_beams=3)])[0]) == 0
    assert [company(t) for t in decode(model, [run(), run(alone=True)])] == [0, 0]


def test_who_was_gone_before_is_no_company() -> None:
    first, late = decode(tiny_model("llama"), [run(3), run(3)], joins=[0, 8])
    assert (company(first), company(late)) == (0, 0)


def test_texts_among_the_settings_are_told_as_ids() -> None:
    settings = {"banned": ("a",), "bias": (((4,), 2.0),), "forced": (5, 6), "dry_multiplier": 0.5}
    told = decode(tiny_model("llama"), [run(**settings)])[0].started
    assert told is not None and told.spelled is not None
    assert told.spelled.bias == (((4,), 2.0),) and told.spelled.forced == (5, 6)
    assert len(told.spelled.banned) == 2  # as it stands, and after a space
    plain = decode(tiny_model("llama"), [run()])[0].started
    assert plain is not None and plain.spelled is not None and plain.spelled.breakers == ()
