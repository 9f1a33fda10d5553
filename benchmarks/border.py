"""What a user's stream costs through the process border, and beside the ways that others serve.

    pip install "transformers[serving]" && python -m benchmarks.border [--model NAME] [--rounds N]

Every way writes the same number of greedy tokens after the same prompt, in turn; CPU seconds of
all processes that take part, and seconds on the clock.

    loop       the traced loop in this process: no border
    engine     the same through the engine: worker process, pipe, events (ten candidates a step)
    streamer   generate() in a thread with a TextIteratorStreamer, as most apps do it
    serve      `transformers serve` on loopback, a streamed plain completion (text only)
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import psutil
import torch
from transformers import TextIteratorStreamer

from benchmarks.shapes import NAMES, make
from playground.core.decoding import Decoding
from playground.core.events import Failed, Step
from playground.core.prompt import Raw
from playground.core.run import ModelSpec, Run
from playground.decode.loop import DecodeLoop
from playground.engine.engine import Engine
from playground.models.loading import Model
from playground.settings import Settings

PROMPT = "Once upon a time there was a little dragon named"


def main() -> None:
    """Print a table: seconds a token, and each way's ratio to the loop alone, medians of rounds."""
    asked = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    asked.add_argument("--model", choices=NAMES, default="builtin")
    asked.add_argument("--rounds", type=int, default=5)
    given = asked.parse_args()
    model = make(given.model)
    torch.set_num_threads(1)
    new = 200 if model.card.parameters < 20e6 else 24
    with tempfile.TemporaryDirectory() as folder:
        model.lm.save_pretrained(folder)
        model.tokenizer.save_pretrained(folder)
        measure(model, folder, new, given.rounds)


def measure(model: Model, folder: str, new: int, rounds: int) -> None:
    """Run every way in turn and print."""
    decoding = Decoding(max_new_tokens=new, min_new_tokens=new)
    engine = Engine(Settings())
    run = Run(ModelSpec(folder), Raw(PROMPT), decoding)
    server, url = _serve(folder)
    if not url:
        print("transformers serve does not start here, and is left out")
    try:
        ways: dict[str, Callable[[], int]] = {
            "loop": lambda: _loop(model, decoding),
            "engine": lambda: _engine(engine, run),
            "streamer": lambda: _streamer(model, new),
        }
        if url:
            ways["serve"] = lambda: _completion(url, folder, new)
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
        for round_ in range(rounds + 1):
            for name, way in ways.items():
                cpu, clock = _cpu(), time.perf_counter()
                tokens = way()
                each = ((_cpu() - cpu) / tokens, (time.perf_counter() - clock) / tokens)
                if round_:
                    found[name].append(each)
    finally:
        server.terminate()
        engine.close()
    print(f"{model.spec.label}, {new} new tokens, {rounds} rounds in turn, one thread each")
    heads = ("CPU ms/token", "clock ms/token", "CPU / loop", "clock / loop")
    print(f"{'':10}" + "".join(f" {head:>14}" for head in heads))
    for name, figures in found.items():
        cpu, clock = (statistics.median(column) * 1e3 for column in zip(*figures, strict=True))
        pairs = list(zip(figures, found["loop"], strict=True))
        ratios = [statistics.median(a[i] / b[i] for a, b in pairs) for i in range(2)]
        print(f"{name:10} {cpu:14.2f} {clock:14.2f} {ratios[0]:14.3f} {ratios[1]:14.3f}")


def _loop(model: Model, decoding: Decoding) -> int:
    loop = DecodeLoop(model)
    loop.join(0, Run(model.spec, Raw(PROMPT), decoding))
    told = 0
    while loop.busy:
        told += sum(isinstance(event, Step) for _, event in loop.step())
    return told


def _engine(engine: Engine, run: Run) -> int:
    told = 0
    for event in engine.run(run):
        assert not isinstance(event, Failed), event
        told += isinstance(event, Step)
    return told


def _streamer(model: Model, new: int) -> int:
    inputs = model.tokenizer(PROMPT, return_tensors="pt")
    streamer = TextIteratorStreamer(model.tokenizer, skip_prompt=True)
    thread = threading.Thread(
        target=model.lm.generate,
        kwargs={**inputs, "max_new_tokens": new, "min_new_tokens": new, "do_sample": False,
                "streamer": streamer},
    )
    thread.start()
    for _ in streamer:
        pass
    thread.join()
    return new


def _serve(folder: str) -> tuple[subprocess.Popen[bytes], str]:
    """The library's own server for the same files, once it answers; without an address where it
    has ended, as without the packages of ``transformers[serving]``."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = Path(sys.executable).with_name("transformers")
    server = subprocess.Popen(
        [str(command), "serve", "--host", "127.0.0.1", "--port", str(port), "--device", "cpu",
         "--dtype", "float32"],
        env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    for _ in range(600):
        try:
            urllib.request.urlopen(f"{url}/health", timeout=1).read()
            return server, url
        except (urllib.error.URLError, OSError):
            if server.poll() is not None:
                return server, ""
            time.sleep(0.1)
    raise RuntimeError("transformers serve did not answer within a minute")


def _completion(url: str, folder: str, new: int) -> int:
    asked = {
        "model": folder, "prompt": PROMPT, "max_tokens": new, "temperature": 0.0, "stream": True,
        "generation_config": json.dumps({"min_new_tokens": new, "do_sample": False}),
    }
    request = urllib.request.Request(
        f"{url}/v1/completions", json.dumps(asked).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=300) as answer:
        for _ in answer:
            pass
    return new


def _cpu() -> float:
    """CPU seconds of this process and of all that it has started and that still run."""
    own = psutil.Process()
    times = [process.cpu_times() for process in (own, *own.children(recursive=True))]
    return sum(t.user + t.system for t in times)


if __name__ == "__main__":
    main()
