"""Blind comparisons that run with one click: their contestants, and what each of them is asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from playground.core.decoding import PRESETS, Decoding
from playground.core.prompt import Chat, Message, Raw
from playground.core.run import ModelSpec, Run
from playground.settings import Settings

_STORIES = ("Once upon a time", "Roses are red,", "There was a little fox who", "Dear Anna,")
_QUESTIONS = ("What is the capital of France?", "Tell me a story.", "How are you?",
              "Who are you?")


@dataclass(frozen=True)
class Example:
    """Contestants by name, each with what makes a prompt its run, and the prompts."""

    label: str
    prompts: tuple[str, ...]
    contestants: dict[str, Callable[[Settings, str], Run]]

    def runs(self, settings: Settings) -> list[tuple[int, int, Run]]:
        """Contestant, question and run of each answer, as many as may run together."""
        count = max(1, settings.limits.columns // len(self.contestants))
        makers = list(self.contestants.values())
        return [(c, q, make(settings, prompt)) for q, prompt in enumerate(self.prompts[:count])
                for c, make in enumerate(makers)]


def _decoded(preset: str) -> Callable[[Settings, str], Run]:
    def make(settings: Settings, prompt: str) -> Run:
        decoding = _short(PRESETS[preset])
        return Run(ModelSpec(settings.models[-1]), Raw(prompt), decoding, seed=7)

    return make


def _told(system: str) -> Callable[[Settings, str], Run]:
    def make(settings: Settings, prompt: str) -> Run:
        told = (Message("system", system),) if system else ()
        chat = Chat((*told, Message("user", prompt)))
        return Run(ModelSpec(settings.models[0]), chat, _short(Decoding()))

    return make


def _formed(chat: bool) -> Callable[[Settings, str], Run]:
    def make(settings: Settings, prompt: str) -> Run:
        form = Chat((Message("user", prompt),)) if chat else Raw(prompt)
        return Run(ModelSpec(settings.models[0]), form, _short(Decoding()))

    return make


def _short(decoding: Decoding) -> Decoding:
    return replace(decoding, max_new_tokens=40)


EXAMPLES = (
    Example("Greedy against top-p, four beginnings", _STORIES,
            {"Greedy": _decoded("Greedy"), "Top-p": _decoded("Top-p")}),
    Example("With and without a system prompt", _QUESTIONS,
            {"“Talk like a pirate.”": _told("Talk like a pirate."), "no system prompt": _told("")}),
    Example("Chat template against raw text", _QUESTIONS,
            {"chat template": _formed(True), "raw text": _formed(False)}),
)
