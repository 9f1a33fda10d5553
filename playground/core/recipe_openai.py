"""A recipe of a run on a server as a script for the ``openai`` client; it runs nothing.

The recipe knows the server by the name that its host gave it, and by no address or token: the
script takes both from the environment, as the client itself does.
"""

from __future__ import annotations

from typing import Any

from playground.core.prompt import Chat, Ids, Raw
from playground.core.recipe import Digest, Recipe
from playground.core.remote import server_and_model
from playground.errors import InvalidInput

# What OpenAI's own API has; other settings go beside it, under the names that vLLM and SGLang use.
_PLAIN = ("top_p", "frequency_penalty", "presence_penalty")
_BESIDE = {"top_k": "top_k", "min_p": "min_p", "typical_p": "typical_p",
           "repetition_penalty": "repetition_penalty", "min_new_tokens": "min_tokens"}


def is_served(recipe: Recipe) -> bool:
    """Whether the run was on a server of somebody else's."""
    return server_and_model(recipe.run.model.repo) is not None


def served_sections(recipe: Recipe) -> list[str]:
    """The script in parts. Raises InvalidInput where no request says what the run did."""
    run = recipe.run
    if run.fork is not None or recipe.amended:
        raise InvalidInput(
            "There is no script for this run. It went on from the middle of an answer, or its "
            "settings were changed.", field="fork", advice="Share the run that it left.",
        )
    _, model = server_and_model(run.model.repo) or ("", "")
    other = [name for name in run.decoding.acting
             if name not in (*_PLAIN, *_BESIDE, "do_sample", "temperature", "stop_strings",
                             "max_new_tokens", "candidates", "effects", "alone", "use_cache")]
    if other:
        raise InvalidInput(
            f"There is no script for this run. No server takes {other[0]}.", field=other[0]
        )
    chat = isinstance(run.prompt, Chat)
    about = (
        '"""The same request to the same server, without the playground (pip install openai).\n\n'
        "OPENAI_BASE_URL is the address of its API, such as http://127.0.0.1:8000/v1, and\n"
        'OPENAI_API_KEY its token, or any word where it asks for none.\n"""'
    )
    shown = ".choices[0].message.content" if chat else ".choices[0].text"
    call = "chat.completions" if chat else "completions"
    given = [f"{name}={value!r}" for name, value in _fields(recipe, model).items()]
    body = ",\n    ".join(given)
    made = f"client = OpenAI()\nanswer = client.{call}.create(\n    {body},\n)"
    return [about, "from openai import OpenAI", made, f"text = answer{shown}\nprint(text)",
            _comparison(recipe)]


def _fields(recipe: Recipe, model: str) -> dict[str, Any]:
    run, d = recipe.run, recipe.run.decoding
    fields: dict[str, Any] = {"model": model}
    match run.prompt:
        case Chat(messages):
            fields["messages"] = [{"role": m.role, "content": m.content} for m in messages]
        case Raw(text):
            fields["prompt"] = text
        case Ids(ids):
            fields["prompt"] = list(ids)
    fields |= {"max_tokens": d.max_new_tokens, "temperature": d.temperature if d.draws else 0.0}
    fields |= {name: getattr(d, name) for name in _PLAIN if name in d.acting}
    fields |= {"stop": list(d.stop_strings)} if d.stop_strings else {}
    fields |= {"seed": run.seed} if d.draws else {}
    beside = {called: getattr(d, name) for name, called in _BESIDE.items() if name in d.acting}
    return fields | ({"extra_body": beside} if beside else {})


def _comparison(recipe: Recipe) -> str:
    answer = recipe.answer
    if answer is None or isinstance(answer.ids, Digest) and not answer.text:
        return "# The run in the playground did not end, so there is nothing to compare with."
    return (f"# What the server wrote then; it may run another version of the model by now.\n"
            f"expected = {answer.text!r}\n"
            'print("The same text." if text == expected else "Another text than then.")')
