"""The Models tab: what is loaded, who uses it and what fits; loads, parks, pins and unloads."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Any

import gradio as gr

from playground.core.events import Loading
from playground.core.run import ModelSpec
from playground.engine.engine import Engine
from playground.errors import InvalidInput, PlaygroundError
from playground.settings import Settings
from playground.ui.actions import HEARD, QUIET, sentence
from playground.ui.controls import model_picker, read_model
from playground.ui.model_list import catalog_table, facts, key_of, list_models, progress
from playground.ui.scripted import sent

_ROOM = (
    "When room is short, the model that was unused longest is parked in host memory, or ended; one "
    "that somebody uses, or that is pinned, stays. Who waits sees their place."
)
# Buttons in the rows tell what is wished for which model.
_WISHES = """
element.addEventListener("click", (event) => {
  const button = event.target.closest("[data-wish]");
  if (button) trigger("wish", { wish: button.dataset.wish, model: button.dataset.model });
});
"""

Said = list[str]


def build_models(engine: Engine, settings: Settings) -> gr.HTML:
    """Build the tab inside the open Blocks; gives the list, which the page keeps fresh."""
    with gr.Row(elem_classes="tab-head"):
        model = model_picker(settings, explained=True, encoders=True)
        dtype = gr.Dropdown(
            ["auto", "float32", "bfloat16", "float16"],
            value="auto",
            label="dtype",
            info="auto: what the device is fastest with.",
            min_width=110,
        )
        quantization = gr.Dropdown(
            ["none", "nf4", "int8"],
            value="none",
            label="Quantization",
            info="Fewer bits a weight (bitsandbytes).",
            min_width=110,
        )
        adapter = gr.Textbox(
            "",
            label="Adapter",
            info="A LoRA adapter: Hub id or folder.",
            placeholder="none",
            visible=settings.any_model,
            min_width=140,
        )
    chosen: list[Any] = [model, dtype, quantization, adapter]
    fit = gr.HTML("", elem_id="models-fit", elem_classes="notice", padding=False)
    with gr.Row(elem_classes="tools"):
        load = gr.Button("Load", variant="primary", size="md", elem_id="models-load", min_width=80)
        swap = gr.Button("Swap in", size="md", elem_id="models-swap", min_width=80)
        ask = gr.Button("Will it fit?", size="md", elem_id="models-ask", min_width=80)
    notice = gr.HTML("", elem_id="models-notice", elem_classes="notice", padding=False)
    listing = gr.HTML(
        lambda: list_models(engine, settings),
        elem_id="models-list",
        padding=False,
        js_on_load=_WISHES,
    )
    gr.HTML(f'<p class="quiet">{escape(_ROOM)}</p>', padding=False)
    with gr.Accordion("Models to pick from", open=False):
        gr.HTML(lambda: catalog_table(settings), elem_id="models-catalog", padding=False)

    desk = _Desk(engine, settings)
    both = [notice, listing]
    # Another row, or Stop of one that loads, is heard while a handler has not ended yet.
    load.click(desk.load, chosen, both, **HEARD)
    swap.click(desk.swap, chosen, both, **HEARD)
    gr.on([ask.click, model.input, dtype.input, quantization.input],
          desk.fit, chosen, fit, **{**HEARD, "trigger_mode": "always_last"})
    # What loading comes to is said once: it was counted before whether the model fits.
    gr.on([load.click, swap.click], lambda: "", None, fit, queue=False, **QUIET)
    listing.wish(desk.wish, None, both, **HEARD)
    return listing


class _Desk:
    """The handlers of the tab: wishes in, sentences and the list out."""

    def __init__(self, engine: Engine, settings: Settings) -> None:
        self._engine, self._settings = engine, settings

    def load(self, *chosen: Any) -> Iterator[Said]:
        """Load the chosen model and say how it goes."""
        try:
            spec = _spec(*chosen)
        except PlaygroundError as error:
            yield self._say(sentence(error.problem))
            return
        yield from self._load(spec)

    def swap(self, *chosen: Any) -> Iterator[Said]:
        """Load the chosen model after ending those that nobody uses."""
        try:
            spec = _spec(*chosen)
            for status in self._engine.models():
                idle = status.state in ("ready", "parked") and not status.pinned
                if idle and self._settings.any_model and status.spec.base != spec.base:
                    self._engine.unload(status.spec)
        except PlaygroundError as error:
            yield self._say(sentence(error.problem))
            return
        yield from self._load(spec)

    def fit(self, *chosen: Any) -> Iterator[str]:
        """Whether the chosen model fits, as a sum."""
        try:
            spec = _spec(*chosen)
            yield sentence(f"Counting what {spec.label} needs …", "wait")
            found = self._engine.fit(spec)
        except PlaygroundError as error:
            yield sentence(error.problem)
            return
        said = f"{spec.label}: {found} {found.advice}".strip()
        yield sentence(said, "good" if found.fits else "problem")

    def wish(self, event: gr.EventData) -> Iterator[Said]:
        """A button in a row."""
        wish, key = sent(event).get("wish"), sent(event).get("model")
        spec = next((s.spec for s in self._engine.models() if key_of(s.spec) == key), None)
        if spec is None:
            yield self._say(sentence("This model is not in the list any more."))
        elif wish == "load":
            yield from self._load(spec)
        else:
            yield self._manage(str(wish), spec)

    def _manage(self, wish: str, spec: ModelSpec) -> Said:
        try:
            if not self._settings.any_model:
                raise InvalidInput(
                    "In public, models come and go by themselves.", field="model",
                    advice="Run something: the model that it needs is loaded.",
                )
            if wish in ("pin", "unpin"):
                self._engine.pin(spec, wish == "pin")
                return self._say(sentence(f"{spec.label} is {wish}ned.", "good"))
            freed = self._engine.park(spec) if wish == "park" else self._engine.unload(spec)
        except PlaygroundError as error:
            return self._say(sentence(error.problem))
        done = "parked" if wish == "park" else "stopped" if wish == "cancel" else "unloaded"
        said = f"{spec.label} is {done}" + (f"; {freed} came back." if freed else ".")
        return self._say(sentence(said, "good"))

    def _load(self, spec: ModelSpec) -> Iterator[Said]:
        try:
            yield self._say(sentence(f"{spec.label} is on its way …", "wait"))
            for event in self._engine.load(spec):
                if isinstance(event, Loading):
                    yield self._say(progress(spec.label, event))
                else:
                    said = facts(event).removesuffix(".")
                    yield self._say(sentence(f"{spec.label} is ready: {said}.", "good"))
                    return
            yield self._say(sentence(f"Loading {spec.label} was stopped.", "wait"))
        except PlaygroundError as error:
            yield self._say(sentence(error.problem))

    def _say(self, said: str) -> Said:
        return [said, list_models(self._engine, self._settings)]


def _spec(repo: Any, dtype: Any, quantization: Any, adapter: Any) -> ModelSpec:
    plain = read_model(repo)
    beside = adapter.strip() if isinstance(adapter, str) else adapter
    return ModelSpec(plain.repo, dtype=dtype, quantization=quantization, adapter=beside or "")
