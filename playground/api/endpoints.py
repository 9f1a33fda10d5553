"""The engine as named Gradio endpoints, typed and documented, which can be MCP tools too.

Each takes and gives plain JSON. They run outside Gradio's queue, since the engine has its own; and
each is read by a coroutine, so that many can wait without a thread of the server's.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import Any

import gradio as gr
from gradio.events import api

from playground.api.endpoint_answers import (
    answer_of,
    comparison_of,
    next_of,
    score_of,
    tokens_of,
)
from playground.api.run_settings import read_settings
from playground.api.work import CLOSING, Ask, Play, Read, Seen, Task, Work
from playground.core.decoding import KNOBS
from playground.core.events import Event
from playground.core.plain import from_plain
from playground.core.prompt import Chat, Ids, Message, Prompt, Raw
from playground.core.run import Run
from playground.core.score import Contest, Scored, ScoreRequest
from playground.core.trace import Trace
from playground.core.visitor import Visitor
from playground.engine.engine import Engine
from playground.errors import InvalidInput, PlaygroundError, Problem

FEWEST = 2  # answers that are compared
NAMES = ("chat", "complete", "compare", "next_tokens", "score", "tokenize")


class Endpoints:
    """The endpoints of one engine; ``visitor_of`` names who sent a request.

    A docstring is what a client shows: of each parameter the line that begins with its name.
    """

    def __init__(self, engine: Engine, visitor_of: Callable[[Any], Visitor | str]) -> None:
        self._engine, self._visitor_of = engine, visitor_of
        self._model = engine.settings.default_model

    def add(self) -> None:
        """Put them on the page that is being built."""
        for name in NAMES:
            api(getattr(self, name), api_name=name, queue=False)

    async def chat(
        self, request: gr.Request, messages: list[dict[str, str]], model: str = "",
        settings: dict[str, Any] | None = None, seed: int = 0, tokens: bool = False,
        control_tokens: bool = False,
    ) -> dict[str, Any]:
        """Answer a conversation through the model's own chat template.

        Args:
            messages: The turns, such as [{"role": "user", "content": "Hi"}], or system, assistant.
            model: A model of this app, such as builtin/tiny-chat; empty is the app's own.
            settings: Such as {"preset": "Top-p", "max_new_tokens": 50}; without any it is greedy.
            seed: The dice, for settings that draw.
            tokens: Whether to tell each token with its probability, its rank and the likeliest.
            control_tokens: Whether the text of a control token in a message is that token.
        """
        def asked() -> Run:
            turns = from_plain(tuple[Message, ...], messages, "messages")
            chat = Chat(turns, control_tokens)
            return read_settings(model, settings, self._model).run(chat, seed)

        (trace,) = await self._traces(request, lambda: [asked()])
        return answer_of(trace, tokens)

    async def complete(
        self, request: gr.Request, prompt: str | list[int], model: str = "",
        settings: dict[str, Any] | None = None, seed: int = 0, tokens: bool = False,
        control_tokens: bool = False,
    ) -> dict[str, Any]:
        """Continue a text as it stands, with no chat template.

        Args:
            prompt: The beginning of a text, or exact token ids.
            model: A model of this app, such as builtin/tiny-base; empty is the app's own.
            settings: Such as {"preset": "Top-p", "max_new_tokens": 50}; without any it is greedy.
            seed: The dice, for settings that draw.
            tokens: Whether to tell each token with its probability, its rank and the likeliest.
            control_tokens: Whether the text of a control token in the prompt is that token.
        """
        def asked() -> Run:
            text = _prompt(prompt, False, control_tokens)
            return read_settings(model, settings, self._model).run(text, seed)

        (trace,) = await self._traces(request, lambda: [asked()])
        return answer_of(trace, tokens)

    async def compare(
        self, request: gr.Request, prompt: str, variants: list[dict[str, Any]], chat: bool = False,
        seed: int = 0,
    ) -> dict[str, Any]:
        """Answer one prompt in several ways side by side, and tell where each leaves the first.

        Args:
            prompt: The text to continue, or the message to answer.
            variants: Settings of each, such as [{}, {"model": "builtin/tiny-chat", "top_k": 3}].
            chat: Whether the prompt is a message through each model's own chat template.
            seed: The dice of all of them, but for a variant with a seed of its own.
        """
        def asked() -> list[Run]:
            ways = from_plain(tuple[dict, ...], variants, "variants")  # type: ignore[type-arg]
            if len(ways) < FEWEST:
                raise InvalidInput("There must be at least two variants.", field="variants",
                                   given=len(ways), allowed=f"from {FEWEST} on")
            return [_way(way, _prompt(prompt, chat), seed, self._model) for way in ways]

        return comparison_of(await self._traces(request, asked))

    async def next_tokens(
        self, request: gr.Request, text: str | list[int], model: str = "", count: int = 10,
        chat: bool = False,
    ) -> dict[str, Any]:
        """Tell the likeliest next tokens after a text, with their probabilities.

        Args:
            text: The text so far, or exact token ids.
            model: A model of this app, such as builtin/tiny-base; empty is the app's own.
            count: How many tokens, up to 50.
            chat: Whether the text is a message; then they are the first tokens of the answer.
        """
        def asked() -> Run:
            KNOBS["candidates"].check("count", count)
            settings = {"max_new_tokens": 1, "candidates": count}
            return read_settings(model, settings, self._model).run(_prompt(text, chat), 0)

        (trace,) = await self._traces(request, lambda: [asked()])
        return next_of(trace.steps[0])

    async def score(
        self, request: gr.Request, text: str | list[int], prompt: str = "", model: str = "",
        candidates: int = 1,
    ) -> dict[str, Any]:
        """Tell how likely a given text is, token by token, and its perplexity.

        Args:
            text: The text to score, or exact token ids.
            prompt: What comes before it and is not scored. Empty: the text's first token does.
            model: A model of this app, such as builtin/tiny-base; empty is the app's own.
            candidates: How many of the likeliest tokens to tell at each place, up to 50.
        """
        def asked() -> Ask:
            spec = read_settings(model, None, self._model).model
            KNOBS["candidates"].check("candidates", candidates)
            before = _prompt(prompt, False) if prompt else None
            return Ask(spec, ScoreRequest(_prompt(text, False), before, candidates))

        return score_of(await self._one(request, asked))

    async def tokenize(
        self, request: gr.Request, text: str | list[int], model: str = "", chat: bool = False,
        control_tokens: bool = False,
    ) -> dict[str, Any]:
        """Tell the exact tokens that a model reads for a text, or the text of token ids.

        Args:
            text: The text, or exact token ids.
            model: A model of this app, such as builtin/tiny-chat; empty is the app's own.
            chat: Whether the text is a message through the model's own chat template.
            control_tokens: Whether the text of a control token is that token.
        """
        def asked() -> Read:
            spec = read_settings(model, None, self._model).model
            return Read(spec, _prompt(text, chat, control_tokens))

        return tokens_of((await self._one(request, asked)).rendered)

    async def _traces(
        self, request: gr.Request, asked: Callable[[], Sequence[Run]]
    ) -> list[Trace]:
        """Runs side by side, each played to its end."""
        traces: list[Trace] = []

        def play() -> list[Task]:
            traces.extend(map(Trace, asked()))
            return [Play(tuple(trace.run for trace in traces))]

        async with aclosing(self._news(request, play)) as news:
            async for what in news:
                assert isinstance(what, tuple)
                place, event = what
                traces[place] = trace = traces[place].add(event)
                stopped = trace.finished is not None and trace.finished.reason == "stopped"
                if trace.problem is not None or stopped:
                    raise _error(trace.problem or CLOSING)
        return traces

    async def _one(self, request: gr.Request, asked: Callable[[], Read | Ask]) -> Any:
        """What comes of a single task."""
        async with aclosing(self._news(request, lambda: [asked()])) as news:
            return [what async for what in news][-1]

    async def _news(
        self, request: gr.Request, asked: Callable[[], Sequence[Task]]
    ) -> AsyncGenerator[Seen | Scored | Contest | tuple[int, Event]]:
        """What comes of tasks. Raises gr.Error with the sentence of what is refused or fails."""
        try:
            tasks = asked()
        except PlaygroundError as error:
            raise _error(error.problem) from None
        work = Work(self._engine, self._visitor(request), tasks)
        work.begin()
        try:
            while (news := await work.next()) is not None:
                if isinstance(news, Problem):
                    raise _error(news)
                yield news[1]
        finally:
            work.stop()


    def _visitor(self, request: Any) -> Visitor | str:
        """Who asks: a program by the key that the door has read, a page as the page knows it."""
        by_key = getattr(getattr(request, "state", None), "visitor", None)
        return by_key if isinstance(by_key, str) else self._visitor_of(request)


def _error(problem: Problem) -> gr.Error:
    return gr.Error(str(problem), print_exception=False)


def _prompt(text: object, chat: object, control_tokens: bool = False) -> Prompt:
    """A text as it stands or as a message, or token ids."""
    through = from_plain(bool, chat, "chat")
    if not isinstance(text, str):
        if through:
            raise InvalidInput("A message is a text; token ids go past the chat template.",
                               field="chat", given=chat)
        return Ids(from_plain(tuple[int, ...], text, "prompt"))
    if through:
        return Chat((Message("user", text),), control_tokens)
    return Raw(text, control_tokens)


def _way(given: dict[str, Any], prompt: Prompt, seed: int, default: str) -> Run:
    """One of the runs that are compared."""
    own = dict(given)
    model, dice = own.pop("model", ""), own.pop("seed", seed)
    return read_settings(model, own, default).run(prompt, dice)


def answer_in_json(page: gr.Blocks) -> None:
    """Let MCP tools answer in JSON once the page is launched; Gradio sends Python's own spelling,
    in which ``True`` and ``None`` are words that no other language reads."""
    server = page.mcp_server_obj
    if server is None:
        return

    def contents(data: Sequence[Any], root_url: str) -> list[Any]:
        return [server.types.TextContent(type="text", text=json.dumps(one, ensure_ascii=False))
                for one in data]

    server.postprocess_output_data = contents  # type: ignore[method-assign]
