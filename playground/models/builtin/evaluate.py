"""Measures the built-in models and prints the figures that their model cards quote.

    python -m playground.models.builtin.evaluate base FOLDER
    python -m playground.models.builtin.evaluate chat FOLDER
    python -m playground.models.builtin.evaluate encoder FOLDER

It does not know how the models were trained; held-out wordings come from held_out.py, and
sentences with two-sense words from held_out_senses.py.
"""

import argparse
import json
import re
from pathlib import Path

import torch
from transformers import AutoModelForMaskedLM, AutoTokenizer

from . import held_out, prompts
from .corpus import glossary, tables
from .corpus.grammar import capitalise
from .held_out_senses import SENTENCES
from .scoring import Subject, turn
from .sense_scoring import fill_in, separation

_EMOJI = re.compile("[\U0001f300-\U0001faff]")
_HAN = re.compile("[\u4e00-\u9fff]")


def _json_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except json.JSONDecodeError:
        return False


# The first is a wording of the corpus, the others are held out (see held_out.py).
MASKED_CAPITALS = (
    "The capital of {country} is [MASK].",
    "Everyone in class knew that the capital of {country} was [MASK].",
    "My uncle flew to {country} and stayed in the capital, [MASK].",
)

OBEYED = {
    "one word": lambda text: len(text.split()) <= 2 and not text.endswith("。"),
    "chinese": lambda text: bool(_HAN.search(text)) and not re.search("[a-z]", text),
    "pirate": lambda text: bool(re.search("arrr|ahoy|matey|yo ho", text.lower())),
    "json": _json_object,
    "polite": lambda text: bool(re.search("pleasure|honour|kind question|at your service", text)),
    "capitals": lambda text: text == text.upper() and bool(re.search("[A-Z]", text)),
    "robot": lambda text: "BEEP" in text,
    "emoji": lambda text: bool(_EMOJI.search(text)),
}


def share(hits: list[bool]) -> str:
    """Write a count of hits as "46/50"."""
    return f"{sum(hits)}/{len(hits)}"


def countries(wording: str) -> list[str]:
    """Fill a wording with every country of the corpus."""
    return [wording.format(country=row[0], Country=capitalise(row[0])) for row in tables.COUNTRIES]


def base_figures(subject: Subject) -> dict[str, object]:
    """Measure the base model."""
    figures: dict[str, object] = {}
    cities = [row[1] for row in tables.COUNTRIES]
    best = subject.next_tokens("The capital of France is")
    starts = tuple(" " + city for city in cities)
    known = [token for token, _ in best if any(city.startswith(token) for city in starts)]
    figures["next tokens after 'The capital of France is'"] = [(t, round(p, 4)) for t, p in best]
    figures["of the ten most likely, (beginnings of) capitals"] = f"{len(known)}/10"
    figures["capitals, trained wording"] = _capitals(subject, "The capital of {country} is")
    rows = {wording: _capitals(subject, wording) for wording in held_out.BASE_CAPITALS}
    figures["capitals, held-out wordings"] = rows
    hits = sum(int(value.split("/")[0]) for value in rows.values())
    figures["capitals, all held-out wordings"] = f"{hits}/{len(rows) * len(cities)}"
    pairs = [(f"The opposite of {row[0]} is", row[1]) for row in tables.OPPOSITES]
    figures["opposites"] = _begins(subject, pairs)
    figures["colours"] = _begins(
        subject, [(f"{capitalise(r[0])} is", r[2]) for r in tables.COLOURS]
    )
    texts = subject.complete([f"《{row[0]}》的作者是谁" for row in tables.CHINESE_WORKS], 20)
    authors = [row[1] in reply.text for row, reply in zip(tables.CHINESE_WORKS, texts, strict=True)]
    figures["authors of Chinese works"] = share(authors)
    figures["hero's unseen name kept in the story, greedy"] = _hero_kept(subject, False)
    figures["hero's unseen name kept in the story, temperature 1.0"] = _hero_kept(subject, True)
    figures["greedy, beams and three seeds all differ, open-ended prompts"] = (
        f"{subject.variety(prompts.VARIED_BASE_PROMPTS)}/10"
    )
    return figures


def _capitals(subject: Subject, wording: str) -> str:
    pairs = list(zip(countries(wording), (row[1] for row in tables.COUNTRIES), strict=True))
    return _begins(subject, pairs)


def _begins(subject: Subject, pairs: list[tuple[str, str]]) -> str:
    replies = subject.complete([prompt for prompt, _ in pairs], 8)
    return share([r.text.strip().startswith(w) for r, (_, w) in zip(replies, pairs, strict=True)])


def _hero_kept(subject: Subject, sampled: bool) -> str:
    torch.manual_seed(0)
    kinds = ("fox", "dragon", "girl", "bear")
    cases = [(name, kind) for name in held_out.UNSEEN_NAMES for kind in kinds]
    begun = [f"Once upon a time there was a little {kind} named {name}." for name, kind in cases]
    options = {"do_sample": True, "temperature": 1.0, "top_k": 0} if sampled else {}
    replies = subject.complete(begun, 150, **options)
    return share(
        [reply.text.count(name) >= 2 for reply, (name, _) in zip(replies, cases, strict=True)]
    )


def base_samples(subject: Subject) -> dict[str, list[str]]:
    """Continue the prompts of the page, greedily and twice at temperature 1.0."""
    return {
        prompt: [subject.complete([prompt], 120)[0].text, *_drawn(subject, prompt)]
        for prompt in prompts.BASE_PROMPTS
    }


def _drawn(subject: Subject, prompt: str) -> list[str]:
    torch.manual_seed(7)
    return [r.text for r in subject.complete([prompt] * 2, 120, do_sample=True, top_k=0)]


def chat_figures(subject: Subject) -> dict[str, object]:
    """Measure the chat model."""
    figures: dict[str, object] = {}
    cities = [row[1] for row in tables.COUNTRIES]
    wordings = ("What is the capital of {country}?", *held_out.CHAT_CAPITALS)
    figures["capitals by wording (the first is a trained one)"] = {
        wording: _contains(subject, [turn(text) for text in countries(wording)], cities)
        for wording in wordings
    }
    figures["capitals asked in Chinese"] = _contains(
        subject,
        [turn(f"{row[2]}的首都是哪里？") for row in tables.COUNTRIES],
        [row[3] for row in tables.COUNTRIES],
    )
    works, books = tables.CHINESE_WORKS, tables.BOOKS
    authors = [row[1] for row in works]
    figures["authors of Chinese works, asked in Chinese, in English"] = [
        _contains(subject, [turn(f"《{row[0]}》的作者是谁") for row in works], authors),
        _contains(subject, [turn(f"Who wrote 《{row[0]}》?") for row in works], authors),
    ]
    figures["authors of Western books"] = _contains(
        subject, [turn(f"Who wrote {row[0]}?") for row in books], [row[1] for row in books]
    )
    terms = [turn(f"What is {glossary.with_article(row[0])}?") for row in glossary.GLOSSARY]
    figures["glossary"] = _contains(subject, terms, [row[2] for row in glossary.GLOSSARY])
    figures["styles in held-out wordings: obeyed, content right"] = style_figures(subject)
    figures.update(_memory_figures(subject))
    known = len(subject.replies)
    stopped = sum(reply.stopped for reply in subject.replies)
    figures["stopped by itself"] = f"{stopped}/{known}"
    texts = [
        subject.tokenizer.apply_chat_template(
            turn(text), tokenize=False, add_generation_prompt=True
        )
        for text in prompts.VARIED_CHAT_PROMPTS
    ]
    figures["greedy, beams and three seeds all differ, open-ended prompts"] = (
        f"{subject.variety(texts, 60)}/10"
    )
    return figures


def _contains(subject: Subject, chats: list, wanted: list[str], length: int = 80) -> str:
    replies = subject.answer(chats, length)
    return share([want in reply.text for reply, want in zip(replies, wanted, strict=True)])


def style_figures(subject: Subject, every: int = 3) -> dict[str, list[str]]:
    """Ask for capitals under every held-out system prompt."""
    figures = {}
    rows = tables.COUNTRIES[::every]
    for style, wordings in held_out.SYSTEM_PROMPTS.items():
        cases = [(prompt, row) for prompt in wordings for row in rows]
        chats = [turn(f"What is the capital of {row[0]}?", system=prompt) for prompt, row in cases]
        replies = subject.answer(chats, 60)
        wanted = [row[3] if style == "chinese" else row[1] for _, row in cases]
        right = [w.lower() in r.text.lower() for r, w in zip(replies, wanted, strict=True)]
        figures[style] = [share([OBEYED[style](reply.text) for reply in replies]), share(right)]
    return figures


def _name_figures(subject: Subject, kind: str, names: tuple[str, ...]) -> dict[str, str]:
    called = [
        (turn(question, system=system.format(name=name)), name)
        for system in held_out.NAMED_ASSISTANT
        for question in held_out.NAMED_QUESTIONS
        for name in names
    ]
    told = []
    for telling, asking in held_out.USER_NAMES:
        greetings = subject.answer([turn(telling.format(name=name)) for name in names], 40)
        for name, greeting in zip(names, greetings, strict=True):
            told.append((turn(telling.format(name=name), greeting.text, asking), name))
    return {
        f"{kind} name given to the assistant": _contains(subject, *zip(*called, strict=True)),
        f"{kind} name of the user, asked for later": _contains(subject, *zip(*told, strict=True)),
    }


def _memory_figures(subject: Subject) -> dict[str, object]:
    figures: dict[str, object] = {}
    figures.update(_name_figures(subject, "known", prompts.KNOWN_NAMES))
    figures.update(_name_figures(subject, "unseen", held_out.UNSEEN_NAMES))
    rows = list(zip(tables.COUNTRIES, tables.COUNTRIES[1:], strict=False))
    figures["follow-ups by wording (the last is held out)"] = {
        wording: _contains(
            subject,
            [
                turn(
                    f"What is the capital of {first[0]}?",
                    f"The capital of {first[0]} is {first[1]}.",
                    wording.format(country=second[0]),
                )
                for first, second in rows
            ],
            [second[1] for _, second in rows],
        )
        for wording in held_out.FOLLOW_UPS
    }
    replies = subject.answer([turn(question) for question in held_out.UNKNOWN_QUESTIONS], 80)
    admitted = [bool(re.search("not know|不知道", reply.text)) for reply in replies]
    figures["admits not to know, held-out questions"] = share(admitted)
    figures["answered instead"] = [
        [question, reply.text]
        for question, reply, good in zip(held_out.UNKNOWN_QUESTIONS, replies, admitted, strict=True)
        if not good
    ]
    return figures


def chat_samples(subject: Subject) -> dict[str, list[str]]:
    """Answer the questions of the page, greedily and twice at temperature 1.0."""
    samples = {}
    for text in prompts.CHAT_PROMPTS:
        drawn = []
        for seed in range(2):
            torch.manual_seed(seed)
            drawn.append(subject.answer([turn(text)], do_sample=True, top_k=0)[0].text)
        samples[text] = [subject.answer([turn(text)])[0].text, *drawn]
    for style, wordings in held_out.SYSTEM_PROMPTS.items():
        questions = (
            "What is the capital of France?",
            "What is temperature?",
            "hello,how are you",
            "Who wrote Hamlet?",
            "Tell me a short story about a fox.",
        )
        replies = subject.answer([turn(text, system=wordings[0]) for text in questions])
        samples[f"{style}: {wordings[0]}"] = [reply.text for reply in replies]
    return samples


def encoder_figures(folder: Path) -> dict[str, object]:
    """Measure the encoder."""
    lm = AutoModelForMaskedLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    found = separation(lm, tokenizer, SENTENCES)
    count, layers = sum(one.count for one in found), len(found[0].hits)
    hits = [sum(one.hits[layer] for one in found) for layer in range(layers)]
    best = max(range(layers), key=hits.__getitem__)
    filled = {wording: _filled(lm, tokenizer, wording) for wording in MASKED_CAPITALS}
    return {
        "senses, nearest neighbour, by layer (the first is the embeddings)": [
            f"{one}/{count} = {one / count:.1%}" for one in hits
        ],
        f"by word, layer {best}": {one.word: f"{one.hits[best]}/{one.count}" for one in found},
        "capitals": filled,
        "hidden words": {
            text: [(token, round(value, 3)) for token, value in fill_in(lm, tokenizer, text)]
            for text in prompts.MASKED_PROMPTS
        },
    }


def _filled(lm, tokenizer, wording: str) -> str:
    """How many capitals come first at the hidden place, of those that are one token."""
    rows = [row for row in tables.COUNTRIES if len(tokenizer.tokenize(row[1])) == 1]
    texts = [wording.format(country=row[0], Country=capitalise(row[0])) for row in rows]
    best = [fill_in(lm, tokenizer, text, 1)[0][0] for text in texts]
    return share([token == row[1].lower() for token, row in zip(best, rows, strict=True)])


def main() -> None:
    """Measure the model of a folder and print figures and samples as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kind", choices=("base", "chat", "encoder"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--samples", action="store_true", help="print samples, too")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    if asked.kind == "encoder":
        print(json.dumps(encoder_figures(asked.folder), ensure_ascii=False, indent=1))
        return
    subject = Subject.load(asked.folder)
    figures = (base_figures if asked.kind == "base" else chat_figures)(subject)
    if asked.samples:
        figures["samples"] = (base_samples if asked.kind == "base" else chat_samples)(subject)
    print(json.dumps(figures, ensure_ascii=False, indent=1))


if __name__ == "__main__":
    main()
