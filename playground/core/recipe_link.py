"""A recipe as the end of a link, and back; nothing is stored anywhere. It knows no address.

Canonical JSON, deflated with a dictionary of our own words, a checksum behind it, base64url, and a
letter in front that says all this. Deflate and not LZMA, by measure: 512 tokens of English with
where each begins take 1,303 bytes and 1,308. The ids of an answer are in it where they fit, else
their digest; a token's own text is what remains of it when the ids do not fit.
"""

from __future__ import annotations

import base64
import binascii
import re
import zlib
from dataclasses import replace
from itertools import accumulate
from typing import Any

from playground.core.plain import from_text, to_plain, to_text
from playground.core.recipe import (
    FORMAT,
    LONGEST_FILE,
    VERSION,
    Answer,
    Digest,
    Experiment,
    Recipe,
    digest_of,
    experiment_from,
)
from playground.errors import InvalidInput

LETTER = "a"
LONGEST_LINK = 64_000  # characters; more than most browsers and programs carry
# Up to so many characters a link has the ids, and up to so many each token's own text.
WITH_IDS, WITH_PIECES = 1_800, 12_000
_PAYLOAD = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)

# What deflate may point back to; likely last, where it is cheap. It belongs to the letter: another
# dictionary is another letter.
_WORDS = (
    b'"spelled":{"banned":[[],"bias":[[[],"forced":[],"negative":[],"breakers":[],"spared":['
    b'"amended":[{"position":"problem":"insert":"fork":{"ids":["draft":{"repo":"adapter":"'
    b'"bfloat16","cuda:0","int8","nf4","float16","eager","alone","whole","recompute"'
    b'"num_beams":4,"penalty_alpha":0.6,"repetition_penalty":1.2,"no_repeat_ngram_size":3,'
    b'"frequency_penalty":"presence_penalty":"min_p":0.1,"typical_p":0.9,"top_k":50,"top_p":0.9,'
    b'"xtc_probability":0.5,"mirostat_tau":3.0,"dry_multiplier":0.8,"guidance_scale":1.5,'
    b'"stop_strings":["temperature":0.7,"max_new_tokens":"do_sample":true,"effects":true,'
    b'"kind":"Ids","ids":[{"kind":"Raw","text":"{"kind":"Chat","messages":[{"content":"'
    b'","role":"system"},{"content":"","role":"assistant"},{"content":"","role":"user"}]'
    b'{"format":"token-by-token/recipe","lanes":[{"answer":{"company":1,"ids":{"count":128,"sha256":"'
    b'"},"pieces":["","reason":"stopped","stop string","context","length","end","reused":1,"text":"'
    b'"},"commit":"","context":512,"facts":{"attention":"sdpa","device":"cpu","dtype":"float32",'
    b'"ends":[0,2],"lane":"batch","package":"0.1.0","pad":0,"quantization":"none","template":"'
    b'","torch":"2.13.0+cpu","transformers":"5.23.0"},"made":"2026-11-26T23:00:00Z","prompt_ids":'
    b'{"count":12,"sha256":""},"run":{"decoding":{"model":{"repo":"builtin/tiny-chat"},"prompt":'
    b'{"kind":"Raw","text":""},"seed":0},"title":"Greedy"}],"version":1}'
)
# Where most tokenizers would begin a token; whatever they do, the marks say it.
_WORD = re.compile(r" ?[^\W\d_]+| ?\d| ?[^\w\s]+|\s(?=\S)|\s+|.", re.DOTALL)
CUT, JOIN = "\x1f", "\x1e"
_MARK = re.compile(f"[{CUT}{JOIN}]")


def link_of(experiment: Experiment) -> str:
    """The end of a link that carries an experiment without votes; ``read_link`` is the way back.

    Raises InvalidInput for one that is too long to be carried.
    """
    lanes, experiment = experiment.lanes, replace(experiment, blind=None)
    exact = _sealed(replace(experiment, lanes=tuple(map(_short_prompt, lanes))))
    if len(exact) <= WITH_IDS:
        return exact
    told = tuple(_short_prompt(_without_ids(one)) for one in lanes)
    link = _sealed(replace(experiment, lanes=told))
    if len(link) > WITH_PIECES:
        link = _sealed(replace(experiment, lanes=tuple(map(_without_pieces, told))))
    if len(link) > LONGEST_LINK:
        raise InvalidInput(
            f"The link would have {len(link):,} characters.", field="link",
            given=f"{len(link)} characters", allowed=f"at most {LONGEST_LINK:,} characters",
            advice="Save the file instead.",
        )
    return link


def read_link(text: object) -> Experiment:
    """The experiment that the end of a link says, whoever wrote it.

    Raises InvalidInput for a link that is cut off, changed, too large or of another version, and
    for all that ``read_experiment`` refuses.
    """
    if not isinstance(text, str) or not text:
        raise _refused("is empty")
    if len(text) > LONGEST_LINK:
        raise _refused(f"has {len(text):,} characters; it can have {LONGEST_LINK:,}")
    if not _PAYLOAD.fullmatch(text):
        raise _refused("has characters that no link of this app has")
    if text[0] != LETTER:
        raise _refused(f"is of another version ({text[0]!r}) than this app reads")
    data = from_text(_opened(text[1:]), "link")
    return experiment_from(_unpacked(data), "link")


def _sealed(experiment: Experiment) -> str:
    plain = {"format": FORMAT, "version": VERSION, **to_plain(experiment)}
    for lane in plain["lanes"]:
        answer = lane.get("answer", {})
        if "pieces" in answer:
            answer["pieces"] = marked = _marked(answer["pieces"])
            text = answer.pop("text", "")
            if isinstance(marked, list) or _joined(marked) != text:
                answer["text"] = text
    data = to_text(plain).encode()
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -15, 9, zlib.Z_DEFAULT_STRATEGY, _WORDS)
    packed = squeeze.compress(data) + squeeze.flush() + zlib.crc32(data).to_bytes(4, "big")
    return LETTER + base64.urlsafe_b64encode(packed).decode().rstrip("=")


def _opened(text: str) -> str:
    try:
        packed = base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)
        stretch = zlib.decompressobj(-15, _WORDS)
        data = stretch.decompress(packed[:-4], LONGEST_FILE + 1)
    except (binascii.Error, zlib.error):
        raise _refused("is cut off or was changed on its way") from None
    if len(data) > LONGEST_FILE:
        raise _refused(f"unfolds to more than {LONGEST_FILE:,} characters")
    whole = stretch.eof and not stretch.unused_data
    if not whole or zlib.crc32(data).to_bytes(4, "big") != packed[-4:]:
        raise _refused("is cut off or was changed on its way")
    return data.decode("utf-8", "replace")


def _unpacked(data: Any) -> Any:
    """Plain data with each token's own text again; what has another shape is left as it is, and
    refused after this."""
    lanes = data.get("lanes") if isinstance(data, dict) else None
    for lane in lanes if isinstance(lanes, list) else ():
        answer = lane.get("answer") if isinstance(lane, dict) else None
        marked = answer.get("pieces") if isinstance(answer, dict) else None
        if isinstance(answer, dict) and isinstance(marked, str):
            answer["pieces"] = _cut(marked)
            answer.setdefault("text", _joined(marked))
    return data


def _marked(pieces: list[str]) -> str | list[str]:
    """Tokens as one text. A token begins where a word does; where it does not, CUT is put before
    it, and JOIN where a word begins inside a token. Pieces that hold a mark stay as they are."""
    text = "".join(pieces)
    if _MARK.search(text) or not all(pieces):
        return pieces
    words, begins = _begins(_WORD.findall(text)), _begins(pieces)
    put = {place: CUT if place in begins else JOIN for place in words ^ begins}
    return "".join(put.get(place, "") + letter for place, letter in enumerate(text))


def _cut(marked: str) -> list[str]:
    text: list[str] = []
    put: dict[int, str] = {}
    for letter in marked:
        if letter in (CUT, JOIN):
            put[len(text)] = letter
        else:
            text.append(letter)
    whole = "".join(text)
    words = _begins(_WORD.findall(whole)) - {n for n, mark in put.items() if mark == JOIN}
    begins = sorted(words | {n for n, mark in put.items() if mark == CUT})
    return [whole[a:b] for a, b in zip(begins, [*begins[1:], len(whole)], strict=True)]


def _begins(parts: list[str]) -> set[int]:
    """Where each part begins in what they are together."""
    return set(accumulate(map(len, parts[:-1]), initial=0)) if parts else set()


def _joined(marked: str) -> str:
    return _MARK.sub("", marked)


def _short_prompt(recipe: Recipe) -> Recipe:
    """Without the ids of a prompt that is there as a text."""
    ids = recipe.prompt_ids
    return replace(recipe, prompt_ids=digest_of(ids)) if isinstance(ids, tuple) and ids else recipe


def _without_ids(recipe: Recipe) -> Recipe:
    answer = recipe.answer
    if answer is None or isinstance(answer.ids, Digest):
        return recipe
    return replace(recipe, answer=replace(answer, ids=digest_of(answer.ids)))


def _without_pieces(recipe: Recipe) -> Recipe:
    answer: Answer | None = recipe.answer
    return replace(recipe, answer=replace(answer, pieces=())) if answer else recipe


def _refused(what: str) -> InvalidInput:
    return InvalidInput(
        f"This link {what}.", field="link",
        advice="Copy the whole link again, or ask for the file.",
    )
