"""A recipe as a plain transformers script that gives the same ids; it runs nothing and knows no
tensor. Where ``generate()`` has a setting the script sets it; where it has none, the class that
decodes here is copied into the script, or a sentence says why there is no script."""

from __future__ import annotations

import ast
import json
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from playground.core.decoding import Decoding
from playground.core.prompt import check_text
from playground.core.recipe import Digest, Recipe
from playground.core.recipe_classes import classes_of
from playground.core.run import Fork
from playground.errors import InvalidInput

BUILTIN = "playground/models/builtin"
_DTYPES = ("float32", "bfloat16", "float16")


@dataclass
class _Parts:
    """What a script needs besides ``generate()``'s own settings, in order."""

    settings: list[tuple[str, str]] = field(default_factory=list)
    processors: list[str] = field(default_factory=list)
    copied: list[str] = field(default_factory=list)
    imported: list[str] = field(default_factory=list)

    def put(self, **settings: object) -> None:
        """Settings of ``generate()``."""
        self.settings += [(name, repr(value)) for name, value in settings.items()]

    def copy(self, name: str, *given: object, as_: str = "") -> None:
        """A processor of ours."""
        self.copied.append(name)
        self.processors.append(f"{as_ or name}({', '.join(map(repr, given))})")

    def take(self, name: str, *given: object, **named: object) -> None:
        """A processor of transformers, where its place among ours must be said."""
        self.imported.append(name)
        words = [*map(repr, given), *(f"{key}={value!r}" for key, value in named.items())]
        self.processors.append(f"{name}({', '.join(words)})")


def script_of(recipe: Recipe) -> str:
    """A Python script that loads the model, generates, and compares with the answer's ids.

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
    check_offered(recipe)
    parts = _parts(recipe)
    sections = [_about(recipe), _imports(recipe, parts)]
    if parts.copied:
        sections.append(classes_of(parts.copied))
    return [*sections, _model(recipe), _run(recipe, parts), _comparison(recipe)]


def check_offered(recipe: Recipe) -> None:
    """Raise InvalidInput, in a sentence, where there is no plain script for a recipe."""
    d = recipe.run.decoding
    lacks = [
        (d.is_contrastive, "penalty_alpha", "contrastive search (it moved to code that is "
         "downloaded and run, which a script of ours does not do)"),
        (d.dola_layers != "off" and d.is_dola, "dola_layers", "DoLa (it moved to code that is "
         "downloaded and run, which a script of ours does not do)"),
        (d.is_diverse, "num_beam_groups", "diverse beam search (version 5 took it out)"),
    ]
    for lacking, name, words in lacks:
        if lacking:
            raise _none(f"transformers itself has no {words}.", name)
    if recipe.amended:
        raise _none("The settings were changed while it wrote, and generate() has one set of them.",
                    "settings")
    if not isinstance(recipe.prompt_ids, tuple) or not recipe.prompt_ids:
        known = "a link holds the prompt as text" if recipe.prompt_ids else "this run had not begun"
        raise _none(f"A script needs the exact ids of the prompt, and {known}.", "prompt_ids",
                    "Run it again here, and share that run.")
    if recipe.facts.dtype not in _DTYPES or not recipe.context:
        raise _none("The run has not told how its model was loaded.", "dtype")
    if recipe.answer is not None and not _written(recipe) and recipe.was_stopped:
        raise _none("It was stopped before its first token.", "answer")
    if recipe.was_stopped and d.is_beam_search:
        raise _none("The search was stopped, and generate() cannot be stopped at the same place.",
                    "answer")


def _none(what: str, name: str, advice: str = "") -> InvalidInput:
    return InvalidInput(f"There is no script for this run. {what}", field=name, advice=advice)


def _written(recipe: Recipe) -> int:
    ids = recipe.answer.ids if recipe.answer else ()
    return ids.count if isinstance(ids, Digest) else len(ids)


def _stand(recipe: Recipe) -> tuple[int, ...]:
    """What stands behind the prompt before anything is chosen: at a fork, and put in there."""
    fork = recipe.run.fork or Fork()
    insert = fork.insert if isinstance(fork.insert, tuple) else ()
    return (*fork.ids, *insert)


def _limit(recipe: Recipe) -> int:
    """How many tokens are to be chosen."""
    stand = _stand(recipe)
    room = recipe.context - len(recipe.prompt_ids) - len(stand)  # type: ignore[arg-type]
    limit = min(recipe.run.decoding.max_new_tokens - len(stand), room)
    if recipe.was_stopped:
        inserted = len(stand) - len((recipe.run.fork or Fork()).ids)
        limit = min(limit, _written(recipe) - inserted)
    if limit < 1:
        raise _none("Nothing was chosen in it.", "answer")
    return limit


def _parts(recipe: Recipe) -> _Parts:
    d, parts = recipe.run.decoding, _Parts()
    stand = _stand(recipe)
    parts.put(max_new_tokens=_limit(recipe), do_sample=d.do_sample)
    if d.is_beam_search:
        parts.put(num_beams=d.num_beams, length_penalty=float(d.length_penalty),
                  early_stopping=d.early_stopping)
    if d.min_new_tokens > len(stand):
        parts.put(min_new_tokens=d.min_new_tokens - len(stand))
    if d.repetition_penalty != 1.0:
        parts.put(repetition_penalty=float(d.repetition_penalty))
    if d.no_repeat_ngram_size:
        parts.put(no_repeat_ngram_size=d.no_repeat_ngram_size)
    if recipe.spelled.banned:
        parts.put(bad_words_ids=[list(ids) for ids in recipe.spelled.banned])
    if recipe.spelled.bias:
        parts.put(sequence_bias=[[list(ids), bias] for ids, bias in recipe.spelled.bias])
    if d.is_guided:
        _guide(recipe, parts, stand)
    if d.stop_strings:
        parts.put(stop_strings=list(d.stop_strings))
        parts.settings.append(("tokenizer", "tokenizer"))
    if not d.use_cache or recipe.facts.lane == "recompute":
        parts.put(use_cache=False)
    _ours(recipe, parts)
    if d.draws:
        _cuts(recipe, parts)
    return parts


def _guide(recipe: Recipe, parts: _Parts, stand: tuple[int, ...]) -> None:
    parts.put(guidance_scale=float(recipe.run.decoding.guidance_scale))
    assert isinstance(recipe.prompt_ids, tuple)
    other = recipe.spelled.negative
    if stand and not other:
        other = recipe.prompt_ids[-1:]
    if other:
        ids = [[*other, *stand]]
        parts.settings.append(("negative_prompt_ids", f"torch.tensor({ids}).to(lm.device)"))


def _ours(recipe: Recipe, parts: _Parts) -> None:
    """Processors that generate() lacks and puts where they stand here: before the temperature."""
    d, prompt = recipe.run.decoding, len(recipe.prompt_ids)  # type: ignore[arg-type]
    fork = recipe.run.fork
    if fork is not None and fork.banned:
        parts.copy("Barred", list(fork.banned), prompt + len(_stand(recipe)))
    if d.frequency_penalty != 0.0:
        parts.copy("FrequencyPenalty", d.frequency_penalty, prompt)
    if d.presence_penalty != 0.0:
        parts.copy("PresencePenalty", d.presence_penalty, prompt)
    if d.dry_multiplier > 0.0:
        parts.copy("DRY", d.dry_multiplier, d.dry_base, d.dry_allowed_length,
                   list(recipe.spelled.breakers))
    if recipe.spelled.forced:
        parts.copy("Forced", list(recipe.spelled.forced), prompt)


def _cuts(recipe: Recipe, parts: _Parts) -> None:
    """What acts where tokens are drawn. Mirostat and XTC come after the temperature and all that
    cuts, where generate() has no place for them: then all of these are given by hand."""
    d, ends = recipe.run.decoding, recipe.facts.ends
    keep = max(2, len(ends) + 1) if d.is_beam_search else 1
    if d.top_n_sigma > 0.0 and not d.is_mirostat:
        parts.copy("TopNSigma", d.top_n_sigma, keep)
    by_hand = d.is_mirostat or d.xtc_probability > 0.0
    kept: dict[str, Any] = {"min_tokens_to_keep": keep}
    cuts = _cutting(d)
    parts.put(**{"top_k": 0, **({} if by_hand else cuts)})  # the library's own top_k is 50
    if not by_hand:
        return
    if d.temperature != 1.0:
        parts.take("TemperatureLogitsWarper", float(d.temperature))
    if d.is_mirostat:
        parts.copy("Mirostat", d.mirostat_tau, d.mirostat_eta, as_="SteeredMirostat")
        return
    for name, value in cuts.items():
        if name == "temperature":
            continue
        extra = {} if name == "top_h" else kept
        if name == "eta_cutoff":
            extra = {**kept, "device": _device(recipe)}
        if name == "typical_p":
            parts.take("TypicalLogitsWarper", mass=value, **kept)
        else:
            parts.take(_WARPERS[name], value, **extra)
    spared = [*ends, *recipe.spelled.spared]
    parts.copy("XTC", d.xtc_probability, d.xtc_threshold, spared, keep)


_WARPERS = {
    "top_h": "TopHLogitsWarper", "top_k": "TopKLogitsWarper", "top_p": "TopPLogitsWarper",
    "min_p": "MinPLogitsWarper", "epsilon_cutoff": "EpsilonLogitsWarper",
    "eta_cutoff": "EtaLogitsWarper",
}


def _cutting(d: Decoding) -> dict[str, Any]:
    """What is switched on of the settings that generate() has, in its order."""
    neutral = {"temperature": 1.0, "top_h": 0.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0,
               "typical_p": 1.0, "epsilon_cutoff": 0.0, "eta_cutoff": 0.0}
    values = {name: getattr(d, name) for name in neutral}
    return {name: int(value) if name == "top_k" else float(value)
            for name, value in values.items() if value != neutral[name]}


def _device(recipe: Recipe) -> str:
    """The one device that inputs go to."""
    return recipe.facts.device.split(" ")[0] or "cpu"


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


def _imports(recipe: Recipe, parts: _Parts) -> str:
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
    if spread or _device(recipe) != "cpu":
        given.append('device_map="auto"' if spread else f'device_map={{"": {_device(recipe)!r}}}')
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


def _run(recipe: Recipe, parts: _Parts) -> str:
    fork, stand = recipe.run.fork or Fork(), _stand(recipe)
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
