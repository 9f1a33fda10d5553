"""The Chat tab: a conversation, the exact prompt behind it, and each answer token by token."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import gradio as gr

from playground.errors import PlaygroundError
from playground.settings import Settings
from playground.ui.actions import Actions, action_row, resting, running, sentence
from playground.ui.columns import describe, make_run
from playground.ui.controls import model_picker
from playground.ui.decoding_panel import decoding_panel
from playground.ui.streaming import Stage
from playground.ui.token_stream import TokenFeed, idle, token_stream
from playground.ui.transcript import Transcript

TAB = "chat"
EXAMPLES = (
    "What is the capital of France?",
    "《梦游天姥吟留别》的作者是谁",
    "Write an email apologizing to Sarah for the tragic gardening mishap. Explain how it happened.",
    "Tell me a short story about a fox.",
)
SYSTEM_EXAMPLES = (
    "Answer with one word.",
    "Talk like a pirate.",
    "Answer in Chinese.",
    "Answer in JSON.",
)

BUSY = "The answer is still being written. Escape stops it, and then Enter sends."


@dataclass(frozen=True)
class _Parts:
    """The components of the tab that its handlers speak to."""

    chatbot: gr.Chatbot
    message: gr.Textbox
    system: gr.Textbox
    prefill: gr.Textbox
    model: gr.Dropdown
    settings: gr.HTML
    lane: gr.HTML
    actions: Actions
    state: gr.State

    @property
    def inputs(self) -> dict[str, Any]:
        return {"chat": self.state, "system": self.system, "prefill": self.prefill,
                "model": self.model, "settings": self.settings}

    @property
    def outputs(self) -> list[Any]:
        a = self.actions
        return [a.run, a.stop, a.notice, self.state, self.chatbot, self.message, self.lane]


def build_chat(stage: Stage, settings: Settings) -> None:
    """Build the tab inside the open Blocks."""
    with gr.Row(elem_classes="tab-body"):
        with gr.Column(scale=4, min_width=320):
            chatbot = gr.Chatbot(
                label="Chat",
                show_label=False,
                height=440,
                editable="all",
                buttons=["copy", "copy_all"],
                placeholder="### Ask something\nBelow the answer stands the exact prompt.",
                examples=[{"text": text} for text in EXAMPLES],
                feedback_options=None,
                allow_file_downloads=False,
                elem_id="chat-messages",
            )
            with gr.Row(elem_classes="tab-head"):
                message = gr.Textbox(
                    "",
                    label="Message",
                    placeholder="Enter sends, Shift+Enter starts a line, Escape stops.",
                    lines=1,
                    max_lines=8,
                    scale=6,
                    autofocus=True,
                    elem_id="chat-message",
                )
                actions = action_row(TAB, "Send")
            actions.notice.render()
            with gr.Accordion("The exact prompt, and the answer token by token", open=True):
                lane = token_stream(
                    "Answer",
                    view="tokens",
                    name="chat",
                    height=240,
                    open_prompt=True,
                    branch=True,
                    hint="After a message: every id the model was given, control tokens marked, "
                    "and each token of its answer.",
                )
        with gr.Column(scale=1, min_width=260, elem_classes="side"):
            with gr.Accordion("Settings", open=True):
                model = model_picker(settings)
                system = gr.Textbox(
                    "",
                    label="System prompt",
                    lines=2,
                    max_lines=8,
                    placeholder="How the model should answer. Empty: none.",
                    elem_id="chat-system",
                )
                with gr.Row(elem_classes="examples"):
                    systems = [
                        gr.Button(t, size="sm", elem_classes="example", min_width=60)
                        for t in SYSTEM_EXAMPLES
                    ]
                prefill = gr.Textbox(
                    "",
                    label="Begin the answer with",
                    lines=1,
                    max_lines=1,
                    placeholder="The model goes on from here.",
                    elem_id="chat-prefill",
                )
                panel = decoding_panel(settings, TAB, "Greedy", 128)
    state = gr.State(Transcript())
    for button, text in zip(systems, SYSTEM_EXAMPLES, strict=True):
        button.click(
            lambda t=text: t,
            None,
            system,
            queue=False,
            show_progress="hidden",
            api_visibility="private",
        )
    _wire(stage, _Parts(chatbot, message, system, prefill, model, panel, lane, actions, state))


def _wire(stage: Stage, parts: _Parts) -> None:
    ask = _asker(stage, parts)
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    wide = {**quiet, "show_progress_on": parts.actions.notice}
    # Whatever is pressed while another handler has not ended is heard: see ``Turns.show``.
    go = {**wide, "concurrency_limit": None, "trigger_mode": "multiple"}

    def send(
        request: gr.Request, message: Any, chat: Transcript, system: Any, prefill: Any, model: Any,
        settings: Any,
    ) -> Iterator[list[Any]]:
        """A message and its answer; ``settings`` is a JSON object such as {"preset": "Top-p"}."""
        if stage.is_busy(TAB, request):
            same = [gr.skip() for _ in outputs]
            yield [*same[:2], sentence(BUSY), *same[3:]]
            return
        answer = ask(request, message, chat, (system, prefill, model, settings))
        yield from stage.show(TAB, request, answer)

    # Gradio fills the request and the event in by position, so they come before the star.
    def retry(request: gr.Request, chat: Transcript, *settings: Any) -> Iterator[list[Any]]:
        earlier, text = chat.before_last_question()
        yield from stage.show(TAB, request, ask(request, text, earlier, settings, kept=chat))

    def edit(
        request: gr.Request, event: gr.EditData, chat: Transcript, *settings: Any
    ) -> Iterator[list[Any]]:
        number = event.index[0] if isinstance(event.index, (list, tuple)) else event.index
        earlier, text = chat.edited(number, str(event.value))
        answer = ask(request, text, earlier, settings, kept=chat) if text else rest(earlier)
        yield from stage.show(TAB, request, answer)

    def example(
        request: gr.Request, event: gr.SelectData, chat: Transcript, *settings: Any
    ) -> Iterator[list[Any]]:
        yield from stage.show(TAB, request, ask(request, event.value["text"], chat, settings))

    def undo(request: gr.Request, chat: Transcript) -> Iterator[list[Any]]:
        """Take the last question and its answer back; the question returns to the box."""
        earlier, text = chat.before_last_question()
        yield from stage.show(TAB, request, rest(earlier, message=text))

    def clear(request: gr.Request) -> Iterator[list[Any]]:
        yield from stage.show(TAB, request, rest(Transcript(), lane=idle()))

    inputs, outputs, chatbot = list(parts.inputs.values()), parts.outputs, parts.chatbot
    gr.on(
        [parts.message.submit, parts.actions.run.click],
        send,
        inputs_kwargs={"message": parts.message, **parts.inputs},
        outputs=outputs,
        **{**go, "api_visibility": "public", "api_name": "chat"},
    )
    chatbot.retry(retry, inputs, outputs, **go)
    chatbot.edit(edit, inputs, outputs, **go)
    chatbot.example_select(example, inputs, outputs, **go)
    chatbot.undo(undo, parts.state, outputs, **go)
    chatbot.clear(clear, None, outputs, **go)
    parts.actions.stop.click(stage.stopper(TAB), None, None, queue=False, **quiet)


def rest(chat: Transcript, message: Any = None, lane: Any = None) -> Iterator[list[Any]]:
    """The one update of a chat in which nothing runs; what is not given stays as it is."""
    same = gr.skip()
    told = [same if value is None else value for value in (message, lane)]
    yield [*resting(), "", chat, chat.messages(), *told]


def _asker(stage: Stage, parts: _Parts) -> Callable[..., Iterator[list[Any]]]:
    def ask(
        request: gr.Request,
        message: Any,
        chat: Transcript,
        settings: Sequence[Any],
        kept: Transcript | None = None,
    ) -> Iterator[list[Any]]:
        """One question and its answer.

        When it fails before a word was written, the chat returns to ``kept`` and nothing is lost;
        without ``kept`` to the chat as it was, with the question back in its box.
        """
        system, prefill, model, decoding = settings
        same = gr.update()
        back = (kept, same) if kept is not None else (chat, message)
        try:
            asked = chat.asked(message)
            prompt = partial(asked.prompt, system or "", prefill or "")
            run = make_run(model, prompt, decoding)
        except PlaygroundError as error:
            yield [*resting(), sentence(error.problem), back[0], back[0].messages(), back[1], same]
            return
        feed = TokenFeed(run, run.model.label, describe(run))
        box = same if kept is not None else ""
        yield [*running(), "", asked, asked.messages(), box, feed.flush()]
        for _ in stage.play(TAB, request, [feed]):
            if feed.trace.is_over:
                continue  # that it ended is told together with the button
            answer = asked.answered(feed.trace)
            chat = answer if answer.turns[-1].text else asked
            yield [*running(), same, chat, chat.messages(), same, feed.flush()]
        trace = feed.trace
        chat, box = (asked.answered(trace), same) if trace.text or not trace.problem else back
        notice = sentence(trace.problem) if trace.problem else ""
        yield [*resting(), notice, chat, chat.messages(), box, feed.flush()]

    return ask
