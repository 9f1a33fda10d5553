"""What a repo brings may ask for any amount of memory; it gets a bounded one, and harms nobody."""

from __future__ import annotations

import resource
from pathlib import Path

import psutil
import pytest
from tokenizers import normalizers

from playground.core.decoding import Decoding
from playground.core.events import Failed, Finished
from playground.core.prompt import Chat, Message, Prompt, Raw
from playground.core.run import ModelSpec, Run
from playground.engine.engine import Engine
from playground.engine.waiting import Patience
from playground.settings import Settings
from playground.worker.bounds import memory_bounded
from tests.tiny_models import byte_level_tokenizer, save

# Ten times over, each "~" becomes ten: 4 x 10^10 bytes.
BOMB = [normalizers.Replace("~", "~" * 10)] * 10
DOUBLING = (
    "{% set ns = namespace(s='a' * 1024) %}{% for i in range(30) %}{% set ns.s = ns.s + ns.s %}"
    "{% endfor %}{{ ns.s }}"
)


def last(engine: Engine, spec: ModelSpec, prompt: Prompt) -> Failed | Finished:
    """How a run of one token ends."""
    *_, event = engine.run(Run(spec, prompt, Decoding(max_new_tokens=1)))
    assert isinstance(event, Failed | Finished)
    return event


def test_inside_a_bound_python_gets_no_more() -> None:
    before = resource.getrlimit(resource.RLIMIT_DATA)
    with memory_bounded(200 * 2**20):
        assert len(bytearray(50 * 2**20)) == 50 * 2**20
        with pytest.raises(MemoryError):
            bytearray(400 * 2**20)
    assert resource.getrlimit(resource.RLIMIT_DATA) == before
    assert len(bytearray(400 * 2**20)) == 400 * 2**20


def test_a_repo_that_wants_all_memory_costs_its_own_worker_alone(tmp_path: Path) -> None:
    """A tokenizer's library aborts the process without memory; a chat template just fails."""
    good, bomb, doubling = (save(tmp_path / name) for name in ("good", "bomb", "doubling"))
    tokenizer = byte_level_tokenizer()
    tokenizer.backend_tokenizer.normalizer = normalizers.Sequence(BOMB)
    tokenizer.save_pretrained(bomb)
    tokenizer = byte_level_tokenizer()
    tokenizer.chat_template = DOUBLING
    tokenizer.save_pretrained(doubling)
    specs = [ModelSpec(str(folder)) for folder in (good, bomb, doubling)]
    engine = Engine(Settings(models=tuple(spec.repo for spec in specs)), Patience(blocked=60.0))
    try:
        assert isinstance(last(engine, specs[0], Raw("hello")), Finished)
        workers = {child.pid for child in psutil.Process().children(recursive=True)}
        assert isinstance(last(engine, specs[1], Raw("hello")), Finished), "no bomb goes off"
        for _ in range(3):
            ended = last(engine, specs[1], Raw("~~~~"))
            assert isinstance(ended, Failed) and ended.problem.code == "WORKER_DIED"
        blocked = last(engine, specs[1], Raw("hello"))
        assert isinstance(blocked, Failed) and "3 times in a row" in str(blocked.problem)

        said = last(engine, specs[2], Chat((Message("user", "hello"),)))
        assert isinstance(said, Failed) and "template" in str(said.problem)
        assert isinstance(last(engine, specs[2], Raw("hello")), Finished), "its worker lives"
        assert isinstance(last(engine, specs[0], Raw("hello")), Finished)
        assert workers <= set(psutil.pids()), "and so do the others"
    finally:
        engine.close()
