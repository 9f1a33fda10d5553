"""Weights go to the host and come back, each of them once; on a CPU by a mover that copies."""

from __future__ import annotations

import pytest
import torch

from playground.models.parking import Parking, can_park
from tests.tiny_models import tiny_model

# No tensor here is on it, so parking "moves" everything to it; the mover below only copies.
HOST = torch.device("meta")
IDS = torch.tensor([[5, 6, 7]])


class Mover:
    """Copies instead of moving, counts, and breaks off at the copy that it is told."""

    def __init__(self, breaks_at: int = 0) -> None:
        self.moved: list[tuple[int, torch.device]] = []
        self.breaks_at = breaks_at

    def __call__(self, tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
        self.moved.append((tensor.nbytes, device))
        if len(self.moved) == self.breaks_at:
            raise torch.OutOfMemoryError("no more")
        return tensor.clone()


def test_what_comes_back_is_what_went() -> None:
    lm = tiny_model("llama").lm
    before = lm(IDS).logits
    places = [p.data_ptr() for p in lm.parameters()]
    mover = Mover()
    parking = Parking(mover)
    moved = parking.park([lm], HOST)
    assert parking.parked
    assert moved == sum(p.nbytes for p in lm.parameters()) + sum(b.nbytes for b in lm.buffers())
    assert not set(places) & {p.data_ptr() for p in lm.parameters()}
    assert parking.unpark() == moved
    assert not parking.parked
    assert torch.equal(lm(IDS).logits, before)
    assert {device.type for _, device in mover.moved[len(mover.moved) // 2 :]} == {"cpu"}


def test_what_models_share_is_moved_once() -> None:
    """Qwen2's output layer is its embedding."""
    lm = tiny_model("qwen2").lm
    assert lm.lm_head.weight is lm.model.embed_tokens.weight
    mover = Mover()
    Parking(mover).park([lm, lm], HOST)
    assert len(mover.moved) == len([*lm.parameters(), *lm.buffers()])
    assert lm.lm_head.weight.data_ptr() == lm.model.embed_tokens.weight.data_ptr()


@pytest.mark.parametrize("way", ("there", "back"))
def test_memory_that_ends_on_the_way_leaves_all_as_it_was(way: str) -> None:
    lm = tiny_model("llama").lm
    count = len([*lm.parameters(), *lm.buffers()])
    parking = Parking(Mover(breaks_at=3 if way == "there" else count + 3))
    if way == "back":
        parking.park([lm], HOST)
    places = [p.data_ptr() for p in lm.parameters()]
    with pytest.raises(torch.OutOfMemoryError):
        parking.park([lm], HOST) if way == "there" else parking.unpark()
    assert [p.data_ptr() for p in lm.parameters()] == places
    assert parking.parked is (way == "back"), "it may be tried again"


def test_on_a_cpu_there_is_nothing_to_park() -> None:
    lm = tiny_model("llama").lm
    mover = Mover()
    assert not can_park(lm)
    assert Parking(mover).park([lm]) == 0 and mover.moved == []
