"""What swapping models costs: memory that grows, tokens that come late, seconds until one is up.

    python -m benchmarks.swaps [SWAPS [ROUNDS]]

Each within one run, on the GPU where there is one. SWAPS (200) swaps between the two built-in
models, with the app process's memory, files and threads: each in a fresh process, or with a GPU
parked in turn, with what is taken of it. The gaps between the tokens of a stream: alone, beside
another model that is loaded and ended (with a GPU also parked and brought back) over and over, and
beside a process that only computes, which is what any neighbour costs on a machine of few cores.
ROUNDS (3) loads of a random bf16 model of the shape of Qwen2.5 0.5B, each beside a plain read of
its file onto the device in the same numbers, both with the file out of the page cache. And with a
GPU the return of that model from host memory beside the bare copy. This process imports no torch.
"""

from __future__ import annotations

import gc
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil

from playground.core.decoding import Decoding
from playground.core.events import Failed, Finished, Step
from playground.core.prompt import Raw
from playground.core.run import ModelSpec, Run
from playground.engine.engine import Engine
from playground.models import footprint, memory
from playground.models.place import place
from playground.settings import Settings

CHAT, BASE = ModelSpec("builtin/tiny-chat"), ModelSpec("builtin/tiny-base")
WARM_UP = 10
DEVICE = memory.kind_of("auto")
PROMPT = Raw("Once upon a time there was a little dragon named")

_MAKE = """
import sys, torch
from transformers import Qwen2Config, Qwen2ForCausalLM, AutoTokenizer
torch.manual_seed(0)
config = Qwen2Config(
    vocab_size=151936, hidden_size=896, intermediate_size=4864, num_hidden_layers=24,
    num_attention_heads=14, num_key_value_heads=2, max_position_embeddings=32768,
    tie_word_embeddings=True, bos_token_id=None, eos_token_id=None,
)
with torch.device("meta"):
    lm = Qwen2ForCausalLM(config)
lm = lm.to(torch.bfloat16).to_empty(device="cpu")
for parameter in lm.parameters():
    parameter.data.normal_(0, 0.02)
lm.tie_weights()
lm.save_pretrained(sys.argv[1])
AutoTokenizer.from_pretrained(sys.argv[2]).save_pretrained(sys.argv[1])
"""
_LOAD = """
import json, os, sys, time
from pathlib import Path
import torch, playground.worker.preload
from safetensors.torch import load_file
from playground.core.run import ModelSpec
from playground.models.loading import load
folder, way, dtype, device = sys.argv[1:]
torch.zeros(1, device=device)
file = Path(folder) / "model.safetensors"
opened = os.open(file, os.O_RDONLY)
os.posix_fadvise(opened, 0, 0, os.POSIX_FADV_DONTNEED)
os.close(opened)
began, busy = time.perf_counter(), time.process_time()
if way == "plain":
    wanted = getattr(torch, dtype)
    kept = {name: one.to(device, wanted, copy=True) for name, one in load_file(file).items()}
else:
    kept = load(ModelSpec("made/half-b", dtype=dtype), folder, device)
if device == "cuda":
    torch.cuda.synchronize()
print(json.dumps([time.perf_counter() - began, time.process_time() - busy]))
"""
_PARK = """
import json, sys, time
import torch
from playground.core.run import ModelSpec
from playground.models.loading import load
from playground.models.parking import Parking
folder, rounds = sys.argv[1:]
lm = load(ModelSpec("made/half-b", dtype="bfloat16"), folder, "cuda").lm
parking = Parking()

def seconds(work):
    torch.cuda.empty_cache()
    torch.cuda.synchronize()
    began = time.perf_counter()
    kept = work()
    torch.cuda.synchronize()
    return time.perf_counter() - began

told = []
for _ in range(int(rounds) + 1):
    there = seconds(lambda: parking.park([lm]))
    host = [one.data for one in lm.parameters()]
    bare = seconds(lambda: [one.to("cuda", non_blocking=True) for one in host])
    told.append((there, seconds(parking.unpark), bare))
print(json.dumps([sum(one.nbytes for one in host), told[1:]]))
"""


def room_for_one() -> int:
    """Bytes in which one of the built-in models fits, and not both."""
    folders = {spec: place(spec, (spec.repo,), any_model=False) for spec in (CHAT, BASE)}
    needs = [footprint.needed_bytes(Path(str(folder)), spec, DEVICE)
             for spec, folder in folders.items()]
    return int(1.2 * max(needs))


def swaps(count: int) -> None:
    """Swap ``count`` times and tell what has grown."""
    engine = Engine(Settings(memory_bytes=room_for_one()))
    here = psutil.Process()
    sizes, files, threads, seconds, on_gpu = [], [], [], [], []
    short = Decoding(max_new_tokens=1)
    for number in range(WARM_UP + count):
        spec = (CHAT, BASE)[number % 2]
        began = time.perf_counter()
        last = list(engine.run(Run(spec, PROMPT, short)))[-1]
        assert isinstance(last, Finished), last
        if number >= WARM_UP:
            gc.collect()
            sizes.append(here.memory_full_info().uss)
            files.append(here.num_fds())
            threads.append(here.num_threads())
            seconds.append(time.perf_counter() - began)
            if DEVICE == "cuda" and number % 10 == 0:
                on_gpu.append(_taken_of_gpu())
    engine.close()
    slope = _slope([size / 1e6 for size in sizes])
    print(f"{count} swaps, median {statistics.median(seconds):.2f} s each: the app process takes "
          f"{sizes[0] / 1e6:.1f} MB at first and {sizes[-1] / 1e6:.1f} MB at last")
    print(f"  slope {slope * 1000:+.1f} kB a swap; files {min(files)} to {max(files)}, "
          f"threads {min(threads)} to {max(threads)}")
    if on_gpu:
        print(f"  of the GPU {on_gpu[0]} MB at first and {on_gpu[-1]} MB at last, {min(on_gpu)} to "
              f"{max(on_gpu)} MB")


def _taken_of_gpu() -> int:
    """Megabytes of the first GPU that anybody has."""
    ask = ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits"]
    return int(subprocess.run(ask, check=True, capture_output=True, text=True).stdout.split()[0])


def _slope(values: Sequence[float]) -> float:
    """Of the straight line through the values, by least squares, a step apart."""
    return statistics.linear_regression(range(len(values)), values).slope


def gaps(tokens: int = 400) -> None:
    """The gaps between a stream's tokens, alone and beside another model's coming and going."""
    engine = Engine(Settings())
    decoding = Decoding(max_new_tokens=tokens, min_new_tokens=tokens, candidates=1)
    over = threading.Event()
    swapped = 0

    def swap(away: Callable[[ModelSpec], object]) -> None:
        nonlocal swapped
        while not over.is_set():
            list(engine.load(BASE))
            away(BASE)
            swapped += 1

    def stream() -> list[float]:
        times = []
        for event in engine.run(Run(CHAT, PROMPT, decoding)):
            assert not isinstance(event, Failed), event
            if isinstance(event, Step):
                times.append(time.perf_counter())
        return [1000 * (b - a) for a, b in zip(times, times[1:], strict=False)]

    ways: dict[str, Callable[[ModelSpec], object]] = {"loads": engine.unload}
    if DEVICE == "cuda":
        ways["returns"] = engine.park
    list(engine.load(CHAT))
    stream()
    print(f"{'gaps between tokens, ms':30} {'median':>8} {'99 %':>8} {'longest':>8}")
    for _ in range(2):
        _tell_gaps("alone", stream())
        with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as neighbour:
            _tell_gaps("beside a busy process", stream())
            neighbour.kill()
        for name, away in ways.items():
            before = swapped
            swapper = threading.Thread(target=swap, args=(away,))
            swapper.start()
            busy = stream()
            over.set()
            swapper.join()
            over.clear()
            _tell_gaps(f"beside {swapped - before} {name}", busy)
    engine.close()


def _tell_gaps(name: str, found: Sequence[float]) -> None:
    cuts = statistics.quantiles(found, n=100)
    print(f"{name:30} {statistics.median(found):8.1f} {cuts[98]:8.1f} {max(found):8.1f}")


def loads(rounds: int) -> None:
    """A cold load beside a plain read, as bf16 (nothing is converted) and as fp32."""
    tokenizer = str(place(CHAT, (CHAT.repo,), any_model=False))
    with tempfile.TemporaryDirectory() as folder:
        _python(_MAKE, folder, tokenizer)
        print(f"{'cold load of 0.5B, s':30} {'plain':>8} {'ours':>8} {'ratio':>8} {'CPU':>8}")
        for dtype in ("bfloat16", "float32"):
            pairs = []
            for _ in range(rounds):
                told = [json.loads(_python(_LOAD, folder, way, dtype, DEVICE))
                        for way in ("plain", "ours")]
                pairs.append((*told[0], *told[1]))
            plain, ours = (statistics.median(p[i] for p in pairs) for i in (0, 2))
            ratio = statistics.median(p[2] / p[0] for p in pairs)
            busy = statistics.median(p[3] / p[1] for p in pairs)
            print(f"{dtype:30} {plain:8.2f} {ours:8.2f} {ratio:8.2f} {busy:8.2f}")
        if DEVICE == "cuda":
            size, told = json.loads(_python(_PARK, folder, str(rounds)))
            there, back, bare = (statistics.median(column) for column in zip(*told, strict=True))
            ratio = statistics.median(back / bare for _, back, bare in told)
            print(f"parking {size / 1e9:.2f} GB: away {there * 1000:.0f} ms, back "
                  f"{back * 1000:.1f} ms, bare copy {bare * 1000:.1f} ms, ratio {ratio:.2f}")


def _python(script: str, *arguments: str) -> str:
    """The last line that a script prints in a process of its own, with one thread of torch."""
    told = subprocess.run(
        [sys.executable, "-c", script, *arguments], check=True, capture_output=True, text=True,
        cwd=Path(__file__).resolve().parent.parent,
    )
    return (told.stdout.strip().splitlines() or [""])[-1]


def main(count: int, rounds: int) -> None:
    """Measure, and tell how busy the machine was."""
    print(f"load of the machine {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    gaps()
    loads(rounds)
    swaps(count)
    print(f"load of the machine {os.getloadavg()[0]:.1f} at the end")


if __name__ == "__main__":
    given = [int(one) for one in sys.argv[1:]]
    main(*(given + [200, 3][len(given):]))
