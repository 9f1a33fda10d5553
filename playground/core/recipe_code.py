"""A recipe as a plain transformers script that gives the same ids; it runs nothing and knows no
tensor. Where ``generate()`` has a setting the script sets it; where it has none, the class that
decodes here is copied into the script, or a sentence says why there is no script."""

from __future__ import annotations

import ast
import json
import textwrap
from collections.abc import Sequence
from typing import Any

from playground.core.prompt import check_text
from playground.core.recipe import Digest, Recipe
from playground.core.recipe_classes import classes_of
from playground.core.recipe_openai import is_served, served_sections
from playground.core.recipe_settings import Parts, check_offered, device_of, parts_of, stand_of
from playground.core.run import Fork

BUILTIN = "playground/models/builtin"


def script_of(recipe: Recipe) -> str:
    """A Python script that loads the model, generates, and compares with the answer's ids; for a
    run on a server one that asks that server.

    Raises InvalidInput where transformers has no such strategy, naming the setting, and where the
    recipe lacks what a script needs.
    """
    return "\n\n".join(sections_of(recipe)) + "\n"


def notebook_of(recipe: Recipe) -> str:
    """The same as a notebook (nbformat 4), one cell for each part. Raises as ``script_of``."""
    about, *cells = sections_of(recipe)
    words = ast.get_docstring(ast.parse(about)) or ""
    made: list[dict[str, Any]] = []
    made.append({"cell_type": "markdown", "metadata": {}, "id": "about", "source": _lines(words)})
    for number, source in enumerate(cells):
        made.append({
            "cell_type": "code", "metadata": {}, "id": f"part-{number}", "execution_count": None,
            "outputs": [], "source": _lines(source.strip()),
        })
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    whole = {"cells": made, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(whole, ensure_ascii=False, indent=1) + "\n"


def sections_of(recipe: Recipe) -> list[str]:
    """The script in parts: what it is, imports and classes, the model, the run, the comparison."""
    if is_served(recipe):
        return served_sections(recipe)
    check_offered(recipe)
    parts = parts_of(recipe)
    sections = [_about(recipe), _imports(recipe, parts)]
    if parts.copied:
        sections.append(classes_of(parts.copied))
    return [*sections, _model(recipe), _run(recipe, parts), _comparison(recipe)]


def _about(recipe: Recipe) -> str:
    told = recipe.facts
    lines = [
        "The same tokens from plain transformers, without the playground.", "",
        f"Model: {recipe.run.model.repo}" + f" at commit {recipe.commit}" * bool(recipe.commit),
        f"Settings: {recipe.run.decoding.summary}"
        + f", seed {recipe.run.seed}" * recipe.run.decoding.draws,
        f"Ran with torch {told.torch} and transformers {told.transformers} on {told.device}, "
        f"{told.dtype}" + f", {told.quantization}" * (told.quantization not in ("", "none"))
        + f", at {recipe.made}" * bool(recipe.made),
    ]
    if told.dtype != "float32" and recipe.answer and recipe.answer.company:
        lines.append(f"It shared its forwards with {recipe.answer.company} other texts; alone, the "
                     "last bits of 16-bit numbers may differ, and so may the ids.")
    if recipe.run.used_draft or recipe.run.decoding.prompt_lookup_tokens:
        lines.append("Tokens were proposed there several at a time, which changes none of them.")
    safe = "\n".join(_words(line) for line in lines)
    return f'"""{safe}\n"""'


def _words(line: str) -> str:
    """Words of a stranger that stay words inside a docstring or a comment, on one line."""
    shown = "".join(c if c.isprintable() else " " for c in line)
    return shown.replace("\\", "/").replace('"', "'")


def _imports(recipe: Recipe, parts: Parts) -> str:
    names = ["AutoModelForCausalLM", "AutoTokenizer", "GenerationConfig", *parts.imported]
    if recipe.facts.quantization in ("nf4", "int8"):
        names.append("BitsAndBytesConfig")
    if parts.copied:
        names.append("LogitsProcessor")
    lines = ["import math", ""] if parts.copied else []
    if isinstance(recipe.answer.ids if recipe.answer else None, Digest):
        lines = ["import hashlib", *lines] if lines else ["import hashlib", ""]
    lines += ["import torch"]
    lines += ["from peft import PeftModel"] if recipe.run.model.adapter else []
    listed = textwrap.fill(", ".join(sorted(set(names))), 92, initial_indent="    ",
                           subsequent_indent="    ", break_long_words=False)
    return "\n".join([*lines, f"from transformers import (\n{listed},\n)"])


def _model(recipe: Recipe) -> str:
    spec, told = recipe.run.model, recipe.facts
    repo, own = spec.repo, ""
    if repo.startswith("builtin/"):
        repo = f"{BUILTIN}/{repo.removeprefix('builtin/')}"
        own = "  # a folder of the playground's repository"
    revision = recipe.commit or spec.revision
    at = f", revision={revision!r}" if revision else ""
    given = [f"MODEL{at}", f"dtype=torch.{told.dtype}"]
    if told.attention in ("sdpa", "eager"):
        given.append(f"attn_implementation={told.attention!r}")
    if told.quantization == "int8":
        given.append("quantization_config=BitsAndBytesConfig(load_in_8bit=True)")
    elif told.quantization == "nf4":
        given.append("quantization_config=BitsAndBytesConfig(\n        load_in_4bit=True, "
                     'bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True,\n'
                     f"        bnb_4bit_compute_dtype=torch.{told.dtype},\n    )")
    spread = " " in told.device
    if spread or device_of(recipe) != "cpu":
        given.append('device_map="auto"' if spread else f'device_map={{"": {device_of(recipe)!r}}}')
    lines = [
        f"MODEL = {repo!r}{own}",
        f"tokenizer = AutoTokenizer.from_pretrained(MODEL{at})",
        "lm = AutoModelForCausalLM.from_pretrained(\n    " + ",\n    ".join(given) + ",\n)",
    ]
    if spec.adapter:
        lines.append(f"lm = PeftModel.from_pretrained(lm, {spec.adapter!r})")
    ends = list(told.ends) or None
    lines.append("# The end tokens, and nothing else that the model's files suggest.")
    lines.append("lm.generation_config = GenerationConfig(\n"
                 f"    eos_token_id={ends!r}, pad_token_id={told.pad!r}\n)")
    return "\n".join(lines)


def _run(recipe: Recipe, parts: Parts) -> str:
    fork, stand = recipe.run.fork or Fork(), stand_of(recipe)
    assert isinstance(recipe.prompt_ids, tuple)
    lines = ["# The exact ids that the model read."]
    lines.append(f"prompt = {_listed(recipe.prompt_ids)}")
    if stand:
        lines += ["# What stands of the answer already.", f"begun = {_listed(stand)}"]
    ids = "prompt + begun" if stand else "prompt"
    lines.append(f"ids = torch.tensor([{ids}]).to(lm.device)")
    if recipe.run.decoding.draws:
        lines.append(f"torch.manual_seed({recipe.run.seed})")
    given = [f"{name}={value}" for name, value in parts.settings]
    if parts.processors:
        given.append("logits_processor=[\n        " + ",\n        ".join(parts.processors)
                     + ",\n    ]")
    given = ["ids", "attention_mask=torch.ones_like(ids)", *given]
    lines.append("out = lm.generate(\n    " + ",\n    ".join(given) + ",\n)")
    skip = "len(prompt)" + (f" + {len(fork.ids)}" if fork.ids else "")
    lines += [f"new = out[0, {skip}:].tolist()",
              "print(tokenizer.decode(new, skip_special_tokens=True))"]
    return "\n".join(lines)


def _comparison(recipe: Recipe) -> str:
    if recipe.answer is None:
        return "# The run in the playground did not end, so there is nothing to compare with."
    if isinstance(ids := recipe.answer.ids, Digest):
        return (
            "# As many ids as in the playground, with the same digest.\n"
            'digest = hashlib.sha256(b"".join(id.to_bytes(4, "little") for id in new)).hexdigest()'
            f"\nassert (len(new), digest[:16]) == ({ids.count}, {ids.sha256!r}), new"
        )
    return (f"# What the playground wrote.\nexpected = {_listed(ids)}\n"
            "assert new == expected, new\n"
            'print(f"Same ids: all {len(new)} tokens.")')


def _listed(ids: Sequence[int]) -> str:
    text = ", ".join(map(str, ids))
    if len(text) < 80:
        return f"[{text}]"
    filled = textwrap.fill(text, 92, initial_indent="    ", subsequent_indent="    ")
    return f"[\n{filled},\n]"


def _lines(text: str) -> list[str]:
    check_text(text, "script")
    return text.splitlines(keepends=True)
