"""What was found inside models for open pages, so that nothing that is shown is asked again; it
knows no model."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from threading import Lock

from playground.core.inspection import Finding
from playground.ui.scoring import Ask, News

MOST = 300  # findings; a client that is no browser never says that its page was closed


class Seen:
    """The latest findings of each page, by what was asked."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._found: OrderedDict[tuple[str, Ask], Finding] = OrderedDict()
        self._lock = Lock()

    def of(self, page: str, asks: Sequence[Ask]) -> list[News]:
        """What is known of each question already; "later" where nothing is."""
        with self._lock:
            known: list[News] = []
            for ask in asks:
                found = self._found.get((page, ask))
                if found is not None:
                    self._found.move_to_end((page, ask))
                known.append(found or "later")
        return known

    def keep(self, page: str, asks: Sequence[Ask], news: Sequence[News]) -> None:
        """Remember what was found; a refusal may be another one next time."""
        with self._lock:
            for ask, one in zip(asks, news, strict=True):
                if isinstance(one, Finding):
                    self._found[page, ask] = one
                    self._found.move_to_end((page, ask))
            while len(self._found) > self._most:
                self._found.popitem(last=False)

    def close(self, page: str) -> None:
        """A page was closed."""
        with self._lock:
            for key in [key for key in self._found if key[0] == page]:
                del self._found[key]
