"""What a server offers of what a run may ask, and the words with which the rest is refused, at the
door of a run and on the page before one; it asks no server."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from playground.core.decoding import Decoding, label_of
from playground.core.prompt import Chat, Raw
from playground.core.run import Run
from playground.errors import InvalidInput, Problem

Ability = Literal[
    "chat", "completion", "prefill", "logprobs", "token ids", "id prompts", "scoring", "tokenize",
    "seed",
]
# What is asked of a model on this machine, and of no server.
Here = Literal["amend", "ban", "chat score", "control tokens", "draft", "inside", "pace", "replay"]


def only_here(what: Here, server: str) -> str:
    """Why a server, whichever it is, cannot do this."""
    return {
        "amend": f"{server} takes the settings at the beginning of an answer only.",
        "ban": f"{server} cannot be told what it may not write at one place only.",
        "chat score": f"{server} scores a plain text, or a text after a plain text: its chat "
        "template is not told.",
        "control tokens": f"The text of control tokens counts as control tokens on {server}.",
        "draft": f"{server} chooses by itself whether a draft proposes tokens for it.",
        "inside": f"What is inside a model on {server} stays there.",
        "pace": f"{server} writes as fast as it can: it cannot be paused or slowed.",
        "replay": f"{server} does not give the logits of a step, so it cannot be chosen again "
        "under other settings.",
    }[what]


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a server offers for one of its models, found out by asking it.

    ``server`` is what it seems to be, ``context`` the tokens it holds (0: it does not tell),
    ``alternatives`` how many candidates of a token it tells at most. ``knobs`` are the settings
    that it takes, each as the request calls it. ``missing`` says, for everything it does not offer,
    why that is so. ``ways`` are how it wants to be asked (see engine.remote_offers).
    """

    server: str = ""
    context: int = 0
    alternatives: int = 0
    knobs: tuple[tuple[str, str], ...] = ()
    missing: tuple[tuple[Ability, str], ...] = ()
    ways: tuple[str, ...] = ()

    def why_not(self, ability: Ability) -> str:
        """Why this is not offered; empty where it is."""
        return dict(self.missing).get(ability, "")

    def offers(self, ability: Ability) -> bool:
        """Whether this is offered."""
        return not self.why_not(ability)

    def why_no_setting(self, setting: str, name: str) -> str:
        """Why the server ``name`` cannot be given this setting of a lane, by the name that it has
        in a Decoding or beside one; empty where it can, or where it is no such setting."""
        match setting:
            case "prefill":
                return self.why_not("prefill")
            case "seed" | "fresh_seed":
                return self.why_not("seed")
            case "candidates":
                return self.why_not("logprobs")
            case "draft":
                return only_here("draft", name)
            case "control_tokens":
                return only_here("control tokens", name)
        known = setting in Decoding.__dataclass_fields__
        lacking = known and not self.takes(setting)
        return f"{name} does not take {label_of(setting)}." if lacking else ""

    def takes(self, knob: str) -> bool:
        """Whether this setting of a Decoding can be sent, or is ours to keep to."""
        return knob in _OURS or any(knob == one for one, _ in self.knobs)

    def check(self, run: Run, name: str) -> None:
        """Raise InvalidInput, naming the field, for a run that the server ``name`` cannot do."""
        self.check_prompt(run, name)
        self.check_settings(run, name)

    def check_prompt(self, run: Run, name: str) -> None:
        """Raise InvalidInput for a prompt, or a place in an answer, that it cannot go on from."""
        chat = isinstance(run.prompt, Chat)
        wants: list[tuple[Ability, bool, str]] = [
            ("chat", chat and run.fork is None, "prompt"),
            ("completion", not chat, "prompt"),
            ("prefill", chat and run.fork is None and bool(_prefill(run)), "prefill"),
            ("id prompts", run.fork is not None or not isinstance(run.prompt, Chat | Raw), "fork"),
        ]
        for ability, wanted, field_name in wants:
            if wanted and (why := self.why_not(ability)):
                raise InvalidInput(why, field=field_name, given=name)
        if run.fork is not None and run.fork.banned:
            raise InvalidInput(
                only_here("ban", name), field="fork", advice="Choose another candidate instead.",
            )

    def check_settings(self, run: Run, name: str) -> None:
        """Raise InvalidInput for a setting with an effect that it does not take."""
        if run.used_draft is not None:
            raise InvalidInput(only_here("draft", name), field="draft")
        decoding = run.decoding
        refused = [one for one in decoding.acting if not self.takes(one)]
        if refused:
            labels = ", ".join(map(label_of, refused))
            has = ", ".join(label_of(knob) for knob, _ in self.knobs if knob != "do_sample")
            raise InvalidInput(
                f"{name} does not take {labels}.", field=refused[0],
                given=getattr(decoding, refused[0]), allowed=has,
                advice=f"Set it to neutral; this server takes {has}.",
            )


# A length every server takes, and what is only told or not.
_OURS = frozenset({"max_new_tokens", "candidates", "effects"})


@dataclass(frozen=True, slots=True)
class Inquiry:
    """How far a server is known: what it offers; else that it is being asked, or what is wrong."""

    offers: Capabilities | None = None
    asking: bool = False
    problem: Problem | None = None


def _prefill(run: Run) -> str:
    return run.prompt.prefill if isinstance(run.prompt, Chat) else ""
