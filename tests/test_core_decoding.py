"""The laws of ``Decoding``: what is in range is taken as it is, what is not is refused by name."""

from __future__ import annotations

import math
import pickle
from dataclasses import FrozenInstanceError, fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from playground.core.decoding import KNOBS, MOST_READ, PRESETS, Decoding
from playground.errors import InvalidInput

WHOLE = [name for name, knob in KNOBS.items() if knob.whole]
FRACTIONS = [name for name in KNOBS if name not in WHOLE]
SWITCHES = ("do_sample", "effects", "alone", "use_cache")


def _with(name: str, value: Any) -> Decoding:
    """A decoding with one knob set, and room around it so that only this knob is judged."""
    around = {"min_new_tokens": {"max_new_tokens": 4096}, "penalty_alpha": {"top_k": 4}}
    return Decoding(**{**around.get(name, {}), name: value})


@st.composite
def decodings(draw: st.DrawFn) -> Decoding:
    """Any decoding that the ranges allow."""
    values: dict[str, Any] = {name: draw(st.booleans()) for name in SWITCHES}
    values["early_stopping"] = draw(st.sampled_from([True, False, "never"]))
    for name, knob in KNOBS.items():
        values[name] = draw(
            st.integers(int(knob.low), int(knob.high)) if knob.whole
            else st.floats(knob.low, knob.high, exclude_min=knob.above_low)
        )
    values["min_new_tokens"] = min(values["min_new_tokens"], values["max_new_tokens"])
    texts = st.text(min_size=1, max_size=64)
    values["stop_strings"] = tuple(draw(st.lists(texts, max_size=4)))
    ids = st.lists(st.integers(0, 99), min_size=1, max_size=5).map(tuple)
    phrases = st.one_of(texts, ids)
    values["banned"] = tuple(draw(st.lists(phrases, max_size=3)))
    pairs = st.tuples(phrases, st.floats(-100, 100))
    values["bias"] = tuple(draw(st.lists(pairs, max_size=3)))
    values["forced"] = draw(st.one_of(st.just(()), phrases))
    values["dola_layers"] = draw(st.sampled_from(["off", "low", "high"]))
    values["negative_prompt"] = draw(st.text(max_size=20))
    values["num_beam_groups"] = draw(
        st.sampled_from([n for n in range(1, 17) if values["num_beams"] % n == 0])
    )
    if values["penalty_alpha"] and values["num_beams"] == 1:
        values["top_k"] = min(max(values["top_k"], 2), MOST_READ)
    return Decoding(**values)


@given(decodings())
def test_every_decoding_survives_the_pipe_and_equals_its_copy(decoding: Decoding) -> None:
    again = pickle.loads(pickle.dumps(decoding))
    assert again == decoding and hash(again) == hash(decoding)
    assert replace(decoding) == decoding
    assert decoding.name and decoding.summary


def test_nothing_is_silently_on() -> None:
    """transformers' own default is top_k=50; ours leaves every token its probability."""
    plain = Decoding()
    assert (plain.temperature, plain.top_k, plain.top_p, plain.min_p) == (1.0, 0, 1.0, 0.0)
    assert plain.name == "greedy" and plain.ignored == ()


def test_a_decoding_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        Decoding().temperature = 2.0  # type: ignore[misc]


def test_every_number_has_a_range_and_starts_inside_it() -> None:
    numbers = {one.name for one in fields(Decoding) if type(one.default) in (int, float)}
    assert numbers == set(KNOBS)
    assert Decoding() == Decoding(**{name: getattr(Decoding(), name) for name in KNOBS})


@pytest.mark.parametrize("name", KNOBS)
def test_the_ends_of_the_range(name: str) -> None:
    knob = KNOBS[name]
    high = int(knob.high) if knob.whole else knob.high
    low = int(knob.low) if knob.whole else knob.low
    assert getattr(_with(name, high), name) == high
    just_inside = math.nextafter(low, math.inf) if knob.above_low else low
    assert getattr(_with(name, just_inside), name) == just_inside
    outside = [low - 1, high + 1] if knob.whole else [
        low if knob.above_low else math.nextafter(low, -math.inf), math.nextafter(high, math.inf)
    ]
    for value in outside:
        with pytest.raises(InvalidInput) as refused:
            _with(name, value)
        problem = refused.value.problem
        assert problem.field == name and problem.allowed == knob.allowed
        assert knob.label in problem.message and repr(value) in problem.message


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, True, "1", None, [1], 1 + 0j])
def test_what_is_no_number_is_refused_by_name(value: object, subtests: pytest.Subtests) -> None:
    for name in KNOBS:
        with subtests.test(name):
            with pytest.raises(InvalidInput) as refused:
                _with(name, value)
            assert refused.value.problem.field == name


@pytest.mark.parametrize("value", [10**400, -(10**5000), "9" * 10_000], ids=range(3))
def test_what_is_far_too_long_is_refused_in_few_words(
    value: object, subtests: pytest.Subtests
) -> None:
    """A whole number of 400 digits has no float, and was an OverflowError instead of a sentence."""
    for name in KNOBS:
        with subtests.test(name):
            with pytest.raises(InvalidInput) as refused:
                _with(name, value)
            assert refused.value.problem.field == name and len(str(refused.value)) < 300


@pytest.mark.parametrize("name", WHOLE)
def test_half_a_token_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput, match="whole number"):
        _with(name, 1.5)


def test_nan_is_named_as_people_write_it() -> None:
    with pytest.raises(InvalidInput) as refused:
        Decoding(temperature=math.nan)
    assert str(refused.value) == "Temperature is NaN; it must be a number above 0, up to 5."


@pytest.mark.parametrize("name", [*SWITCHES, "early_stopping", "dola_layers"])
@pytest.mark.parametrize("value", [1, 0, "true", None])
def test_a_switch_is_one_of_its_words(name: str, value: object) -> None:
    with pytest.raises(InvalidInput) as refused:
        Decoding(**{name: value})  # type: ignore[arg-type]
    assert refused.value.problem.field == name


@pytest.mark.parametrize("value", [("a", "b", "c", "d", "e"), ("",), ("x" * 65,), (1,), ["a"], "a"])
def test_stop_strings_are_four_short_texts(value: Any) -> None:
    with pytest.raises(InvalidInput) as refused:
        Decoding(stop_strings=value)
    assert refused.value.problem.field == "stop_strings"


def test_the_least_cannot_be_above_the_most() -> None:
    with pytest.raises(InvalidInput, match="At least 11 tokens cannot fit in at most 10"):
        Decoding(min_new_tokens=11, max_new_tokens=10)
    assert Decoding(min_new_tokens=10, max_new_tokens=10).min_new_tokens == 10


@pytest.mark.parametrize(
    ("decoding", "name"),
    [
        (Decoding(), "greedy"),
        (Decoding(temperature=2.0), "greedy"),
        (Decoding(do_sample=True), "sampling"),
        (Decoding(do_sample=True, top_k=50), "top-k"),
        (Decoding(do_sample=True, top_k=50, top_p=0.9), "top-k + top-p"),
        (Decoding(do_sample=True, min_p=0.1, xtc_probability=0.5), "min-p + XTC"),
        (Decoding(do_sample=True, mirostat_tau=3.0, top_k=5, temperature=2.0),
         "mirostat + temperature"),
        (Decoding(do_sample=True, top_h=0.5, epsilon_cutoff=0.01), "top-h + epsilon"),
        (Decoding(do_sample=True, dry_multiplier=0.8), "sampling"),
        (Decoding(num_beams=4), "beam search"),
        (Decoding(num_beams=4, do_sample=True), "beam sampling"),
        (Decoding(num_beams=4, num_beam_groups=2, do_sample=True), "diverse beam search"),
        (Decoding(penalty_alpha=0.6, top_k=4, do_sample=True), "contrastive search"),
        (Decoding(dola_layers="high"), "DoLa"),
        (Decoding(dola_layers="low", do_sample=True, top_p=0.5), "DoLa + top-p"),
        (Decoding(guidance_scale=2.0), "guidance"),
        (Decoding(guidance_scale=2.0, dola_layers="low", do_sample=True, top_k=3),
         "guidance + top-k"),
        (Decoding(prompt_lookup_tokens=4), "greedy"),
    ],
)
def test_a_strategy_has_the_fields_name(decoding: Decoding, name: str) -> None:
    assert decoding.name == name


def test_a_knob_without_effect_is_said_to_be_ignored() -> None:
    """It once named the temperature twice, which stood in both lists that it was read from."""
    greedy = Decoding(temperature=0.5, top_k=5, repetition_penalty=1.2)
    assert greedy.ignored == ("Top-k", "Temperature")
    assert replace(greedy, do_sample=True).ignored == ()


def test_a_penalty_acts_on_greedy_too() -> None:
    penalties = Decoding(
        dry_multiplier=0.8, dry_base=2.0, frequency_penalty=0.5, presence_penalty=-1.0
    )
    assert penalties.ignored == ()
    assert penalties.summary == (
        "greedy · frequency penalty 0.5 · presence penalty -1 · DRY multiplier 0.8 · DRY base 2"
    )
    cuts = Decoding(top_n_sigma=1.0, xtc_probability=0.5, xtc_threshold=0.2, eta_cutoff=0.01)
    assert cuts.ignored == ("Eta cutoff", "Top-n-sigma", "XTC probability", "XTC threshold")
    assert cuts.summary == "greedy"


def test_what_shapes_a_strategy_that_is_off_is_ignored() -> None:
    shapes = {"xtc_threshold": 0.2, "mirostat_eta": 0.5, "dry_base": 2.0, "dry_allowed_length": 3}
    off = Decoding(do_sample=True, **shapes)  # type: ignore[arg-type]
    assert off.ignored == tuple(KNOBS[name].label for name in shapes)
    assert off.summary == "sampling"
    on = replace(off, dry_multiplier=0.8, xtc_probability=0.5)
    assert on.ignored == ("Mirostat eta",)


def test_mirostat_stands_in_for_all_that_cuts() -> None:
    given = Decoding(
        do_sample=True, mirostat_tau=3.0, temperature=0.8, top_k=5, xtc_probability=0.5,
        xtc_threshold=0.2, dry_multiplier=1.0,
    )
    assert given.ignored == ("Top-k", "XTC probability", "XTC threshold")
    assert given.summary == "temperature 0.8 · mirostat tau 3 · DRY multiplier 1"
    beams = replace(given, num_beams=2)
    assert beams.ignored == ("Mirostat tau",)
    assert replace(given, do_sample=False).ignored == (
        "Top-k", "XTC probability", "Mirostat tau", "Temperature", "XTC threshold"
    )


@pytest.mark.parametrize(
    ("decoding", "ignored"),
    [
        (Decoding(length_penalty=2.0, early_stopping=True), ("Length penalty", "Early stopping")),
        (Decoding(num_beam_groups=2, diversity_penalty=1.0), ("Beam groups", "Diversity penalty")),
        (Decoding(num_beams=4, diversity_penalty=1.0), ("Diversity penalty",)),
        (Decoding(num_beams=4, num_beam_groups=2, do_sample=True, temperature=2.0),
         ("Temperature", "Draw at random")),
        (Decoding(num_beams=2, penalty_alpha=0.5, guidance_scale=2.0, dola_layers="low",
                  draft_tokens=3),
         ("Contrastive alpha", "Guidance", "DoLa", "Draft tokens")),
        (Decoding(penalty_alpha=0.5, top_k=4, top_p=0.5, do_sample=True),
         ("Top-p", "Draw at random")),
        (Decoding(guidance_scale=2.0, dola_layers="low", prompt_lookup_tokens=3),
         ("DoLa", "Prompt lookup")),
        (Decoding(negative_prompt="sad"), ("Negative prompt",)),
        (Decoding(negative_prompt="sad", guidance_scale=2.0), ()),
    ],
)
def test_settings_that_contradict_each_other_are_said_to_be_ignored(
    decoding: Decoding, ignored: tuple[str, ...]
) -> None:
    """Beams win over contrastive search, that over guidance, that over DoLa and speculation."""
    assert decoding.ignored == ignored


def test_beams_are_shared_out_evenly() -> None:
    with pytest.raises(InvalidInput, match="4 beams cannot be shared out evenly to 3 groups"):
        Decoding(num_beams=4, num_beam_groups=3)


@pytest.mark.parametrize("top_k", [0, 1, MOST_READ + 1])
def test_contrastive_search_needs_a_choice_of_some(top_k: int) -> None:
    with pytest.raises(InvalidInput, match="Top-k is") as refused:
        Decoding(penalty_alpha=0.6, top_k=top_k)
    assert refused.value.problem.field == "top_k"
    # Where something else decides, top-k means what it always does.
    assert Decoding(penalty_alpha=0.6, num_beams=2, top_k=top_k).top_k == top_k


@pytest.mark.parametrize("name", ["banned", "bias", "forced"])
@pytest.mark.parametrize(
    "value",
    ["", [], None, 3, ("",), ((),), ((-1,),), ((1.5,),), (("a", math.nan),), (("a", 101.0),),
     (("a", True),), ("a",) * 33, ("x" * 257,), (True,), ("\ud800",), (("\ud800", 1.0),)],
)
def test_phrases_are_short_lists_of_short_phrases(name: str, value: Any) -> None:
    if (name, value) == ("forced", ""):
        return  # nothing is forced
    with pytest.raises(InvalidInput):
        Decoding(**{name: value})


def test_presets_differ_from_each_other() -> None:
    assert len(set(PRESETS.values())) == len(PRESETS)
