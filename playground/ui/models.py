"""The Models tab: what is loaded, how large and where; loads, swaps and unloads."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Any

import gradio as gr

from playground.core.events import Loading
from playground.core.messages import ModelCard
from playground.core.run import ModelSpec
from playground.engine.engine import Engine, ModelStatus
from playground.errors import PlaygroundError
from playground.models.catalog import entry
from playground.settings import Settings
from playground.ui.actions import sentence
from playground.ui.controls import model_picker, read_model

STATES = {
    "absent": "not loaded",
    "loading": "loading",
    "ready": "ready",
    "busy": "in use",
    "failed": "failed",
}


def build_models(engine: Engine, settings: Settings) -> gr.HTML:
    """Build the tab inside the open Blocks; gives the list, which the page keeps fresh."""
    with gr.Row(elem_classes="tab-head"):
        model = model_picker(settings, explained=True)
        dtype = gr.Dropdown(
            ["auto", "float32", "bfloat16", "float16"],
            value="auto",
            label="dtype",
            info="auto: float32 on a CPU, half precision on a GPU.",
            min_width=110,
        )
        quantization = gr.Dropdown(
            ["none", "nf4", "int8"],
            value="none",
            label="Quantization",
            info="Fewer bits a weight (bitsandbytes).",
            min_width=110,
        )
    with gr.Row(elem_classes="tools"):
        load = gr.Button("Load", variant="primary", size="md", elem_id="models-load", min_width=80)
        swap = gr.Button("Swap in", size="md", elem_id="models-swap", min_width=80)
        unload = gr.Button("Unload", size="md", elem_id="models-unload", min_width=80)
    notice = gr.HTML("", elem_id="models-notice", elem_classes="notice", padding=False)
    listing = gr.HTML(lambda: list_models(engine), elem_id="models-list", padding=False)

    def bring(repo: Any, kind: Any, bits: Any) -> Iterator[list[str]]:
        yield from _loaded(engine, repo, kind, bits)

    def swap_in(repo: Any, kind: Any, bits: Any) -> Iterator[list[str]]:
        for status in engine.models():
            if status.state == "ready" and status.spec.repo != repo:
                engine.unload(status.spec)
        yield from _loaded(engine, repo, kind, bits)

    def drop(repo: Any, kind: Any, bits: Any) -> list[str]:
        try:
            spec = _spec(repo, kind, bits)
            freed = engine.unload(spec)
        except PlaygroundError as error:
            return [sentence(error.problem), list_models(engine)]
        said = f"{spec.label} is unloaded." if freed else f"{spec.label} was not loaded."
        return [sentence(said, "good"), list_models(engine)]

    inputs, outputs = [model, dtype, quantization], [notice, listing]
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    load.click(bring, inputs, outputs, concurrency_limit=None, **quiet)
    swap.click(swap_in, inputs, outputs, concurrency_limit=None, **quiet)
    unload.click(drop, inputs, outputs, **quiet)
    return listing


def _spec(repo: Any, dtype: Any, quantization: Any) -> ModelSpec:
    plain = read_model(repo)
    return ModelSpec(plain.repo, dtype=dtype, quantization=quantization)


def _loaded(engine: Engine, repo: Any, dtype: Any, quantization: Any) -> Iterator[list[str]]:
    try:
        spec = _spec(repo, dtype, quantization)
        yield [sentence(f"{spec.label} is on its way …", "wait"), list_models(engine)]
        for event in engine.load(spec):
            if isinstance(event, Loading):
                yield [_progress(spec.label, event), list_models(engine)]
            else:
                yield [
                    sentence(f"{spec.label} is ready: {_facts(event)}.", "good"),
                    list_models(engine),
                ]
    except PlaygroundError as error:
        yield [sentence(error.problem), list_models(engine)]


def stage(event: Loading | None) -> str:
    """How far loading is, in a few words, as in "downloading 40%"."""
    if event is None:
        return "loading"
    return event.stage if event.done is None else f"{event.stage} {event.done:.0%}"


def _progress(label: str, event: Loading) -> str:
    bar = (
        "<progress></progress>"
        if event.done is None
        else f'<progress max="1" value="{event.done:.3f}"></progress>'
    )
    detail = f" · {event.detail}" if event.detail else ""
    return f'<div class="sentence wait">{escape(f"{label}: {stage(event)}{detail}")} {bar}</div>'


def size(number: float) -> str:
    """Bytes in the unit that a person would choose, as in 12.6 MB."""
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000 or unit == "GB":
            return f"{number:.0f} {unit}" if unit in ("B", "kB") else f"{number:.1f} {unit}"
        number /= 1000
    raise AssertionError("unreachable")


def _facts(card: ModelCard) -> str:
    return (
        f"{card.architecture}, {card.parameters / 1e6:.1f} M parameters, {size(card.bytes)} as "
        f"{card.dtype} on {card.device}, context {card.context:,} tokens"
    )


def list_models(engine: Engine) -> str:
    """Every offered, loaded or failed model as safe HTML: a row each."""
    rows = "".join(_row(status) for status in engine.models())
    return (
        '<table class="models"><thead><tr><th>Model</th><th>State</th><th>Size</th><th>Device</th>'
        f"<th>Context</th><th>About</th></tr></thead><tbody>{rows}</tbody></table>"
    )


def _row(status: ModelStatus) -> str:
    card, kind = status.card, STATES[status.state]
    if status.state == "loading":
        kind = stage(status.progress)
    if status.problem is not None:
        about = str(status.problem)
    elif card is not None and card.notices:
        about = " ".join(card.notices)
    else:
        about = entry(status.spec.repo).note
    name = f"{escape(status.spec.label)}<small>{escape(status.spec.repo)}</small>"
    cells = [
        f'<th scope="row">{name}</th>',
        f'<td><span class="state {escape(status.state)}">{escape(kind)}</span></td>',
        f"<td>{escape(size(card.bytes))} · {escape(card.dtype)}</td>" if card else "<td>–</td>",
        f"<td>{escape(card.device)}</td>" if card else "<td>–</td>",
        f"<td>{card.context:,}</td>" if card else "<td>–</td>",
        f"<td>{escape(about)}</td>",
    ]
    return f"<tr>{''.join(cells)}</tr>"
