"""How far from_pretrained is with the weights, as a share; it knows no file and no page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from transformers.utils import logging as transformers_log

_STEP = 0.01


class _Bar:
    """Stands where transformers would draw a bar over the weights, and tells the share of them."""

    def __init__(self, items: Any, told: Callable[[float], None]) -> None:
        self._items = items
        self._told = told

    def __iter__(self) -> Iterator[Any]:
        count, last = len(self._items), 0.0
        for index, item in enumerate(self._items, 1):
            yield item
            if index / count - last >= _STEP or index == count:
                last = index / count
                self._told(last)


@contextmanager
def weights_counted(told: Callable[[float], None]) -> Iterator[None]:
    """Inside, ``told`` hears the share of the weights (0 to 1) that from_pretrained has read."""

    def bar(factory: Any, arguments: tuple[Any, ...], more: dict[str, Any]) -> Any:
        if more.get("desc") == "Loading weights" and arguments and hasattr(arguments[0], "__len__"):
            return _Bar(arguments[0], told)
        return factory(*arguments, **more)

    before = transformers_log.set_tqdm_hook(bar)
    try:
        yield
    finally:
        transformers_log.set_tqdm_hook(before)
