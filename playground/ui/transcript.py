"""A chat as it stands: turns with their traces, and the messages shown; it calls no engine."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from playground.core.prompt import Chat, Message, Role, check_text
from playground.core.trace import Trace
from playground.errors import Problem
from playground.ui.lane_play import describe

ENDINGS = {
    "end": "ended by itself",
    "length": "cut at the token limit",
    "stop string": "ended at a stop string",
    "stopped": "stopped by you",
    "context": "cut at the end of the context",
}


@dataclass(frozen=True, slots=True)
class Turn:
    """One message; an answer carries its trace, from which its statistics are read."""

    role: Role
    text: str
    trace: Trace | None = None


@dataclass(frozen=True, slots=True)
class Transcript:
    """The turns so far. Every change gives a new transcript."""

    turns: tuple[Turn, ...] = ()

    def asked(self, text: Any) -> Transcript:
        """This chat with one more message of the user. Raises InvalidInput for what is not text."""
        check_text(text, "message")
        return Transcript((*self.turns, Turn("user", text)))

    def answered(self, trace: Trace) -> Transcript:
        """This chat with ``trace`` as its last answer (in place of one that is still growing).

        The beginning that the model was given is part of the answer.
        """
        turns = self.turns
        if turns and turns[-1].role == "assistant":
            turns = turns[:-1]
        prompt = trace.run.prompt
        begun = prompt.prefill if isinstance(prompt, Chat) else ""
        return Transcript((*turns, Turn("assistant", begun + trace.text, trace)))

    def before_last_question(self) -> tuple[Transcript, str]:
        """The chat without its last question and answer, and the text of that question."""
        for place in range(len(self.turns) - 1, -1, -1):
            if self.turns[place].role == "user":
                return Transcript(self.turns[:place]), self.turns[place].text
        return self, ""

    def question(self, place: int) -> str | None:
        """The text of the user's turn number ``place``; None where that is another's, or none."""
        here = 0 <= place < len(self.turns) and self.turns[place].role == "user"
        return self.turns[place].text if here else None

    def place_of(self, shown: int) -> int | None:
        """Which turn message number ``shown`` of ``messages`` belongs to; None for none."""
        return self._places().get(shown)

    def before(self, place: int) -> Transcript:
        """The chat up to turn number ``place``."""
        return Transcript(self.turns[:place])

    def refused(self, problem: Problem) -> list[dict[str, Any]]:
        """For the chat component: these messages, and that the last one was not answered."""
        said = [{"type": "text", "text": f"*Not answered.* {_said(problem)}"}]
        return [*self.messages(), {"role": "assistant", "content": said}]

    def edited(self, shown: int, text: str) -> tuple[Transcript, str]:
        """Message number ``shown`` of ``messages`` changed to ``text``.

        An edited question takes back all that came after it and is returned to be asked again; an
        edited answer is simply replaced.
        """
        place = self._places().get(shown)
        if place is None:
            return self, ""
        turn = self.turns[place]
        if turn.role == "user":
            return Transcript(self.turns[:place]), text
        changed = replace(turn, text=text)
        return Transcript((*self.turns[:place], changed, *self.turns[place + 1 :])), ""

    def prompt(self, system: str, prefill: str = "") -> Chat:
        """What the model is asked, empty answers left out; ``prefill`` begins its answer.

        Raises InvalidInput for no question.
        """
        said = [
            Message(turn.role, turn.text) for turn in self.turns if turn.text or turn.role == "user"
        ]
        lead = [Message("system", system)] if system.strip() else []
        begun = [Message("assistant", prefill)] if prefill.strip() else []
        asked = Chat((*lead, *said))
        return replace(asked, messages=(*asked.messages, *begun))

    def messages(self) -> list[dict[str, Any]]:
        """For the chat component: each turn, and under each answer a line that folds open."""
        shown: list[dict[str, Any]] = []
        for turn in self.turns:
            if turn.text or turn.trace is None:
                shown.append({"role": turn.role, "content": [{"type": "text", "text": turn.text}]})
            if turn.trace is not None and (note := _note(turn.trace)):
                shown.append(note)
        return shown

    def _places(self) -> dict[int, int]:
        """Which shown message belongs to which turn."""
        places: dict[int, int] = {}
        number = 0
        for place, turn in enumerate(self.turns):
            if turn.text or turn.trace is None:
                places[number] = place
                number += 1
            if turn.trace is not None and _note(turn.trace):
                number += 1
        return places


def _note(trace: Trace) -> dict[str, Any] | None:
    """The line under an answer: speed and counts, or why there is none."""
    if trace.problem is not None:
        return _folded("Not finished", _said(trace.problem))
    done = trace.finished
    if done is None:
        return None
    speed = f" · {trace.tokens_per_second:.0f} tok/s" if trace.tokens_per_second else ""
    title = f"{done.new_tokens} tokens{speed} · {ENDINGS[done.reason]}"
    perplexity = f", perplexity {trace.perplexity:.2f}" if trace.perplexity else ""
    details = (
        f"{trace.run.model.label} · {describe(trace.run)}\n\n"
        f"{done.prompt_tokens} prompt tokens, first token after {done.prefill_seconds:.2f} s, "
        f"{done.new_tokens} new tokens in {done.decode_seconds:.2f} s{perplexity}."
    )
    return _folded(title, details)


def _folded(title: str, content: str) -> dict[str, Any]:
    return {
        "role": "assistant",
        "content": [{"type": "text", "text": content}],
        "metadata": {"title": title, "status": "done"},
    }


def _said(problem: Problem) -> str:
    """A sentence that Markdown shows as it stands."""
    return "".join("\\" + c if c in "\\`*_{}[]()#+-!<>|~$" else c for c in str(problem))
