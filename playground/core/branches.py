"""The branches of a prompt as a tree of small frozen values, with undo; it knows no token and no
page.

A branch is known by the key under which its tokens are kept elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

Deed = Literal["run", "take", "ban", "again", "text", "sample"]

MOST_BRANCHES = 64
MOST_UNDONE = 40
LONGEST_NAME = 60

_VISIBLE = {" ": "·", "\n": "⏎", "\t": "⇥"}


def visible(text: str, most: int = 24) -> str:
    """A token or a short text on one line, with what leaves no ink shown for what it is."""
    marks = [_VISIBLE.get(c) or (c if c.isprintable() else f"U+{ord(c):04X}") for c in text]
    return "".join(marks if len(marks) <= most else [*marks[: most - 1], "…"])


@dataclass(frozen=True, slots=True)
class Branch:
    """One way on: ``position`` tokens are its parent's, then came what was done there.

    ``token`` is the text that was put there, ``instead`` that of the parent's token. A branch
    without a parent is a run of its own, which ``token`` may say more of. ``name`` is the reader's.
    """

    key: str
    parent: str | None = None
    position: int = 0
    deed: Deed = "run"
    token: str = ""
    instead: str = ""
    name: str = ""

    @property
    def title(self) -> str:
        """The reader's name for it, or what was done; tokens count from 1."""
        if self.name:
            return self.name
        new, old, at = visible(self.token), visible(self.instead), f"at {self.position + 1}"
        match self.deed:
            case "run":
                return self.token or "First run"
            case "sample":
                return self.token or "Sample"
            case "take":
                return f"“{new}” instead of “{old}” {at}" if old else f"“{new}” {at}"
            case "ban":
                return f"without “{old}” {at}"
            case "again":
                return f"drawn again {at}"
            case "text":
                return f"“{new}” put in {at}"


@dataclass(frozen=True, slots=True)
class Tree:
    """The branches in the order in which they came; a parent stands before its children.

    It holds MOST_BRANCHES at most: ``let_go`` is how many of the oldest went to make room.
    """

    branches: tuple[Branch, ...] = ()
    let_go: int = 0

    def get(self, key: object) -> Branch | None:
        """The branch of this key, None without one."""
        return next((branch for branch in self.branches if branch.key == key), None)

    def add(self, branch: Branch) -> Tree:
        """The tree with one more branch.

        A parent that is not in the tree is none. A full tree lets its oldest end of a branch go,
        but not the parent of the new one; where that is the only end, it lets its first branch go,
        and what grew from that stands by itself.
        """
        if self.get(branch.parent) is None:
            branch = replace(branch, parent=None)
        kept, let_go = self.branches, self.let_go
        if len(kept) >= MOST_BRANCHES:
            parents = {one.parent for one in (*kept, branch)}
            oldest = next((one for one in kept if one.key not in parents), kept[0])
            kept, let_go = tuple(
                replace(one, parent=None) if one.parent == oldest.key else one
                for one in kept if one != oldest
            ), let_go + 1
        return Tree((*kept, branch), let_go)

    def rename(self, key: str, name: str) -> Tree:
        """The tree with a branch under the reader's name; an empty one brings its own back."""
        short = " ".join(name.split())[:LONGEST_NAME]
        return replace(self, branches=tuple(
            replace(one, name=short) if one.key == key else one for one in self.branches
        ))

    def beneath(self, key: str) -> tuple[Branch, ...]:
        """A branch and all that grew from it."""
        found: dict[str, Branch] = {}
        for one in self.branches:
            if one.key == key or one.parent in found:
                found[one.key] = one
        return tuple(found.values())

    def prune(self, key: str) -> Tree:
        """The tree without a branch and all that grew from it."""
        gone = self.beneath(key)
        return replace(self, branches=tuple(one for one in self.branches if one not in gone))

    def walk(self) -> tuple[tuple[int, Branch], ...]:
        """Every branch with its depth (0 for one without parent), each before its children; those
        of one parent in the order of where they leave it."""
        grown: dict[str | None, list[Branch]] = {}
        for one in self.branches:
            grown.setdefault(one.parent, []).append(one)

        found: list[tuple[int, Branch]] = []
        waiting = [(0, one) for one in reversed(grown.get(None, []))]
        while waiting:
            depth, one = waiting.pop()
            found.append((depth, one))
            children = sorted(grown.get(one.key, []), key=lambda child: child.position)
            waiting += [(depth + 1, child) for child in reversed(children)]
        return tuple(found)


@dataclass(frozen=True, slots=True)
class History:
    """The tree as it is, and as it was before each of the latest changes, with words for each."""

    tree: Tree = field(default_factory=Tree)
    before: tuple[tuple[str, Tree], ...] = ()

    def then(self, words: str, tree: Tree) -> History:
        """One more change, which ``words`` name; the oldest of more than MOST_UNDONE is final."""
        if tree == self.tree:
            return self
        return History(tree, (*self.before, (words, self.tree))[-MOST_UNDONE:])

    @property
    def undoes(self) -> str:
        """The words of the change that ``undo`` would take back; empty when there is none."""
        return self.before[-1][0] if self.before else ""

    def undo(self) -> History:
        """As it was before the latest change; itself when there is nothing to undo."""
        return History(self.before[-1][1], self.before[:-1]) if self.before else self
