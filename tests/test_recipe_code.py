"""The script of a recipe, run without this package, gives the same ids: for every strategy."""

from __future__ import annotations

import ast
import json
import random
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from playground.core.decoding import PRESETS, Decoding
from playground.core.events import Amended
from playground.core.prompt import Chat, Ids, Message, Prompt, Raw
from playground.core.recipe import Recipe, digest_of, recipe_of
from playground.core.recipe_code import notebook_of, script_of
from playground.core.run import Fork, ModelSpec, Run
from playground.errors import InvalidInput
from playground.models.loading import Model, load
from tests.reference import decode
from tests.tiny_models import KINDS, tiny_model

ROOT = Path(__file__).parent.parent
BUILTIN = ROOT / "playground" / "models" / "builtin"
TEXTS = (
    "The capital of France is", "Once upon a time", "hello,how are you", "one two three one two",
    "《梦游天姥吟留别》的作者是谁", "A list:\n- red\n- green\n-", "x",
)
NOT_OFFERED = {"Diverse beam search": "num_beam_groups", "Contrastive search": "penalty_alpha",
               "DoLa": "dola_layers"}
MORE = {
    "all that cuts": Decoding(
        do_sample=True, temperature=1.4, top_k=40, top_p=0.95, min_p=0.01, typical_p=0.95,
        top_h=0.9, epsilon_cutoff=0.005, eta_cutoff=0.002, repetition_penalty=1.2,
        no_repeat_ngram_size=3, min_new_tokens=6,
    ),
    "XTC after all that cuts": Decoding(
        do_sample=True, temperature=1.3, top_k=30, top_p=0.9, min_p=0.01, typical_p=0.9, top_h=0.9,
        epsilon_cutoff=0.001, eta_cutoff=0.001, xtc_probability=0.8, xtc_threshold=0.05,
    ),
    "Mirostat, hot": Decoding(do_sample=True, mirostat_tau=4.0, mirostat_eta=0.5, temperature=1.5),
    "frequency and presence": Decoding(frequency_penalty=0.7, presence_penalty=-0.3),
    "penalties, drawn": Decoding(do_sample=True, frequency_penalty=-0.5, presence_penalty=1.0,
                                 dry_multiplier=0.9, dry_allowed_length=1, top_n_sigma=1.2),
    "beams, long": Decoding(num_beams=3, length_penalty=2.0, early_stopping=True),
    "beams, never": Decoding(num_beams=4, early_stopping="never", no_repeat_ngram_size=2),
    "beam sampling, cut": Decoding(num_beams=3, do_sample=True, temperature=1.5, top_k=20,
                                   epsilon_cutoff=0.05),
    "beams with penalties": Decoding(num_beams=2, frequency_penalty=0.5, dry_multiplier=0.8),
    "stop strings": Decoding(do_sample=True, stop_strings=("e", " the ")),
    "phrases": Decoding(banned=("the", "a"), bias=(("is", 2.0), ("on", -4.0)), forced=" It"),
    "phrases, drawn": Decoding(do_sample=True, top_p=0.9, forced="So ", banned=("e",)),
    "guidance away": Decoding(guidance_scale=2.0, negative_prompt="Once", do_sample=True),
    "no cache, drawn": Decoding(do_sample=True, top_k=20, use_cache=False),
    "lookup, drawn": Decoding(do_sample=True, prompt_lookup_tokens=4, temperature=0.7),
}
OFFERED = {**{name: d for name, d in PRESETS.items() if name not in NOT_OFFERED}, **MORE}
FORKS = (
    Fork((9, 10)), Fork((9,), insert=(11, 12)), Fork(insert=" and"), Fork((9, 10), banned=(11, 12)),
)


@cache
def builtin(name: str) -> Model:
    return load(ModelSpec(f"builtin/{name}"), BUILTIN / name)


def saved(kind: str, folder: Path) -> Model:
    """A tiny random model as files, and loaded from these."""
    model = tiny_model(kind)
    where = folder / kind
    model.lm.save_pretrained(where)
    model.tokenizer.save_pretrained(where)
    return load(ModelSpec(str(where)), where)


def recipes(model: Model, runs: Sequence[Run]) -> list[Recipe]:
    """What our loop made of these runs, together."""
    made = [recipe_of(trace) for trace in decode(model, runs)]
    for recipe in made:
        assert recipe.answer is not None, recipe.problem
    return made


Said = Callable[[Sequence[str]], list[str]]


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Said]:
    """What each script printed, in a process that cannot import the playground."""
    with subprocess.Popen(
        [sys.executable, "-I", str(ROOT / "tests" / "run_scripts.py")], cwd=ROOT, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=1,
    ) as process:

        def run(scripts: Sequence[str]) -> list[str]:
            folder = tmp_path_factory.mktemp("scripts")
            for number, script in enumerate(scripts):
                (folder / f"{number:04}.py").write_text(script, "utf-8")
            assert process.stdin and process.stdout
            process.stdin.write(f"{folder}\n")
            told = json.loads(process.stdout.readline())
            return [told[f"{number:04}"] for number in range(len(scripts))]

        yield run
        assert process.stdin
        process.stdin.close()
        assert process.wait(60) == 0


def check(made: Sequence[Recipe], said: Said) -> None:
    """Each script must say that its ids are the same."""
    for recipe, told in zip(made, said([script_of(one) for one in made]), strict=True):
        assert recipe.answer is not None and isinstance(recipe.answer.ids, tuple)
        tokens = f"Same ids: all {len(recipe.answer.ids)} tokens."
        assert told.rstrip().endswith(tokens), f"{recipe.run}\n{told}"


def test_every_strategy_gives_the_same_ids_without_this_package(said: Said) -> None:
    model = builtin("tiny-base")
    runs = [Run(model.spec, Raw(TEXTS[n % 4]), replace(d, max_new_tokens=14), seed=n)
            for n, d in enumerate(OFFERED.values())]
    chat = builtin("tiny-chat")
    asked = Chat((Message("system", "Answer in one word."), Message("user", "how are you?")))
    chats = [Run(chat.spec, asked, replace(OFFERED[name], max_new_tokens=12), seed=3)
             for name in ("Greedy", "Top-p", "Beam search", "XTC", "Guidance")]
    check([*recipes(model, runs), *recipes(chat, chats)], said)


def test_a_run_from_a_fork_goes_on_the_same_way(said: Said) -> None:
    model = builtin("tiny-base")
    settings = (Decoding(max_new_tokens=12), Decoding(do_sample=True, max_new_tokens=12, top_p=0.9),
                Decoding(max_new_tokens=12, frequency_penalty=0.5, min_new_tokens=8))
    runs = [Run(model.spec, Raw(TEXTS[0]), d, n, fork=fork)
            for n, fork in enumerate(FORKS) for d in settings]
    check(recipes(model, runs), said)


def test_the_end_of_a_context_and_of_a_turn_are_the_same(said: Said, tmp_path: Path) -> None:
    made = []
    for kind in KINDS:
        model = saved(kind, tmp_path)
        long = Run(model.spec, Ids(tuple(range(3, 153))), Decoding(max_new_tokens=50))
        made += recipes(model, [long, Run(model.spec, Raw("hello"), Decoding(max_new_tokens=9))])
    assert made[0].answer is not None and made[0].answer.reason == "context"
    check(made, said)


def greedy() -> Recipe:
    model = builtin("tiny-base")
    return recipes(model, [Run(model.spec, Raw(TEXTS[0]), Decoding(max_new_tokens=8))])[0]


def test_a_stopped_run_is_the_same_as_far_as_it_went_and_a_digest_will_do(said: Said) -> None:
    whole = greedy()
    assert whole.answer is not None and isinstance(whole.answer.ids, tuple)
    answer = replace(whole.answer, ids=whole.answer.ids[:5], pieces=(), reason="stopped")
    known = replace(whole, answer=replace(whole.answer, ids=digest_of(whole.answer.ids)))
    failed = replace(whole, answer=None)
    scripts = [script_of(one) for one in (replace(whole, answer=answer), known, failed)]
    first, second, third = said(scripts)
    assert first.endswith("Same ids: all 5 tokens.\n")
    assert second and "Error" not in second and second == third


def test_another_id_is_noticed(said: Said) -> None:
    """A comparison that cannot fail would prove nothing."""
    whole = greedy()
    assert whole.answer is not None and isinstance(whole.answer.ids, tuple)
    ids = (*whole.answer.ids[:-1], whole.answer.ids[-1] + 1)
    wrong = replace(whole, answer=replace(whole.answer, ids=ids))
    counted = replace(whole, answer=replace(whole.answer, ids=digest_of(ids)))
    scripts = [script_of(wrong), script_of(counted), "import playground"]
    first, second, ours = said(scripts)
    assert "AssertionError" in first and "AssertionError" in second
    assert "ModuleNotFoundError" in ours


def test_a_notebook_holds_the_same_code(said: Said) -> None:
    recipe = greedy()
    book = json.loads(notebook_of(recipe))
    assert (book["nbformat"], book["nbformat_minor"]) == (4, 5)
    about, *cells = book["cells"]
    assert about["cell_type"] == "markdown" and "builtin/tiny-base" in "".join(about["source"])
    code = "\n\n".join("".join(cell["source"]) for cell in cells)
    assert len({cell["id"] for cell in book["cells"]}) == len(book["cells"])
    assert said([code])[0].endswith("Same ids: all 8 tokens.\n")


@pytest.mark.parametrize(("name", "field"), NOT_OFFERED.items())
def test_a_strategy_that_transformers_lacks_is_a_sentence(name: str, field: str) -> None:
    recipe = replace(greedy(), run=replace(greedy().run, decoding=PRESETS[name]))
    with pytest.raises(InvalidInput, match="There is no script for this run. transformers itself "
                                           "has no ") as refused:
        script_of(recipe)
    assert refused.value.problem.field == field


def no_script() -> Iterator[tuple[Recipe, str]]:
    one = greedy()
    yield replace(one, amended=(Amended(1, Decoding()),)), "changed while it wrote"
    yield replace(one, prompt_ids=digest_of((1,))), "a link holds the prompt as text"
    yield replace(one, prompt_ids=()), "this run had not begun"
    yield replace(one, facts=replace(one.facts, dtype="float8")), "how its model was loaded"
    assert one.answer is not None
    stopped = replace(one.answer, ids=(), pieces=(), reason="stopped")
    yield replace(one, answer=stopped), "stopped before its first token"
    search = replace(one.run, decoding=Decoding(num_beams=2))
    yield replace(one, run=search, answer=replace(one.answer, reason="stopped")), "search was stop"


def test_where_something_is_missing_a_sentence_says_what() -> None:
    for recipe, words in no_script():
        with pytest.raises(InvalidInput, match=words):
            script_of(recipe)


def test_words_of_a_stranger_stay_words() -> None:
    """A recipe comes from anybody, and people run its script."""
    evil = '"""\nimport os  # \\" '
    one = greedy()
    run = Run(ModelSpec("x'/\"\"\"+__import__('os')+\"\"\""), one.run.prompt,
              Decoding(stop_strings=(evil,)), fork=Fork())
    script = script_of(replace(one, run=run, title=evil))
    calls = {ast.unparse(node.func) for node in ast.walk(ast.parse(script))
             if isinstance(node, ast.Call)}
    assert not any("__import__" in call for call in calls)
    assert "import os" not in [line.strip() for line in script.splitlines()]


def random_runs(model: Model, dice: random.Random, count: int) -> list[Run]:
    """Strategies, prompts and seeds as they fall, sometimes with more settings moved."""
    made = []
    for _ in range(count):
        decoding = dice.choice(list(OFFERED.values()))
        more: dict[str, object] = {"max_new_tokens": dice.randint(1, 24)}
        if dice.random() < 0.3:
            more["repetition_penalty"] = round(dice.uniform(0.9, 1.5), 2)
        if dice.random() < 0.2:
            more["presence_penalty"] = round(dice.uniform(-1, 1), 2)
        if dice.random() < 0.2 and decoding.draws:
            more["temperature"] = round(dice.uniform(0.5, 2.0), 2)
        more["min_new_tokens"] = min(decoding.min_new_tokens, int(str(more["max_new_tokens"])))
        decoding = replace(decoding, **more)  # type: ignore[arg-type]
        text = dice.choice(TEXTS)
        prompt: Prompt = Raw(text)
        if model.card.has_chat_template and dice.random() < 0.5:
            prompt = Chat((Message("user", text),))
        if len(decoding.forced) and decoding.max_new_tokens < 6:
            decoding = replace(decoding, max_new_tokens=12)
        made.append(Run(model.spec, prompt, decoding, dice.randint(0, 2**32 - 1)))
    return made


@pytest.mark.slow
def test_240_random_runs_give_the_same_ids_as_code_and_again(said: Said, tmp_path: Path) -> None:
    """Two built-in models and three architectures; run again one by one, not together."""
    dice = random.Random(6)
    models = [builtin("tiny-base"), builtin("tiny-chat"), *(saved(k, tmp_path) for k in KINDS)]
    made: list[Recipe] = []
    for model in models:
        runs = random_runs(model, dice, 48)
        first = recipes(model, runs)
        for run, recipe in zip(runs, first, strict=True):
            assert recipes(model, [run])[0].answer == replace(
                recipe.answer, company=0, reused=0  # type: ignore[type-var]
            ), run
        made += first
    assert len(made) == 240
    check(made, said)
