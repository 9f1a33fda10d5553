"""Laws of a text while it is told: joined it is the text before the first stop string, and never
has more of it been told than that."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from playground.api.openai_choice import Choice, Delta
from playground.core.decoding import Decoding
from playground.core.events import Failed, Finished, Piece, Started, Step
from playground.core.prompt import Raw
from playground.core.run import ModelSpec, Run
from playground.errors import Problem

TOKENS = st.lists(st.text("ab.", max_size=3), max_size=12)
STOPS = st.lists(st.text("ab.", min_size=1, max_size=4), max_size=3, unique=True)


def step(position: int, text: str, special: bool = False) -> Step:
    return Step(position, position + 3, text, text, -0.5, 1, 0.6, 1.0, (), special)


def choice(*stops: str, prompt: str = "x") -> Choice:
    made = Choice(Run(ModelSpec("m"), Raw(prompt), Decoding(stop_strings=stops)))
    made.add(Started((Piece(1, prompt),), prompt, 512))
    return made


def played(
    tokens: list[str], stops: list[str], prompt: str = "x"
) -> tuple[list[Delta], str]:
    """What is told of a run that ends, as the worker does, with the first token that completes a
    stop string, which may have begun in the prompt; and all that the worker wrote."""
    made, text, deltas = choice(*stops, prompt=prompt), "", []
    for position, token in enumerate(tokens):
        text += token
        deltas.append(made.add(step(position, token)))
        if token and any(place(stop, prompt, text) is not None for stop in stops):
            deltas.append(made.add(Finished("stop string", "", 1, position + 1, 0.1, 0.1)))
            break
    else:
        deltas.append(made.add(Finished("length", "", 1, len(tokens), 0.1, 0.1)))
    return [delta for delta in deltas if delta], text


def place(stop: str, prompt: str, text: str) -> int | None:
    """Where in a text a stop string begins that ends in it; negative in its prompt."""
    both = [at for at in range(-len(prompt), len(text))
            if at + len(stop) > 0 and (prompt + text)[at + len(prompt) :].startswith(stop)]
    return both[0] if both else None


@given(TOKENS, STOPS, st.text("ab.", min_size=1, max_size=4))
@settings(max_examples=400, deadline=None)
def test_joined_it_is_the_text_before_the_first_stop_string(
    tokens: list[str], stops: list[str], prompt: str
) -> None:
    deltas, text = played(tokens, stops, prompt)
    found = [at for stop in stops if (at := place(stop, prompt, text)) is not None]
    kept = text[: max(0, min(found, default=len(text)))]
    assert "".join(delta.text for delta in deltas) == kept
    assert [delta.reason for delta in deltas[:-1]] == [None] * (len(deltas) - 1)
    assert deltas[-1].reason == ("stop" if found else "length")


@given(TOKENS, STOPS)
@settings(max_examples=200, deadline=None)
def test_tokens_are_told_once_in_order_and_with_their_text(
    tokens: list[str], stops: list[str]
) -> None:
    deltas, text = played(tokens, stops)
    told = [one for delta in deltas for one in delta.told]
    assert [one.step.position for one in told] == list(range(len(told)))
    kept = "".join(delta.text for delta in deltas)
    assert all(text[one.offset :].startswith(one.step.text) for one in told)
    assert sum(len(one.step.text) for one in told) >= len(kept)
    if not stops:
        assert all(delta.text == "".join(one.step.text for one in delta.told)
                   for delta in deltas)


def test_a_stop_string_that_began_in_the_prompt_leaves_no_text() -> None:
    made = choice("Human:", prompt="Hum")
    assert made.add(step(0, "an")) is None, "held back: it may be all of it"
    made.add(step(1, ":"))
    assert made.add(Finished("stop string", "", 1, 2, 0.1, 0.1)) == Delta("", (), "stop")


def test_a_control_token_is_told_and_is_no_text() -> None:
    made = choice()
    assert made.add(step(0, "Hi")).text == "Hi"  # type: ignore[union-attr]
    told = made.add(step(1, "<|im_end|>", special=True))
    assert told is not None and (told.text, len(told.told)) == ("", 1)
    end = made.add(Finished("end", "", 1, 2, 0.1, 0.1))
    assert end == Delta("", (), "stop")


def test_half_a_character_at_the_end_is_told_with_the_end() -> None:
    made = choice()
    made.add(step(0, ""))
    assert made.add(Finished("length", "�", 1, 1, 0.1, 0.1)).text == "�"  # type: ignore[union-attr]


def test_a_failure_and_a_closing_app_are_problems() -> None:
    late = Problem("TIMEOUT", "Too slow.")
    made = choice()
    assert made.add(Failed(late)) is None and made.problem == late
    closing = choice()
    closing.add(Finished("stopped", "", 1, 1, 0.1, 0.1))
    assert closing.problem and "closing" in closing.problem.message
