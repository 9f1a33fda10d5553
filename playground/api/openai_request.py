"""From the JSON of a request to runs: every parameter read, or refused by its name.

The parameters are OpenAI's, and every setting of ``Decoding`` under the name that it has there; a
knob that is added to that class can be asked for here at once. It knows no route and no engine.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from playground.api.openai_errors import ApiError, ApiRefusal
from playground.core.decoding import KNOBS, Decoding
from playground.core.plain import from_plain, from_text
from playground.core.prompt import Chat, Ids, Message, Prompt, Raw
from playground.core.run import LARGEST_SEED, ModelSpec, Run
from playground.errors import InvalidInput, shown
from playground.settings import Limits

# OpenAI's default for completions; a chat's answer is as long as it wants to be.
COMPLETION_TOKENS = 16

# Settings that have another name here, or that no answer could show.
_OTHERWISE = {"max_new_tokens", "stop_strings", "candidates", "effects"}
_KNOBS = tuple(one.name for one in fields(Decoding) if one.name not in _OTHERWISE)
_MODEL = tuple(one.name for one in fields(ModelSpec) if one.name != "repo")
_BOTH = ("model", "stream", "stream_options", "n", "seed", "stop", "logit_bias", "max_tokens",
         "logprobs", "draft", "control_tokens", "return_token_ids", *_MODEL, *_KNOBS)
COMPLETION = ("prompt", "echo", *_BOTH)
CHAT = ("messages", "max_completion_tokens", "top_logprobs", *_BOTH)
# OpenAI's that nothing here can do, each with the values that ask for nothing.
_NOTHING: Mapping[str, tuple[Any, ...]] = {
    "best_of": (1,), "suffix": ("",), "store": (False,), "service_tier": ("auto", "default"),
    "tools": ([],), "tool_choice": ("none", "auto"), "parallel_tool_calls": (True, False),
    "functions": ([],), "function_call": ("none", "auto"), "modalities": (["text"],),
    "response_format": ({"type": "text"},), "reasoning_effort": ("none",), "audio": (),
    "prediction": (), "metadata": (), "user": (), "verbosity": (), "web_search_options": (),
    "prompt_cache_key": (), "prompt_cache_retention": (), "safety_identifier": (),
}
_SAME_AS = {"max_new_tokens": "max_tokens", "stop_strings": "stop", "candidates": "logprobs"}


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that makes sense: its ``runs`` are ``n`` for each prompt, in order.

    Without ``runs`` the prompts are only echoed. ``top`` are the candidates told of each token,
    None where no log-probabilities are wanted.
    """

    chat: bool
    model: ModelSpec
    prompts: tuple[Prompt, ...]
    runs: tuple[Run, ...]
    n: int = 1
    stream: bool = False
    usage: bool = False
    echo: bool = False
    top: int | None = None
    token_ids: bool = False

    @property
    def notices(self) -> tuple[str, ...]:
        """Of each setting that was made and has no effect, a sentence."""
        ignored = self.runs[0].decoding.ignored if self.runs else ()
        return tuple(f"{label} has no effect with these settings." for label in ignored)


def read_request(body: bytes, chat: bool, limits: Limits) -> Asked:
    """The request in a body. Raises InvalidInput and ApiRefusal, naming the parameter."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidInput("The body is not UTF-8.", field="body") from None
    data = from_text(text, "body")
    if not isinstance(data, dict):
        raise InvalidInput("The body must be a JSON object.", field="body")
    given = _known(data, CHAT if chat else COMPLETION)
    n = _number(given.pop("n", 1), "n", 1, limits.columns)
    prompts = _messages(given) if chat else _prompts(given, limits.columns)
    if len(prompts) * n > limits.columns:
        raise InvalidInput(
            f"This request asks for {len(prompts) * n} texts (n for each prompt); here one may ask "
            f"for {limits.columns}.",
            field="n", given=n, allowed=f"up to {limits.columns} texts in all",
        )
    control = from_plain(bool, given.pop("control_tokens", False), "control_tokens")
    if control:
        prompts = tuple(p if isinstance(p, Ids) else replace(p, control_tokens=True)
                        for p in prompts)
    model, draft = _models(given)
    stream, usage = _stream(given)
    echo = from_plain(bool, given.pop("echo", False), "echo")
    token_ids = from_plain(bool, given.pop("return_token_ids", False), "return_token_ids")
    top = _top_of_chat(given) if chat else _top_of_completion(given)
    seed = given.pop("seed", None)
    most = _most_tokens(given, chat, echo, limits, len(prompts) * n)
    decoding = _decoding(given, most or 1, top)
    runs = [Run(model, prompt, decoding, seed_, draft)
            for prompt in prompts for seed_ in _seeds(seed, n, decoding)]
    return Asked(chat, model, prompts, tuple(runs) if most else (), n, stream, usage, echo, top,
                 token_ids)


def _known(data: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """What was given, without null; a name that is none of ``names`` is refused."""
    for name, value in data.items():
        if name in names or (name == "best_of" and value == data.get("n", 1)):
            continue
        if name in _NOTHING:
            if value is not None and value not in _NOTHING[name]:
                raise _unsupported(name, value)
        elif name in _SAME_AS:
            raise _unknown(name, f"It is called {_SAME_AS[name]} here.")
        else:
            raise _unknown(name, f"There are {', '.join(names)}.")
    return {name: value for name, value in data.items() if value is not None and name in names}


def _unsupported(name: str, value: object) -> ApiRefusal:
    other = " or ".join(shown(one, quoted=True) for one in _NOTHING[name])
    leave = f"It may be {other}, or be left out." if other else "Leave it out."
    return ApiRefusal(ApiError(
        400, f"{name} = {shown(value, quoted=True)} is not supported by this server. {leave}", name,
        "unsupported_parameter"))


def _unknown(name: str, advice: str) -> ApiRefusal:
    said = shown(name, quoted=True)
    return ApiRefusal(ApiError(
        400, f"There is no parameter {said}. {advice}", name[:80], "unknown_parameter"))


def _models(given: dict[str, Any]) -> tuple[ModelSpec, ModelSpec | None]:
    repo = given.pop("model", None)
    if not isinstance(repo, str) or not repo.strip():
        raise InvalidInput("No model is named.", field="model", advice="GET /v1/models lists them.")
    more = {name: from_plain(str, given.pop(name), name) for name in _MODEL if name in given}
    draft = from_plain(str, given.pop("draft"), "draft") if "draft" in given else ""
    # ModelSpec checks the words that dtype and quantization may be.
    return ModelSpec(repo, **more), ModelSpec(draft) if draft else None  # type: ignore[arg-type]


def _stream(given: dict[str, Any]) -> tuple[bool, bool]:
    """Whether chunks are wanted, and usage after them."""
    stream = from_plain(bool, given.pop("stream", False), "stream")
    options = given.pop("stream_options", {})
    if options and not stream:
        raise InvalidInput("stream_options are for a stream.", field="stream_options",
                           advice="Set stream to true, or leave them out.")
    if not isinstance(options, dict):
        raise InvalidInput("stream_options must be an object.", field="stream_options",
                           given=options)
    for name, value in options.items():
        if name != "include_usage" and not (name == "include_obfuscation" and value is False):
            raise _unknown(f"stream_options.{name}", "There is stream_options.include_usage.")
    wanted = options.get("include_usage")
    return stream, from_plain(bool, wanted or False, "stream_options.include_usage")


def _number(value: Any, name: str, low: int, high: int) -> int:
    number = from_plain(int, value, name)
    if not low <= number <= high:
        raise InvalidInput(f"{name} is {shown(number)}; it must be from {low} to {high}.",
                           field=name, given=number, allowed=f"from {low} to {high}")
    return number


def _prompts(given: dict[str, Any], most: int) -> tuple[Prompt, ...]:
    """A text, token ids, or a list of either."""
    if "prompt" not in given:
        raise InvalidInput("There is no prompt.", field="prompt",
                           allowed="a text, a list of token ids, or a list of either")
    value = given.pop("prompt")
    many = isinstance(value, list) and not (value and type(value[0]) is int)
    asked = value if many else [value]
    if len(asked) > most or not asked:
        raise InvalidInput(
            f"There are {len(asked)} prompts; here one may send from 1 to {most}.", field="prompt",
            given=len(asked), allowed=f"from 1 to {most} prompts",
        )
    names = [f"prompt[{place}]" if many else "prompt" for place in range(len(asked))]
    return tuple(_prompt(one, name) for one, name in zip(asked, names, strict=True))


def _prompt(value: Any, name: str) -> Prompt:
    if isinstance(value, str):
        return Raw(value)
    return Ids(from_plain(tuple[int, ...], value, name))


def _messages(given: dict[str, Any]) -> tuple[Prompt, ...]:
    value = given.pop("messages", None)
    if not isinstance(value, list) or not value:
        raise InvalidInput("messages must be a list of at least one message.", field="messages",
                           given=value)
    return (Chat(tuple(_message(one, f"messages[{place}]") for place, one in enumerate(value))),)


def _message(value: Any, name: str) -> Message:
    if not isinstance(value, dict):
        raise InvalidInput(f"{name} must be an object with role and content.", field=name,
                           given=value)
    for key, one in value.items():
        if key not in ("role", "content") and one is not None:
            raise ApiRefusal(ApiError(
                400, f"{name}.{key} is not supported by this server: a message has a role and a "
                "content.", f"{name}.{key}", "unsupported_parameter"))
    role = value.get("role")
    if role not in ("system", "developer", "user", "assistant"):
        raise InvalidInput(
            f"{name}.role is {shown(role, quoted=True)}; it can be system, developer, user or "
            "assistant.", field=f"{name}.role", given=role,
            allowed="system, developer, user, assistant",
        )
    # OpenAI's newer name for the system prompt.
    return Message("system" if role == "developer" else role,
                   _content(value.get("content"), f"{name}.content"))


def _content(value: Any, name: str) -> str:
    """A text, or parts that are all texts."""
    if isinstance(value, str):
        return value
    parts = value if isinstance(value, list) else []
    if not parts or not all(isinstance(p, dict) and set(p) == {"type", "text"}
                            and p["type"] == "text" and isinstance(p["text"], str) for p in parts):
        raise InvalidInput(
            f'{name} must be a text, or parts such as {{"type": "text", "text": "Hi"}}: these '
            "models read text only.", field=name, given=value, allowed="text",
        )
    return "".join(part["text"] for part in parts)


def _top_of_completion(given: dict[str, Any]) -> int | None:
    high = int(KNOBS["candidates"].high)
    return _number(given.pop("logprobs"), "logprobs", 0, high) if "logprobs" in given else None


def _top_of_chat(given: dict[str, Any]) -> int | None:
    wanted = from_plain(bool, given.pop("logprobs", False), "logprobs")
    high = int(KNOBS["candidates"].high)
    top = _number(given.pop("top_logprobs", 0), "top_logprobs", 0, high)
    if top and not wanted:
        raise InvalidInput("top_logprobs are a part of logprobs.", field="top_logprobs", given=top,
                           advice="Set logprobs to true.")
    return top if wanted else None


def _most_tokens(
    given: dict[str, Any], chat: bool, echo: bool, limits: Limits, texts: int
) -> int:
    """How many tokens a text may have at most; 0 where the prompt is only echoed. Where nothing is
    said, a chat's answer has as many as so many ``texts`` may each have here."""
    names = [name for name in ("max_completion_tokens", "max_tokens") if name in given]
    if not names:
        share = limits.request_tokens // (texts * _beams(given))
        most = max(1, min(limits.new_tokens, share, int(KNOBS["max_new_tokens"].high)))
        return most if chat else min(COMPLETION_TOKENS, most)
    asked = {name: from_plain(int, given.pop(name), name) for name in names}
    if len(set(asked.values())) > 1:
        raise InvalidInput("max_tokens and max_completion_tokens say the same; they differ here.",
                           field="max_tokens", given=asked["max_tokens"])
    most = asked[names[0]]
    if most == 0 and echo:
        return 0
    KNOBS["max_new_tokens"].check(names[0], most)
    return most


def _beams(given: Mapping[str, Any]) -> int:
    """How many texts are written for each that is told; what is no number is refused later."""
    beams = given.get("num_beams")
    return beams if type(beams) is int and beams > 0 else 1


def _seeds(seed: Any, n: int, decoding: Decoding) -> list[int]:
    """One for each text of a prompt, counted on from the one that was given or drawn."""
    if seed is None:
        seed = secrets.randbelow(LARGEST_SEED + 1) if decoding.draws else 0
    # A seed that is none is refused by the run.
    whole = type(seed) is int and 0 <= seed <= LARGEST_SEED
    return [(seed + place) % (LARGEST_SEED + 1) if whole else seed for place in range(n)]


def _decoding(given: dict[str, Any], most: int, top: int | None) -> Decoding:
    """What is left are knobs. OpenAI's models draw unless the temperature is 0; beams and
    contrastive search, which it has not, draw where they are told to."""
    stop = given.pop("stop", [])
    stop = [stop] if isinstance(stop, str) else list(from_plain(tuple[str, ...], stop, "stop"))
    bias = _logit_bias(given.pop("logit_bias", {}))
    searches = any(given.get(name) not in (None, neutral)
                   for name, neutral in (("num_beams", 1), ("penalty_alpha", 0)))
    cold = type(given.get("temperature")) in (int, float) and given["temperature"] == 0
    if cold:
        del given["temperature"]
        if given.get("do_sample") is True:
            raise InvalidInput("At temperature 0 nothing is drawn, and do_sample asks for it.",
                               field="do_sample", given=True)
    given.setdefault("do_sample", not (cold or searches))
    return from_plain(Decoding, {
        **given, "bias": [*bias, *_list(given.get("bias", []), "bias")],
        "stop_strings": stop, "max_new_tokens": most, "candidates": max(1, top or 0),
    })


def _list(value: Any, name: str) -> list[Any]:
    if not isinstance(value, list):
        raise InvalidInput(f"{name} must be a list.", field=name, given=value)
    return value


def _logit_bias(value: Any) -> list[Any]:
    """Token ids (as JSON has names: texts) with what is added to their logits."""
    if not isinstance(value, dict):
        raise InvalidInput("logit_bias must be an object from token ids to numbers.",
                           field="logit_bias", given=value)
    wrong = next((key for key in value if not (key.isascii() and key.isdigit() and len(key) < 12)),
                 None)
    if wrong is not None:
        raise InvalidInput(f"logit_bias has {shown(wrong, quoted=True)}, which is no token id.",
                           field="logit_bias", given=wrong, allowed="token ids, such as \"42\"")
    return [[[int(key)], from_plain(float, number, f"logit_bias.{key}")]
            for key, number in value.items()]
