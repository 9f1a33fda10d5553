"""A recipe for people and for tables: Markdown with where it comes from, and CSV; both one way."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence

from playground.core.plain import to_plain, to_text
from playground.core.prompt import Chat, Ids, Prompt, Raw
from playground.core.recipe import Digest, Experiment, Recipe, Tokens, written_experiment

_COLUMNS = ("lane", "model", "commit", "prompt", "settings", "seed", "answer", "ended", "tokens",
            "ids", "problem", "dtype", "device", "quantization", "attention", "template", "torch",
            "transformers", "package", "company", "made")
_FORMULA = re.compile(r"[=+\-@\t\r]")


def csv_of(experiment: Experiment) -> str:
    """One line a lane (RFC 4180). Text that a spreadsheet would take for a formula gets an
    apostrophe before it."""
    out = io.StringIO()
    rows = csv.writer(out)
    rows.writerow(_COLUMNS)
    for one in experiment.lanes:
        rows.writerow(_guarded(cell) for cell in _cells(one))
    return out.getvalue()


def markdown_of(experiment: Experiment) -> str:
    """What was asked and answered, what decided it, and the whole recipe, to be opened again."""
    parts = [f"# {_inline(experiment.title or 'A run, token by token')}"]
    for one in experiment.lanes:
        parts += _section(one, alone=len(experiment.lanes) == 1)
    parts += ["## Recipe", "Open it on the Recipe tab to run it again and compare.",
              fenced(written_experiment(experiment), "json")]
    return "\n\n".join(parts) + "\n"


def words_of(prompt: Prompt) -> str:
    """A prompt as people read it: a chat with a line for each role."""
    match prompt:
        case Raw():
            return prompt.text
        case Chat():
            return "\n\n".join(f"{m.role}: {m.content}" for m in prompt.messages)
        case Ids():
            return " ".join(map(str, prompt.ids))


def facts_of(recipe: Recipe) -> list[tuple[str, str]]:
    """What decided the ids, as name and value; nothing that is not known."""
    told, run, answer = recipe.facts, recipe.run, recipe.answer
    model = f"{run.model.repo} with {run.model.adapter}" if run.model.adapter else run.model.repo
    layout = layout_in_words(answer.company, answer.reused) if answer else ""
    versions = [f"{name} {version}" for name, version in (
        ("torch", told.torch), ("transformers", told.transformers), ("this app", told.package)
    ) if version]
    template = told.template if isinstance(run.prompt, Chat) else ""
    numbers = [told.dtype, told.quantization if told.quantization != "none" else "", told.device]
    found = [
        ("Model", model), ("Commit", recipe.commit or run.model.revision),
        ("Settings", run.decoding.summary),
        ("Seed", str(run.seed) if run.decoding.draws else ""),
        ("Prompt", _counted(recipe.prompt_ids)), ("Answer", _counted(answer.ids) if answer else ""),
        ("Numbers", " · ".join(part for part in numbers if part)),
        ("Attention", told.attention), ("Chat template", template),
        ("Forwards", layout), ("Versions", " · ".join(versions)),
        ("Made", recipe.made.replace("T", " ").replace("Z", " UTC")),
    ]
    return [(name, value) for name, value in found if value]


def layout_in_words(company: int, reused: int) -> str:
    """In what company a run decoded, and what it need not read."""
    texts = "1 other text" if company == 1 else f"{company} other texts"
    tokens = "1 prompt token" if reused == 1 else f"{reused} prompt tokens"
    beside = f"beside {texts}" if company else "alone"
    return f"{beside}, {tokens} from a cache" if reused else beside


def fenced(text: str, language: str = "") -> str:
    """A block of code that no text in it can end."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def _section(one: Recipe, alone: bool) -> list[str]:
    parts = [] if alone and not one.title else [f"## {_inline(one.label)}"]
    parts += ["Prompt:", fenced(words_of(one.run.prompt))]
    if one.answer is not None:
        parts += [f"Answer (ended: {one.answer.reason}):", fenced(one.answer.text)]
    if one.problem:
        parts += ["Problem:", fenced(one.problem)]
    rows = ["| | |", "|---|---|"]
    rows += [f"| {name} | {_inline(value)} |" for name, value in facts_of(one)]
    return [*parts, "\n".join(rows)]


def _cells(one: Recipe) -> Sequence[object]:
    told, answer = one.facts, one.answer
    return (
        one.label, one.run.model.repo, one.commit, words_of(one.run.prompt),
        to_text(to_plain(one.run.decoding)), one.run.seed, answer.text if answer else "",
        answer.reason if answer else "", _count(answer.ids) if answer else "",
        " ".join(map(str, answer.ids)) if answer and isinstance(answer.ids, tuple) else "",
        one.problem, told.dtype, told.device, told.quantization, told.attention, told.template,
        told.torch, told.transformers, told.package, answer.company if answer else "", one.made,
    )


def _guarded(cell: object) -> str:
    text = str(cell)
    return f"'{text}" if isinstance(cell, str) and _FORMULA.match(text) else text


def _inline(text: str) -> str:
    """Words of anybody on one line, of which Markdown makes nothing."""
    return re.sub(r"([\\`*_{}\[\]<>#|!])", r"\\\1", " ".join(text.split()))


def _count(tokens: Tokens) -> int:
    return tokens.count if isinstance(tokens, Digest) else len(tokens)


def _counted(tokens: Tokens) -> str:
    count = _count(tokens)
    return "" if not count else "1 token" if count == 1 else f"{count} tokens"
