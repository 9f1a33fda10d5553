"""Laws of the tree of branches: pure values, with cases that a person can follow by hand."""

from __future__ import annotations

import pytest

from playground.core import branches
from playground.core.branches import Branch, History, Tree, visible

#  a ── b (at 3) ── d (at 5)
#    └─ c (at 1)
A = Branch("a")
B = Branch("b", "a", 3, "take", " Paris", " Lyon")
C = Branch("c", "a", 1, "ban", instead="\n")
D = Branch("d", "b", 5, "text", "in fact ")
TREE = Tree().add(A).add(B).add(C).add(D)


def keys(tree: Tree) -> str:
    return "".join(one.key for one in tree.branches)


def test_a_walk_goes_down_before_it_goes_on_in_the_order_of_the_text() -> None:
    assert [(depth, one.key) for depth, one in TREE.walk()] == [
        (0, "a"), (1, "c"), (1, "b"), (2, "d"),
    ]
    assert Tree().walk() == ()


def test_pruning_takes_all_that_grew_from_a_branch() -> None:
    assert [one.key for one in TREE.beneath("b")] == ["b", "d"]
    assert keys(TREE.prune("b")) == "ac"
    assert keys(TREE.prune("a")) == ""
    assert TREE.prune("nobody") == TREE


@pytest.mark.parametrize(("branch", "title"), [
    (A, "First run"),
    (Branch("e", token="from Chat"), "from Chat"),
    (B, "“·Paris” instead of “·Lyon” at 4"),
    (C, "without “⏎” at 2"),
    (D, "“in·fact·” put in at 6"),
    (Branch("f", "a", 0, "again"), "drawn again at 1"),
    (Branch("g", "a", 2, "take", "x"), "“x” at 3"),
    (Branch("h", "a", 2, "sample", "sample 7"), "sample 7"),
])
def test_a_branch_is_called_by_what_was_done(branch: Branch, title: str) -> None:
    assert branch.title == title


def test_the_readers_own_name_wins_and_can_be_taken_back() -> None:
    named = TREE.rename("b", "  the\n good   one ")
    assert named.get("b").title == "the good one"  # type: ignore[union-attr]
    assert named.rename("b", "  ") == TREE
    assert len(TREE.rename("b", "x" * 500).get("b").name) == branches.LONGEST_NAME  # type: ignore[union-attr]


def test_what_leaves_no_ink_is_shown_and_what_is_long_is_cut() -> None:
    assert visible(" a\tb\n") == "·a⇥b⏎"
    assert visible("\u202ex\x00") == "U+202Ex" + "U+0000"
    assert visible("x" * 30, 5) == "xxxx…"


def test_a_branch_of_nobody_stands_by_itself() -> None:
    tree = TREE.prune("a").add(D)
    assert tree.get("d").parent is None  # type: ignore[union-attr]
    assert tree.walk()[0][0] == 0


def test_a_full_tree_lets_its_oldest_end_go_and_counts_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(branches, "MOST_BRANCHES", 4)
    # The oldest end is c; a and b have children.
    more = TREE.add(Branch("e", "a", 9))
    assert (keys(more), more.let_go) == ("abde", 1)
    # Now d is the oldest end, but the new branch grows from it, so e goes.
    again = more.add(Branch("f", "d", 7))
    assert (keys(again), again.let_go) == ("abdf", 2)


def test_a_full_chain_lets_its_first_branch_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each grew from the one before, so the only end was the new one's parent: none was found to
    go, and the 65th branch of a chain failed in a way that nobody explained."""
    monkeypatch.setattr(branches, "MOST_BRANCHES", 3)
    tree = Tree()
    for parent, key in zip((None, *"abc"), "abcd", strict=True):
        tree = tree.add(Branch(key, parent))
    assert (keys(tree), tree.let_go) == ("bcd", 1)
    assert [(depth, one.key) for depth, one in tree.walk()] == [(0, "b"), (1, "c"), (2, "d")]


def test_undo_takes_back_the_latest_change_and_says_which() -> None:
    history = History().then("the run", Tree().add(A)).then("“ Paris”", Tree().add(A).add(B))
    pruned = history.then("pruned “ Paris”", history.tree.prune("b"))
    assert (keys(pruned.tree), pruned.undoes) == ("a", "pruned “ Paris”")
    back = pruned.undo()
    assert back == history
    assert (keys(back.tree), back.undoes) == ("ab", "“ Paris”")
    assert back.undo().undo() == History()
    assert History().undo() == History()
    assert History().undoes == ""


def test_a_change_of_nothing_is_nothing_to_undo() -> None:
    history = History().then("the run", TREE)
    assert history.then("pruned nobody", TREE.prune("nobody")) is history


def test_only_the_latest_changes_can_be_undone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(branches, "MOST_UNDONE", 2)
    history = History()
    for branch in (A, B, C):
        history = history.then(branch.key, history.tree.add(branch))
    assert [words for words, _ in history.before] == ["b", "c"]
    assert keys(history.undo().undo().undo().tree) == "a"
