"""Laws of stored steps: chosen again they are the same; under other settings, what a run takes."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import torch
from transformers import (
    LogitsProcessorList,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from playground.core.decoding import PRESETS, Decoding
from playground.core.events import Event, Failed, Step
from playground.core.prompt import Ids, Raw
from playground.core.run import LARGEST_SEED, Run
from playground.decode.loop import DecodeLoop
from playground.decode.recent import Moment, RecentSteps
from playground.errors import InvalidInput
from playground.models.loading import Model
from playground.models.text import Encoded
from tests.reference import decode
from tests.tiny_models import UNICODE, tiny_model

PROMPT = Raw("The capital of France is")
NEW = 14


@cache
def model(kind: str = "llama") -> Model:
    return tiny_model(kind)


class Told:
    """A loop that has run these runs to their ends, under the keys 0, 1 …, and its steps."""

    def __init__(
        self, model: Model, *runs: Run, each: Callable[[Told, Step], None] | None = None
    ) -> None:
        self.model, self.loop, self.runs = model, DecodeLoop(model), runs
        self.steps: dict[int, list[Step]] = {key: [] for key, _ in enumerate(runs)}
        self.events: list[Event] = []
        for key, run in enumerate(runs):
            self.loop.join(key, run)
            self._take()  # so they are at different places
        while self.loop.busy:
            for step in self._take():
                if each is not None:
                    each(self, step)

    def _take(self) -> list[Step]:
        new = []
        for key, event in self.loop.step():
            self.events.append(event)
            if isinstance(event, Step):
                self.steps[key].append(event)
                new.append(event)
        return new

    @property
    def recent(self) -> RecentSteps:
        return self.loop._recent

    def moment(self, key: int, position: int) -> Moment:
        return self.recent.find(key, position)


def run(decoding: Decoding, seed: int = 5, prompt: Any = PROMPT) -> Run:
    return Run(model().spec, prompt, replace(decoding, max_new_tokens=NEW), seed)


EVERYTHING = Decoding(
    do_sample=True, temperature=1.3, top_k=90, top_p=0.97, typical_p=0.98, top_n_sigma=3.0,
    xtc_probability=0.5, xtc_threshold=0.02, repetition_penalty=1.2, frequency_penalty=0.3,
    presence_penalty=0.3, dry_multiplier=0.8, dry_allowed_length=1, min_new_tokens=3,
    no_repeat_ngram_size=2, banned=("e", (70, 71)), bias=(("th", 2.0),), forced=(90, 91),
    stop_strings=("zz",),
)
SETTINGS = {
    "greedy": Decoding(),
    "sampled": Decoding(do_sample=True, temperature=1.5),
    "everything": EVERYTHING,
    "mirostat": Decoding(do_sample=True, mirostat_tau=3.0, mirostat_eta=0.8),
    "guidance": Decoding(do_sample=True, guidance_scale=1.5, negative_prompt="A poem about"),
    "guidance without words": Decoding(guidance_scale=2.0),
    "dola": Decoding(do_sample=True, dola_layers="high", repetition_penalty=1.2),
    "prompt lookup": Decoding(do_sample=True, temperature=0.3, prompt_lookup_tokens=4),
    "few candidates": Decoding(do_sample=True, candidates=1),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_under_its_own_settings_a_step_is_itself(name: str) -> None:
    """Text, numbers, effects and draw, of every step; while others are in the batch."""
    asked = replace(SETTINGS[name], effects=SETTINGS[name].candidates > 1)
    prompts = (PROMPT, Raw(UNICODE[1]), Ids((70, 71, 72, 70, 71, 72, 70, 71)))
    told = Told(model(), *(run(asked, seed, prompt) for seed, prompt in enumerate(prompts)))
    for key, one in enumerate(told.runs):
        assert len(told.steps[key]) > 3
        for step in told.steps[key]:
            assert told.loop.replay(key, step.position, one.decoding) == step


def test_it_is_itself_while_the_run_goes_on_which_it_does_not_disturb() -> None:
    d = replace(EVERYTHING, effects=True)

    def again(told: Told, step: Step) -> None:
        assert told.loop.replay(0, step.position, told.runs[0].decoding) == step
        told.loop.replay(0, 0, Decoding(do_sample=True))

    for settings in (d, SETTINGS["mirostat"], SETTINGS["guidance"]):
        watched = Told(model(), run(settings), each=again)
        assert watched.steps == Told(model(), run(settings)).steps


def test_no_forward_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    m = tiny_model("llama")
    told = Told(m, run(Decoding(do_sample=True)), run(SETTINGS["guidance"]))

    def fail(*_: object, **__: object) -> None:
        raise AssertionError("a forward")

    monkeypatch.setattr(type(m.lm), "forward", fail)
    assert told.loop.replay(0, 3, Decoding(do_sample=True, top_k=5)).position == 3
    assert told.loop.replay(1, 3, told.runs[1].decoding) == told.steps[1][3]


def test_effects_can_be_asked_for_later() -> None:
    plain = Decoding(do_sample=True, top_k=20, temperature=0.8)
    told = Told(model(), run(plain))
    asked = Told(model(), run(replace(plain, effects=True)))
    for step, expected in zip(told.steps[0], asked.steps[0], strict=True):
        assert step.effects == () and step.draw is None
        assert told.loop.replay(0, step.position, replace(plain, effects=True)) == expected


def test_other_settings_choose_as_the_library_does() -> None:
    """From the model's own logits, with the library's processors, and dice thrown by hand."""
    m, seed = model(), 21
    told = Told(m, run(Decoding(do_sample=True, temperature=1.7), seed))
    other = Decoding(do_sample=True, temperature=0.7, top_k=30, top_p=0.9, repetition_penalty=1.3)
    chain = LogitsProcessorList(
        [RepetitionPenaltyLogitsProcessor(1.3), TemperatureLogitsWarper(0.7), TopKLogitsWarper(30),
         TopPLogitsWarper(0.9)]
    )
    prompt = told.moment(0, 0).encoded.ids
    dice = torch.Generator().manual_seed(seed)
    differs = 0
    for step in told.steps[0]:
        text = torch.tensor([[*prompt, *(s.id for s in told.steps[0][: step.position])]])
        own = m.lm(text).logits[:, -1]
        p = torch.softmax(chain(text, own.clone()), -1)
        before = dice.get_state()
        expected = int(torch.multinomial(p, 1, generator=dice))
        found = told.loop.replay(0, step.position, other)
        assert found.id == expected
        assert found.probability == pytest.approx(float(p[0, expected]), abs=1e-5)
        logprobs = torch.log_softmax(own, -1)[0]
        assert found.logprob == pytest.approx(float(logprobs[expected]), abs=1e-4)
        assert [c.id for c in found.candidates] == logprobs.topk(10).indices.tolist()
        differs += found.id != step.id
        # The dice go on with what the run itself has thrown.
        dice.set_state(before)
        torch.multinomial(torch.softmax(own / 1.7, -1), 1, generator=dice)
    assert 0 < differs < len(told.steps[0])


@pytest.mark.parametrize(
    "other",
    [Decoding(do_sample=True, temperature=0.6, top_p=0.8),
     Decoding(do_sample=True, min_p=0.1, frequency_penalty=1.0, presence_penalty=0.5),
     Decoding(do_sample=True, typical_p=0.7, min_new_tokens=9, bias=(("e", 5.0),)),
     Decoding(no_repeat_ngram_size=1, banned=("a", (90,)))],
)
def test_other_settings_choose_as_a_run_does_that_is_brought_here(other: Decoding) -> None:
    """A run with those settings and the same dice, whose text is forced to be the same so far."""
    m = model()
    told = Told(m, run(Decoding(do_sample=True, temperature=1.4), 8))
    ids = tuple(step.id for step in told.steps[0])
    for position in (0, 1, 5, NEW - 1):
        brought = run(replace(other, forced=ids[:position]), 8)
        step = decode(m, [brought])[0].steps[position]
        found = told.loop.replay(0, position, other)
        assert (found.id, found.text, found.rank) == (step.id, step.text, step.rank)
        assert found.probability == pytest.approx(step.probability, abs=1e-5)


def test_a_run_without_dice_gets_those_of_a_run_from_there() -> None:
    m, other = model(), Decoding(do_sample=True, temperature=1.5, effects=True)
    for seed in (4, LARGEST_SEED - 3):
        told = Told(m, run(Decoding(), seed))
        prompt = told.moment(0, 0).encoded.ids
        ids = tuple(step.id for step in told.steps[0])
        draws = set()
        for position in range(0, NEW, 3):
            here = Ids((*prompt, *ids[:position]))
            step = decode(m, [run(other, (seed + position) % 2**32, here)])[0].steps[0]
            found = told.loop.replay(0, position, other)
            assert found.id == step.id and found.draw is not None and step.draw is not None
            assert found.draw.point == pytest.approx(step.draw.point, abs=1e-5)
            draws.add(round(found.draw.point, 3))
        assert len(draws) == 5, "each place has dice of its own"
    assert told.loop.replay(0, 2, Decoding()) == told.steps[0][2]


def test_mirostat_goes_on_from_what_it_had_come_to() -> None:
    """And begins at twice tau where the run did without."""
    d = Decoding(do_sample=True, mirostat_tau=2.0, mirostat_eta=1.0, candidates=50)
    told = Told(model(), run(d))
    mu = 4.0
    for step in told.steps[0]:
        assert told.moment(0, step.position).mu == pytest.approx(mu, abs=1e-9)
        mu -= -math.log2(step.probability) - 2.0
    plain = Told(model(), run(Decoding(do_sample=True, temperature=1.5)))
    for position in (0, 4):
        found = plain.loop.replay(0, position, replace(d, temperature=1.0))
        own = [c for c in found.candidates if c.probability > 0]
        bits = [-c.logprob / math.log(2) for c in found.candidates[1:]]
        assert len(own) == 1 + sum(b <= 4.0 for b in bits) < 50


def test_guidance_can_be_made_stronger_and_given_up() -> None:
    d = Decoding(guidance_scale=1.5, negative_prompt="A poem about", effects=True)
    told = Told(model(), run(d))
    strong = [told.loop.replay(0, i, replace(d, guidance_scale=4.0)) for i in range(NEW)]
    assert [s.effects[1].name for s in strong] == ["guidance_scale"] * NEW
    assert [s.id for s in strong] != [s.id for s in told.steps[0]]
    for i in range(NEW):
        given_up = told.loop.replay(0, i, Decoding())
        assert given_up.rank == 1
        assert told.loop.replay(0, i, replace(d, guidance_scale=1.0)).id == given_up.id


def test_dola_can_contrast_other_layers_and_be_given_up() -> None:
    m = tiny_model("llama", num_hidden_layers=8)
    runs = [Run(m.spec, PROMPT, Decoding(dola_layers=layers, max_new_tokens=1))  # type: ignore[arg-type]
            for layers in ("low", "high", "off")]
    told = Told(m, *runs)
    for key in (0, 1):
        for layers, other in zip(("low", "high", "off"), range(3), strict=True):
            found = told.loop.replay(key, 0, Decoding(dola_layers=layers))  # type: ignore[arg-type]
            assert found == told.steps[other][0]


# What cannot be replayed.


def refused(told: Told, key: int, position: int, decoding: Decoding) -> InvalidInput:
    with pytest.raises(InvalidInput) as caught:
        told.loop.replay(key, position, decoding)
    return caught.value


def test_what_needs_more_than_logits_is_a_sentence() -> None:
    told = Told(model(), run(Decoding()), run(SETTINGS["guidance"]), run(SETTINGS["dola"]))
    for name in ("Beam search", "Diverse beam search", "Contrastive search", "DoLa", "Guidance"):
        problem = refused(told, 0, 0, PRESETS[name]).problem
        assert f"cannot be replayed with {PRESETS[name].name}:" in problem.message
        assert problem.advice == "Run it again with these settings."
    d = replace(SETTINGS["guidance"], negative_prompt="Another one")
    assert refused(told, 1, 0, d).problem.field == "negative_prompt"
    assert refused(told, 1, 0, PRESETS["DoLa"]).problem.field == "dola_layers"
    assert refused(told, 2, 0, PRESETS["Guidance"]).problem.field == "guidance_scale"


def test_what_is_not_stored_is_a_sentence() -> None:
    told = Told(model(), run(Decoding()), run(Decoding(num_beams=2)))
    assert told.steps[1], "beams have steps, but none that was chosen by itself"
    for key, position in ((0, NEW), (0, -1), (1, 0), (2, 0)):
        problem = refused(told, key, position, Decoding()).problem
        assert problem.field == "position"
        assert problem.message.startswith(f"Token {position + 1} of this run is not stored")


def test_a_step_that_nothing_could_be_chosen_at_can_be_tried_with_milder_settings() -> None:
    """A model that leaves one token, and a ban on it."""
    told = Told(model(), run(Decoding(do_sample=True)))
    logits = torch.full((1, model().card.vocabulary), -math.inf)
    logits[0, 7] = 0.0
    told.recent.keep(0, replace(told.moment(0, 1), logits=logits))
    assert told.loop.replay(0, 1, Decoding(do_sample=True)).id == 7
    problem = refused(told, 0, 1, Decoding(banned=((7,),))).problem
    assert "At token 2 the settings leave no token to choose (banned)" in problem.message
    assert refused(told, 0, 1, Decoding(banned=((4000,),))).problem.field == "banned"


# What is kept.


def some(tokens: int = 10, room: int = 4) -> Moment:
    """A moment of 40 bytes, and 32 of its run's, beside the prompt."""
    one = Run(model().spec, PROMPT)
    ids = torch.zeros((1, room), dtype=torch.long)
    return Moment(one, Encoded((), "", (), ()), ids, 0, torch.zeros(1, tokens), 0.0)


def test_the_oldest_go_first_by_number() -> None:
    recent = RecentSteps(most_steps=3)
    for position in range(3):
        for key in (1, 2):
            recent.keep(key, replace(some(), position=position))
    assert len(recent) == 3
    assert [recent.find(*place).position for place in ((2, 1), (1, 2), (2, 2))] == [1, 2, 2]
    with pytest.raises(InvalidInput):
        recent.find(1, 1)


def test_the_oldest_go_first_by_bytes() -> None:
    """The text of a run counts once, and goes with its last step."""
    first, second = some(), some()
    shared = first.shared_bytes
    recent = RecentSteps(most_bytes=2 * shared + 3 * 40)
    for position in range(3):
        recent.keep(1, replace(first, position=position))
    assert recent.bytes == shared + 3 * 40
    recent.keep(2, second)
    assert recent.bytes == 2 * shared + 3 * 40 and len(recent) == 3
    for position in (1, 2):
        recent.keep(2, replace(second, position=position))
    assert (recent.bytes, len(recent)) == (shared + 3 * 40, 3), "the first run is gone"
    recent.keep(3, some(tokens=10_000))
    assert (recent.bytes, len(recent)) == (0, 0), "what is too large is not kept at all"
    recent.keep(3, some())
    recent.clear()
    assert (recent.bytes, len(recent)) == (0, 0)


def test_a_run_that_got_a_longer_text_holds_both() -> None:
    """Settings that change at its second token may give it more room, and so another tensor."""
    recent, before, after = RecentSteps(), some(), some(room=8)
    recent.keep(1, before)
    recent.keep(1, replace(after, position=1))
    assert recent.bytes == before.shared_bytes + after.shared_bytes + 2 * 40
    recent.keep(1, replace(after, position=0))
    assert recent.bytes == after.shared_bytes + 40 and len(recent) == 1


def test_a_key_that_is_used_again_names_the_new_run() -> None:
    recent, old = RecentSteps(), some()
    for position in range(3):
        recent.keep(1, replace(old, position=position))
    recent.keep(1, replace(old, position=2))
    assert len(recent) == 3 and recent.bytes == some().shared_bytes + 3 * 40
    recent.keep(1, some(room=5))
    assert len(recent) == 1 and recent.find(1, 0).ids.shape == (1, 5)
    assert recent.bytes == some(room=5).shared_bytes + 40


def test_what_is_counted_is_what_is_kept_alive() -> None:
    """A part of the batch's logits would keep those of all rows, and be counted as one row's."""
    m = model()
    runs = [run(d, seed) for seed, d in enumerate(SETTINGS.values())]
    told = Told(m, *runs)
    tensors: dict[int, int] = {}
    for moment in told.recent._moments.values():
        for tensor in (moment.logits, moment.dice, moment.other, moment.layers, moment.ids):
            if tensor is not None:
                storage = tensor.untyped_storage()
                tensors[storage.data_ptr()] = storage.nbytes()
    ids = {id(m.ids): m.shared_bytes - m.ids.nbytes for m in told.recent._moments.values()}
    assert told.recent.bytes == sum(tensors.values()) + sum(ids.values())
    assert len(told.recent) == sum(map(len, told.steps.values()))
    assert not any(isinstance(event, Failed) for event in told.events)
