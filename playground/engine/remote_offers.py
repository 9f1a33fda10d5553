"""What a server offers for one of its models, found out by asking it for a token a few times.

It believes what comes back, not what was asked: a server that takes a field in silence and leaves
it out of its answer does not offer it. It runs nothing and shows nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from playground.core.decoding import Decoding
from playground.core.offers import Ability, Capabilities
from playground.core.remote import Secret, is_name
from playground.engine.remote_client import RemoteClient, RemoteRefused, broken
from playground.errors import DeadlinePassed, Overloaded, RemoteProblem

# How a server can be asked, in ``Capabilities.ways``.
TOKEN_IDS = "return_token_ids"            # ids beside the texts (vLLM, SGLang)
PROMPT_LOGPROBS = "prompt_logprobs"       # of each token of the prompt, with its id (vLLM)
ECHO = "echo"                             # the prompt again, with its logprobs
USAGE = "stream_options"                  # how many tokens, at the end of a stream
TOKENIZE_VLLM, TOKENIZE_LLAMA = "tokenize like vLLM", "tokenize like llama.cpp"
CONTINUE = "continue_final_message"       # go on with the beginning of an answer (vLLM)
GENERATION_CONFIG = "generation_config"   # all settings as transformers calls them
SAME_NAMES = "our own names"              # a playground like this one: every setting has its name

OPENAI_KNOBS = {
    "do_sample": "temperature", "temperature": "temperature", "top_p": "top_p",
    "frequency_penalty": "frequency_penalty", "presence_penalty": "presence_penalty",
    "stop_strings": "stop",
}
# A value that is allowed, and one that a server which knows the knob refuses.
MORE_KNOBS: Mapping[str, tuple[str, float, float]] = {
    "top_k": ("top_k", 5, -7), "min_p": ("min_p", 0.1, 7.5),
    "repetition_penalty": ("repetition_penalty", 1.1, -3.0),
    "min_new_tokens": ("min_tokens", 0, -5),
}
# llama.cpp refuses no number, so that asking it tells nothing; from its documentation.
LLAMA_KNOBS = {
    "top_k": "top_k", "min_p": "min_p", "typical_p": "typical_p",
    "repetition_penalty": "repeat_penalty", "dry_multiplier": "dry_multiplier",
    "dry_base": "dry_base", "dry_allowed_length": "dry_allowed_length",
    "xtc_probability": "xtc_probability", "xtc_threshold": "xtc_threshold",
}
TRANSFORMERS_KNOBS = (
    "do_sample", "temperature", "top_k", "top_p", "min_p", "typical_p", "top_h", "epsilon_cutoff",
    "eta_cutoff", "repetition_penalty", "no_repeat_ngram_size", "min_new_tokens",
)
_PROBE = (1, 2, 3, 4, 5, 6, 7)
_FULL = (50, 20, 10, 5, 1)  # how many alternatives are asked for, until as many are told


async def models_of(client: RemoteClient, token: Secret | None = None) -> list[dict[str, Any]]:
    """The server's list of its models, each with an ``id`` that prints. Raises PlaygroundError."""
    told = await client.get("models", token)
    data = told.get("data") if isinstance(told, dict) else None
    if not isinstance(data, list):
        broken(client.remote.name, "it has no list of models")
    return [one for one in data if isinstance(one, dict) and is_name(one.get("id"))]


class Offers:
    """Finds out what one model on a server offers; ``find`` does it all."""

    def __init__(self, client: RemoteClient, model: str, token: Secret | None = None) -> None:
        self._client, self._model, self._token = client, model, token
        self._missing: dict[Ability, str] = {}
        self._ways: list[str] = []
        self._knobs: dict[str, str] = dict(OPENAI_KNOBS)
        self._alternatives = 0
        self._name = client.remote.name
        self._refusal = ""

    async def find(self) -> Capabilities:
        """Ask. Raises PlaygroundError where the server does not answer at all."""
        card = await self._card()
        server, context = await self._kind(card)
        completes = await self._completions()
        chats = await self._chats()
        if not completes and not chats:
            raise RemoteProblem(
                f"{self._name} writes neither a completion nor a chat with {self._model}."
                + (f" It says: “{self._refusal}”." if self._refusal else ""),
                field="model", given=self._model, advice="Is this a model that writes text?",
            )
        if completes:
            await self._ids_and_scores()
        else:
            without: tuple[Ability, ...] = ("id prompts", "scoring")
            for one in without:
                self._lack(one, f"{self._name} has no /v1/completions, only chats.")
            await self._chat_logprobs()
        await self._settings(server, "completions" if completes else "chat/completions")
        await self._other_routes(server)
        return Capabilities(
            server, context, self._alternatives, tuple(self._knobs.items()),
            tuple(self._missing.items()), tuple(self._ways),
        )

    def _lack(self, ability: Ability, why: str) -> None:
        self._missing.setdefault(ability, why)

    async def _card(self) -> dict[str, Any]:
        for one in await models_of(self._client, self._token):
            if one["id"] == self._model:
                return one
        return {}

    async def _kind(self, card: dict[str, Any]) -> tuple[str, int]:
        """What the server seems to be, and the model's context."""
        owner = card.get("owned_by")
        context = card.get("max_model_len") or card.get("context_length") or 0
        meta = card.get("meta")
        if not context and isinstance(meta, dict):
            context = meta.get("n_ctx") or meta.get("n_ctx_train") or 0
        known = {"vllm": "vLLM", "sglang": "SGLang", "llamacpp": "llama.cpp"}
        server = known.get(owner, "") if isinstance(owner, str) else ""
        if not server:  # how it refuses a field that nobody has tells some of them
            await self._ask("completions", prompt="a", no_such_field=1)
            server = ("transformers serve" if GENERATION_CONFIG in self._ways else
                      "Token by Token" if SAME_NAMES in self._ways else "")
        fits = isinstance(context, int) and 0 < context < 2**31
        return server, context if fits else 0

    async def _ask(self, route: str, **fields: Any) -> dict[str, Any] | None:
        """The answer to a request for a token; None where the server refuses it."""
        body = {"model": self._model, "max_tokens": 1, "temperature": 0, **fields}
        try:
            told = await self._client.post(route, body, self._token, self._client.patience.first)
        except RemoteRefused as refused:
            self._refusal = refused.said
            if "Unexpected fields in the request" in refused.said:
                self._add(GENERATION_CONFIG)
            elif "There is no parameter" in refused.said:
                self._add(SAME_NAMES)
            return None
        return told if isinstance(told, dict) else None

    def _add(self, way: str) -> None:
        if way not in self._ways:
            self._ways.append(way)

    async def _completions(self) -> bool:
        if first_choice(await self._ask("completions", prompt="The", seed=1)) is not None:
            return True
        if first_choice(await self._ask("completions", prompt="The")) is not None:
            self._lack("seed", f"{self._name} takes no seed.")
            return True
        self._lack("completion", f"{self._name} has no /v1/completions, so it continues no raw "
                   "text; it answers chats.")
        return False

    async def _chats(self) -> bool:
        asked = [{"role": "user", "content": "Hi"}]
        choice = first_choice(await self._ask("chat/completions", messages=asked))
        if choice is not None:
            return True
        self._lack("chat", f"{self._name} answers no chat with this model: it has no chat "
                   "template, or no /v1/chat/completions.")
        self._lack("prefill", self._missing["chat"])
        return False

    async def _ids_and_scores(self) -> None:
        plain: dict[str, Any] = {"prompt": "The"}
        for wanted in _FULL:
            choice = first_choice(await self._ask("completions", **plain, logprobs=wanted))
            if choice is not None and (count := _alternatives(choice)):
                self._alternatives = min(wanted, count)
                break
        self._no_logprobs()
        choice = first_choice(await self._ask(
            "completions", **plain, return_token_ids=True, logprobs=1))
        if choice is not None and isinstance(choice.get("token_ids"), list):
            self._add(TOKEN_IDS)
        elif not _tells_ids(choice):
            self._lack("token ids", f"{self._name} does not tell the ids of tokens.")
        told = await self._ask("completions", prompt=list(_PROBE))
        usage = told.get("usage") if told else None
        if not isinstance(usage, dict) or usage.get("prompt_tokens") != len(_PROBE):
            self._lack("id prompts", f"{self._name} reads no prompt of token ids, so nothing can "
                       "go on from the middle of an answer.")
        elif "token ids" in self._missing:
            self._lack("id prompts", f"{self._name} does not tell the ids of tokens, so nothing "
                       "can go on from the middle of an answer.")
        await self._scoring()

    def _no_logprobs(self) -> None:
        if not self._alternatives:
            self._lack("logprobs", f"{self._name} tells no log-probabilities, so what stands here "
                       "are pieces of text as they came, with no figures and no other candidates.")

    async def _scoring(self) -> None:
        text = "One two three four"
        choice = first_choice(await self._ask("completions", prompt=text, prompt_logprobs=1))
        if choice is not None and isinstance(choice.get("prompt_logprobs"), list):
            self._add(PROMPT_LOGPROBS)
            return
        choice = first_choice(await self._ask("completions", prompt=text, echo=True, logprobs=1))
        told = choice.get("logprobs") if choice else None
        tokens = told.get("tokens") if isinstance(told, dict) else None
        again = choice is not None and str(choice.get("text", "")).startswith(text)
        if again and isinstance(tokens, list) and len(tokens) > 2:
            self._add(ECHO)
            return
        self._lack("scoring", f"{self._name} tells no log-probabilities of a given text: it knows "
                   "neither prompt_logprobs nor echo.")

    async def _chat_logprobs(self) -> None:
        for wanted in _FULL:
            choice = first_choice(await self._ask(
                "chat/completions", messages=[{"role": "user", "content": "Hi"}], logprobs=True,
                top_logprobs=wanted,
            ))
            if choice is not None and (count := _alternatives(choice)):
                self._alternatives = min(wanted, count)
                break
        self._no_logprobs()
        if not _tells_ids(choice):
            self._lack("token ids", f"{self._name} does not tell the ids of tokens.")

    async def _settings(self, server: str, route: str) -> None:
        if GENERATION_CONFIG in self._ways:
            self._knobs = {name: name for name in TRANSFORMERS_KNOBS} | {"stop_strings": "stop"}
            return
        if SAME_NAMES in self._ways:
            other = ("do_sample", "max_new_tokens", "candidates", "effects", "stop_strings",
                     "draft_tokens")
            self._knobs |= {one.name: one.name for one in fields(Decoding)
                            if one.name not in other}
            return
        if server == "llama.cpp":
            self._knobs |= LLAMA_KNOBS
            return
        asked: dict[str, Any] = {"prompt": "The"} if route == "completions" else {
            "messages": [{"role": "user", "content": "Hi"}]}
        for name, (field, good, nonsense) in MORE_KNOBS.items():
            taken = await self._ask(route, **asked, **{field: good})
            if taken is not None and await self._ask(route, **asked, **{field: nonsense}) is None:
                self._knobs[name] = field

    async def _other_routes(self, server: str) -> None:
        """Tokenizing, going on with an answer, seeds, and the count at the end of a stream."""
        if GENERATION_CONFIG not in self._ways:
            self._add(USAGE)
        if server == "vLLM":
            self._add(CONTINUE)
        elif SAME_NAMES not in self._ways:
            self._lack("prefill", f"{self._name} cannot be asked to go on with the beginning of an "
                       "answer.")
        for way, body in (
            (TOKENIZE_VLLM, {"model": self._model, "prompt": "One", "return_token_strs": True}),
            (TOKENIZE_LLAMA, {"content": "One", "with_pieces": True}),
        ):
            try:
                told = await self._client.post("/tokenize", body, self._token)
            except (RemoteProblem, Overloaded, DeadlinePassed):
                continue
            ids = told.get("tokens") if isinstance(told, dict) else None
            if isinstance(ids, list) and ids and (way == TOKENIZE_VLLM) == isinstance(ids[0], int):
                self._add(way)
                return
        self._lack("tokenize", f"{self._name} does not tell how it reads a prompt.")


def first_choice(told: object) -> dict[str, Any] | None:
    """The one choice of an answer; None where it has none."""
    choices = told.get("choices") if isinstance(told, dict) else None
    found = choices[0] if isinstance(choices, list) and choices else None
    return found if isinstance(found, dict) else None


def _alternatives(choice: dict[str, Any]) -> int:
    """How many alternatives are told of the first token."""
    told = choice.get("logprobs")
    if not isinstance(told, dict):
        return 0
    listed = told.get("top_logprobs")
    content = told.get("content")
    if isinstance(content, list) and content and isinstance(content[0], dict):
        found: Any = content[0].get("top_logprobs")
    else:
        found = listed[0] if isinstance(listed, list) and listed else None
    return len(found) if isinstance(found, (dict, list)) else 0


def _tells_ids(choice: dict[str, Any] | None) -> bool:
    """Whether the entries of the log-probabilities have ids, as those of llama.cpp do."""
    told = choice.get("logprobs") if choice else None
    content = told.get("content") if isinstance(told, dict) else None
    first = content[0] if isinstance(content, list) and content else None
    return isinstance(first, dict) and any(
        isinstance(first.get(name), int) for name in ("id", "token_id"))
