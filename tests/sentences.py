"""Every sentence that the page can show, read from the sources: what a translation must know.

A template is a text with ``{}`` for each part that is put in when it is said. Run as a program it
prints those that zh.json lacks, as JSON.
"""

from __future__ import annotations

import ast
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "playground"
WORDS = PACKAGE / "ui" / "assets" / "zh.json"

# Their texts are for programs, for whoever starts the app, or of the files that we hand out.
_NOT_SHOWN = ("space.py", "deployment.py", "settings.py", "flags.py",
              "spaces_yaml.py", "environment.py", "models/builtin/", "worker/pipe.py",
              "core/recipe_code.py", "core/recipe_classes.py", "core/recipe_openai.py",
              "ui/theme.py", "ui/scripted.py",
              "records/database.py", "records/rows.py", "engine/process.py:log", "api/",
              "ui/recipe_calls.py", "core/recipe_table.py")
# Arguments that are never shown, whatever function takes them.
_CODE_ARGUMENTS = {"elem_id", "elem_classes", "api_name", "show_progress", "api_visibility", "name",
                   "trigger_mode", "html_template", "js_on_load", "js", "target", "mode", "view",
                   "variant", "size", "default", "key", "pattern", "encoding", "newline", "errors",
                   "css_class", "id", "field", "code", "id_", "event", "kind"}
_CODE_CALLS = {"getLogger", "compile", "search", "match", "fullmatch", "sub", "execute",
               "executescript", "split", "replace", "startswith", "endswith", "join", "debug",
               "info", "warning", "error", "exception", "getattr", "TypeVar", "NewType",
               "AssertionError", "cast", "strptime", "strftime", "removeprefix", "removesuffix"}
_SENTENCE = re.compile(r"[A-Za-z]{2,}.*\s.*[A-Za-z{]|^[A-Z][a-z]{2,}")


def templates() -> dict[str, str]:
    """Each template with the file that says it."""
    found: dict[str, str] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).as_posix()
        if not name.startswith(_NOT_SHOWN):
            for text in _of_python(path):
                found.setdefault(text, name)
    for path in sorted((PACKAGE / "ui" / "assets").glob("*.js")):
        for text in _of_script(path.read_text("utf-8")):
            found.setdefault(text, f"ui/assets/{path.name}")
    return found


def _of_python(path: Path) -> Iterator[str]:
    tree = ast.parse(path.read_text("utf-8"))
    skipped: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body
            if body and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
                skipped.add(id(body[0].value))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            skipped.add(id(node.value))
        if isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else (
                node.func.id if isinstance(node.func, ast.Name) else "")
            given = [*node.args] if called in _CODE_CALLS else []
            given += [one.value for one in node.keywords if one.arg in _CODE_ARGUMENTS]
            for value in given:
                skipped |= {id(part) for part in ast.walk(value)}
        if isinstance(node, ast.JoinedStr):
            skipped |= {id(part) for part in node.values}
        if isinstance(node, ast.Subscript | ast.Assert):
            skipped |= {id(part) for part in ast.walk(node) if isinstance(part, ast.Constant)}
        if isinstance(node, ast.Dict):
            skipped |= {id(key) for key in node.keys if key is not None}
        if isinstance(node, ast.arg | ast.AnnAssign) and node.annotation is not None:
            skipped |= {id(part) for part in ast.walk(node.annotation)}
        if isinstance(node, ast.Compare):
            skipped |= {id(part) for part in [node.left, *node.comparators]}
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from _parts(node.value.replace("{", "{{").replace("}", "}}"))
        elif isinstance(node, ast.JoinedStr):
            yield from _parts("".join(
                str(one.value).replace("{", "{{").replace("}", "}}")
                if isinstance(one, ast.Constant) else "{}" for one in node.values
            ))


_STRING = re.compile(r"""'((?:[^'\\\n]|\\.)*)'|"((?:[^"\\\n]|\\.)*)"|`((?:[^`\\]|\\.)*)`""")


def _of_script(text: str) -> Iterator[str]:
    text = re.sub(r"(?m)(^|\s)//.*$", r"\1", text)
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    for found in _STRING.finditer(text):
        said = next(part for part in found.groups() if part is not None)
        said = said.encode().decode("unicode_escape", "ignore").encode("latin-1", "ignore").decode(
            "utf-8", "ignore") if "\\" in said else said
        if found[3] is not None:
            said = _without_holes(said)
        yield from _parts(said)


def _without_holes(text: str) -> str:
    """A template literal with ``{}`` for each of its expressions."""
    made, depth, place = "", 0, 0
    while place < len(text):
        if depth == 0 and text.startswith("${", place):
            made, depth, place = made + "{}", 1, place + 2
        elif depth:
            depth += {"{": 1, "}": -1}.get(text[place], 0)
            place += 1
        else:
            made, place = made + text[place], place + 1
    return made


def _parts(text: str) -> Iterator[str]:
    """The pieces of a text that stand by themselves on the page: between tags, and on lines."""
    for piece in re.split(r"<[^<>]*>|\n", text):
        said = piece.strip()
        if _is_said(said):
            yield said


def _is_said(text: str) -> bool:
    if not _SENTENCE.search(text) or len(text) < 3:
        return False
    if re.search(r"[;{]\s*$|=>|^\s*[.#]\w+|::|^--|\w+\(|^[\w-]+:\s*[\w#-]+;?$|&&|\|\||==", text):
        return False
    if re.fullmatch(r"[\w.{}/:#%&?=~^*+-]+", text) and not re.fullmatch(r"[A-Z][a-z]+[.…:]?", text):
        return False  # one word that is no label: a key, a path, a class
    words = re.findall(r"[A-Za-z]{2,}", re.sub(r"\{[^}]*\}", "", text))
    return bool(words) and not re.fullmatch(r"[a-z-]+( [a-z0-9-]+)+", text) or _plain(text)


def _plain(text: str) -> bool:
    """Lower-case words: said, unless they look like the classes of an element."""
    return bool(re.fullmatch(r"[a-z]+( [a-z’']+){1,}[.…]?", text)) and len(text.split()) > 2


if __name__ == "__main__":
    known = json.loads(WORDS.read_text("utf-8")) if WORDS.is_file() else {}
    missing = {text: where for text, where in templates().items() if text not in known}
    if "--unused" in sys.argv:
        print(json.dumps([text for text in known if text not in templates()], ensure_ascii=False,
                         indent=0))
    else:
        print(json.dumps(missing, ensure_ascii=False, indent=0))
