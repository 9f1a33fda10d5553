"""The Contest half of the Score tab: which of several continuations a model finds likeliest."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import gradio as gr

from playground.core.prompt import Raw, check_text
from playground.core.run import ModelSpec
from playground.core.score import Contest, ContestRequest
from playground.core.visitor import Visitor
from playground.errors import InvalidInput, PlaygroundError, Problem
from playground.settings import Settings
from playground.ui.actions import (
    QUIET,
    action_row,
    examples_row,
    resting,
    running,
    sentence,
    wire_examples,
)
from playground.ui.controls import model_picker, prompt_box, prompt_form, prompt_of, read_model
from playground.ui.lane_form import CHAT, RAW
from playground.ui.score_feed import scored_lane, waiting_lane
from playground.ui.score_figures import standings
from playground.ui.score_view import score_view
from playground.ui.scoring import Ask, News, play
from playground.ui.scripted import sent
from playground.ui.served import tell_reasons, why_no_score
from playground.ui.streaming import Stage
from playground.ui.token_store import encode
from playground.ui.token_stream import idle, token_stream

TAB = "contest"
SPACED = "A space before each"
HINT = (
    "The continuations stand here, ranked by how likely the model finds each after the prompt: as "
    "a whole, a token, a byte, and against a neutral prompt."
)


@dataclass(frozen=True)
class Example:
    """A prompt, how it is given, to which model (its place in the settings), and what follows."""

    label: str
    prompt: str
    template: str
    model: int
    continuations: tuple[str, ...]
    neutral: str = ""


EXAMPLES = (
    Example(
        "Capital of France", "The capital of France is", RAW, -1,
        ("Paris", "London", "Rome", "Berlin", "a cat"),
    ),
    Example(
        "How a story begins", "Once upon a time there was a little", RAW, -1,
        ("dragon", "fox", "girl", "old king", "spaceship"), "There was a",
    ),
    Example(
        "Short and long answers", "What is the capital of France?", CHAT, 0,
        ("Paris.", "The capital of France is Paris.", "Paris is the capital of France.",
         "I do not know."),
    ),
)


def build_contest(stage: Stage, settings: Settings) -> None:
    """Build this half inside the open Blocks."""
    with gr.Row(elem_classes="tab-head"):
        prompt = prompt_box("Prompt", "What all continuations follow.")
        with gr.Column(scale=2, min_width=200):
            model = model_picker(settings, settings.models[-1])
        actions = action_row(TAB, "Compare")
    examples = examples_row([example.label for example in EXAMPLES])
    with gr.Row(elem_classes="contest-form"):
        continuations = gr.Textbox(
            "", label="Continuations, one a line", lines=5, max_lines=20, scale=3, min_width=240,
            placeholder="Paris\nLondon", elem_classes="prompt-box",
            info="From 2 to 20. Ctrl+Enter compares.",
        )
        with gr.Column(scale=2, min_width=240):
            form = prompt_form()
            with gr.Row(elem_classes="prompt-form"):
                spaced = gr.Checkbox(True, label=SPACED, container=False)
            neutral = gr.Textbox(
                "", label="Neutral prompt of PMI", lines=1, max_lines=4, elem_classes="prompt-box",
                placeholder="Empty: the token that begins a text.",
                info="What is likely after this, too, gains nothing by it.",
            )
    actions.notice.render()
    remark = gr.HTML("", elem_classes="remark", padding=False)
    tell_reasons(stage.engine, why_no_score, [(model, form.template)], [remark], actions.run)
    with gr.Row(elem_classes="contest-result"):
        with gr.Column(scale=3, min_width=320):
            ranking = score_view("contest", HINT, elem_id="contest-ranking")
        with gr.Column(scale=2, min_width=300):
            lane = token_stream(
                "Tokens", view="tokens", name=TAB, height=240, given=True,
                hint="The tokens of the row that is open, each with its surprise.",
            )
    lanes = gr.State(())

    inputs = {
        "prompt": prompt, "continuations": continuations, "model": model,
        "template": form.template, "control_tokens": form.control_tokens, "spaced": spaced,
        "neutral": neutral,
    }
    go = actions.wire(_runner(stage), inputs, [ranking, lane, lanes], stage.stopper(TAB),
                      name="contest", enter=[prompt, neutral])
    fills = [partial(_fill, settings, example) for example in EXAMPLES]
    filled = [prompt, continuations, model, form.template, neutral]
    wire_examples(examples, fills, filled, actions.wide, go)
    # A chat's answer begins where no word needs a space, so none is put there.
    form.template.change(_space, form.template, spaced, queue=False, **QUIET)
    # Whoever opens row after row sees the last one.
    ranking.open(_opened, lanes, lane, queue=False, trigger_mode="always_last", **QUIET)


def _space(template: Any) -> Any:
    """The tick for a space, which a chat takes no notice of; it stays as the reader left it."""
    chat = template == CHAT
    return gr.update(interactive=not chat, label=f"{SPACED} (not in a chat)" if chat else SPACED)


def _fill(settings: Settings, example: Example) -> list[Any]:
    texts = "\n".join(example.continuations)
    return [example.prompt, texts, settings.models[example.model], example.template,
            example.neutral]


def _runner(stage: Stage) -> Callable[..., Iterator[list[Any]]]:
    def contest(
        request: gr.Request, prompt: Any, continuations: Any, model: Any, template: Any,
        control_tokens: Any, spaced: Any, neutral: Any,
    ) -> Iterator[list[Any]]:
        """Two to twenty continuations of a prompt, one a line, ranked by sum, by mean of a token
        and of a byte, and by PMI against the neutral prompt; the ranking is JSON."""
        yield from stage.show(TAB, request, updates(
            request, prompt, continuations, model, template, control_tokens, spaced, neutral
        ))

    def updates(request: gr.Request, *form: Any) -> Iterator[list[Any]]:
        try:
            ask = _ask(*form)
        except PlaygroundError as error:
            yield [*resting(), sentence(error.problem), "", idle("Tokens"), ()]
            return
        label = ask.spec.label
        news: News = "reading"
        for (news,) in play(stage, TAB, request, [ask]):
            if not isinstance(news, Contest | Problem) and news not in ("stopped", "later"):
                waits = None if news == "reading" else news
                yield [*running(), "", "", waiting_lane(label, "", waits), ()]
        yield [*resting(), *_outcome(news, ask.spec, stage.visitor(request))]

    return contest


def _ask(prompt: Any, continuations: Any, model: Any, *others: Any) -> Ask:
    """What is asked of which model. Raises PlaygroundError."""
    asked = read_contest(prompt, continuations, *others)
    return Ask(read_model(model), asked)


def _outcome(news: News, spec: ModelSpec, visitor: Visitor) -> list[Any]:
    """The sentence, the ranking, the winner's tokens, and those of all rows."""
    match news:
        case Contest():
            lanes = tuple(
                scored_lane(
                    one.continuation.strip() or "white space", spec.label, one.scored, visitor,
                    spec,
                )
                for one in news.contenders
            )
            first = news.contenders.index(news.winner("total"))
            return ["", encode(standings(news)), lanes[first], lanes]
        case Problem():
            return [sentence(news), "", idle("Tokens"), ()]
    return [sentence("Stopped before there was a score.", "wait"), "", idle("Tokens"), ()]


def read_contest(
    prompt: Any, continuations: Any, template: Any, control_tokens: Any, spaced: Any, neutral: Any
) -> ContestRequest:
    """The request behind the form; empty lines are no continuations. Raises InvalidInput."""
    for text, field in ((prompt, "prompt"), (continuations, "continuations"),
                        (neutral, "neutral prompt")):
        check_text(text, field)
    if not isinstance(spaced, bool):
        raise InvalidInput(
            "A space before each continuation is either on or off.", field="spaced", given=spaced,
            allowed="on or off",
        )
    asked = prompt_of(template, control_tokens, prompt)
    # A chat's answer begins after the template's own line end, where no word needs a space.
    put = spaced and template != CHAT and not prompt[-1:].isspace()
    lines = [line for line in continuations.splitlines() if line.strip()]
    texts = tuple(f" {line}" if put and not line[0].isspace() else line for line in lines)
    other = Raw(neutral, control_tokens) if neutral else None
    return ContestRequest(asked, texts, other)


def _opened(lanes: Any, event: gr.EventData) -> Any:
    """The tokens of the row that a reader opened; what a browser says may be anything."""
    place = sent(event).get("place")
    if not isinstance(place, int) or not 0 <= place < len(lanes):
        return gr.skip()
    return lanes[place]
