"""Laws of the views that the browser draws: what shares a scope names each thing once, every view
comes the one way, and no script makes HTML or asks another host."""

from __future__ import annotations

import ast
import re
from collections import Counter
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import gradio as gr
import pytest

from playground import ui
from playground.settings import Settings
from playground.ui.page import build_page
from playground.ui.scripted import ASSETS, BUNDLES, Bundle, code_of, scripted_view, view_code
from playground.ui.theme import STYLES
from tests.fake_engine import FakeEngine

MODULES = [import_module(f"{ui.__name__}.{module.name}") for module in iter_modules(ui.__path__)]
DECLARED = re.compile(r"^(?:const|let|var|class|(?:async )?function\*?)\s+(\S*?)(?=[\s(;=])", re.M)
NAME = re.compile(r"[A-Za-z_$][\w$]*")
SEVERAL = re.compile(r"^(?:const|let|var) [^\n(\[{`'\"/]*,.*", re.M)


@pytest.mark.parametrize("bundle", BUNDLES.values(), ids=BUNDLES)
def test_no_name_is_declared_twice(bundle: Bundle) -> None:
    """Two files with a ``counted`` of their own: neither of them ran, and no view was drawn."""
    script = code_of(bundle)["script"]
    names = DECLARED.findall(script)
    assert [name for name, times in Counter(names).items() if times > 1] == []
    unread = [name for name in names if not NAME.fullmatch(name)]
    assert unread + SEVERAL.findall(script) == [], "a declaration of one name, which is read here"


@pytest.mark.parametrize("bundle", BUNDLES.values(), ids=BUNDLES)
def test_a_bundle_ends_in_its_door(bundle: Bundle) -> None:
    """Otherwise its views mount what is not there, or another bundle's."""
    doors = re.findall(r"^window\.(\w+) = \{", code_of(bundle)["script"], re.M)
    assert doors == [bundle.name]
    assert view_code({"name": bundle.name}) == code_of(bundle)


def test_every_script_and_style_is_a_bundles_or_the_pages() -> None:
    bundled = {name for one in BUNDLES.values() for name in (*one.scripts, *one.styles)}
    there = {path.name for path in ASSETS.iterdir() if path.suffix in (".js", ".css")}
    assert there == bundled | {path.name for path in STYLES}


def test_there_is_one_way_to_bring_a_script() -> None:
    """Eight views had loaders of their own. What the Models tab listens for needs no script."""
    own = {}
    for module in MODULES:
        tree = ast.parse(Path(str(module.__file__)).read_text("utf-8"))
        given = [word.arg for node in ast.walk(tree) if isinstance(node, ast.Call)
                 for word in node.keywords]
        own[module.__name__.rpartition(".")[2]] = set(given) & {"js_on_load", "html_template"}
    assert {name for name, found in own.items() if found} == {"models", "scripted"}
    assert own["models"] == {"js_on_load"}


@pytest.mark.parametrize("name", [None, 3, [], {}, "", "nobody", {"name": []}, {"name": "nobody"}])
def test_what_is_no_bundles_name_brings_nothing(name: object) -> None:
    """What is asked for comes from a browser."""
    for asked in (name, {"name": name}):
        assert view_code(asked) == {"style": "", "script": ""}


def test_two_bundles_have_two_names() -> None:
    with pytest.raises(ValueError, match="insideView"):
        Bundle("insideView", "other", ())


def test_a_view_has_the_events_that_it_names_and_no_other() -> None:
    """Gradio reads their quoted names in its loader."""
    bundle = BUNDLES["insideView"]
    view = scripted_view(bundle, events=("vote", "undo"))
    assert callable(view.vote) and callable(view.undo)
    assert not hasattr(view, "chosen")
    assert not hasattr(scripted_view(bundle), "vote")


def test_what_a_view_is_told_is_no_html() -> None:
    view = scripted_view(BUNDLES["insideView"], told={"hint": '"><img src=x onerror=alert(1)>'})
    assert view.html_template.count("<") == 2, "the div, opened and closed"


def test_nothing_in_a_template_is_evaluated() -> None:
    """Gradio evaluates ``{{…}}`` and ``${…}`` there, with the value in scope."""
    page = build_page(FakeEngine(), Settings())  # type: ignore[arg-type]
    views = [one for one in page.blocks.values() if isinstance(one, gr.HTML)
             and one.html_template != "${value}"]
    assert len(views) > 100
    for view in views:
        for template in (view.html_template, view.css_template, view.js_on_load or ""):
            assert "{{" not in template and "${" not in template


@pytest.mark.parametrize(
    "asset", sorted({*ASSETS.glob("*.js"), *ASSETS.glob("*.css")}), ids=lambda path: path.name)
def test_no_asset_makes_html_or_asks_another_host(asset: Path) -> None:
    """The namespace of SVG is a name that nobody asks for, and a paper is a reader's to open."""
    text = asset.read_text("utf-8")
    for harmless in ("'http://www.w3.org/2000/svg'", 'url("data:', "`https://arxiv.org/abs/"):
        text = text.replace(harmless, "")
    sinks = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|DOMParser|srcdoc"
    assert not re.search(sinks, text)
    assert not re.search(r"https?:|//[a-z]+\.|@import|\burl\(|\bfetch\(|XMLHttpRequest", text)
