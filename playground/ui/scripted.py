"""A view that the browser draws: a static template, its scripts and styles once a page, its value
as JSON; it knows no view by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

_ASSETS = Path(__file__).parent / "assets"


@dataclass(frozen=True)
class Bundle:
    """Scripts and styles of a family of views, files of ``ui/assets``.

    The scripts share one scope. They end in ``window.NAME = { mount(element, ways) }``, where
    ``ways`` are the ``props`` (``props.value`` is the view's value), ``watch(name, told)``, the
    ``server`` functions, and ``tell(data)``, which raises the view's event.
    """

    name: str
    scripts: tuple[str, ...]
    styles: tuple[str, ...] = ()


_BUNDLES: dict[str, Bundle] = {}

# The scripts come once a page, on the first mount, through a server function: a copy in each of
# a dozen components would make the page's configuration half a megabyte. The quoted name of an
# event is how Gradio finds out which events a component has.
_LOADER = """
const page = window, loaded = page.loadedViews ??= {};
loaded.%(name)s ??= server.view_code({ name: '%(name)s' }).then((code) => {
  const style = document.createElement('style');
  style.textContent = code.css;
  document.head.append(style);
  const script = document.createElement('script');
  script.textContent = code.js;
  document.head.append(script);
});
loaded.%(name)s.then(
  () => page.%(name)s.mount(element, {
    props, watch, server, tell: (data) => trigger('%(event)s', data),
  }),
  (error) => { loaded.%(name)s = undefined; throw error; },
);
"""


@cache
def _code(bundle: Bundle) -> dict[str, str]:
    js = "\n".join((_ASSETS / name).read_text("utf-8") for name in bundle.scripts)
    css = "\n".join((_ASSETS / name).read_text("utf-8") for name in bundle.styles)
    return {"js": f"(() => {{\n'use strict';\n{js}\n}})();", "css": css}


def view_code(request: object) -> dict[str, str]:
    """Server function: script and style of a bundle, asked for once a page."""
    name = request.get("name") if isinstance(request, dict) else None
    bundle = _BUNDLES.get(name) if isinstance(name, str) else None
    return _code(bundle) if bundle else {"js": "", "css": ""}


def scripted_view(
    bundle: Bundle, *, value: str = "", event: str = "chosen",
    server: tuple[Callable[..., object], ...] = (), css_class: str = "", visible: bool = True,
    elem_id: str | None = None, told: Mapping[str, str] | None = None, **props: Any,
) -> gr.HTML:
    """One view of a bundle inside the open Blocks.

    ``told`` reaches its script as ``element.dataset``, and ``props`` as such, which a view loses
    that is told gr.skip() before it was ever in sight.

    Safety: the template is static and every text reaches the page as a text node. Gradio evaluates
    ``{{value}}`` and ``${value}`` in a template as code and as HTML, so neither may stand there.
    """
    _BUNDLES[bundle.name] = bundle
    kind = css_class or bundle.name
    data = "".join(f' data-{name}="{escape(words)}"' for name, words in (told or {}).items())
    return gr.HTML(
        value=value,
        html_template=f'<div class="{kind}"{data}></div>',
        js_on_load=_LOADER % {"name": bundle.name, "event": event},
        apply_default_css=False,
        server_functions=[view_code, *server],
        visible=visible,
        elem_id=elem_id,
        elem_classes=[f"{kind}-block"],
        **props,
    )
