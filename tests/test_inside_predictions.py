"""Laws of the predictions at every position: they are the model's own logits; so is the walk."""

from __future__ import annotations

import json
import math
from typing import Any

import gradio as gr
import pytest
import torch

from playground.core.lens import LensRequest
from playground.core.predictions import MOST_TOKENS, Predictions, PredictionsFound
from playground.core.prompt import Ids, Raw
from playground.core.run import ModelSpec
from playground.errors import InvalidInput, Problem
from playground.inside.predictions import _Table
from playground.models.loading import Model, assemble
from playground.ui.logits_section import _asks, _continued, drawn, show, summary
from playground.ui.section import Subject
from tests.architectures import tiny
from tests.test_encoders import masked
from tests.test_inside_structure import look
from tests.tiny_models import byte_level_tokenizer, tiny_model

TEXT = Raw("The capital of France is Paris.")
KINDS = ("llama", "gpt2", "gemma2", "cohere", "granite", "opt", "mamba", "bart", "openai-gpt")


def model_of(kind: str) -> Model:
    return assemble(ModelSpec(f"tiny/{kind}"), tiny(kind), byte_level_tokenizer())


def found_in(model: Model, request: Predictions) -> PredictionsFound:
    found = look(model, request)
    assert isinstance(found, PredictionsFound), found
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_predictions_are_the_models_own_logits(kind: str) -> None:
    """At every position, in every lane, scaled and bounded heads included: candidates, the token
    that came, its rank, the entropy."""
    model = model_of(kind)
    found = found_in(model, Predictions(TEXT, 3))
    ids = [place.piece.id for place in found.places]
    assert ids == model.tokenizer(TEXT.text)["input_ids"]
    with torch.inference_mode():
        logprobs = torch.log_softmax(model.lm(torch.tensor([ids])).logits[0].float(), dim=-1)
    for n, place in enumerate(found.places):
        best = logprobs[n].topk(3)
        assert [one.id for one in place.choices] == best.indices.tolist()
        told = [one.logprob for one in place.choices]
        assert told == pytest.approx(best.values.tolist(), abs=1e-4)
        entropy = float(-(logprobs[n].exp() * logprobs[n]).sum())
        assert place.entropy == pytest.approx(entropy, abs=1e-4)
        if n + 1 < len(ids):
            own = logprobs[n, ids[n + 1]]
            assert place.actual is not None and place.actual.id == ids[n + 1]
            assert place.actual.logprob == pytest.approx(float(own), abs=1e-4)
            assert place.rank == int((logprobs[n] > own).sum()) + 1
    assert (found.places[-1].actual, found.places[-1].rank) == (None, 0)
    assert "".join(place.text for place in found.places) == TEXT.text


@pytest.mark.parametrize("kind", KINDS)
def test_the_code_of_each_step_gives_what_stands_beside_it(kind: str) -> None:
    """The four lines of code, run as they are, give the shapes, the values and the text."""
    model = model_of(kind)
    found = found_in(model, Predictions(TEXT))
    given: dict[str, Any] = {"model": model.lm, "tokenizer": model.tokenizer, "torch": torch}
    inputs = model.tokenizer(TEXT.text, return_tensors="pt")
    given["inputs"] = {"input_ids": inputs["input_ids"]}
    hidden, logits, argmax, text = found.walk
    with torch.inference_mode():
        for step in (hidden, logits, argmax):
            exec(step.code, given)  # our own four lines
        vector, numbers = given["hidden"][0, -1], given["logits"][0, -1]
        whole = model.lm(inputs["input_ids"]).logits[0, -1]
    assert tuple(given["hidden"].shape) == hidden.shape
    assert tuple(given["logits"].shape) == logits.shape
    assert hidden.values == pytest.approx(vector[:8].tolist(), abs=1e-4)
    assert logits.values == pytest.approx(whole[:8].tolist(), abs=1e-4)
    assert numbers.tolist() == pytest.approx(whole.tolist(), abs=1e-4)
    assert argmax.values[0] == int(given["token"]) == found.places[-1].choices[0].id
    assert text.text == eval(text.code, given)


def test_ranks_and_shares_by_hand() -> None:
    """Logits ln 8, ln 4, ln 2, ln 1 and ln 1 of five tokens: 1/2, 1/4, 1/8, 1/16, 1/16; what came
    is the third, then one of two that share the fourth place."""
    table = _Table(tiny_model(), (0, 2, 4), 2)
    row = torch.tensor([8.0, 4.0, 2.0, 1.0, 1.0]).log()
    table.take(0, row.expand(3, 5))
    first, second, last = table.places
    assert [one.probability for one in first.choices] == pytest.approx([0.5, 0.25])
    assert first.actual is not None and second.actual is not None
    assert (first.rank, second.rank, last.rank) == (3, 4, 0)
    assert first.actual.probability == pytest.approx(1 / 8)
    assert second.actual.probability == pytest.approx(1 / 16)
    # 1/2·1 + 1/4·2 + 1/8·3 + 2/16·4 bits.
    assert first.entropy == pytest.approx(1.875 * math.log(2))


def test_a_long_text_is_read_in_chunks_like_a_short_one() -> None:
    """More tokens than one chunk: the walk still stands at the last one."""
    model = tiny_model("llama", max_position_embeddings=1024)
    ids = tuple(3 + n % 300 for n in range(300))
    found = found_in(model, Predictions(Ids(ids), 1))
    with torch.inference_mode():
        logits = model.lm(torch.tensor([ids])).logits[0]
    assert [p.choices[0].id for p in found.places] == logits.argmax(-1).tolist()
    assert found.walk[0].shape == (1, 300, 32)
    assert found.walk[1].values == pytest.approx(logits[-1, :8].tolist(), abs=1e-3)


def test_what_cannot_be_shown_is_a_sentence() -> None:
    model = tiny_model("llama", max_position_embeddings=2048)
    long = look(model, Predictions(Ids(tuple(range(3, 103)) * 6)))
    assert isinstance(long, Problem) and f"at most {MOST_TOKENS}" in str(long)
    model.lm.lm_head.weight.data[7] = math.nan
    assert "NaN" in str(look(model, Predictions(TEXT)))
    for wrong in (0, 21, True, 2.5, None):
        with pytest.raises(InvalidInput, match="From 1 to 20 candidates"):
            Predictions(TEXT, wrong)  # type: ignore[arg-type]


def bert() -> Model:
    tokenizer = byte_level_tokenizer()
    tokenizer.add_special_tokens({"mask_token": "<|endoftext|>"})
    return assemble(ModelSpec("tiny/bert"), masked(), tokenizer)


def test_an_encoder_guesses_each_place_itself() -> None:
    """What stands at a place is compared with the guess for this place, and the walk is that of the
    mask."""
    model = bert()
    mask = model.tokenizer.mask_token_id
    ids = (5, 6, mask, 8)
    found = found_in(model, Predictions(Ids(ids), 2))
    assert found.masked and found.mask == mask and found.at == 2
    with torch.inference_mode():
        logits = model.lm(torch.tensor([ids])).logits[0]
    assert [p.choices[0].id for p in found.places] == logits.argmax(-1).tolist()
    assert [p.actual and p.actual.id for p in found.places] == list(ids)
    hidden, head, argmax, _ = found.walk
    assert hidden.code == "hidden = model.bert(**inputs).last_hidden_state"
    assert head.code == "logits = model.cls(hidden)" and "stand between" in head.said
    assert argmax.code == "token = logits[0, 2].argmax()"
    assert argmax.values[0] == int(logits[2].argmax())
    assert "does not go on with a text" in summary(found)
    assert look(model, LensRequest(Ids(ids))).masked


def test_without_a_head_there_are_no_predictions() -> None:
    model = bert()
    bare = assemble(ModelSpec("tiny/bert"), model.lm.bert, model.tokenizer)
    found = found_in(bare, Predictions(Ids((5, 6, 7))))
    assert not found.places and "has no head" in found.lacks
    assert drawn(found)["lacks"] == found.lacks


def test_the_view_is_told_all_of_it() -> None:
    model = tiny_model()
    found = found_in(model, Predictions(TEXT, 2))
    told = json.loads(show([found]))
    assert told["waits"] == "" and len(told["found"]["places"]) == len(found.places)
    steps = [step["step"] for step in told["found"]["walk"]]
    assert steps == ["hidden", "logits", "argmax", "text"]
    first = sum(place.rank == 1 for place in found.places)
    count = len(found.places) - 1
    assert summary(found).startswith(f"At {count} places")
    assert f"first choice {first} times" in summary(found)
    spec = ModelSpec("builtin/tiny-base")
    assert [ask.request for ask in _asks(Subject(spec, TEXT), [5.0])] == [Predictions(TEXT, 5)]
    with pytest.raises(InvalidInput, match="empty"):
        _asks(Subject(spec, None), [5])


def test_only_a_text_is_continued() -> None:
    """What the browser tells may be anything."""

    def told(data: Any) -> list[Any]:
        return _continued(gr.EventData(None, data))

    assert told({"continue": "The capital"})[1] == "The capital"
    for wrong in (None, [], {}, {"continue": 7}, {"continue": "\ud800"}):
        assert told(wrong) == [gr.skip(), gr.skip()]
