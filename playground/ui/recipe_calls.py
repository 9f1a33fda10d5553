"""A recipe as a call of this app's own endpoints, with curl or with the Gradio client; and as what
a tab has fields for."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import replace
from typing import Any

from playground.core.decoding import PRESETS
from playground.core.plain import to_plain
from playground.core.prompt import Chat, Ids, Raw
from playground.core.run import ModelSpec, Run
from playground.errors import InvalidInput
from playground.ui.decoding_form import KEPT_BY_PRESETS, DecodingForm, write_form
from playground.ui.lane_form import CHAT, RAW, LaneForm

_ORIGIN = re.compile(r"https?://[A-Za-z0-9.\-\[\]:]{1,200}(/[A-Za-z0-9._~/\-]{0,200})?", re.ASCII)


def decoding_form_of(run: Run) -> DecodingForm:
    """A run's decoding as a panel of the page holds it, its seed fixed."""
    def same(preset: str) -> int:
        theirs = PRESETS[preset]
        return sum(getattr(theirs, name) == getattr(run.decoding, name)
                   for name in theirs.__dataclass_fields__ if name not in KEPT_BY_PRESETS)

    nearest = max(PRESETS, key=same)
    return DecodingForm(run.decoding, nearest, run.seed, False, run.draft)


def lane_of(run: Run) -> tuple[str, LaneForm]:
    """The text and the settings of a lane of the Complete tab in which this is the run.

    Raises InvalidInput where such a lane has no field for something in it.
    """
    system = begun = ""
    match run.prompt:
        case Raw(text, control):
            template = RAW
        case Chat(messages, control):
            template, asked = CHAT, list(messages)
            if asked[0].role == "system":
                system = asked.pop(0).content
            if asked[-1].role == "assistant":
                begun = asked.pop().content
            if [message.role for message in asked] != ["user"]:
                raise _beyond("its chat has more than one question")
            text = asked[0].content
            if any(part and not part.strip() for part in (system, begun)):
                raise _beyond("a message of its chat is blank")
        case _:
            raise _beyond("its prompt is exact token ids")
    if run.fork is not None:
        raise _beyond("it goes on in the middle of an answer")
    if run.model != ModelSpec(run.model.repo):
        raise _beyond("its model has a dtype, bits, an adapter or a commit of its own")
    return text, LaneForm(run.model.repo, template, control, system, begun, decoding_form_of(run))


def fields_of(run: Run) -> dict[str, Any]:
    """What the Tokens tab has for a run: model, text, how it is given, settings.

    Raises InvalidInput where it has no field for something in it.
    """
    text, form = lane_of(run)
    if form.system or form.prefill:
        raise _beyond("its chat has more than one message")
    return {"model": form.model, "text": text, "template": form.template,
            "control_tokens": form.control_tokens, "settings": write_form(form.decoding)}


def _beyond(why: str) -> InvalidInput:
    return InvalidInput(
        f"The tab has no field for this run: {why}.", field="prompt",
        advice="Run again and verify, on the Recipe tab, takes it as it is.",
    )


def curl_of(run: Run, origin: object) -> str:
    """A shell command that runs it here and shows what comes. Raises InvalidInput for a run that
    goes on in the middle of an answer."""
    endpoint, arguments = call_of(run)
    url = f"{checked_origin(origin)}/gradio_api/call/v2/{endpoint}"
    data = shlex.quote(json.dumps(arguments, ensure_ascii=False))
    return (
        f"URL={shlex.quote(url)}\n"
        f"EVENT=$(curl -s \"$URL\" -H 'Content-Type: application/json' \\\n"
        f"  -d {data} | cut -d '\"' -f 4)\n"
        'curl -sN "$URL/$EVENT"\n'
    )


def client_of(run: Run, origin: object) -> str:
    """Python that runs it here through gradio_client and prints text and ids. Raises as
    ``curl_of``."""
    endpoint, arguments = call_of(run)
    given = "".join(f"    {name}={value!r},\n" for name, value in arguments.items())
    return (
        "from gradio_client import Client\n\n"
        f"client = Client({checked_origin(origin)!r})\n"
        f'answer = client.predict(\n    api_name="/{endpoint}",\n{given})\n'
        'print(answer["text"])\n'
        'print(answer["ids"])\n'
    )


def call_of(run: Run) -> tuple[str, dict[str, Any]]:
    """The endpoint of this app that repeats a run, and what it is given; see api/endpoints."""
    if run.fork is not None:
        raise InvalidInput(
            "No call of this app repeats this run: it goes on in the middle of an answer.",
            field="prompt",
            advice="Run again and verify, on the Recipe tab, takes it as it is.",
        )
    match run.prompt:
        case Chat(messages, control):
            turns = [{"role": one.role, "content": one.content} for one in messages]
            endpoint, asked = "chat", {"messages": turns}
        case Raw(text, control):
            endpoint, asked = "complete", {"prompt": text}
        case Ids(ids):
            endpoint, asked, control = "complete", {"prompt": list(ids)}, False
    settings = {**to_plain(replace(run.decoding, effects=False)), **to_plain(run.model)}
    model = settings.pop("repo")
    if run.used_draft is not None:
        settings["draft"] = run.used_draft.repo
    more = {"settings": settings, "seed": run.seed, "control_tokens": control}
    return endpoint, {**asked, "model": model, **{name: one for name, one in more.items() if one}}


def checked_origin(origin: object) -> str:
    """The address of this app as a browser says it. Raises InvalidInput for what is no address."""
    if not isinstance(origin, str) or not _ORIGIN.fullmatch(origin):
        raise InvalidInput("This is no address of an app.", field="origin", given=str(origin)[:60])
    return origin.rstrip("/")
