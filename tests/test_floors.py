"""The floor plan, read from the imports of every module: nothing may look up."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

NO_TORCH = tuple(
    f"playground.models.{name}"
    for name in ("catalog", "context", "download", "footprint", "hub_cache", "hub_faults",
                 "hub_process", "kinds", "memory", "place", "repo", "weights")
)
GROUND = ("playground.core", "playground.errors", "playground.settings", "playground.environment")
START = ("playground.flags", "playground.spaces_yaml")

# What each room may import of ours, besides itself. The longest matching name decides.
MAY_IMPORT: dict[str, tuple[str, ...]] = {
    "playground.errors": (),
    "playground.core": ("playground.errors",),
    "playground.settings": ("playground.core", "playground.errors"),
    "playground.environment": ("playground.core", "playground.errors"),
    "playground.spaces_yaml": GROUND,
    "playground.flags": (*GROUND, "playground.spaces_yaml"),
    "playground.space": (*GROUND, *START, "playground.deployment"),
    "playground.deployment": (*GROUND, "playground.spaces_yaml"),
    "playground.records": GROUND,
    "playground.models": (*GROUND, *NO_TORCH),
    **{name: (*GROUND, "playground.models.builtin", *NO_TORCH) for name in NO_TORCH},
    "playground.decode": (*GROUND, "playground.models"),
    "playground.inside": (*GROUND, "playground.models"),
    "playground.worker": (*GROUND, "playground.models", "playground.decode", "playground.inside"),
    "playground.engine": (*GROUND, *NO_TORCH),
    # On a ZeroGPU there is no worker process: its station runs in a fork of the app.
    "playground.engine.zero": (*GROUND, *NO_TORCH, "playground.engine", "playground.worker"),
    "playground.ui": (*GROUND, "playground.records", "playground.engine", *NO_TORCH),
    "playground.api": (*GROUND, "playground.records", "playground.engine", *NO_TORCH),
    "app": (*GROUND, *START, "playground.records", "playground.engine", "playground.ui",
            "playground.api", *NO_TORCH),
}

TORCH = {"torch", "transformers", "tokenizers", "safetensors", "accelerate", "bitsandbytes", "peft"}
WITH_TORCH = ("playground.models", "playground.decode", "playground.inside", "playground.worker")


def _name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


PATHS = (*sorted((ROOT / "playground").rglob("*.py")), ROOT / "app.py")
FILES = {_name(path): path for path in PATHS if path.is_file()}
TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in FILES.items()}


def _room(module: str) -> str:
    """The entry of MAY_IMPORT that rules this module."""
    rooms = [room for room in MAY_IMPORT if _within(module, room)]
    return max(rooms, key=len, default="")


def _within(module: str, room: str) -> bool:
    return module == room or module.startswith(room + ".")


def _nodes(tree: ast.AST, types_too: bool) -> Iterator[ast.AST]:
    """The tree's nodes; without ``types_too``, imports for type checkers alone are left out."""
    yield tree
    if isinstance(tree, ast.If) and ast.unparse(tree.test) == "TYPE_CHECKING" and not types_too:
        return
    for child in ast.iter_child_nodes(tree):
        yield from _nodes(child, types_too)


def _imports(module: str, types_too: bool = True) -> Iterator[str]:
    """Every module that this one imports, wherever in the file; a name from a package is joined."""
    for node in _nodes(TREES[module], types_too):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = _package(module, node.level)
            package = ".".join(part for part in (start, node.module) if part)
            for alias in node.names:
                joined = f"{package}.{alias.name}"
                yield joined if joined in FILES else package


def _package(module: str, level: int) -> str:
    """Where ``from .`` (level 1), ``from ..`` (level 2) … begin here; empty for level 0."""
    parts = module.split(".") if FILES[module].name == "__init__.py" else module.split(".")[:-1]
    return ".".join(parts[: len(parts) - level + 1]) if level else ""


def _calls(module: str) -> Iterator[ast.Call]:
    return (node for node in ast.walk(TREES[module]) if isinstance(node, ast.Call))


def _each(complaints: Callable[[str], Iterable[str]], modules: Iterable[str] = FILES) -> None:
    """Fail with all that is said of these modules, a line each."""
    said = [f"{module} {complaint}" for module in modules for complaint in complaints(module)]
    assert not said, "\n" + "\n".join(said)


def test_imports_only_look_down() -> None:
    def looks_up(module: str) -> Iterator[str]:
        ours = [name for name in _imports(module) if _within(name, "playground")]
        if module == "playground":
            yield from (f"must not import {name}; it imports nothing of ours" for name in ours)
            return
        room = _room(module)
        if not room:
            yield "has no place in the floor plan; give it one in MAY_IMPORT"
            return
        below = MAY_IMPORT[room]
        up = [name for name in ours if name != "playground" and _room(name) != room
              and not any(_within(name, one) for one in below)]
        if up:
            yield f"must not import {', '.join(up)}; {room} may import {below}"

    _each(looks_up)


def test_torch_stays_in_the_worker_and_gradio_in_the_page() -> None:
    def carries(module: str) -> Iterator[str]:
        third = {name.partition(".")[0] for name in _imports(module, types_too=False)}
        room = _room(module)
        if third & TORCH and (not room.startswith(WITH_TORCH) or room in NO_TORCH):
            yield f"runs in the app process, which has no {', '.join(sorted(third & TORCH))}"
        if "gradio" in third and not room.startswith(("playground.ui", "playground.api")):
            yield "is no page, and imports gradio"
        if room in (*GROUND, *START):
            allowed = {"playground", *sys.stdlib_module_names}
            allowed |= {"yaml"} if room == "playground.spaces_yaml" else set()
            if third - allowed:
                yield f"takes the standard library only, not {', '.join(sorted(third - allowed))}"

    _each(carries)


def test_the_app_process_has_no_torch() -> None:
    """What the sources say, seen at run time: a library could import torch behind our back."""
    rooms = ("playground.ui", "playground.api", "playground.engine", "playground.space",
             *NO_TORCH)
    names = [name for name in FILES if any(_within(name, room) for room in rooms)
             and name != "playground.engine.zero"]  # imported where there is no worker process
    heavy = sorted(TORCH - {"tokenizers", "safetensors"})
    script = (f"import importlib, sys\nfor name in {names}: importlib.import_module(name)\n"
              f"print([name for name in {heavy} if name in sys.modules])")
    told = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert told.returncode == 0, told.stderr
    assert told.stdout.strip() == "[]"


def test_only_one_module_reads_the_environment() -> None:
    readers = {"environ", "environb", "getenv", "getenvb", "putenv"}

    def reads(module: str) -> Iterator[str]:
        for node in ast.walk(TREES[module]):
            if (isinstance(node, ast.Attribute) and node.attr in readers
                    and isinstance(node.value, ast.Name) and node.value.id == "os") \
                    or (isinstance(node, ast.ImportFrom) and node.module == "os"
                        and readers & {alias.name for alias in node.names}):
                yield f"reads the environment in line {node.lineno}"

    _each(reads, (name for name in FILES if name != "playground.environment"))


def test_only_loading_calls_from_pretrained_and_nothing_runs_a_repos_code() -> None:
    def loads(module: str) -> Iterator[str]:
        may = module == "playground.models.reading" or _within(module, "playground.models.builtin")
        for call in _calls(module):
            if (not may and isinstance(call.func, ast.Attribute)
                    and call.func.attr == "from_pretrained"):
                yield f"loads in line {call.lineno}; only playground.models.reading does"
            for word in call.keywords:
                if word.arg == "trust_remote_code" and not (
                        isinstance(word.value, ast.Constant) and word.value.value is False):
                    yield f"trusts a repo's own code in line {call.lineno}"

    _each(loads)


def test_a_module_says_its_duty_and_has_a_name_that_means_something() -> None:
    vague = {"utils", "util", "helpers", "helper", "common", "misc", "base", "shared", "stuff"}

    def says_nothing(module: str) -> Iterator[str]:
        if not ast.get_docstring(TREES[module]):
            yield "has no docstring"
        for word in vague & set(module.split(".")):
            yield f"is called {word}: a noun is missing"

    _each(says_nothing)


def test_what_is_public_says_what_it_is_for() -> None:
    def silent(module: str) -> Iterator[str]:
        for node in TREES[module].body:
            if (isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
                    and not node.name.startswith("_") and not ast.get_docstring(node)):
                yield f"has no docstring for {node.name}"

    _each(silent)
