"""A view that the browser draws: a static template, its scripts and styles once a page, its value
as JSON; it knows no view by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from playground.ui.token_store import encode

ASSETS = Path(__file__).parent / "assets"


@dataclass(frozen=True)
class Bundle:
    """Scripts and styles of a family of views, files of ``ui/assets``.

    The scripts share one scope, where ``FACTS`` is what ``facts()`` gives. They end in
    ``window.NAME = { mount(root, ways) }``: ``root`` is the view's own element, and ``ways`` are
    the ``props`` (``props.value`` is the view's value), ``watch(name, told)``, the ``server``
    functions, and a function of each event's name, which raises it with what it is given.

    ``css_class`` is the class of ``root``, and with ``-block`` behind it that of Gradio's block.
    Raises ValueError for a name that another bundle has.
    """

    name: str
    css_class: str
    scripts: tuple[str, ...]
    styles: tuple[str, ...] = ()
    facts: Callable[[], Mapping[str, Any]] | None = None

    def __post_init__(self) -> None:
        if self.name in BUNDLES:
            raise ValueError(f"Two bundles are called {self.name}.")
        BUNDLES[self.name] = self


BUNDLES: dict[str, Bundle] = {}

# The scripts come once a page, on the first mount, through a server function: a copy in each of
# a hundred components would make the page's configuration megabytes. Gradio, which rewrites the
# selectors of a style sheet that it is given, leaves these alone. The quoted name of an event is
# how it finds out which events a component has.
_LOADER = """
const name = '%(name)s', views = window.scriptedViews ??= {};
(views[name] ??= server.view_code({ name }).then((code) => {
  for (const kind of ['style', 'script']) {
    const part = document.createElement(kind);
    part.textContent = code[kind];
    document.head.append(part);
  }
})).then(
  () => window[name].mount(element.firstElementChild, { props, watch, server%(events)s }),
  (error) => { delete views[name]; throw error; },
);
"""


@cache
def code_of(bundle: Bundle) -> dict[str, str]:
    """The text of its style sheet and of its script."""
    style, script = ("\n".join((ASSETS / name).read_text("utf-8") for name in names)
                     for names in (bundle.styles, bundle.scripts))
    facts = f"const FACTS = {encode(bundle.facts())};\n" if bundle.facts else ""
    return {"style": style, "script": f"(() => {{\n'use strict';\n{facts}{script}\n}})();"}


def view_code(request: object) -> dict[str, str]:
    """Server function: script and style of a bundle, asked for once a page."""
    name = request.get("name") if isinstance(request, dict) else None
    bundle = BUNDLES.get(name) if isinstance(name, str) else None
    return code_of(bundle) if bundle else {"style": "", "script": ""}


def scripted_view(
    bundle: Bundle, *, value: str = "", events: Sequence[str] = (),
    server: Sequence[Callable[..., object]] = (), css_class: str = "",
    elem_classes: Sequence[str] = (), told: Mapping[str, str] | None = None, **props: Any,
) -> gr.HTML:
    """One view of a bundle inside the open Blocks; ``view.EVENT(handler)`` hears its events, whose
    ``gr.EventData`` comes from a browser and may be anything.

    ``css_class`` is that of its root where it is not the bundle's. ``told`` reaches its script as
    ``root.dataset``, and ``props`` as such, which a view loses that is told gr.skip() before it was
    ever in sight. Those that gr.HTML knows (``elem_id``, ``visible``, ``render``) are its own.

    Safety: the template is static and every text reaches the page as a text node. Gradio evaluates
    ``{{value}}`` and ``${value}`` in a template as code and as HTML, so neither may stand there.
    """
    data = "".join(f' data-{name}="{escape(words)}"' for name, words in (told or {}).items())
    raising = "".join(f", {name}: (data) => trigger('{name}', data)" for name in events)
    return gr.HTML(
        value=value,
        html_template=f'<div class="{css_class or bundle.css_class}"{data}></div>',
        js_on_load=_LOADER % {"name": bundle.name, "events": raising},
        apply_default_css=False,
        server_functions=[view_code, *server],
        elem_classes=[f"{bundle.css_class}-block", *elem_classes],
        **props,
    )


def event_of(view: gr.HTML, name: str) -> Any:
    """A view's own event as ``gr.on`` takes it: Gradio gives those of its components what it gives
    no event of a gr.HTML."""
    event = getattr(view, name)
    event.__self__, event.event_name, event.has_trigger = view, name, True
    event.callback, event.connection, event.event_specific_args = None, "sse", []
    return event


def sent(event: gr.EventData) -> Mapping[str, Any]:
    """What a browser sent with an event: an object that may hold anything, or nothing."""
    return event._data if isinstance(event._data, dict) else {}
