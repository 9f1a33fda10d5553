"""Whether a run that was run again gave the same ids, and what explains it where it did not."""

from __future__ import annotations

from dataclasses import dataclass

from playground.core.facts import Facts
from playground.core.prompt import Chat
from playground.core.recipe import Answer, Recipe, Tokens, recipe_of, same_tokens
from playground.core.recipe_table import layout_in_words
from playground.core.trace import Trace
from playground.errors import InvalidInput

_NAMES = {
    "dtype": "dtype", "device": "device", "quantization": "quantization",
    "attention": "attention implementation", "template": "chat template", "torch": "torch",
    "transformers": "transformers", "package": "version of this app", "lane": "way of reading",
}
_COMMIT = "commit of the model's files"
_OF_THE_MODEL = (_COMMIT, _NAMES["template"], _NAMES["quantization"], _NAMES["lane"], "context")
_SIXTEEN_BITS = ("bfloat16", "float16")


@dataclass(frozen=True, slots=True)
class Verdict:
    """``same`` ids or not; ``position`` is that of the first token that differs, where it is known.

    ``differences`` are what is known to be otherwise, each in words, whether it changed an id or
    not; ``says`` is the whole in a sentence or two.
    """

    same: bool
    says: str
    differences: tuple[str, ...] = ()
    position: int | None = None


def check_repeatable(recipe: Recipe) -> None:
    """Raise InvalidInput where there is nothing to compare with, or no run that would repeat it."""
    if recipe.answer is None:
        raise InvalidInput(
            "This run has no answer to compare with: it failed, or had not ended.",
            field="answer", advice="Open it in its tab and run it.",
        )
    if recipe.amended:
        raise InvalidInput(
            "The settings of this run were changed while it wrote, which a new run does not do.",
            field="settings", advice="Open it in its tab and change them at the same places.",
        )
    if recipe.was_stopped and recipe.run.decoding.is_beam_search:
        raise InvalidInput(
            "This search was stopped, and how far it had come is not repeated.",
            field="answer", advice="Open it in its tab and run it to its end.",
        )


def verify(recipe: Recipe, trace: Trace) -> Verdict:
    """Compare a recipe's answer with that of a run of it that is over.

    A run that was stopped is the same as far as it went. Raises InvalidInput as
    ``check_repeatable``, and where the new run has no answer.
    """
    check_repeatable(recipe)
    again = recipe_of(trace)
    then, now = recipe.answer, again.answer
    assert then is not None
    if now is None:
        raise InvalidInput("The run did not come to its end this time.", field="answer",
                           given=again.problem[:200], advice="Run again.")
    differences = _differences(recipe, again)
    count = _count(then.ids)
    if now.reason == "stopped" and _count(now.ids) < count:
        raise InvalidInput(
            f"It was stopped after {_count(now.ids)} of {count} tokens, too early to be compared.",
            field="answer", advice="Run again, and let it come to its end.",
        )
    compared = _as_far(now, count) if recipe.was_stopped else now
    if same_tokens(then.ids, compared.ids):
        tokens = "1 token" if count == 1 else f"{count} tokens"
        until = ", as far as the first run went before it was stopped" * recipe.was_stopped
        others = f" Otherwise than then: {'; '.join(differences)}." if differences else ""
        return Verdict(True, f"Same ids: all {tokens} came again{until}.{others}", differences)
    place = _first_difference(then, compared)
    return Verdict(False, _explained(recipe, again, place, differences), differences, place)


def _explained(
    recipe: Recipe, again: Recipe, place: int | None, differences: tuple[str, ...]
) -> str:
    where = "Other ids" if place is None else f"The ids part at token {place + 1}"
    if not same_tokens(recipe.prompt_ids, again.prompt_ids):
        where += ", and the prompt itself became other ids"
    if differences:
        return f"{where}. What differs and can explain it: {'; '.join(differences)}."
    layout = _layout(recipe, again)
    if layout:
        return f"{where}. {layout}"
    return f"{where}, and no known difference explains it."


def facts_that_differ(first: Recipe, second: Recipe) -> tuple[str, ...]:
    """What is known of two runs beside their settings and is not the same, each as "name: of the
    first and of the second". Of two models the files and templates differ, and that is not told."""
    told = _differing(first, second)
    if first.run.model != second.run.model:
        told = [one for one in told if one[0] not in _OF_THE_MODEL]
    return tuple(f"{words}: {one} and {other}" for words, one, other in told)


def _differences(recipe: Recipe, again: Recipe) -> tuple[str, ...]:
    """What is known of both runs and is not the same, each in words."""
    return tuple(f"{words} was {then}, is {now}" for words, then, now in _differing(recipe, again))


def _differing(recipe: Recipe, again: Recipe) -> list[tuple[str, str, str]]:
    pairs = [(_COMMIT, recipe.commit[:12], again.commit[:12])]
    pairs += [(words, _of(recipe.facts, name), _of(again.facts, name))
              for name, words in _NAMES.items()]
    if not (_uses_template(recipe) and _uses_template(again)):
        pairs = [pair for pair in pairs if pair[0] != _NAMES["template"]]
    if recipe.context and again.context:
        pairs.append(("context", str(recipe.context), str(again.context)))
    return [pair for pair in pairs if pair[1] and pair[2] and pair[1] != pair[2]]


def _layout(recipe: Recipe, again: Recipe) -> str:
    """How 16-bit numbers can differ by the company that a run had; nothing where it was the same
    or the numbers have 32 bits."""
    then, now = recipe.answer, again.answer
    assert then is not None and now is not None
    if again.facts.dtype not in _SIXTEEN_BITS:
        return ""
    if (then.company, then.reused) == (now.company, now.reused):
        return ""
    layouts = [layout_in_words(one.company, one.reused) for one in (then, now)]
    return (
        f"In {again.facts.dtype} the last bits depend on what shares a forward: "
        f"{layouts[0]} then, {layouts[1]} now. Switch on Alone to repeat such a run exactly."
    )


def _first_difference(then: Answer, now: Answer) -> int | None:
    """The first token that differs, by its text where ids are missing; None where nobody knows."""
    assert isinstance(now.ids, tuple)
    if isinstance(then.ids, tuple):
        one: tuple[object, ...] = then.ids
        other: tuple[object, ...] = now.ids
    elif then.pieces:
        one, other = then.pieces, now.pieces
    else:
        return None
    for place, (a, b) in enumerate(zip(one, other, strict=False)):
        if a != b:
            return place
    # Equal as far as the shorter goes; of equal texts with other ids nobody knows where.
    return min(len(one), len(other)) if len(one) != len(other) else None


def _as_far(answer: Answer, count: int) -> Answer:
    assert isinstance(answer.ids, tuple)
    return Answer(answer.ids[:count], answer.pieces[:count], answer.text, answer.reason,
                  answer.company, answer.reused)


def _count(tokens: Tokens) -> int:
    return len(tokens) if isinstance(tokens, tuple) else tokens.count


def _of(facts: Facts, name: str) -> str:
    return str(getattr(facts, name))


def _uses_template(recipe: Recipe) -> bool:
    return isinstance(recipe.run.prompt, Chat)
