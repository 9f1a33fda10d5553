"""Where two answers part, in words and figures: the sentence, the numbers, the flag at a token; it
knows no page."""

from __future__ import annotations

from math import isnan

from playground.core.compare import Choice, Comparison, Gave
from playground.core.events import Step
from playground.core.trace import Trace
from playground.ui.score_figures import percent

LONGEST_PIECE = 24
SAME_SHARE = 0.0006  # probabilities that differ by less look alike

Words = tuple[str | dict[str, str], ...]
_VISIBLE = str.maketrans({"\n": "↵", "\t": "⇥", "\r": "␍"})


def sentence_of(found: Comparison, mine: Trace, other: Trace, name: str) -> Words:
    """How a run's answer (the ``first`` that was compared) stands to another's, called ``name``."""
    text = found.by == "characters"
    same = f"The same text as {name}" if text else f"Identical to {name}"
    shared = _tokens(found.first) + (f" ({found.second:,} there)" if text else "")
    if (parting := found.parting) is not None:
        begin = f"{same} for {shared}, then " if found.first or found.second else (
            f"Parts from {name} at the first token: ")
        return (begin, _token(mine.whole[parting.first.index]), f" where {name} took ",
                _token(other.whole[parting.second.index]), ".")
    if not mine.whole or not other.whole:
        return _waiting(mine, name)
    here, there = len(mine.whole) > found.first, len(other.whole) > found.second
    if _over(mine) and there:
        return (f"{same} for {shared}, where it {_end(mine)} and {name} went on.",)
    if _over(other) and here:
        return (f"{same} for {shared}, where {name} {_end(other)}.",)
    if _over(mine) and _over(other):
        return (f"{same}, all {shared}.",)
    return (f"{same} for {shared} so far.",)


def numbers_of(found: Comparison, mine: Trace, other: Trace, name: str) -> Words:
    """What each gave the other's choice where they part; nothing while they have not."""
    parting = found.parting
    if parting is None:
        return ()
    ours, theirs = parting.first, parting.second
    here, there = _token(mine.whole[ours.index]), _token(other.whole[theirs.index])
    if found.by == "characters":
        inside = "The first other character stands inside a token. " if parting.inside else ""
        return (f"{inside}This lane gave ", here, f" {given(ours.own)}; {name} gave ", there,
                f" {given(theirs.own)}. Their vocabularies differ: neither has the other's token.")
    if found.same_model and found.same_prompt:
        return ("The model gave ", here, f" {given(ours.own, after=False)} and ", there,
                f" {given(theirs.own, after=False)}; this lane {_how(mine, ours)}, "
                f"{name} {_how(other, theirs)}.")
    return ("This lane gave ", here, f" {given(ours.own)} and ", there,
            f" {given(theirs.other)}; {name} gave ", there, f" {given(theirs.own)} and ", here,
            f" {given(ours.other)}.")


def flag_of(found: Comparison, choice: Choice) -> str:
    """The same in a few words, beside the token itself."""
    if choice.other is None or (found.same_model and found.same_prompt):
        return given(choice.own, after=False)
    here = percent(choice.own.probability)
    return f"{here} here, there {given(choice.other, after=False)}"


def given(gave: Gave | None, *, after: bool = True) -> str:
    """What a token was given: "61 %, rank 1", with what it was chosen with where that is another;
    only what is known of one that is not among the candidates."""
    if gave is None:
        return "nothing that was told"
    if not gave.listed:
        if isnan(gave.probability):
            return "an untold share"
        most = percent(gave.probability)
        bound = most.replace("<", "under") if most.startswith("<") else f"at most {most}"
        return f"{bound}, rank {gave.rank} or lower"
    if isnan(gave.probability):
        return "an untold share"
    words = percent(gave.probability) + (f", rank {gave.rank}" if gave.rank else "")
    changed = gave.chosen_with is not None and abs(
        gave.chosen_with - gave.probability) > SAME_SHARE
    return f"{words} ({_after(gave)} after its settings)" if after and changed else words


def plain(words: Words, quotes: str = "“”") -> str:
    """The words as one text, tokens in quotes."""
    left, right = quotes
    return "".join(one if isinstance(one, str) else f"{left}{one['token']}{right}"
                   for one in words)


def _how(trace: Trace, choice: Choice) -> str:
    """What made a lane choose: without dice the number says how likely, and not why."""
    step = trace.whole[choice.index]
    decoding = trace.decoding_at(step.position)
    if step.forced:
        return "was given it"
    if decoding.draws:
        return f"drew it with {_after(choice.own)}"
    if decoding.num_beams > 1:
        return "has it from its whole search"
    if not choice.own.rank:
        return "took it"
    return "took the likeliest" if choice.own.rank == 1 else "took what its settings made first"


def _after(gave: Gave) -> str:
    known = gave.chosen_with is not None and not isnan(gave.chosen_with)
    return percent(gave.chosen_with or 0.0) if known else "an unknown share"


def _waiting(mine: Trace, name: str) -> Words:
    """Nothing to compare yet, or never."""
    if mine.problem is not None and not mine.steps:
        return ("It wrote nothing.",)
    if mine.beams and not mine.steps:
        return ("Still searching: its tokens are known at the end.",)
    return (f"Nothing of {name} to compare with." if mine.steps else "",)


def _over(trace: Trace) -> bool:
    return trace.finished is not None or trace.problem is not None


def _end(trace: Trace) -> str:
    return "failed" if trace.problem is not None else "ended"


def _tokens(count: int) -> str:
    return "1 token" if count == 1 else f"{count:,} tokens"


def _token(step: Step) -> dict[str, str]:
    """A token as it is shown: its own text, with what nobody sees made visible."""
    text = (step.piece or f"token {step.id}").translate(_VISIBLE)
    return {"token": text if len(text) <= LONGEST_PIECE else f"{text[: LONGEST_PIECE - 1]}…"}
