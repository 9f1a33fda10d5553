"""Trains the tokenizers, the base model, the chat model and the encoder from the command line.

    python -m playground.models.builtin.train tokenizer --out FOLDER
    python -m playground.models.builtin.train base --tokenizer FOLDER --run FOLDER --steps N
    python -m playground.models.builtin.train chat --tokenizer FOLDER --run FOLDER --steps N
    python -m playground.models.builtin.train word-pieces --out FOLDER
    python -m playground.models.builtin.train encoder --tokenizer FOLDER --run FOLDER --steps N
    python -m playground.models.builtin.train export --run FOLDER --out FOLDER

It does not know how good the models are; evaluate.py measures that.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import torch
from transformers import GenerationConfig

from . import corpus, masked, training
from .corpus.senses import encoder_document
from .tokens import CHAT_TEMPLATE, Encoder, train_tokenizer

SEED = 20261121
TASKS = ("tokenizer", "base", "chat", "word-pieces", "encoder", "export")


def make_tokenizer(out: Path, seed: int) -> None:
    """Train the tokenizer on a sample of both corpora and save it."""
    texts = corpus.documents(seed, 40_000)
    for messages in corpus.conversations(seed, 20_000):
        texts += [message["content"] for message in messages]
    # Upper case is rare but must not fall apart into single bytes.
    texts += [text.upper() for text in texts[:1500]]
    train_tokenizer([*texts, "user", "assistant", "system"]).save_pretrained(out)


def make_word_pieces(out: Path, seed: int) -> None:
    """Train the encoder's tokenizer on a sample of its corpus and save it."""
    rng = corpus.source(seed, "word pieces")
    masked.train_word_pieces(encoder_document(rng) for _ in range(60_000)).save_pretrained(out)


# What a step adds: its loss, the tokens it read and those that were learnt.
Lesson = Callable[[int], tuple[float, int, int]]


def _writer(kind: str, tokenizer: Path, schedule: training.Schedule, seed: int):
    """The base or the chat model, and its lesson."""
    encoder, model = Encoder(tokenizer), training.network(seed)

    def lesson(step: int) -> tuple[float, int, int]:
        rng = corpus.source(seed, kind, step)
        share = schedule.share_of_documents(step, kind)
        length, kinds = schedule.row_length(step), schedule.kinds(step)
        ids, learn = training.batch(encoder, rng, share, length, kinds)
        return training.backward(model, ids, learn), ids.numel(), int(learn.sum())

    return model, lesson


def _reader(tokenizer: Path, seed: int):
    """The encoder, and its lesson."""
    masker, model = masked.Masker(tokenizer), masked.encoder_network(seed)

    def lesson(step: int) -> tuple[float, int, int]:
        parts = masker.parts(corpus.source(seed, "encoder", step))
        learnt = sum(int((wanted != masked.IGNORED).sum()) for _, wanted in parts)
        read = sum(int((shown != 0).sum()) for shown, _ in parts)
        return masked.masked_backward(model, parts), read, learnt

    return model, lesson


def run(
    kind: str, tokenizer: Path, folder: Path, schedule: training.Schedule, until: int, seed: int
) -> None:
    """Train a model, writing a log and a checkpoint as it goes; a stopped run goes on."""
    folder.mkdir(parents=True, exist_ok=True)
    lesson: Lesson
    if kind == "encoder":
        model, lesson = _reader(tokenizer, seed)
    else:
        model, lesson = _writer(kind, tokenizer, schedule, seed)
    optimiser = training.Optimiser(model)
    (folder / "run.json").write_text(json.dumps({"kind": kind, "tokenizer": str(tokenizer)}))
    first, seen, learnt = _restore(folder, model, optimiser)
    started, mean = time.process_time(), 0.0
    with (folder / "log.txt").open("a") as log:
        for step in range(first, until):
            value, more_seen, more_learnt = lesson(step)
            optimiser.step(schedule.rate(step))
            seen, learnt = seen + more_seen, learnt + more_learnt
            mean = 0.9 * mean + 0.1 * value if step > first else value
            if (step + 1) % 25 == 0:
                seconds = time.process_time() - started
                log.write(
                    f"step {step + 1} loss {mean:.4f} tokens {seen} learnt {learnt} "
                    f"cpu {seconds:.0f} s at {time.strftime('%H:%M:%S')}\n"
                )
                log.flush()
            if (step + 1) % 100 == 0 or step + 1 == until:
                _save(folder, model, optimiser, (step + 1, seen, learnt))


def _save(folder: Path, model, optimiser: training.Optimiser, counts: tuple[int, int, int]) -> None:
    state = {"model": model.state_dict(), "optimiser": optimiser.state(), "counts": counts}
    torch.save(state, folder / "checkpoint.new")
    (folder / "checkpoint.new").replace(folder / "checkpoint.pt")


def _restore(folder: Path, model, optimiser: training.Optimiser) -> tuple[int, int, int]:
    path = folder / "checkpoint.pt"
    if not path.exists():
        return 0, 0, 0
    state = torch.load(path, weights_only=True)
    model.load_state_dict(state["model"])
    optimiser.restore(state["optimiser"])
    return tuple(state["counts"])


def export(folder: Path, out: Path) -> None:
    """Write the last checkpoint of a run as a folder that transformers can load."""
    made = json.loads((folder / "run.json").read_text())
    weights = torch.load(folder / "checkpoint.pt", weights_only=True)["model"]
    if made["kind"] == "encoder":
        reader = masked.encoder_network(0)
        reader.load_state_dict(weights)
        reader.half().save_pretrained(out)
        masked.Masker(Path(made["tokenizer"])).tokenizer.save_pretrained(out)
        return
    encoder = Encoder(Path(made["tokenizer"]))
    model = training.network(0)
    model.load_state_dict(weights)
    ends = [encoder.end_of_text]
    tokenizer = encoder.tokenizer
    if made["kind"] == "chat":
        ends.insert(0, encoder.end_of_message)
        tokenizer.chat_template = CHAT_TEMPLATE
        tokenizer.eos_token = "<|im_end|>"
    model.config.eos_token_id = ends[0]
    model.config.pad_token_id = encoder.end_of_text
    model.generation_config = GenerationConfig(
        eos_token_id=ends, pad_token_id=encoder.end_of_text, max_new_tokens=200
    )
    model.half().save_pretrained(out)
    tokenizer.save_pretrained(out)


def main() -> None:
    """Read the command line and do what it asks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("task", choices=TASKS)
    parser.add_argument("--tokenizer", type=Path, help="folder of the tokenizer")
    parser.add_argument("--run", type=Path, help="folder of checkpoints and log")
    parser.add_argument("--out", type=Path, help="folder to write to")
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--decay-from", type=int, help="first step of the falling rate")
    parser.add_argument("--until", type=int, help="stop here, to go on later with other steps")
    parser.add_argument("--rows", type=int, default=0, help="a fixed number of tokens in a row")
    parser.add_argument("--seed", type=int, default=SEED)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    if asked.task == "tokenizer":
        make_tokenizer(asked.out, asked.seed)
    elif asked.task == "word-pieces":
        make_word_pieces(asked.out, asked.seed)
    elif asked.task == "export":
        export(asked.run, asked.out)
    else:
        decay_from = asked.decay_from or asked.steps * 6 // 10
        schedule = training.Schedule(asked.steps, decay_from, asked.rows)
        until = asked.until or asked.steps
        run(asked.task, asked.tokenizer, asked.run, schedule, until, asked.seed)


if __name__ == "__main__":
    main()
